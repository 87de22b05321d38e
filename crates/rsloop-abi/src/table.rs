//! The table of functions, and the two types it names without showing.

use core::ffi::c_int;
use core::marker::{PhantomData, PhantomPinned};

use crate::Job;

/// Python's `PyObject`, opaque: this crate does not depend on any binding to Python. Cast it to
/// and from the binding's own type.
#[repr(C)]
pub struct PyObject {
    _opaque: [u8; 0],
    _not_send: PhantomData<(*mut u8, PhantomPinned)>,
}

/// A loop, opaque, with an atomic reference count.
///
/// It holds the Python loop weakly, and outlives it and the interpreter: `ref`, `unref`, `post`
/// and `on_loop_thread` stay callable from any thread, attached or not, for the life of the
/// process, as long as the caller owns a reference.
pub struct Loop {
    _opaque: [u8; 0],
    _not_send: PhantomData<(*mut u8, PhantomPinned)>,
}

/// The table behind the capsule: static, immutable, append-only.
///
/// Pointers to functions are never NULL up to [`API_SIZE_MIN`](crate::API_SIZE_MIN). None of
/// them unwinds. Unless it says otherwise, an entry may be called from any thread, attached or
/// not, and blocks at most for a short critical section.
#[repr(C)]
pub struct Api {
    /// Bytes of the table that the provider filled in, this field included.
    pub size: u32,
    /// [`RSL_ABI_MAJOR`](crate::RSL_ABI_MAJOR) of the provider.
    pub major: u16,
    /// [`RSL_ABI_MINOR`](crate::RSL_ABI_MINOR) of the provider.
    pub minor: u16,
    /// A set of bits for optional abilities. None is defined yet: zero.
    pub features: u64,

    /// Finds the loop behind a Python object.
    ///
    /// Attached. `object` is borrowed. Stores a new reference to `*found` and returns
    /// [`RSL_FOUND`](crate::RSL_FOUND) for a loop of rsloop (closed or not, an instance of a
    /// subclass included); stores NULL and returns [`RSL_FOREIGN`](crate::RSL_FOREIGN), without
    /// exception, for any other object; returns [`RSL_ERROR`](crate::RSL_ERROR) with an
    /// exception set when it could not tell.
    pub loop_from_py: unsafe extern "C" fn(object: *mut PyObject, found: *mut *mut Loop) -> c_int,

    /// Finds the loop that runs on the calling thread, as `asyncio.get_running_loop` would.
    ///
    /// Attached. As `loop_from_py`; [`RSL_FOREIGN`](crate::RSL_FOREIGN) also when no loop runs.
    pub loop_current: unsafe extern "C" fn(found: *mut *mut Loop) -> c_int,

    /// The Python loop: a new strong reference, or NULL, without exception, when it is gone.
    ///
    /// Attached, any thread.
    pub loop_to_py: unsafe extern "C" fn(of: *mut Loop) -> *mut PyObject,

    /// Adds a reference. Never fails.
    pub r#ref: unsafe extern "C" fn(of: *mut Loop),

    /// Gives a reference back. The last one frees the loop's native part, which touches no
    /// Python object: it need not be attached.
    pub unref: unsafe extern "C" fn(of: *mut Loop),

    /// Queues a job and, unless the loop cannot be asleep, rings its wakeup.
    ///
    /// Returns [`RSL_OK`](crate::RSL_OK): the loop owns the job and gives it back through its
    /// `run` or `drop`, perhaps on another thread before this call returns. Or
    /// [`RSL_CLOSED`](crate::RSL_CLOSED): the caller keeps the job; every later `post` to this
    /// loop says the same. Posting and closing are totally ordered: no job is ever lost between.
    /// The job may own the reference by which it is posted, and give it back meanwhile.
    ///
    /// Jobs of one thread run in the order posted. A job posted while a tick drains the queue
    /// runs in the next one. Posting from the loop thread rings nothing. In a child process after
    /// `fork`, it returns [`RSL_CLOSED`](crate::RSL_CLOSED). Async-signal-safe it is not.
    pub post: unsafe extern "C" fn(to: *mut Loop, job: *mut Job) -> c_int,

    /// Registers a job whose `run` is called by `close()`, once, after the queue was closed.
    ///
    /// Attached, on the loop thread. Hooks run on the thread that calls `close()`, attached, in
    /// the order registered; `post` returns [`RSL_CLOSED`](crate::RSL_CLOSED) by then, and
    /// `loop_to_py` may already return NULL. `drop` is called in place of `run` when the Python
    /// loop is deallocated without having been closed.
    ///
    /// Returns [`RSL_OK`](crate::RSL_OK), [`RSL_CLOSED`](crate::RSL_CLOSED) or
    /// [`RSL_WRONG_THREAD`](crate::RSL_WRONG_THREAD).
    pub on_close: unsafe extern "C" fn(to: *mut Loop, job: *mut Job) -> c_int,

    /// Removes a job that `on_close` registered; the caller owns it again.
    ///
    /// Attached, on the loop thread. Returns [`RSL_OK`](crate::RSL_OK),
    /// [`RSL_UNKNOWN`](crate::RSL_UNKNOWN) (it has run, is running, or was never registered) or
    /// [`RSL_WRONG_THREAD`](crate::RSL_WRONG_THREAD).
    pub off_close: unsafe extern "C" fn(to: *mut Loop, job: *mut Job) -> c_int,

    /// Tells whether the calling thread is the loop thread: 1 or 0.
    pub on_loop_thread: unsafe extern "C" fn(of: *mut Loop) -> c_int,
}

#[cfg(test)]
mod tests {
    use core::mem::{offset_of, size_of};

    use super::Api;

    /// Moving an entry would break every extension that was built before.
    #[test]
    fn entries_keep_their_places() {
        let word = size_of::<usize>();
        let offsets = [
            offset_of!(Api, loop_from_py),
            offset_of!(Api, loop_current),
            offset_of!(Api, loop_to_py),
            offset_of!(Api, r#ref),
            offset_of!(Api, unref),
            offset_of!(Api, post),
            offset_of!(Api, on_close),
            offset_of!(Api, off_close),
            offset_of!(Api, on_loop_thread),
        ];
        for (place, offset) in offsets.into_iter().enumerate() {
            assert_eq!(offset, 16 + place * word);
        }
        assert_eq!(crate::API_SIZE_MIN as usize, 16 + 9 * word);
        assert_eq!(offset_of!(Api, size), 0);
        assert_eq!(offset_of!(Api, major), 4);
        assert_eq!(offset_of!(Api, minor), 6);
        assert_eq!(offset_of!(Api, features), 8);
    }

    /// A static of it must compile without further ado.
    #[test]
    fn the_table_may_be_static() {
        const fn shared<T: Sync>() {}
        const { shared::<Api>() };
    }

    #[test]
    fn the_capsule_is_named_after_its_module_and_attribute() {
        let joined = format!(
            "{}.{}",
            crate::CAPSULE_MODULE.to_str().unwrap(),
            crate::CAPSULE_ATTRIBUTE.to_str().unwrap()
        );
        assert_eq!(crate::CAPSULE_NAME.to_str().unwrap(), joined);
    }
}

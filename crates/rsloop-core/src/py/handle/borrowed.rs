//! A handle, borrowed: running, cancelling and looking into one.

use pyo3::sync::critical_section::with_critical_section;
use pyo3::types::PyTuple;
use pyo3::{Borrowed, Bound, PyAny, PyErr, PyResult, ffi};

use super::fields::{release_all, take, take_call};
use super::flags::{CANCELLED, Flags, PACKED, RUNNING, SCHEDULED};
use super::memory::{HandleObject, TimerObject};
use crate::py::context;

/// A handle of ours, borrowed: what the loop and the methods do with one.
#[derive(Clone, Copy)]
pub(crate) struct HandleRef<'a, 'py> {
    object: *mut HandleObject,
    borrowed: Borrowed<'a, 'py, PyAny>,
}

impl<'a, 'py> HandleRef<'a, 'py> {
    /// Looks into `object`.
    ///
    /// # Safety
    /// `object` is a `Handle` or a `TimerHandle` of these types.
    #[inline]
    pub(crate) unsafe fn new(object: Borrowed<'a, 'py, PyAny>) -> Self {
        Self {
            object: object.as_ptr().cast(),
            borrowed: object,
        }
    }

    #[inline]
    fn flags(self) -> &'a Flags {
        // SAFETY: the borrow keeps the handle alive.
        unsafe { &(*self.object).state }
    }

    /// Runs `access` while no other thread reads or empties the handle's fields. It must not run
    /// Python code, which could let others in.
    #[inline]
    fn locked<R>(self, access: impl FnOnce(*mut HandleObject) -> R) -> R {
        with_critical_section(&self.borrowed, || access(self.object))
    }

    /// The handle as Python sees it.
    pub(crate) fn as_any(self) -> Borrowed<'a, 'py, PyAny> {
        self.borrowed
    }

    /// Whether `cancel()` was called.
    #[inline]
    pub(crate) fn is_cancelled(self) -> bool {
        self.flags().has(CANCELLED)
    }

    /// Calls the callback in its context. The callback's exception is returned.
    #[inline]
    pub(crate) fn run(self) -> PyResult<()> {
        let py = self.borrowed.py();
        // SAFETY: the caller owns a reference to the handle, and `RUNNING` keeps `cancel()` from
        // releasing the callback, the arguments or the context while they are in use.
        unsafe {
            let object = self.object;
            // Of this and `cancel()` in another thread, the second sees the first: either that
            // leaves the references to the end of this run, or nothing runs.
            let before = self.flags().insert(RUNNING);
            if before & (CANCELLED | RUNNING) == CANCELLED || (*object).callback.is_null() {
                self.flags().remove(RUNNING);
                return Ok(()); // without `CANCELLED`, cleared by the garbage collector
            }
            // A reader's callback that runs a tick itself is found ready again in it. That run is
            // refused, since the context is entered, and must not end the outer one's state.
            let nested = before & RUNNING != 0;
            let context = Borrowed::from_ptr(py, (*object).context);
            let result = context::run_in(context, || self.call());
            if !nested {
                if self.flags().remove(RUNNING) & CANCELLED != 0 {
                    self.clear_call();
                }
                self.track_if_kept();
            }
            result
        }
    }

    /// Shows the handle to the garbage collector if there are other references than the caller's.
    #[inline]
    pub(crate) fn track_if_kept(self) {
        // SAFETY: attached; the handle is whole.
        unsafe {
            let object = self.object.cast();
            if ffi::Py_REFCNT(object) > 1 && ffi::PyObject_GC_IsTracked(object) == 0 {
                ffi::PyObject_GC_Track(object.cast());
            }
        }
    }

    #[inline]
    fn call(self) -> PyResult<()> {
        let py = self.borrowed.py();
        // SAFETY: see `run`. The vector has a free slot in front, as the flag promises.
        unsafe {
            let object = self.object;
            let result = if self.flags().has(PACKED) {
                ffi::PyObject_Call(
                    (*object).callback,
                    (*object).arguments[0],
                    std::ptr::null_mut(),
                )
            } else {
                let [first, second] = (*object).arguments;
                let mut vector = [std::ptr::null_mut(), first, second];
                ffi::PyObject_Vectorcall(
                    (*object).callback,
                    vector.as_mut_ptr().add(1),
                    (*object).count as usize | ffi::PY_VECTORCALL_ARGUMENTS_OFFSET,
                    std::ptr::null_mut(),
                )
            };
            if result.is_null() {
                return Err(PyErr::fetch(py));
            }
            ffi::Py_DECREF(result);
            Ok(())
        }
    }

    /// Marks the handle cancelled and lets go of what it would have called.
    ///
    /// Returns the loop to tell, when this was a timer in its heap.
    pub(crate) fn cancel(self) -> Option<Bound<'py, PyAny>> {
        let before = self.flags().insert(CANCELLED);
        if before & CANCELLED != 0 {
            return None;
        }
        let loop_ = if before & SCHEDULED != 0 {
            self.loop_()
        } else {
            None
        };
        if before & RUNNING == 0 {
            self.clear_call();
        }
        loop_
    }

    /// The loop of a timer in its heap; `None` once another thread has taken the timer out, or the
    /// garbage collector has cleared it.
    pub(super) fn loop_(self) -> Option<Bound<'py, PyAny>> {
        let py = self.borrowed.py();
        // SAFETY: only called for timers, whose field is NULL or an owned reference.
        self.locked(|object| unsafe {
            Bound::from_borrowed_ptr_or_opt(py, (*object.cast::<TimerObject>()).loop_)
        })
    }

    /// Releases the callback and its arguments; the context stays, as in asyncio.
    fn clear_call(self) {
        // SAFETY: the handle is cancelled and not running, so nothing uses the references.
        // Released after all fields are empty, so that the code which a release runs finds a
        // consistent handle.
        unsafe { release_all(self.locked(|object| take_call(object))) };
    }

    /// Whether this is a timer in its heap.
    pub(super) fn is_scheduled(self) -> bool {
        self.flags().has(SCHEDULED)
    }

    /// Notes that a timer has left the heap.
    pub(crate) fn unschedule(self) {
        self.flags().remove(SCHEDULED);
        // SAFETY: only called for timers, by the loop that popped them.
        unsafe {
            release_all(
                [self.locked(|object| take(&raw mut (*object.cast::<TimerObject>()).loop_))],
            )
        };
    }

    /// The callback, unless cancelled.
    pub(crate) fn callback(self) -> Option<Bound<'py, PyAny>> {
        let py = self.borrowed.py();
        // SAFETY: NULL or an owned reference.
        self.locked(|object| unsafe { Bound::from_borrowed_ptr_or_opt(py, (*object).callback) })
    }

    /// The context the callback runs in.
    pub(crate) fn context(self) -> Option<Bound<'py, PyAny>> {
        let py = self.borrowed.py();
        // SAFETY: NULL or an owned reference.
        self.locked(|object| unsafe { Bound::from_borrowed_ptr_or_opt(py, (*object).context) })
    }

    /// The arguments as a tuple, unless cancelled.
    pub(crate) fn arguments(self) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let py = self.borrowed.py();
        // SAFETY: NULL or owned references; `count` of them are set unless packed. New references
        // are taken under the lock, and the tuple, which may run the collector, made after it.
        let (arguments, count) = self.locked(|object| unsafe {
            let arguments = (*object).arguments;
            let owned = arguments.map(|argument| Bound::from_borrowed_ptr_or_opt(py, argument));
            let cancelled = (*object).callback.is_null();
            (owned, (!cancelled).then_some((*object).count as usize))
        });
        let Some(count) = count else {
            return Ok(None);
        };
        if self.flags().has(PACKED) {
            let [tuple, _] = arguments;
            // SAFETY: packed arguments are one tuple.
            return Ok(tuple.map(|tuple: Bound<'_, PyAny>| unsafe { tuple.cast_into_unchecked() }));
        }
        let arguments: Vec<_> = arguments.into_iter().flatten().take(count).collect();
        PyTuple::new(py, arguments).map(Some)
    }

    /// When a timer is due, in seconds on its loop's clock.
    ///
    /// # Safety
    /// The handle is a `TimerHandle`.
    pub(super) unsafe fn when(self) -> f64 {
        // SAFETY: the caller's promise.
        unsafe { (*self.object.cast::<TimerObject>()).when }
    }
}

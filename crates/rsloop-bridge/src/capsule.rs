//! Loops of rsloop, through the table in their capsule.
//!
//! The extension does not link the loop: if `rsloop_core` was imported, its capsule holds a
//! pointer to a static table of functions. What a table must be like to be used at all is
//! checked once, in [`checked`]; after that its entries are called as `rsloop-abi` documents.

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use pyo3::exceptions::{PyImportError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::{ffi, intern};
use rsloop_abi::{Api, Job, Loop};

use crate::error;
use crate::port::{Bell, Port};

/// A counted reference to the native part of a loop. It may outlive the Python loop.
pub(crate) struct NativeLoop {
    table: &'static Api,
    raw: NonNull<Loop>,
}

// SAFETY: the reference count is atomic, and of the entries called here `post`, `ref` and `unref`
// may be called from any thread, attached or not, for the life of the process. The others are
// only called attached, which their callers prove.
unsafe impl Send for NativeLoop {}
// SAFETY: as above; nothing is mutated through the shared reference.
unsafe impl Sync for NativeLoop {}

impl NativeLoop {
    /// None if it is not a loop of rsloop.
    pub(crate) fn of(event_loop: &Bound<'_, PyAny>) -> PyResult<Option<Self>> {
        let py = event_loop.py();
        let Some(table) = table(py)? else {
            return Ok(None);
        };
        let mut found = ptr::null_mut();
        // SAFETY: attached; the object is borrowed for the call, and `found` is writable.
        let status = unsafe { (table.loop_from_py)(event_loop.as_ptr().cast(), &raw mut found) };
        match (status, NonNull::new(found)) {
            (rsloop_abi::RSL_FOUND, Some(raw)) => Ok(Some(Self { table, raw })),
            (rsloop_abi::RSL_FOREIGN, _) => Ok(None),
            (rsloop_abi::RSL_ERROR, _) => Err(PyErr::fetch(py)),
            (status, _) => Err(PyRuntimeError::new_err(format!(
                "rsloop_core answered loop_from_py with status {status}"
            ))),
        }
    }

    /// Has the port closed together with the loop. Attached, on the loop's thread.
    pub(crate) fn close_with(&self, port: &Arc<Port>) -> PyResult<()> {
        let job = Box::into_raw(PortJob::new(port, close_port, forsake_port)).cast::<Job>();
        // SAFETY: as in `ring`; the caller is attached and runs the loop.
        let status = unsafe { (self.table.on_close)(self.raw.as_ptr(), job) };
        if status == rsloop_abi::RSL_OK {
            return Ok(());
        }
        // SAFETY: a loop that refuses a job leaves it with the caller.
        unsafe { drop(PortJob::from_raw(job)) };
        Err(match status {
            rsloop_abi::RSL_CLOSED => error::loop_closed(),
            status => PyRuntimeError::new_err(format!(
                "rsloop_core refused a close hook with status {status}"
            )),
        })
    }
}

impl Bell for NativeLoop {
    fn ring(&self, port: &Arc<Port>) {
        let job = Box::into_raw(PortJob::new(port, drain_port, drop_port)).cast::<Job>();
        // SAFETY: the reference that `self` owns keeps the loop. The job is the head of an
        // allocation of its own, which nobody else knows.
        let status = unsafe { (self.table.post)(self.raw.as_ptr(), job) };
        if status != rsloop_abi::RSL_OK {
            // The close hook empties the inbox.
            // SAFETY: a loop that refuses a job leaves it with the caller.
            unsafe { drop(PortJob::from_raw(job)) };
        }
    }

    fn silence_for_good(&self) {} // a closed loop refuses jobs
}

impl Clone for NativeLoop {
    fn clone(&self) -> Self {
        // SAFETY: the reference that `self` owns keeps the loop alive during the call.
        unsafe { (self.table.r#ref)(self.raw.as_ptr()) };
        Self { ..*self }
    }
}

impl Drop for NativeLoop {
    fn drop(&mut self) {
        // SAFETY: this gives back the one reference that `self` owns.
        unsafe { (self.table.unref)(self.raw.as_ptr()) };
    }
}

/// A job that carries a port.
#[repr(C)]
struct PortJob {
    head: Job,
    port: Arc<Port>,
}

impl PortJob {
    fn new(port: &Arc<Port>, run: rsloop_abi::JobRunFn, drop: rsloop_abi::JobFn) -> Box<Self> {
        Box::new(Self {
            head: Job {
                next: ptr::null_mut(),
                run,
                drop,
            },
            port: Arc::clone(port),
        })
    }

    /// # Safety
    /// `job` came out of `Box::into_raw` in this module, and the caller owns it now.
    unsafe fn from_raw(job: *mut Job) -> Box<Self> {
        // SAFETY: the head is the first field of a `repr(C)` struct, and the caller vouches for
        // the rest.
        unsafe { Box::from_raw(job.cast()) }
    }
}

/// Runs `body` attached, and keeps panics from crossing the ABI.
fn attached(body: impl FnOnce(Python<'_>)) {
    if catch_unwind(AssertUnwindSafe(|| Python::attach(body))).is_err() {
        // The panic hook has reported it; what futures panic with is caught long before.
    }
}

unsafe extern "C" fn drain_port(job: *mut Job, _owner: *mut Loop) {
    // SAFETY: the loop gives the job back by this call.
    let job = unsafe { PortJob::from_raw(job) };
    attached(|py| {
        if job.port.drain(py) {
            job.port.ring();
        }
    });
}

unsafe extern "C" fn close_port(job: *mut Job, _owner: *mut Loop) {
    // SAFETY: the loop gives the job back by this call.
    let job = unsafe { PortJob::from_raw(job) };
    attached(|py| job.port.close(py));
}

/// The loop closed before it drained: the close hook empties the inbox.
unsafe extern "C" fn drop_port(job: *mut Job) {
    // SAFETY: the loop gives the job back by this call.
    drop(unsafe { PortJob::from_raw(job) });
}

/// The loop was deallocated without having been closed.
unsafe extern "C" fn forsake_port(job: *mut Job) {
    // SAFETY: the loop gives the job back by this call.
    let job = unsafe { PortJob::from_raw(job) };
    attached(|py| job.port.close(py));
}

/// The table of the `rsloop_core` that is imported, if any.
fn table(py: Python<'_>) -> PyResult<Option<&'static Api>> {
    static TABLE: pyo3::sync::PyOnceLock<&'static Api> = pyo3::sync::PyOnceLock::new();
    if let Some(table) = TABLE.get(py) {
        return Ok(Some(table));
    }
    let modules = py.import("sys")?.getattr(intern!(py, "modules"))?;
    let module = modules.call_method1("get", (rsloop_abi::CAPSULE_MODULE.to_string_lossy(),))?;
    if module.is_none() {
        return Ok(None);
    }
    let attribute = &*rsloop_abi::CAPSULE_ATTRIBUTE.to_string_lossy();
    let pointer = module.getattr(attribute).map(|capsule| {
        // SAFETY: attached, and the object is alive. The call checks that it is a capsule of
        // that name, and returns NULL with an exception set otherwise.
        unsafe { ffi::PyCapsule_GetPointer(capsule.as_ptr(), rsloop_abi::CAPSULE_NAME.as_ptr()) }
    });
    let pointer = match pointer {
        Ok(pointer) if !pointer.is_null() => pointer,
        broken => {
            let refused = PyImportError::new_err(format!(
                "rsloop_core carries no usable C API; this extension uses version {}",
                version()
            ));
            refused.set_cause(py, broken.map_or_else(Some, |_| PyErr::take(py)));
            return Err(refused);
        }
    };
    // SAFETY: the module's own capsule of that name points to a static table, or to something
    // that at least begins like one.
    let table = unsafe { checked(pointer) }.map_err(PyImportError::new_err)?;
    TABLE.get_or_init(py, || table);
    Ok(Some(table))
}

/// The version that this extension was built for.
fn version() -> String {
    let (major, minor) = (rsloop_abi::RSL_ABI_MAJOR, rsloop_abi::RSL_ABI_MINOR);
    format!("{major}.{minor}")
}

/// Refuses a table that is too short, of another major version, or has a hole.
///
/// # Safety
/// `pointer` is valid for the life of the process, for as many bytes as its first word says, and
/// never written to.
unsafe fn checked(pointer: *const c_void) -> Result<&'static Api, String> {
    let mine = version();
    // SAFETY: the caller vouches for the first word.
    let size = unsafe { pointer.cast::<u32>().read() };
    if (size as usize) < size_of::<[u64; 2]>() {
        return Err(format!(
            "rsloop_core's C API is cut off after {size} bytes; this extension uses version {mine}"
        ));
    }
    let api = pointer.cast::<Api>();
    // SAFETY: the table reaches beyond its version, as was just checked.
    let (major, minor) = unsafe {
        (
            (&raw const (*api).major).read(),
            (&raw const (*api).minor).read(),
        )
    };
    // The whole struct, and not only `API_SIZE_MIN`: a reference to it promises all its bytes.
    if major != rsloop_abi::RSL_ABI_MAJOR || (size as usize) < size_of::<Api>() {
        return Err(format!(
            "rsloop_core has version {major}.{minor} of its C API, {size} bytes long; this \
             extension was built for version {mine}: install versions that belong together"
        ));
    }
    let words = size_of::<Api>() / size_of::<usize>();
    let first = size_of::<[u64; 2]>() / size_of::<usize>();
    for place in first..words {
        // SAFETY: within the size that was just checked, and aligned like the table.
        if unsafe { pointer.cast::<usize>().add(place).read() } == 0 {
            return Err(format!(
                "version {major}.{minor} of rsloop_core's C API lacks its entry number {}",
                place - first
            ));
        }
    }
    // SAFETY: long enough, of the right version, and every function pointer is set.
    Ok(unsafe { &*api })
}

#[cfg(test)]
mod tests {
    use super::checked;

    /// A table as an array of words: size and version, features, and nine entries.
    fn words(size: u32, major: u16, minor: u16, entry: usize) -> &'static [usize; 11] {
        let mut words = [entry; 11];
        let head = u64::from(size) | u64::from(major) << 32 | u64::from(minor) << 48;
        words[0] = usize::try_from(head).unwrap();
        words[1] = 0;
        Box::leak(Box::new(words))
    }

    fn refusal(words: &'static [usize; 11]) -> String {
        // SAFETY: leaked, and as long as it says, or longer.
        unsafe { checked(words.as_ptr().cast()) }.err().unwrap()
    }

    #[test]
    fn a_whole_table_of_this_major_version_is_accepted() {
        let table = words(rsloop_abi::API_SIZE_MIN, 1, 7, 0x1000);
        // SAFETY: leaked, and as long as it says. The entries are never called.
        let api = unsafe { checked(table.as_ptr().cast()) }.unwrap();
        assert_eq!((api.major, api.minor), (1, 7));
    }

    #[test]
    fn broken_tables_are_refused_with_both_versions() {
        assert!(refusal(words(8, 1, 0, 1)).contains("cut off after 8 bytes"));
        assert!(refusal(words(40, 1, 0, 1)).contains("version 1.0"));
        let wrong = refusal(words(rsloop_abi::API_SIZE_MIN, 2, 3, 1));
        assert!(
            wrong.contains("version 2.3") && wrong.contains("built for version 1.0"),
            "{wrong}"
        );
        assert!(refusal(words(rsloop_abi::API_SIZE_MIN, 1, 0, 0)).contains("entry number 0"));
    }
}

//! The memory of handles: its layout, and where it waits between two lives.

use std::ptr;

use pyo3::exceptions::PyMemoryError;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use pyo3::{Bound, Py, PyAny, PyErr, PyResult, Python, ffi};

use super::flags::Flags;
use crate::py::gil_cell::GilCell;

/// How many `__slots__` of `asyncio.TimerHandle` lie before our fields, at most.
pub(super) const INHERITED_SLOTS: usize = 10;

/// How many arguments a handle holds without a tuple.
pub(super) const INLINE: usize = 2;

/// A handle's memory. Every pointer is an owned reference or NULL.
///
/// The class derives from asyncio's, whose slots are there but stay NULL: their names are
/// overridden.
#[repr(C)]
pub(super) struct HandleObject {
    pub(super) header: ffi::PyObject,
    pub(super) inherited: [*mut ffi::PyObject; INHERITED_SLOTS],
    pub(super) callback: *mut ffi::PyObject,
    pub(super) context: *mut ffi::PyObject,
    pub(super) arguments: [*mut ffi::PyObject; INLINE],
    pub(super) count: u32,
    pub(super) state: Flags,
}

/// A timer handle's memory: a handle first, so that one code serves both.
#[repr(C)]
pub(super) struct TimerObject {
    pub(super) handle: HandleObject,
    pub(super) when: f64,
    /// The loop to tell of a cancellation, while `SCHEDULED`.
    pub(super) loop_: *mut ffi::PyObject,
}

/// The two classes of this process.
pub(super) struct HandleClasses {
    pub(super) handle: HandleClass,
    pub(super) timer: HandleClass,
}

static CLASSES: PyOnceLock<HandleClasses> = PyOnceLock::new();

impl HandleClasses {
    /// The classes, which the module makes when it is imported.
    #[inline]
    pub(super) fn get(py: Python<'_>) -> &'static Self {
        CLASSES
            .get(py)
            .expect("class::add_to has run, and it calls set")
    }

    /// Makes the classes known. A second import finds the first one's.
    pub(super) fn set(py: Python<'_>, handle: Py<PyType>, timer: Py<PyType>) {
        let (handle, timer) = (
            HandleClass {
                class: handle,
                free: &FREE_HANDLES,
            },
            HandleClass {
                class: timer,
                free: &FREE_TIMERS,
            },
        );
        let _ = CLASSES.set(py, Self { handle, timer });
    }
}

/// A class and the memory of its dead instances.
pub(super) struct HandleClass {
    class: Py<PyType>,
    free: &'static FreeList,
}

/// Dead instances of one class, ready to be born again.
pub(super) struct FreeList(GilCell<Vec<usize>>);

/// More dead handles than this are given back to the allocator.
const MOST_FREE: usize = 1024;

pub(super) static FREE_HANDLES: FreeList = FreeList(GilCell::new(Vec::new()));
pub(super) static FREE_TIMERS: FreeList = FreeList(GilCell::new(Vec::new()));

impl FreeList {
    /// Memory of a dead instance, or NULL.
    #[inline]
    fn take(&self, py: Python<'_>) -> *mut ffi::PyObject {
        if cfg!(Py_GIL_DISABLED) {
            return ptr::null_mut(); // `keep` keeps nothing
        }
        self.0
            .with(py, |free| free.pop().unwrap_or(0) as *mut ffi::PyObject)
    }

    /// Keeps the memory of a dead, untracked instance; `false` when it is to be freed instead.
    #[inline]
    pub(super) fn keep(&self, py: Python<'_>, object: *mut ffi::PyObject) -> bool {
        // Without a GIL an object's memory belongs to the heap of the thread that made it.
        !cfg!(Py_GIL_DISABLED)
            && self.0.with(py, |free| {
                let room = free.len() < MOST_FREE;
                if room {
                    free.push(object as usize);
                }
                room
            })
    }
}

impl HandleClass {
    /// Memory for an instance, with a live header and nothing else written.
    #[inline]
    pub(super) fn allocate(&self, py: Python<'_>) -> PyResult<*mut ffi::PyObject> {
        let class = self.class.as_ptr().cast::<ffi::PyTypeObject>();
        // SAFETY: attached. Recycled memory came from the same class and is untracked, and
        // `PyObject_Init` gives it a reference count and a reference to its class again; its
        // inherited slots are NULL still.
        unsafe {
            let recycled = self.free.take(py);
            if !recycled.is_null() {
                return Ok(ffi::PyObject_Init(recycled, class));
            }
            let object: *mut HandleObject = ffi::PyObject_GC_New(class);
            if object.is_null() {
                return Err(out_of_memory());
            }
            (*object).inherited = [ptr::null_mut(); INHERITED_SLOTS];
            Ok(object.cast())
        }
    }

    /// Whether `object` is an instance of exactly this class.
    #[inline]
    pub(super) fn is_class_of(&self, object: &Bound<'_, PyAny>) -> bool {
        // SAFETY: reading the type of a live object.
        unsafe { ffi::Py_TYPE(object.as_ptr()).cast() == self.class.as_ptr() }
    }
}

/// The error for memory that could not be had.
fn out_of_memory() -> PyErr {
    PyMemoryError::new_err("no memory for a handle")
}

//! Reading a `__slots__` entry of a Python class as fast as a field.

use std::sync::atomic::{AtomicIsize, Ordering};

use pyo3::exceptions::PyTypeError;
use pyo3::types::{PyAnyMethods, PyType};
use pyo3::{Borrowed, Bound, PyAny, PyResult, ffi};

/// Where the instances of one Python class keep one of their `__slots__`.
pub(crate) struct Slot {
    offset: AtomicIsize,
}

impl Slot {
    /// A slot that is not known yet.
    pub(crate) const fn unknown() -> Self {
        Self {
            offset: AtomicIsize::new(0),
        }
    }

    /// Finds the slot `name` in `class`, which must define it itself.
    pub(crate) fn find(&self, class: &Bound<'_, PyType>, name: &str) -> PyResult<()> {
        let descriptor = class.getattr("__dict__")?.get_item(name)?;
        // SAFETY: the type of the descriptor is checked before its memory is read as one.
        unsafe {
            if ffi::Py_TYPE(descriptor.as_ptr()) != &raw mut ffi::PyMemberDescr_Type {
                return Err(PyTypeError::new_err(format!(
                    "{name} is not in the __slots__ of {class}"
                )));
            }
            let member = (*descriptor.as_ptr().cast::<MemberDescriptor>()).member;
            self.offset.store((*member).offset, Ordering::Relaxed);
        }
        Ok(())
    }

    /// What is in the slot of `object`; `None` when nothing is.
    ///
    /// # Safety
    /// `object` is an instance of the class that [`Slot::find`] was given, and the slot is not
    /// assigned to while the result is in use.
    #[inline]
    pub(crate) unsafe fn get<'a, 'py>(
        &self,
        object: Borrowed<'a, 'py, PyAny>,
    ) -> Option<Borrowed<'a, 'py, PyAny>> {
        // SAFETY: the caller's promise: at the offset lies NULL or an owned reference.
        unsafe {
            let offset = self.offset.load(Ordering::Relaxed);
            let value = *object
                .as_ptr()
                .byte_offset(offset)
                .cast::<*mut ffi::PyObject>();
            Borrowed::from_ptr_or_opt(object.py(), value)
        }
    }
}

/// CPython's `PyMemberDescrObject`, as far as it is read here: see `descrobject.h`.
#[repr(C)]
struct MemberDescriptor {
    header: ffi::PyObject,
    class: *mut ffi::PyTypeObject,
    name: *mut ffi::PyObject,
    qualified_name: *mut ffi::PyObject,
    member: *mut ffi::PyMemberDef,
}

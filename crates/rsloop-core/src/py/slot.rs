//! Reading a `__slots__` entry of a Python class as fast as a field.

use std::ptr;
use std::sync::atomic::{AtomicIsize, Ordering};

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyAnyMethods, PyCFunction, PyDict, PyTuple, PyTupleMethods, PyType};
use pyo3::{Borrowed, Bound, Py, PyAny, PyErr, PyResult, Python, ffi};

/// Where the instances of one Python class keep one of their `__slots__`.
///
/// Rust relies on what is in the slot, so Python code must not change it: [`Slot::adopt`] leaves the
/// class a property that only reads it, and [`Slot::fill`] sets the slot once.
pub(crate) struct Slot {
    class: PyOnceLock<Py<PyType>>,
    offset: AtomicIsize,
}

impl Slot {
    /// A slot that is not known yet.
    pub(crate) const fn unknown() -> Self {
        Self {
            class: PyOnceLock::new(),
            offset: AtomicIsize::new(0),
        }
    }

    /// Finds the slot `name` in `class`, which must define it itself, and lets Python code only
    /// read it there.
    pub(crate) fn adopt(&'static self, class: &Bound<'_, PyType>, name: &str) -> PyResult<()> {
        self.find(class, name)?;
        let py = class.py();
        let read = move |arguments: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
            self.read(&arguments.get_item(0)?).map(Bound::unbind)
        };
        let read = PyCFunction::new_closure(py, None, None, read)?;
        let property = py.import("builtins")?.getattr("property")?.call1((read,))?;
        class.setattr(name, property)
    }

    fn find(&self, class: &Bound<'_, PyType>, name: &str) -> PyResult<()> {
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
        let _ = self.class.set(class.py(), class.clone().unbind()); // it is one class for ever
        Ok(())
    }

    /// A new instance of the class, as `__new__` makes it.
    pub(crate) fn new_instance<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let class = self.class.get(py).ok_or_else(not_initialised)?.as_ptr();
        // SAFETY: attached; a class that Python code has defined has a `tp_new`, and is given the
        // arguments that `object.__new__` wants.
        unsafe {
            let class = class.cast::<ffi::PyTypeObject>();
            let new = (*class).tp_new.ok_or_else(not_initialised)?;
            let object = new(class, PyTuple::empty(py).as_ptr(), ptr::null_mut());
            Bound::from_owned_ptr_or_err(py, object)
        }
    }

    /// Puts `value` into the slot of `object`, where it stays as long as `object` lives.
    ///
    /// Fails when `object` is no instance of the class, or has a value already.
    pub(crate) fn fill(&self, object: &Bound<'_, PyAny>, value: Bound<'_, PyAny>) -> PyResult<()> {
        self.check(object)?;
        // SAFETY: `object` is an instance: at the offset lies NULL or an owned reference.
        unsafe {
            let slot = self.address(object);
            if !(*slot).is_null() {
                return Err(PyRuntimeError::new_err("__init__() was called already"));
            }
            *slot = value.into_ptr();
        }
        Ok(())
    }

    /// What is in the slot of `object`, which is checked.
    fn read<'py>(&self, object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.check(object)?;
        // SAFETY: `object` is an instance.
        unsafe { self.get(object.as_borrowed()) }.map(|value| value.to_owned())
    }

    /// Whether `object` is an instance of the class, and so has the slot.
    pub(crate) fn is_in(&self, object: &Bound<'_, PyAny>) -> bool {
        self.class.get(object.py()).is_some_and(|class| {
            // SAFETY: both are live types. `isinstance` would believe what an object says.
            unsafe {
                ffi::PyType_IsSubtype(ffi::Py_TYPE(object.as_ptr()), class.as_ptr().cast()) != 0
            }
        })
    }

    fn check(&self, object: &Bound<'_, PyAny>) -> PyResult<()> {
        if !self.is_in(object) {
            return Err(PyTypeError::new_err("an instance of another class"));
        }
        Ok(())
    }

    /// Where `object`, an instance, has the slot.
    #[inline]
    fn address(&self, object: &Bound<'_, PyAny>) -> *mut *mut ffi::PyObject {
        let offset = self.offset.load(Ordering::Relaxed);
        object.as_ptr().wrapping_byte_offset(offset).cast()
    }

    /// What is in the slot of `object`; an error when nothing is.
    ///
    /// # Safety
    /// `object` is an instance of the class that [`Slot::adopt`] was given. The result is in use
    /// only while `object` lives, which nothing outlives: see [`Slot::fill`].
    #[inline]
    pub(crate) unsafe fn get<'a, 'py>(
        &self,
        object: Borrowed<'a, 'py, PyAny>,
    ) -> PyResult<Borrowed<'a, 'py, PyAny>> {
        // SAFETY: the caller's promise: at the offset lies NULL or an owned reference.
        unsafe {
            let value = *self.address(&object);
            Borrowed::from_ptr_or_opt(object.py(), value).ok_or_else(not_initialised)
        }
    }
}

#[cold]
fn not_initialised() -> PyErr {
    PyRuntimeError::new_err("the transport's __init__() was not called")
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

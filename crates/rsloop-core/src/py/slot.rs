//! The state that Rust keeps in a `__slots__` entry of a Python class, read as fast as a field.

use std::marker::PhantomData;
use std::ptr;
use std::sync::atomic::{AtomicIsize, Ordering};

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::pyclass::boolean_struct::True;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyAnyMethods, PyCFunction, PyDict, PyTuple, PyTupleMethods, PyType};
use pyo3::{Borrowed, Bound, Py, PyAny, PyClass, PyErr, PyResult, Python, ffi};

use super::fastcall::Receiver;

/// A state that the instances of one Python class keep in a slot: what their methods work on.
pub(crate) trait InSlot: PyClass<Frozen = True> + Sync {
    /// Where they keep it.
    fn slot() -> &'static Slot<Self>;

    /// The state of `transport`; an error when it has none, or is no instance of the class.
    #[inline]
    fn of_transport<'a>(transport: &'a Bound<'_, PyAny>) -> PyResult<&'a Self> {
        Self::slot().check(transport)?;
        // SAFETY: it is an instance.
        unsafe { Self::slot().get(transport.as_borrowed()) }
    }
}

impl<T: InSlot> Receiver for T {
    #[inline]
    unsafe fn of<'a>(object: Borrowed<'a, '_, PyAny>) -> PyResult<&'a Self> {
        // SAFETY: the caller's promise: methods are attached to the class that has the slot.
        unsafe { T::slot().get(object) }
    }
}

/// Where the instances of one Python class keep their `T`: one of the `__slots__`.
///
/// Rust relies on what is in the slot, so Python code must not change it: [`Slot::adopt`] leaves the
/// class a property that only reads it, and [`Slot::fill`] sets the slot once.
pub(crate) struct Slot<T> {
    name: &'static str,
    class: PyOnceLock<Py<PyType>>,
    offset: AtomicIsize,
    kept: PhantomData<fn() -> T>,
}

impl<T: InSlot> Slot<T> {
    /// The slot `name` of a class that is not known yet.
    pub(crate) const fn named(name: &'static str) -> Self {
        Self {
            name,
            class: PyOnceLock::new(),
            offset: AtomicIsize::new(0),
            kept: PhantomData,
        }
    }

    /// Finds the slot in `class`, which must define it itself, and lets Python code only read it
    /// there.
    pub(crate) fn adopt(&'static self, class: &Bound<'_, PyType>) -> PyResult<()> {
        self.find(class)?;
        let py = class.py();
        let read = move |arguments: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
            self.read(&arguments.get_item(0)?).map(Bound::unbind)
        };
        let read = PyCFunction::new_closure(py, None, None, read)?;
        let property = py.import("builtins")?.getattr("property")?.call1((read,))?;
        class.setattr(self.name, property)
    }

    fn find(&self, class: &Bound<'_, PyType>) -> PyResult<()> {
        let name = self.name;
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

    /// Puts `state` into the slot of `object`, where it stays as long as `object` lives.
    ///
    /// Fails when `object` is no instance of the class, or has a state already.
    pub(crate) fn fill(&self, object: &Bound<'_, PyAny>, state: Bound<'_, T>) -> PyResult<()> {
        self.check(object)?;
        // SAFETY: `object` is an instance: at the offset lies NULL or an owned reference.
        unsafe {
            let slot = self.address(object);
            if !(*slot).is_null() {
                return Err(PyRuntimeError::new_err("__init__() was called already"));
            }
            *slot = state.into_ptr();
        }
        Ok(())
    }

    /// What is in the slot of `object`, which is checked.
    fn read<'py>(&self, object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.check(object)?;
        // SAFETY: `object` is an instance.
        unsafe { self.object(object.as_borrowed()) }.map(|state| state.to_owned())
    }

    /// Whether `object` is an instance of the class, and so has the slot.
    #[inline]
    pub(crate) fn is_in(&self, object: &Bound<'_, PyAny>) -> bool {
        self.class.get(object.py()).is_some_and(|class| {
            // SAFETY: both are live types. `isinstance` would believe what an object says.
            unsafe {
                let (of, class) = (ffi::Py_TYPE(object.as_ptr()), class.as_ptr().cast());
                of == class || ffi::PyType_IsSubtype(of, class) != 0
            }
        })
    }

    #[inline]
    fn check(&self, object: &Bound<'_, PyAny>) -> PyResult<()> {
        if self.is_in(object) {
            Ok(())
        } else {
            Err(another_class())
        }
    }

    /// Where `object`, an instance, has the slot.
    #[inline]
    fn address(&self, object: &Bound<'_, PyAny>) -> *mut *mut ffi::PyObject {
        let offset = self.offset.load(Ordering::Relaxed);
        object.as_ptr().wrapping_byte_offset(offset).cast()
    }

    /// The state of `object`; an error when it has none.
    ///
    /// # Safety
    /// `object` is an instance of the class that [`Slot::adopt`] was given.
    #[inline]
    unsafe fn get<'a>(&self, object: Borrowed<'a, '_, PyAny>) -> PyResult<&'a T> {
        // SAFETY: the caller's promise. Only `fill` puts something there, a `T`, and it stays as long
        // as `object`, which lives longer than the result.
        unsafe {
            let state = self.object(object)?.cast_unchecked::<T>();
            Ok(&*ptr::from_ref(state.get()))
        }
    }

    /// The state as Python's object.
    ///
    /// # Safety
    /// As [`Slot::get`].
    #[inline]
    unsafe fn object<'a, 'py>(
        &self,
        object: Borrowed<'a, 'py, PyAny>,
    ) -> PyResult<Borrowed<'a, 'py, PyAny>> {
        // SAFETY: the caller's promise: at the offset lies NULL or an owned reference.
        unsafe {
            let state = *self.address(&object);
            Borrowed::from_ptr_or_opt(object.py(), state).ok_or_else(not_initialised)
        }
    }
}

#[cold]
fn another_class() -> PyErr {
    PyTypeError::new_err("an instance of another class")
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

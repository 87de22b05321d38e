//! Methods on CPython's fastest calling convention, `METH_FASTCALL | METH_KEYWORDS`.
//!
//! PyO3's own methods parse their arguments into Rust types before the body runs. The loop's hot
//! methods take `(callback, *args, context=None)`, for which reading the vector directly costs a
//! fifth as much.

use std::ffi::CStr;

use pyo3::exceptions::PyTypeError;
use pyo3::types::{PyAnyMethods, PyType, PyTypeMethods};
use pyo3::{Borrowed, Bound, IntoPyObjectExt, Py, PyAny, PyResult, Python, ffi};

pub(crate) use super::args::Args;
use super::guard::guarded;

/// What a method's `self` is turned into before its body runs.
pub(crate) trait Receiver: Sized {
    /// The Rust state of `object`, or the exception for an object without one.
    ///
    /// # Safety
    /// `object` is an instance of the class that the method is attached to.
    unsafe fn of<'a>(object: Borrowed<'a, '_, PyAny>) -> PyResult<&'a Self>;
}

/// What the body of a method returns.
pub(crate) trait Answer {
    /// A new reference to it, as Python sees it.
    fn into_new_reference(self, py: Python<'_>) -> PyResult<*mut ffi::PyObject>;
}

impl Answer for () {
    #[inline(always)]
    fn into_new_reference(self, py: Python<'_>) -> PyResult<*mut ffi::PyObject> {
        Ok(py.None().into_ptr())
    }
}

impl<T> Answer for Py<T> {
    #[inline(always)]
    fn into_new_reference(self, _: Python<'_>) -> PyResult<*mut ffi::PyObject> {
        Ok(self.into_ptr())
    }
}

macro_rules! answer_by_value {
    ($($value:ty)*) => {$(
        impl Answer for $value {
            #[inline(always)]
            fn into_new_reference(self, py: Python<'_>) -> PyResult<*mut ffi::PyObject> {
                self.into_py_any(py).map(Py::into_ptr)
            }
        }
    )*};
}
answer_by_value!(bool u8 usize f64);

/// What the body of a method is.
pub(crate) trait Body<R, A>:
    for<'a, 'py> FnOnce(&Bound<'py, PyAny>, &R, Args<'a, 'py>) -> PyResult<A>
{
}

impl<R, A, F> Body<R, A> for F where
    F: for<'a, 'py> FnOnce(&Bound<'py, PyAny>, &R, Args<'a, 'py>) -> PyResult<A>
{
}

/// How many arguments a method takes.
pub(crate) enum Arity {
    /// So many by position, and none by keyword.
    Exactly(usize),
    /// So many by position. What else there is, the body looks at.
    AtLeast(usize),
}

/// Runs the call that the C function of [`fastcall!`] got; nothing unwinds out of it.
///
/// `call` is the method's name, how many arguments it takes, and its body, which gets `self` as
/// Python sees it, its Rust state, and the arguments. The body is a type and no pointer, so that each
/// method is compiled as one piece: the arguments stay in registers then.
///
/// # Safety
/// The arguments are those that the interpreter passed to a `METH_FASTCALL | METH_KEYWORDS`
/// method of `R`'s class.
#[inline(always)]
pub(crate) unsafe fn enter<R: Receiver, A: Answer>(
    slf: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keyword_names: *mut ffi::PyObject,
    call: (&'static str, Arity, impl Body<R, A>),
) -> *mut ffi::PyObject {
    let (name, arity, body) = call;
    // SAFETY: the interpreter calls methods attached. PyO3 is not told, which would cost as much
    // as the method: where the call does not come from the running loop, a `Py` that is dropped
    // here is released with PyO3's next entry instead of at once.
    let py = unsafe { Python::assume_attached() };
    guarded(py, move || {
        // SAFETY: the caller's promise; the arguments outlive the call.
        let args = unsafe { Args::of_call(py, arguments, count, keyword_names) };
        // SAFETY: `slf` is borrowed from the caller for the whole call.
        let object = unsafe { Borrowed::<PyAny>::from_ptr(py, slf) };
        let (Arity::Exactly(least) | Arity::AtLeast(least)) = arity;
        if args.len() < least {
            return args.by_name(name, &object).map(Py::into_ptr);
        }
        // SAFETY: the method was found on `R`'s class, whose descriptor checked the type.
        let state = unsafe { R::of(object) }?;
        if matches!(arity, Arity::Exactly(_)) && (args.len() > least || args.has_keywords()) {
            return Err(args.surplus(least, name));
        }
        body(&object, state, args)?.into_new_reference(py)
    })
}

/// The C function of the method `$name`, whose body is a [`Body`] and which takes so many arguments,
/// or with `..` so many and more. A call that passes fewer by position is made again by `_by_name.py`.
macro_rules! fastcall {
    ($receiver:ty, $name:literal, $count:literal, $body:path) => {
        $crate::py::fastcall::fastcall!(@ $receiver, ($name, Exactly($count), $body))
    };
    ($receiver:ty, $name:literal, $count:literal .., $body:path) => {
        $crate::py::fastcall::fastcall!(@ $receiver, ($name, AtLeast($count), $body))
    };
    (@ $receiver:ty, ($name:literal, $arity:ident($count:literal), $body:path)) => {{
        #[expect(unsafe_code, reason = "the interpreter calls it")]
        unsafe extern "C" fn method(
            slf: *mut ::pyo3::ffi::PyObject,
            arguments: *const *mut ::pyo3::ffi::PyObject,
            count: ::pyo3::ffi::Py_ssize_t,
            keyword_names: *mut ::pyo3::ffi::PyObject,
        ) -> *mut ::pyo3::ffi::PyObject {
            // SAFETY: only the interpreter calls this, as a method of the receiver's class.
            unsafe {
                $crate::py::fastcall::enter::<$receiver, _>(
                    slf,
                    arguments,
                    count,
                    keyword_names,
                    ($name, $crate::py::fastcall::Arity::$arity($count), $body),
                )
            }
        }
        method as ::pyo3::ffi::PyCFunctionFastWithKeywords
    }};
}
pub(crate) use fastcall;

/// One row of a class's method table.
pub(crate) struct Method {
    /// The name that Python sees.
    pub(crate) name: &'static CStr,
    /// The C function, from [`fastcall!`].
    pub(crate) function: ffi::PyCFunctionFastWithKeywords,
    /// The docstring, beginning with the signature for `inspect`: `name($self, a)\n--\n\n...`.
    pub(crate) doc: &'static CStr,
}

/// Adds `methods` to the class `class`.
pub(crate) fn attach(class: &Bound<'_, PyType>, methods: Vec<Method>) -> PyResult<()> {
    for method in methods {
        let name = method
            .name
            .to_str()
            .map_err(|error| PyTypeError::new_err(error.to_string()))?;
        // A descriptor points at its definition for ever, and classes live as long as the process.
        let definition = Box::leak(Box::new(ffi::PyMethodDef {
            ml_name: method.name.as_ptr(),
            ml_meth: ffi::PyMethodDefPointer {
                PyCFunctionFastWithKeywords: method.function,
            },
            ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
            ml_doc: method.doc.as_ptr(),
        }));
        // SAFETY: attached; the definition is leaked, and its function has the declared convention.
        let descriptor = unsafe {
            Bound::from_owned_ptr_or_err(
                class.py(),
                ffi::PyDescr_NewMethod(class.as_type_ptr(), definition),
            )?
        };
        class.setattr(name, descriptor)?;
    }
    Ok(())
}

//! Methods on CPython's fastest calling convention, `METH_FASTCALL | METH_KEYWORDS`.
//!
//! PyO3's own methods parse their arguments into Rust types before the body runs. The loop's hot
//! methods take `(callback, *args, context=None)`, for which reading the vector directly costs a
//! fifth as much.

use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyAnyMethods, PyString, PyTuple, PyTupleMethods, PyType, PyTypeMethods};
use pyo3::{Borrowed, Bound, IntoPyObjectExt, Py, PyAny, PyErr, PyResult, Python, ffi, intern};

/// The first tuple seen that spells `context` with another string than the interned one. That is
/// the tuple of CPython's tasks and futures, which schedule most of what runs: comparing its name
/// as a string would cost each of their calls 350 instructions.
static FAMILIAR: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// The arguments of one call, borrowed from the caller's stack.
#[derive(Clone, Copy)]
pub(crate) struct Args<'a, 'py> {
    positional: &'a [*mut ffi::PyObject],
    keyword_values: &'a [*mut ffi::PyObject],
    keyword_names: *mut ffi::PyObject,
    py: Python<'py>,
}

impl<'a, 'py> Args<'a, 'py> {
    /// The number of positional arguments.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.positional.len()
    }

    /// The positional argument at `index`.
    #[inline]
    pub(crate) fn get(&self, index: usize) -> Option<Borrowed<'a, 'py, PyAny>> {
        self.positional.get(index).map(|&argument| {
            // SAFETY: the interpreter keeps the arguments of a call alive until it returns.
            unsafe { Borrowed::from_ptr(self.py, argument) }
        })
    }

    /// The leading argument at `index`, which its [`Arity`] has made sure is there.
    #[inline(always)]
    pub(crate) fn leading(&self, index: usize) -> Borrowed<'a, 'py, PyAny> {
        // SAFETY: as in `get`; the index is checked.
        unsafe { Borrowed::from_ptr(self.py, self.positional[index]) }
    }

    #[cold]
    fn surplus(&self, count: usize, method: &str) -> PyErr {
        PyTypeError::new_err(match self.keywords().next() {
            Some((name, _)) => {
                format!("{method}() got an unexpected keyword argument '{}'", &*name)
            }
            None => format!("{method}() takes {count} arguments ({} given)", self.len()),
        })
    }

    /// The positional arguments from `start` on.
    #[inline]
    pub(crate) fn tail(&self, start: usize) -> &'a [*mut ffi::PyObject] {
        self.positional.get(start..).unwrap_or_default()
    }

    /// The same as a tuple.
    pub(crate) fn tail_tuple(&self, start: usize) -> PyResult<Bound<'py, PyTuple>> {
        let borrowed = self.tail(start).iter().map(|&argument| {
            // SAFETY: as in `get`.
            unsafe { Borrowed::<PyAny>::from_ptr(self.py, argument) }
        });
        PyTuple::new(self.py, borrowed)
    }

    /// Whether the call has keyword arguments.
    #[inline]
    pub(crate) fn has_keywords(&self) -> bool {
        !self.keyword_values.is_empty()
    }

    /// The keyword arguments, name and value.
    pub(crate) fn keywords(
        &self,
    ) -> impl Iterator<Item = (Borrowed<'a, 'py, PyString>, Borrowed<'a, 'py, PyAny>)> + use<'a, 'py>
    {
        let (names, py) = (self.keyword_names, self.py);
        self.keyword_values
            .iter()
            .enumerate()
            .map(move |(index, &value)| {
                // SAFETY: the tuple of names has one `str` for each value, and both live as long as
                // the call.
                unsafe {
                    let name = ffi::PyTuple_GET_ITEM(names, index as ffi::Py_ssize_t);
                    (
                        Borrowed::<PyAny>::from_ptr(py, name).cast_unchecked::<PyString>(),
                        Borrowed::from_ptr(py, value),
                    )
                }
            })
    }

    /// The keyword argument `context`, the only one that `method` takes; `None` when it is absent or
    /// `None`.
    #[inline(always)]
    pub(crate) fn context(&self, method: &str) -> PyResult<Option<Borrowed<'a, 'py, PyAny>>> {
        let [value] = self.keyword_values else {
            return match self.keyword_values {
                [] => Ok(None),
                _ => self.search_context(method),
            };
        };
        // SAFETY: as in `keywords`: there is one name for the one value, and both are alive.
        let (given, value) = unsafe {
            let given = ffi::PyTuple_GET_ITEM(self.keyword_names, 0);
            (given, Borrowed::<PyAny>::from_ptr(self.py, *value))
        };
        let familiar = given == intern!(self.py, "context").as_ptr()
            || FAMILIAR
                .get(self.py)
                .is_some_and(|names| names.as_ptr() == self.keyword_names);
        if familiar {
            return Ok((!value.is_none()).then_some(value));
        }
        self.search_context(method)
    }

    #[cold]
    fn search_context(&self, method: &str) -> PyResult<Option<Borrowed<'a, 'py, PyAny>>> {
        let mut found = None;
        for (keyword, value) in self.keywords() {
            if !keyword.as_any().eq(intern!(self.py, "context"))? {
                return Err(PyTypeError::new_err(format!(
                    "{method}() got an unexpected keyword argument '{}'",
                    &*keyword
                )));
            }
            found = (!value.is_none()).then_some(value);
        }
        // SAFETY: as in `keywords`: a call with keyword arguments has a tuple of their names.
        let names = unsafe { Borrowed::<PyAny>::from_ptr(self.py, self.keyword_names) };
        FAMILIAR.get_or_init(self.py, || names.to_owned().unbind());
        Ok(found)
    }

    /// Makes a call with too few leading arguments again with those that are named, in Python.
    #[cold]
    fn by_name(&self, name: &str, slf: &Bound<'py, PyAny>) -> PyResult<Py<PyAny>> {
        match self.py.import("rsloop_core._by_name")?.getattr(name) {
            Ok(function) => self.forward(&function, slf).map(Bound::unbind),
            Err(_) => Err(PyTypeError::new_err(format!("{name}() misses an argument"))),
        }
    }

    /// Hands the call on to `callable`, with `first` before the positional arguments.
    pub(crate) fn forward(
        &self,
        callable: &Bound<'py, PyAny>,
        first: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut vector = Vec::with_capacity(1 + self.len() + self.keyword_values.len());
        vector.push(first.as_ptr());
        vector.extend_from_slice(self.positional);
        vector.extend_from_slice(self.keyword_values);
        // SAFETY: attached; the vector holds 1 + len positional arguments, then the values that
        // `keyword_names` names, all of them alive for the call.
        unsafe {
            Bound::from_owned_ptr_or_err(
                self.py,
                ffi::PyObject_Vectorcall(
                    callable.as_ptr(),
                    vector.as_ptr(),
                    1 + self.len(),
                    self.keyword_names,
                ),
            )
        }
    }
}

/// The most arguments of [`call_with_keywords`].
const MOST: usize = 6;

/// Calls `callable`; the last arguments are those that `names` names.
#[inline(never)] // a caller with several calls would merge their results, errors and all
pub(crate) fn call_with_keywords<'py, const N: usize>(
    callable: &Bound<'py, PyAny>,
    arguments: [Borrowed<'_, 'py, PyAny>; N],
    names: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    const { assert!(N < MOST) };
    assert!(names.len() <= N);
    let mut vector = [ptr::null_mut(); MOST];
    for (slot, argument) in vector[1..].iter_mut().zip(arguments) {
        *slot = argument.as_ptr();
    }
    let positional = N - names.len();
    // SAFETY: attached; the borrows keep the arguments alive for the call, there is one for each
    // name, and the slot in front of them is free, as the flag promises.
    unsafe {
        Bound::from_owned_ptr_or_err(
            callable.py(),
            ffi::PyObject_Vectorcall(
                callable.as_ptr(),
                vector.as_mut_ptr().add(1),
                positional | ffi::PY_VECTORCALL_ARGUMENTS_OFFSET,
                names.as_ptr(),
            ),
        )
    }
}

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
        // SAFETY: the interpreter passes `count` positional arguments, followed by one value for
        // each of the names.
        let (positional, keyword_values) = unsafe {
            let names = if keyword_names.is_null() {
                0
            } else {
                ffi::PyTuple_GET_SIZE(keyword_names) as usize
            };
            if arguments.is_null() {
                (&[][..], &[][..])
            } else {
                std::slice::from_raw_parts(arguments, count as usize + names)
                    .split_at(count as usize)
            }
        };
        let args = Args {
            positional,
            keyword_values,
            keyword_names,
            py,
        };
        // SAFETY: `slf` is borrowed from the caller for the whole call.
        let object = unsafe { Borrowed::<PyAny>::from_ptr(py, slf) };
        let (Arity::Exactly(least) | Arity::AtLeast(least)) = arity;
        if positional.len() < least {
            return args.by_name(name, &object).map(Py::into_ptr);
        }
        // SAFETY: the method was found on `R`'s class, whose descriptor checked the type.
        let state = unsafe { R::of(object) }?;
        if matches!(arity, Arity::Exactly(_)) && (positional.len() > least || args.has_keywords()) {
            return Err(args.surplus(least, name));
        }
        body(&object, state, args)?.into_new_reference(py)
    })
}

/// Runs what the interpreter has called, and sets the exception that it fails with. A panic is one
/// too.
#[inline(always)]
pub(super) fn guarded(
    py: Python<'_>,
    run: impl FnOnce() -> PyResult<*mut ffi::PyObject>,
) -> *mut ffi::PyObject {
    // Inside of the guard, so that nothing wider than a pointer leaves it.
    let run = || run().unwrap_or_else(|error| raise(py, error));
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| raise(py, panicked(panic)))
}

/// Sets `error`, and returns what tells the interpreter that one is set.
#[cold]
#[inline(never)]
pub(super) fn raise(py: Python<'_>, error: PyErr) -> *mut ffi::PyObject {
    error.restore(py);
    ptr::null_mut()
}

/// Turns the payload of a panic into the exception that reports it.
pub(super) fn panicked(payload: Box<dyn std::any::Any + Send>) -> PyErr {
    let reason = payload
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    PyRuntimeError::new_err(format!("rsloop has a bug, it panicked: {reason}"))
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

//! The arguments of a call on CPython's fastest calling convention.

use pyo3::exceptions::PyTypeError;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyAnyMethods, PyString, PyTuple};
use pyo3::{Borrowed, Bound, Py, PyAny, PyErr, PyResult, Python, ffi, intern};

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
    /// Takes what the interpreter passes to a `METH_FASTCALL | METH_KEYWORDS` function.
    ///
    /// # Safety
    /// It is that: `count` arguments by position, followed by one value for each of the names. The
    /// call does not return before `'a` is over.
    #[inline(always)]
    pub(super) unsafe fn of_call(
        py: Python<'py>,
        arguments: *const *mut ffi::PyObject,
        count: ffi::Py_ssize_t,
        keyword_names: *mut ffi::PyObject,
    ) -> Self {
        // SAFETY: the caller's promise.
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
        Self {
            positional,
            keyword_values,
            keyword_names,
            py,
        }
    }

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

    /// The leading argument at `index`, which the method's [`Arity`](super::fastcall::Arity) has made
    /// sure is there.
    #[inline(always)]
    pub(crate) fn leading(&self, index: usize) -> Borrowed<'a, 'py, PyAny> {
        // SAFETY: as in `get`; the index is checked.
        unsafe { Borrowed::from_ptr(self.py, self.positional[index]) }
    }

    #[cold]
    pub(super) fn surplus(&self, count: usize, method: &str) -> PyErr {
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
    pub(super) fn by_name(&self, name: &str, slf: &Bound<'py, PyAny>) -> PyResult<Py<PyAny>> {
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

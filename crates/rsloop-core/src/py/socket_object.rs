//! What a `socket.socket` is, read from its memory.
//!
//! A transport has the number of its descriptor, but the socket may be closed or detached under
//! it, and the number then be another's. Asking `fileno()` before each system call would cost as
//! much as the rest of the call; the number lies at the head of CPython's socket object.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI32, Ordering};

use pyo3::sync::PyOnceLock;
use pyo3::types::{PyAnyMethods, PyType};
use pyo3::{Bound, Py, PyAny, PyResult, Python, ffi};

/// The head of CPython's `PySocketSockObject`: see `socketmodule.h`.
#[repr(C)]
struct Head {
    header: ffi::PyObject,
    fd: AtomicI32,
    family: AtomicI32,
    kind: AtomicI32,
    protocol: AtomicI32,
}

/// A socket object that is known to begin with [`Head`]: the only way to read it.
pub(crate) struct SocketObject(Py<PyAny>);

impl SocketObject {
    /// `object`, when it is a socket of the `socket` module whose memory can be read.
    pub(crate) fn of(object: &Bound<'_, PyAny>) -> PyResult<Option<Self>> {
        let py = object.py();
        let class = class(py)?;
        // SAFETY: both are live. `isinstance` would believe what an object says.
        let is_one =
            unsafe { ffi::PyType_IsSubtype(ffi::Py_TYPE(object.as_ptr()), class.as_ptr().cast()) };
        if is_one == 0 || !is_laid_out_as_known(object)? {
            return Ok(None);
        }
        Ok(Some(Self(object.clone().unbind())))
    }

    /// The same for an object of the class `socket.socket` itself, whose methods are known too.
    pub(crate) fn of_plain(object: &Bound<'_, PyAny>) -> PyResult<Option<Self>> {
        if Self::is_plain(object)? {
            Self::of(object)
        } else {
            Ok(None)
        }
    }

    /// Whether `object` is of the class `socket.socket` itself.
    #[inline]
    pub(crate) fn is_plain(object: &Bound<'_, PyAny>) -> PyResult<bool> {
        static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let class = CLASS.import(object.py(), "socket", "socket")?;
        Ok(object.get_type_ptr().cast() == class.as_ptr())
    }

    /// Says in `object`, a socket without a descriptor, what it was one of.
    pub(crate) fn describe(
        object: &Bound<'_, PyAny>,
        family: i32,
        kind: i32,
        protocol: i32,
    ) -> PyResult<()> {
        if let Some(socket) = Self::of(object)? {
            let head = socket.head();
            head.family.store(family, Ordering::Relaxed);
            head.kind.store(kind, Ordering::Relaxed);
            head.protocol.store(protocol, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The object itself.
    pub(crate) fn as_object(&self) -> &Py<PyAny> {
        &self.0
    }

    /// The object itself.
    pub(crate) fn into_object(self) -> Py<PyAny> {
        self.0
    }

    /// The descriptor; -1 once the socket is closed or detached.
    #[inline(always)]
    pub(crate) fn fd(&self) -> RawFd {
        self.head().fd.load(Ordering::Relaxed)
    }

    /// The address family.
    pub(crate) fn family(&self) -> i32 {
        self.head().family.load(Ordering::Relaxed)
    }

    /// `SOCK_STREAM` and so on, without flags.
    pub(crate) fn kind(&self) -> i32 {
        self.head().kind.load(Ordering::Relaxed)
    }

    /// The protocol within the family.
    pub(crate) fn protocol(&self) -> i32 {
        self.head().protocol.load(Ordering::Relaxed)
    }

    #[inline(always)]
    fn head(&self) -> &Head {
        // SAFETY: `of` has seen that the object is an instance of `_socket.socket`, whose memory
        // begins like this, and `self` keeps it alive. The fields are integers that other
        // attached threads may write, as whole words.
        unsafe { &*self.0.as_ptr().cast::<Head>() }
    }
}

/// `_socket.socket`, which `socket.socket` derives from.
fn class(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    CLASS.import(py, "_socket", "socket")
}

/// Whether the memory says the same as Python does; looked at once, with the first socket.
fn is_laid_out_as_known(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    static KNOWN: PyOnceLock<bool> = PyOnceLock::new();
    let py = object.py();
    KNOWN
        .get_or_try_init(py, || {
            let class = class(py)?;
            // SAFETY: a type is at least as large as its objects' header says.
            let size = unsafe { (*class.as_ptr().cast::<ffi::PyTypeObject>()).tp_basicsize };
            if (size as usize) < size_of::<Head>() {
                return Ok(false);
            }
            let seen = SocketObject(object.clone().unbind());
            let say = |name| {
                class
                    .getattr(name)?
                    .call_method1("__get__", (object,))?
                    .extract()
            };
            let said: [i32; 3] = [say("family")?, say("type")?, say("proto")?];
            let fd: i32 = class.getattr("fileno")?.call1((object,))?.extract()?;
            Ok(fd == seen.fd() && said == [seen.family(), seen.kind(), seen.protocol()])
        })
        .copied()
}

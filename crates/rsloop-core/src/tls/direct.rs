//! The direct path: OpenSSL's functions on CPython's own session.
//!
//! The `SSL` is the one that CPython has made for the `SSLObject`, and so are its two memory BIOs.
//! Nothing of them is replaced: each function here does what the `SSLObject`'s or the `MemoryBIO`'s
//! method of that purpose does, without the Python objects around it. Either may be used at any
//! time, and what is rare (the handshake, errors, the shutdown) is left to the methods.

use std::ffi::c_int;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyType};
use pyo3::{ffi, intern};

use super::libssl::{Bio, LibSsl, Ssl};

/// What `use_direct_tls` says.
static WANTED: AtomicBool = AtomicBool::new(true);

/// Say whether TLS connections whose handshake ends from now on may use OpenSSL directly; return
/// what was said before. For tests: the environment variable RSLOOP_TLS=memory-bio does the same.
#[pyfunction]
pub(super) fn use_direct_tls(wanted: bool) -> bool {
    WANTED.swap(wanted, Ordering::Relaxed)
}

/// A session that was checked.
///
/// # Safety
/// The pointers are valid while the `_SSLSocket` lives, whose methods [`super::session::Session`]
/// holds beside this. They are used attached, on a build with a GIL, so by one thread at a time;
/// no function here runs Python code.
pub(super) struct Direct {
    library: &'static LibSsl,
    ssl: *mut Ssl,
    incoming: *mut Bio,
    outgoing: *mut Bio,
}

// SAFETY: see above: whichever thread uses the pointers holds the GIL.
unsafe impl Send for Direct {}
// SAFETY: as above.
unsafe impl Sync for Direct {}

/// How a read or a write ended that gave or took nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// Records have to come first.
    Again,
    /// The peer has said that nothing more comes.
    Closed,
    /// The error is in OpenSSL's queue. The method of the same purpose, called now, finds it there
    /// and raises the exception for it.
    Failed,
}

/// CPython's `PySSLSocket` as far as it is read here: the same from 3.11 to 3.15.
#[repr(C)]
struct SslSocket {
    header: ffi::PyObject,
    /// NULL for an `SSLObject`.
    socket: *mut ffi::PyObject,
    ssl: *mut Ssl,
    context: *mut ffi::PyObject,
}

/// The same for `PySSLContext` and `PySSLMemoryBIO`: one pointer of OpenSSL's.
#[repr(C)]
struct Holder {
    header: ffi::PyObject,
    held: *mut std::ffi::c_void,
}

unsafe extern "C" {
    // PyO3 does not declare it; every CPython exports it.
    fn _PyBytes_Resize(object: *mut *mut ffi::PyObject, size: ffi::Py_ssize_t) -> c_int;
}

// OpenSSL's numbers.
const SSL_ERROR_WANT_READ: c_int = 2;
const SSL_ERROR_WANT_WRITE: c_int = 3;
const SSL_ERROR_SYSCALL: c_int = 5;
const SSL_ERROR_ZERO_RETURN: c_int = 6;
const SSL_RECEIVED_SHUTDOWN: c_int = 2;
const BIO_TYPE_MEM: c_int = 0x0401;

impl Direct {
    /// The direct path to the session in `socket`, an `_ssl._SSLSocket` between two
    /// `_ssl.MemoryBIO`s; `None` where anything is not as it should be.
    pub(super) fn to(
        socket: &Bound<'_, PyAny>,
        incoming: &Bound<'_, PyAny>,
        outgoing: &Bound<'_, PyAny>,
    ) -> PyResult<Option<Self>> {
        let py = socket.py();
        if !WANTED.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let Some(library) = LibSsl::get(py) else {
            return Ok(None);
        };
        let context = socket.getattr(intern!(py, "context"))?;
        let types = Types::get(py)?;
        let known = types.socket.is_exactly(socket)?
            && types.bio.is_exactly(incoming)?
            && types.bio.is_exactly(outgoing)?
            && types.context.is_of(&context)?
            // They report to Python while data is moved; only the methods raise what fails there.
            && context.getattr(intern!(py, "_msg_callback"))?.is_none()
            && context.getattr(intern!(py, "keylog_filename"))?.is_none();
        if !known {
            return Ok(None);
        }
        // SAFETY: the types are CPython's own, of versions that begin like this, and as large as
        // that at least. What is read is only compared until everything is what it should be: the
        // context must be the one that the attribute tells, so the word before it is the `SSL`,
        // and OpenSSL must find in there the same objects again.
        unsafe {
            let SslSocket {
                socket: raw,
                ssl,
                context: used,
                ..
            } = ptr::read(socket.as_ptr().cast::<SslSocket>());
            let bios =
                [incoming, outgoing].map(|bio| (*bio.as_ptr().cast::<Holder>()).held.cast::<Bio>());
            if !raw.is_null() || ssl.is_null() || used != context.as_ptr() {
                return Ok(None);
            }
            let ctx = (*context.as_ptr().cast::<Holder>()).held;
            let same = (library.SSL_get_ex_data)(ssl, 0) == socket.as_ptr().cast()
                && (library.SSL_get_SSL_CTX)(ssl) == ctx
                && (library.SSL_get_rbio)(ssl) == bios[0]
                && (library.SSL_get_wbio)(ssl) == bios[1];
            if !same
                || bios
                    .iter()
                    .any(|&bio| bio.is_null() || (library.BIO_method_type)(bio) != BIO_TYPE_MEM)
            {
                return Ok(None);
            }
            Ok(Some(Self {
                library,
                ssl,
                incoming: bios[0],
                outgoing: bios[1],
            }))
        }
    }

    /// Takes records that have arrived: no more than the loop receives at once.
    pub(super) fn feed(&self, records: &[u8]) -> PyResult<()> {
        let len = records.len() as c_int;
        // SAFETY: see `Direct`; OpenSSL copies the bytes.
        let taken =
            unsafe { (self.library.BIO_write)(self.incoming, records.as_ptr().cast(), len) };
        if taken == len {
            Ok(())
        } else {
            Err(PyMemoryError::new_err(()))
        }
    }

    /// The number of bytes of records that have not been looked at.
    #[inline]
    pub(super) fn incoming_bytes(&self) -> usize {
        // SAFETY: see `Direct`.
        unsafe { (self.library.BIO_ctrl_pending)(self.incoming) }
    }

    /// The number of bytes of records that wait to be sent.
    #[inline]
    pub(super) fn outgoing_bytes(&self) -> usize {
        // SAFETY: see `Direct`.
        unsafe { (self.library.BIO_ctrl_pending)(self.outgoing) }
    }

    /// The number of bytes that are decrypted and not read.
    pub(super) fn decrypted_bytes(&self) -> usize {
        // SAFETY: see `Direct`.
        unsafe { (self.library.SSL_pending)(self.ssl) as usize }
    }

    /// Takes records that wait to be sent; returns how many bytes.
    #[inline]
    pub(super) fn take(&self, space: &mut [u8]) -> usize {
        let room = space.len().min(c_int::MAX as usize) as c_int;
        // SAFETY: see `Direct`; OpenSSL fills at most `room` bytes.
        let taken =
            unsafe { (self.library.BIO_read)(self.outgoing, space.as_mut_ptr().cast(), room) };
        taken.max(0) as usize // an empty one asks to try again, by -1
    }

    /// Gives the session data, which is not empty, to send; returns how many bytes it has taken,
    /// which is all of them.
    pub(super) fn write(&self, data: &[u8]) -> Result<usize, Stop> {
        let mut written = 0;
        // SAFETY: see `Direct`; OpenSSL reads the bytes and copies what it makes of them.
        let taken = unsafe {
            (self.library.ERR_clear_error)();
            (self.library.SSL_write_ex)(
                self.ssl,
                data.as_ptr().cast(),
                data.len(),
                &raw mut written,
            )
        };
        if taken == 1 {
            Ok(written)
        } else {
            Err(self.stop())
        }
    }

    /// Data that has arrived, as much as there is now, and why there is no more.
    pub(super) fn read<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Option<Bound<'py, PyBytes>>, Option<Stop>)> {
        // Data is never longer than its records.
        let most = self.incoming_bytes() + self.decrypted_bytes();
        if most == 0 {
            return Ok((None, Some(Stop::Again)));
        }
        // SAFETY: attached. The object is new, so nobody else sees it while its bytes are filled
        // in; `_PyBytes_Resize` takes the reference, and gives one back or none with an exception.
        unsafe {
            let mut object = ffi::PyBytes_FromStringAndSize(ptr::null(), most as ffi::Py_ssize_t);
            if object.is_null() {
                return Err(PyErr::fetch(py));
            }
            let (filled, stop) = self.fill(ffi::PyBytes_AsString(object).cast(), most);
            if filled == 0 {
                ffi::Py_DECREF(object);
                return Ok((None, stop));
            }
            if filled < most && _PyBytes_Resize(&raw mut object, filled as ffi::Py_ssize_t) != 0 {
                return Err(PyErr::fetch(py));
            }
            let data = Bound::from_owned_ptr(py, object).cast_into_unchecked();
            Ok((Some(data), stop))
        }
    }

    /// Fills `space` with data; returns how many bytes, and why there are no more, if it is not
    /// that `space` is full.
    pub(super) fn read_to(&self, space: &mut [u8]) -> (usize, Option<Stop>) {
        // SAFETY: the bytes are borrowed for writing.
        unsafe { self.fill(space.as_mut_ptr(), space.len()) }
    }

    /// # Safety
    /// `start` points to `room` bytes that may be written.
    unsafe fn fill(&self, start: *mut u8, room: usize) -> (usize, Option<Stop>) {
        let mut filled = 0;
        // SAFETY: see `Direct`.
        unsafe { (self.library.ERR_clear_error)() };
        while filled < room {
            let mut count = 0;
            // SAFETY: see `Direct`; OpenSSL fills at most what is left of the room.
            let read = unsafe {
                (self.library.SSL_read_ex)(
                    self.ssl,
                    start.add(filled).cast(),
                    room - filled,
                    &raw mut count,
                )
            };
            if read != 1 {
                return (filled, Some(self.stop()));
            }
            filled += count;
            // To ask in vain costs more than to ask whether it is.
            if self.incoming_bytes() == 0 && self.decrypted_bytes() == 0 {
                return (filled, Some(Stop::Again));
            }
        }
        (filled, None)
    }

    /// Why the last call has failed.
    #[cold]
    fn stop(&self) -> Stop {
        // SAFETY: see `Direct`; the call that failed was the last one of this thread, and its
        // result was 0.
        let (error, shutdown) = unsafe {
            (
                (self.library.SSL_get_error)(self.ssl, 0),
                (self.library.SSL_get_shutdown)(self.ssl),
            )
        };
        match error {
            // asyncio takes an error of the system for a reason to wait, too.
            SSL_ERROR_WANT_READ | SSL_ERROR_WANT_WRITE | SSL_ERROR_SYSCALL => Stop::Again,
            SSL_ERROR_ZERO_RETURN if shutdown == SSL_RECEIVED_SHUTDOWN => Stop::Closed,
            _ => Stop::Failed,
        }
    }
}

/// The classes of `_ssl`.
struct Types {
    socket: Class,
    bio: Class,
    context: Class,
}

/// One class, and the size that its instances must have at least.
struct Class {
    class: Py<PyType>,
    least_bytes: usize,
}

impl Types {
    fn get(py: Python<'_>) -> PyResult<&'static Self> {
        static TYPES: PyOnceLock<Types> = PyOnceLock::new();
        TYPES.get_or_try_init(py, || {
            let module = py.import("_ssl")?;
            let class = |name: &str, least_bytes| -> PyResult<Class> {
                let class = module.getattr(name)?.cast_into::<PyType>()?.unbind();
                Ok(Class { class, least_bytes })
            };
            Ok(Self {
                socket: class("_SSLSocket", size_of::<SslSocket>())?,
                bio: class("MemoryBIO", size_of::<Holder>())?,
                context: class("_SSLContext", size_of::<Holder>())?,
            })
        })
    }
}

impl Class {
    fn is_exactly(&self, object: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(object.get_type().is(&self.class) && self.is_of(object)?)
    }

    fn is_of(&self, object: &Bound<'_, PyAny>) -> PyResult<bool> {
        let class = self.class.bind(object.py());
        let size: usize = class
            .getattr(intern!(object.py(), "__basicsize__"))?
            .extract()?;
        Ok(size >= self.least_bytes && object.get_type().is_subclass(class)?)
    }
}

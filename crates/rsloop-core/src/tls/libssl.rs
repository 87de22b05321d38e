//! The OpenSSL that CPython's `_ssl` uses, by the address of its functions.
//!
//! rsloop links no OpenSSL. The functions are looked up, once in a process, in the library that
//! `_ssl` has loaded itself; where that fails, or anything else is not as it is known to be,
//! there is no direct path, and connections go through the `SSLObject`'s methods.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// The environment variable that, set to `memory-bio`, keeps every connection off this path.
const SWITCH: &str = "RSLOOP_TLS";

/// An `SSL`, of which nothing is known here.
pub(super) enum Ssl {}

/// A `BIO`.
pub(super) enum Bio {}

macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// OpenSSL's functions, under their own names.
        #[expect(non_snake_case, reason = "OpenSSL's names")]
        pub(super) struct LibSsl {
            $(pub(super) $name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
        }

        impl LibSsl {
            /// Looks every function up in the library `handle`, and what that depends on.
            ///
            /// # Safety
            /// `handle` is what `dlopen` has returned, and stays open.
            unsafe fn look_up(handle: *mut c_void) -> Option<Self> {
                // SAFETY: the name ends in a NUL. A function that OpenSSL exports under this
                // name has the signature that its manual gives it, which stands here.
                unsafe {
                    Some(Self {
                        $($name: {
                            let name = concat!(stringify!($name), "\0");
                            let address = dlsym(handle, name.as_ptr().cast());
                            if address.is_null() {
                                return None;
                            }
                            std::mem::transmute::<
                                *mut c_void,
                                unsafe extern "C" fn($($argument),*) $(-> $result)?,
                            >(address)
                        },)*
                    })
                }
            }
        }
    };
}

functions! {
    SSL_read_ex: fn(*mut Ssl, *mut c_void, usize, *mut usize) -> c_int;
    SSL_write_ex: fn(*mut Ssl, *const c_void, usize, *mut usize) -> c_int;
    SSL_get_error: fn(*const Ssl, c_int) -> c_int;
    SSL_get_shutdown: fn(*const Ssl) -> c_int;
    SSL_pending: fn(*const Ssl) -> c_int;
    SSL_get_ex_data: fn(*const Ssl, c_int) -> *mut c_void;
    SSL_get_SSL_CTX: fn(*const Ssl) -> *mut c_void;
    SSL_get_rbio: fn(*const Ssl) -> *mut Bio;
    SSL_get_wbio: fn(*const Ssl) -> *mut Bio;
    BIO_read: fn(*mut Bio, *mut c_void, c_int) -> c_int;
    BIO_write: fn(*mut Bio, *const c_void, c_int) -> c_int;
    BIO_ctrl_pending: fn(*mut Bio) -> usize;
    BIO_method_type: fn(*const Bio) -> c_int;
    ERR_clear_error: fn();
    OpenSSL_version: fn(c_int) -> *const c_char;
}

unsafe extern "C" {
    // Of the C library, which every CPython is linked with.
    fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
}

const RTLD_NOW: c_int = 2;
/// Only a library that is loaded already.
#[cfg(target_os = "macos")]
const RTLD_NOLOAD: c_int = 0x10;
#[cfg(not(target_os = "macos"))]
const RTLD_NOLOAD: c_int = 4;

impl LibSsl {
    /// The library, if it is there and usable.
    pub(super) fn get(py: Python<'_>) -> Option<&'static Self> {
        static LIBRARY: PyOnceLock<Option<LibSsl>> = PyOnceLock::new();
        LIBRARY
            // An `_ssl` without a file, say, is linked into the interpreter.
            .get_or_init(py, || Self::find(py).unwrap_or(None))
            .as_ref()
    }

    fn find(py: Python<'_>) -> PyResult<Option<Self>> {
        // Without a GIL another thread could be in the same session. The layout of what is read
        // in `direct.rs` has been looked up for the versions in between.
        let known = cfg!(all(not(Py_GIL_DISABLED), not(Py_3_16)));
        let implementation = py.import("sys")?.getattr("implementation")?;
        let name: String = implementation.getattr("name")?.extract()?;
        if !known
            || name != "cpython"
            || std::env::var_os(SWITCH).is_some_and(|v| v == "memory-bio")
        {
            return Ok(None);
        }
        let module = py.import("_ssl")?;
        let path: PathBuf = module.getattr("__file__")?.extract()?;
        let Ok(path) = CString::new(path.as_os_str().as_bytes()) else {
            return Ok(None);
        };
        // SAFETY: the path ends in a NUL. The library is loaded, so none of its code runs now, and
        // as a module of CPython it stays for the life of the process.
        let library = unsafe {
            let handle = dlopen(path.as_ptr(), RTLD_NOW | RTLD_NOLOAD);
            if handle.is_null() {
                return Ok(None);
            }
            Self::look_up(handle)
        };
        let stated: String = module.getattr("OPENSSL_VERSION")?.extract()?;
        Ok(library.filter(|library| {
            // SAFETY: 0 asks for the version's text, which is static.
            let version = unsafe { CStr::from_ptr((library.OpenSSL_version)(0)) };
            stated.starts_with("OpenSSL ") && version.to_bytes() == stated.as_bytes()
        }))
    }
}

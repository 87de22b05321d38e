//! The buffer protocol: bytes of Python objects, borrowed for one closure.

use std::mem::MaybeUninit;
use std::slice;

use pyo3::types::{PyAnyMethods, PyByteArray, PyBytes, PyMemoryView};
use pyo3::{Bound, PyAny, PyErr, PyResult, ffi};

/// A buffer that an object lends until this is dropped.
struct Lent(ffi::Py_buffer);

impl Lent {
    fn of(object: &Bound<'_, PyAny>, flags: std::ffi::c_int) -> PyResult<Self> {
        let mut view = MaybeUninit::<ffi::Py_buffer>::zeroed();
        // SAFETY: attached; on success the view is filled in and keeps its object alive.
        unsafe {
            if ffi::PyObject_GetBuffer(object.as_ptr(), view.as_mut_ptr(), flags) != 0 {
                return Err(PyErr::fetch(object.py()));
            }
            Ok(Self(view.assume_init()))
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // SAFETY: `Lent` lives within a closure of an attached caller, and releases once.
        unsafe { ffi::PyBuffer_Release(&raw mut self.0) };
    }
}

/// Whether `data` is of a type that asyncio's transports take: other buffers they refuse.
pub(crate) fn is_bytes_like(data: &Bound<'_, PyAny>) -> bool {
    data.is_instance_of::<PyBytes>()
        || data.is_instance_of::<PyByteArray>()
        || data.is_instance_of::<PyMemoryView>()
}

/// Runs `read` on the bytes of `object`, a contiguous exporter; `BufferError` for others.
pub(crate) fn with_bytes<R>(
    object: &Bound<'_, PyAny>,
    read: impl FnOnce(&[u8]) -> PyResult<R>,
) -> PyResult<R> {
    let lent = Lent::of(object, ffi::PyBUF_SIMPLE)?;
    if lent.0.len == 0 {
        return read(&[]);
    }
    // SAFETY: a simple buffer is contiguous, and locked in place until it is released. Bytes
    // of a bytearray may be overwritten meanwhile, by Python code that `read` runs, only after
    // the system call that looked at them. Without a GIL another thread may overwrite them at any
    // moment, as it may during `socket.send`: they are copied and sent, and nothing else depends
    // on what they are.
    read(unsafe { slice::from_raw_parts(lent.0.buf.cast(), lent.0.len as usize) })
}

/// Runs `write` on the bytes of `object`, a contiguous writable exporter, to fill them.
///
/// `write` must not run Python code.
pub(crate) fn fill<R>(
    object: &Bound<'_, PyAny>,
    write: impl FnOnce(&mut [u8]) -> R,
) -> PyResult<R> {
    let lent = Lent::of(object, ffi::PyBUF_WRITABLE)?;
    if lent.0.len == 0 {
        return Ok(write(&mut []));
    }
    // SAFETY: as above, and writable. No Python code runs, so under the GIL nobody else looks;
    // without one, a protocol that shares its buffer with another thread has the race that the
    // same call of `socket.recv_into` has.
    Ok(write(unsafe {
        slice::from_raw_parts_mut(lent.0.buf.cast(), lent.0.len as usize)
    }))
}

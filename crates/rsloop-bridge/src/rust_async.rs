//! The functions that an extension calls. See the crate's documentation for how they fit.

use std::future::Future;

use pyo3::prelude::*;

use crate::send::{self, FirstPoll};
use crate::{context, coroutine, local, python_future};

pub use crate::context::TaskLocals;
pub use crate::error::RustPanic;
pub use crate::python_future::PythonFuture;

/// Captures the running loop and a copy of the current context.
///
/// # Errors
/// `RuntimeError` if no loop runs on this thread.
pub fn get_current_locals(py: Python<'_>) -> PyResult<TaskLocals> {
    TaskLocals::capture(&context::running_loop(py)?)
}

/// Makes a Python awaitable of a Rust future, on the running loop, in the current context.
///
/// The future is polled once in this call, with the GIL released, and from then on by the
/// executor's threads, whether or not Python awaits the result. Its result is converted on the
/// loop's thread. An error, or a panic as [`RustPanic`], is raised where the result is awaited.
///
/// Cancelling the awaitable, or dropping the last reference to it while nobody waits for it,
/// drops the future.
///
/// # Errors
/// `RuntimeError` if no loop runs on this thread, or the interpreter is exiting.
pub fn future_into_py<F, T>(py: Python<'_>, fut: F) -> PyResult<Bound<'_, PyAny>>
where
    F: Future<Output = PyResult<T>> + Send + 'static,
    T: for<'a> IntoPyObject<'a> + Send + 'static,
{
    send::into_py(py, None, fut, FirstPoll::InCall)
}

/// As [`future_into_py`], for the loop and context that `locals` holds. On any thread.
///
/// # Errors
/// `RuntimeError` if that loop is closed, or the interpreter is exiting.
pub fn future_into_py_with_locals<F, T>(
    py: Python<'_>,
    locals: TaskLocals,
    fut: F,
) -> PyResult<Bound<'_, PyAny>>
where
    F: Future<Output = PyResult<T>> + Send + 'static,
    T: for<'a> IntoPyObject<'a> + Send + 'static,
{
    send::into_py(py, Some(locals), fut, FirstPoll::InCall)
}

/// As [`future_into_py`], but never polls the future in this call: for futures whose first poll
/// may compute for long, or must happen on the executor's threads.
///
/// # Errors
/// `RuntimeError` if no loop runs on this thread, or the interpreter is exiting.
pub fn spawn_into_py<F, T>(py: Python<'_>, fut: F) -> PyResult<Bound<'_, PyAny>>
where
    F: Future<Output = PyResult<T>> + Send + 'static,
    T: for<'a> IntoPyObject<'a> + Send + 'static,
{
    send::into_py(py, None, fut, FirstPoll::OnExecutor)
}

/// Makes a Python awaitable of a Rust future that need not be `Send`.
///
/// The future is polled, and dropped, on the loop's own thread only, attached and in the captured
/// context: the first time in this call, and then whenever its waker was called, from whichever
/// thread. Between polls the loop runs on, so a poll must not block.
///
/// # Errors
/// `RuntimeError` if no loop runs on this thread, or the interpreter is exiting.
pub fn local_future_into_py<F, T>(py: Python<'_>, fut: F) -> PyResult<Bound<'_, PyAny>>
where
    F: Future<Output = PyResult<T>> + 'static,
    T: for<'a> IntoPyObject<'a> + 'static,
{
    local::into_py(py, None, fut)
}

/// As [`local_future_into_py`], for the loop and context that `locals` holds. On the thread of
/// that loop.
///
/// # Errors
/// `RuntimeError` on another thread, if the loop is closed, or if the interpreter is exiting.
pub fn local_future_into_py_with_locals<F, T>(
    py: Python<'_>,
    locals: TaskLocals,
    fut: F,
) -> PyResult<Bound<'_, PyAny>>
where
    F: Future<Output = PyResult<T>> + 'static,
    T: for<'a> IntoPyObject<'a> + 'static,
{
    local::into_py(py, Some(locals), fut)
}

/// Makes a Python coroutine of a Rust future, for what accepts coroutines only: `create_task`,
/// `TaskGroup`, `Runner.run`.
///
/// Unlike [`future_into_py`], it starts when the coroutine is first run, on the loop and in the
/// context that run it.
///
/// # Errors
/// Only what making a Python object can raise.
pub fn coroutine_into_py<F, T>(py: Python<'_>, fut: F) -> PyResult<Bound<'_, PyAny>>
where
    F: Future<Output = PyResult<T>> + Send + 'static,
    T: for<'a> IntoPyObject<'a> + Send + 'static,
{
    coroutine::into_py(py, fut)
}

/// Makes a Rust future of a Python awaitable, on the loop and in the context of `locals`.
///
/// Coroutines become tasks, which start at once, in a copy of the context. On any thread. The
/// future resolves to the awaitable's result or exception; to `RuntimeError` if the loop closes
/// first. Dropping it before that cancels the awaitable.
///
/// # Errors
/// `TypeError` if `awaitable` cannot be awaited; `RuntimeError` if the loop is closed.
pub fn into_future_with_locals(
    locals: &TaskLocals,
    awaitable: Bound<'_, PyAny>,
) -> PyResult<PythonFuture> {
    python_future::start(locals, awaitable)
}

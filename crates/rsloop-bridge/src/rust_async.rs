//! The functions that an extension calls. See the crate's documentation for how they fit.

use std::future::Future;

use pyo3::prelude::*;

use crate::send::{self, FirstPoll};
use crate::{coroutine, local, python_future, runner, stream};

pub use crate::context::TaskLocals;
pub use crate::error::RustPanic;
pub use crate::python_future::PythonFuture;
pub use crate::scope::Scoped;
pub use crate::stream::PythonStream;
pub use futures_core::Stream;

/// Captures the running loop and a copy of the current context.
///
/// In a poll on a thread where no loop runs, these are the locals of the future that is polled:
/// those it was made with, or those of the innermost [`TaskLocals::scope`].
///
/// # Errors
/// `RuntimeError` if no loop runs on this thread, and no future of the bridge is polled by it.
pub fn get_current_locals(py: Python<'_>) -> PyResult<TaskLocals> {
    TaskLocals::current(py)
}

/// Makes a Python awaitable of a Rust future, on the running loop, in the current context.
///
/// The future is polled once in this call, with the GIL released, and from then on by the
/// executor's threads, whether or not Python awaits the result; but on the loop's thread, detached,
/// when a [`PythonFuture`] ends that it waits for, and once more when something else wakes it, if
/// futures of its type have a record of ending then.
/// Its result is converted on the loop's thread. An error, or a panic as [`RustPanic`], is raised
/// where the result is awaited.
///
/// To await it may take no turn of the loop, although it is pending: if futures of its type have a
/// record of being answered by other threads at once, and nothing else is ready to run, the await
/// watches for its end for some 25 microseconds, detached, before it suspends.
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

/// As [`future_into_py`], but polls the future on the executor's threads alone: for futures that
/// may compute for long in one poll, or wait there for what the loop has to do.
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

/// Makes a Python awaitable of a call that may block: it runs on a thread of the executor's for
/// such calls, detached from Python.
///
/// ```
/// # use pyo3::prelude::*;
/// # use rsloop_bridge::rust_async;
/// #[pyfunction]
/// fn checksum(py: Python<'_>, path: std::path::PathBuf) -> PyResult<Bound<'_, PyAny>> {
///     rust_async::spawn_blocking_into_py(py, move || {
///         let bytes = std::fs::read(path)?;
///         Ok(bytes.iter().fold(0_u32, |sum, byte| sum.wrapping_add(u32::from(*byte))))
///     })
/// }
/// ```
///
/// Cancelling the awaitable before the call began drops the call; afterwards it runs to its end,
/// and the result is dropped. The exit of the interpreter waits for it two seconds at most.
///
/// # Errors
/// `RuntimeError` if no loop runs on this thread, or the interpreter is exiting.
pub fn spawn_blocking_into_py<C, T>(py: Python<'_>, call: C) -> PyResult<Bound<'_, PyAny>>
where
    C: FnOnce() -> PyResult<T> + Send + 'static,
    T: for<'a> IntoPyObject<'a> + Send + 'static,
{
    send::into_py(py, None, async move { call() }, FirstPoll::WhereItMayBlock)
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

/// Makes a Python asynchronous iterator of a Rust stream.
///
/// Each item is asked for by Python: the stream is polled only while an item is awaited, as a
/// future of [`future_into_py`] is, and rests between. An `Err` is raised by the `async for`,
/// and the stream can be asked further; its end ends the iteration. Cancelling the wait for an
/// item, as `asyncio.wait_for` does, loses none: the stream rests again, and an item that was on its
/// way to the loop comes with the next wait.
///
/// The stream is dropped when it ends, by `aclose()`, or when the iterator is freed.
///
/// ```
/// # use pyo3::prelude::*;
/// # use rsloop_bridge::rust_async;
/// #[pyfunction]
/// fn count_to(py: Python<'_>, last: u32) -> PyResult<Bound<'_, PyAny>> {
///     let mut number = 0;
///     let numbers = async_std::stream::from_fn(move || {
///         number += 1;
///         (number <= last).then_some(Ok(number))
///     });
///     rust_async::stream_into_py(py, numbers)
/// }
/// ```
///
/// # Errors
/// Only what making a Python object can raise. That no loop runs, or the interpreter exits, is
/// for `__anext__` to say.
pub fn stream_into_py<S, T>(py: Python<'_>, stream: S) -> PyResult<Bound<'_, PyAny>>
where
    S: Stream<Item = PyResult<T>> + Send + 'static,
    T: for<'a> IntoPyObject<'a> + Send + 'static,
{
    stream::into_py(py, stream)
}

/// Makes a Rust stream of a Python asynchronous iterable, on the loop and in the context of
/// `locals`. On any thread.
///
/// One task iterates from beginning to end. It is sixteen items ahead at most, and waits then
/// until half of them are taken. The exception that ends it is the stream's last item. Dropping
/// the stream before its end cancels that task, which closes the iterator.
///
/// # Errors
/// `TypeError` if `iterable` is not asynchronously iterable; `RuntimeError` if the loop is closed.
pub fn into_stream_with_locals(
    locals: &TaskLocals,
    iterable: &Bound<'_, PyAny>,
) -> PyResult<PythonStream> {
    stream::start(locals, iterable)
}

/// As [`into_stream_with_locals`], with the [current locals](get_current_locals).
///
/// # Errors
/// `TypeError` if `iterable` is not asynchronously iterable; `RuntimeError` if there are no
/// current locals, or their loop is closed.
pub fn into_stream(iterable: &Bound<'_, PyAny>) -> PyResult<PythonStream> {
    stream::start(&TaskLocals::current(iterable.py())?, iterable)
}

/// Runs a Rust future to its end on an event loop of its own, as `asyncio.run` does a coroutine:
/// for a program in Rust, or a function that Python calls where no loop runs.
///
/// The loop is rsloop's if `rsloop` can be imported, and asyncio's otherwise. The future is a
/// task of that loop, which Ctrl-C cancels. What is left of other tasks and asynchronous
/// generators is ended before this returns.
///
/// ```no_run
/// use pyo3::prelude::*;
/// use rsloop_bridge::rust_async;
///
/// # fn program() -> PyResult<()> {
/// Python::attach(|py| {
///     rust_async::run(py, async {
///         let sleep = Python::attach(|py| {
///             let coroutine = py.import("asyncio")?.call_method1("sleep", (0.1, "slept"))?;
///             rust_async::into_future(coroutine)
///         })?;
///         println!("{}", sleep.await?);
///         Ok(())
///     })
/// })
/// # }
/// ```
///
/// # Errors
/// The future's own; `RuntimeError` if a loop runs on this thread.
pub fn run<F, T>(py: Python<'_>, fut: F) -> PyResult<T>
where
    F: Future<Output = PyResult<T>> + Send + 'static,
    T: Send + 'static,
{
    runner::run(py, fut)
}

/// Runs a Rust future to its end on `event_loop`, which must not be running, and leaves the loop
/// open.
///
/// # Errors
/// The future's own; `RuntimeError` if the loop is closed, or one runs on this thread.
pub fn run_until_complete<F, T>(event_loop: &Bound<'_, PyAny>, fut: F) -> PyResult<T>
where
    F: Future<Output = PyResult<T>> + Send + 'static,
    T: Send + 'static,
{
    runner::run_until_complete(event_loop, fut)
}

/// As [`into_future_with_locals`], with the [current locals](get_current_locals).
///
/// # Errors
/// `TypeError` if `awaitable` cannot be awaited; `RuntimeError` if there are no current locals, or
/// their loop is closed.
pub fn into_future(awaitable: Bound<'_, PyAny>) -> PyResult<PythonFuture> {
    let locals = TaskLocals::current(awaitable.py())?;
    python_future::start(&locals, awaitable)
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

//! The exceptions that the bridge itself raises.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use pyo3::exceptions::PyRuntimeError;
use pyo3::{PyErr, PyResult, create_exception};

create_exception!(
    rsloop_bridge,
    RustPanic,
    PyRuntimeError,
    "A Rust future, or the conversion of its result, panicked. The message is the panic's."
);

/// Runs code of the extension's or of its executor; its panic is returned, as a [`RustPanic`].
/// Needs no attachment to Python: the exception is made when it is first looked at.
pub(crate) fn caught<R>(body: impl FnOnce() -> R) -> Result<R, PyErr> {
    catch_unwind(AssertUnwindSafe(body)).map_err(from_panic)
}

/// Polls a future of the extension's; its panic is its result.
pub(crate) fn poll_caught<F, T>(future: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<PyResult<T>>
where
    F: Future<Output = PyResult<T>>,
{
    caught(|| future.poll(cx)).unwrap_or_else(|panic| Poll::Ready(Err(panic)))
}

/// Drops a value of the extension's; its panic is returned.
pub(crate) fn drop_caught<D>(value: D) -> Result<(), PyErr> {
    caught(|| drop(value))
}

/// Drops the future that returned `output`. A panic in that takes the place of a value, but not of
/// an error, which says more.
pub(crate) fn drop_spent<D, T>(future: D, output: Result<T, PyErr>) -> Result<T, PyErr> {
    match drop_caught(future) {
        Ok(()) => output,
        Err(panic) => output.and(Err(panic)),
    }
}

/// The panic that `catch_unwind` caught, as an exception.
fn from_panic(payload: Box<dyn Any + Send>) -> PyErr {
    let message = match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => match payload.downcast::<&'static str>() {
            Ok(message) => (*message).to_owned(),
            Err(payload) => {
                // Dropping a payload of unknown type could panic in turn.
                std::mem::forget(payload);
                "a Rust future panicked with a payload that is not text".to_owned()
            }
        },
    };
    PyErr::new::<RustPanic, _>(message)
}

/// Advice for a call that needs a running loop and finds none.
pub(crate) fn no_running_loop() -> PyErr {
    PyRuntimeError::new_err(
        "no running event loop on this thread: call this from a coroutine or callback while \
         asyncio.run() or rsloop.run() is running, or pass TaskLocals that were captured there \
         to the *_with_locals form",
    )
}

/// Refusal of new work while the interpreter exits.
pub(crate) fn shutting_down() -> PyErr {
    PyRuntimeError::new_err("the interpreter is shutting down: no Rust future can be started")
}

/// Advice for an extension that was built without an executor.
pub(crate) fn no_executor() -> PyErr {
    PyRuntimeError::new_err(
        "this extension has no executor: enable a feature of rsloop-bridge ('async-std', 'smol' \
         or 'tokio'), or call rsloop_bridge::executor::set_executor when its module is imported",
    )
}

/// Refusal in a poll that goes on although its awaitable is gone.
pub(crate) fn cancelled_meanwhile() -> PyErr {
    PyRuntimeError::new_err("the Rust future that is being polled was cancelled meanwhile")
}

/// Refusal of work for a loop that is closed.
pub(crate) fn loop_closed() -> PyErr {
    PyRuntimeError::new_err("the event loop is closed")
}

/// Refusal of futures in a child process whose executor's threads stayed with the parent.
pub(crate) fn forked() -> PyErr {
    PyRuntimeError::new_err(
        "this process was forked after Rust futures had been started, and their executor's \
         threads stayed with the parent: start the child with the 'spawn' or 'forkserver' method, \
         start no future before the fork, or build the extension with the feature 'tokio' of \
         rsloop-bridge, whose runtime begins afresh in a child",
    )
}

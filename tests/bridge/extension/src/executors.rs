//! Where futures run: which executor it is, blocking calls, loops that Rust runs.

use pyo3::prelude::*;
use rsloop::rust_async;

use crate::gate::Gate;
use crate::send::End;
use crate::watch::Drops;

/// The executor that the extension was built with.
#[pyfunction]
fn executor() -> &'static str {
    match () {
        () if cfg!(feature = "tokio") => "tokio",
        () if cfg!(feature = "smol") => "smol",
        () if cfg!(feature = "async-std") => "async-std",
        () => "own",
    }
}

/// Whether what tokio's timers need is there.
fn has_tokio() -> bool {
    #[cfg(feature = "tokio")]
    return tokio::runtime::Handle::try_current().is_ok();
    #[cfg(not(feature = "tokio"))]
    return false;
}

/// Tells whether tokio's runtime was entered: in the first poll, and after the gate.
#[pyfunction]
#[pyo3(signature = (gate, locally = false))]
fn entered(py: Python<'_>, gate: Gate, locally: bool) -> PyResult<Bound<'_, PyAny>> {
    let future = async move {
        let first = has_tokio();
        gate.pass().await;
        Ok((first, has_tokio()))
    };
    if locally {
        rust_async::local_future_into_py(py, future)
    } else {
        rust_async::future_into_py(py, future)
    }
}

/// Sleeps by tokio's clock, from the first poll on.
#[pyfunction]
fn sleep_by_tokio(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    rust_async::future_into_py(py, async {
        #[cfg(feature = "tokio")]
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        Ok("slept")
    })
}

/// Sleeps by async-std's clock, from the first poll on.
#[pyfunction]
fn sleep_by_async_std(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    rust_async::future_into_py(py, async {
        async_std::task::sleep(std::time::Duration::from_millis(1)).await;
        Ok("slept")
    })
}

/// Starts async-std's threads without the bridge.
#[pyfunction]
fn start_async_std(py: Python<'_>) {
    py.detach(|| async_std::task::block_on(async_std::task::spawn(async {})));
}

/// Blocks a thread until the gate is open, and ends as told.
#[pyfunction]
#[pyo3(signature = (end, gate = None, drops = None))]
fn spawn_blocking_into_py(
    py: Python<'_>,
    end: End,
    gate: Option<Gate>,
    drops: Option<Drops>,
) -> PyResult<Bound<'_, PyAny>> {
    let token = drops.as_ref().map(Drops::token);
    rust_async::spawn_blocking_into_py(py, move || {
        let _token = token;
        if let Some(gate) = gate {
            async_std::task::block_on(gate.pass());
        }
        end.reach()
    })
}

/// Calls `function` where it may block.
#[pyfunction]
fn call_blocking(py: Python<'_>, function: Py<PyAny>) -> PyResult<Bound<'_, PyAny>> {
    rust_async::spawn_blocking_into_py(py, move || Python::attach(|py| function.call0(py)))
}

/// Runs a loop that awaits what `make` returns, and returns the result's text.
#[pyfunction]
fn run(py: Python<'_>, make: Py<PyAny>) -> PyResult<String> {
    rust_async::run(py, awaited(make))
}

/// As `run`, on a loop that exists.
#[pyfunction]
fn run_until_complete(event_loop: &Bound<'_, PyAny>, make: Py<PyAny>) -> PyResult<String> {
    rust_async::run_until_complete(event_loop, awaited(make))
}

async fn awaited(make: Py<PyAny>) -> PyResult<String> {
    let future = Python::attach(|py| rust_async::into_future(make.bind(py).call0()?))?;
    let result = future.await?;
    Python::attach(|py| result.extract(py))
}

/// Executors of the extension's own.
mod own {
    use rsloop::executor::{BlockingCall, Executor, Work, set_executor};

    /// Sets one, if the extension is to have its own. In vain where it is imported once more, by a
    /// sub-interpreter, which the bridge refuses by itself.
    pub(super) fn choose() {
        if std::env::var_os("BRIDGE_TESTS_REFUSE_THREADS").is_some() {
            let _ = set_executor(Refusing);
        } else if super::executor() == "own" {
            let _ = set_executor(Threads);
        }
    }

    /// A thread for each piece of work.
    struct Threads;

    impl Executor for Threads {
        fn spawn(&self, work: Work) {
            std::thread::spawn(|| async_std::task::block_on(work));
        }

        fn spawn_blocking(&self, call: BlockingCall) {
            std::thread::spawn(|| call.run());
        }

        fn after_fork(&self) -> Option<Box<dyn Executor>> {
            Some(Box::new(Self))
        }
    }

    /// One that has no thread for anything.
    struct Refusing;

    impl Executor for Refusing {
        fn spawn(&self, _: Work) {
            panic!("no thread");
        }

        fn spawn_blocking(&self, _: BlockingCall) {
            panic!("no thread");
        }
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    own::choose();
    module.add_function(wrap_pyfunction!(executor, module)?)?;
    module.add_function(wrap_pyfunction!(entered, module)?)?;
    module.add_function(wrap_pyfunction!(sleep_by_tokio, module)?)?;
    module.add_function(wrap_pyfunction!(sleep_by_async_std, module)?)?;
    module.add_function(wrap_pyfunction!(start_async_std, module)?)?;
    module.add_function(wrap_pyfunction!(spawn_blocking_into_py, module)?)?;
    module.add_function(wrap_pyfunction!(call_blocking, module)?)?;
    module.add_function(wrap_pyfunction!(run, module)?)?;
    module.add_function(wrap_pyfunction!(run_until_complete, module)?)
}

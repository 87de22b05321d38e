//! The workloads of the benchmark, on pyo3-async-runtimes: a submodule for each of its runtimes.

#[path = "../../completer.rs"]
mod completer;

use pyo3::prelude::*;

/// The workloads, for one of the runtimes.
macro_rules! workloads {
    ($runtime:ident, $sleep:path, $yield_now:path, $spawn_blocking:path, $joined:expr) => {
        #[pymodule]
        mod $runtime {
            use std::time::Duration;

            use pyo3::prelude::*;
            use pyo3_async_runtimes::$runtime::{future_into_py, into_future};

            use crate::completer::completed_elsewhere;

            #[pyfunction]
            fn ready(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
                future_into_py(py, async { Ok(7_u64) })
            }

            #[pyfunction]
            fn yield_once(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
                future_into_py(py, async {
                    $yield_now().await;
                    Ok(7_u64)
                })
            }

            #[pyfunction]
            fn sleep(py: Python<'_>, milliseconds: u64) -> PyResult<Bound<'_, PyAny>> {
                future_into_py(py, async move {
                    $sleep(Duration::from_millis(milliseconds)).await;
                    Ok(7_u64)
                })
            }

            #[pyfunction]
            fn blocking(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
                future_into_py(py, async {
                    let joined = $spawn_blocking(|| 7_u64).await;
                    Ok(($joined)(joined))
                })
            }

            #[pyfunction]
            fn cross(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
                future_into_py(py, async {
                    Ok(completed_elsewhere().await.expect("it is completed"))
                })
            }

            #[pyfunction]
            fn pending(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
                future_into_py(py, std::future::pending::<PyResult<u64>>())
            }

            #[pyfunction]
            fn call<'py>(awaitable: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
                let py = awaitable.py();
                let future = into_future(awaitable)?;
                future_into_py(py, future)
            }

            #[pyfunction]
            fn call_many(
                py: Python<'_>,
                make: Py<PyAny>,
                times: usize,
            ) -> PyResult<Bound<'_, PyAny>> {
                future_into_py(py, async move {
                    for _ in 0..times {
                        Python::attach(|py| into_future(make.bind(py).call0()?))?.await?;
                    }
                    Ok(())
                })
            }
        }
    };
}

workloads!(
    async_std,
    ::async_std::task::sleep,
    ::async_std::task::yield_now,
    ::async_std::task::spawn_blocking,
    std::convert::identity
);
workloads!(
    tokio,
    ::tokio::time::sleep,
    ::tokio::task::yield_now,
    ::tokio::task::spawn_blocking,
    |joined: Result<u64, ::tokio::task::JoinError>| joined.expect("it does not panic")
);

#[pymodule]
mod bench_peer {
    #[pymodule_export]
    use super::async_std;
    #[pymodule_export]
    use super::tokio;
}

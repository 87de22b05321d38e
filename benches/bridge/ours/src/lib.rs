//! The workloads of the benchmark, on rsloop-bridge. Names that end in `_local` are polled by the
//! loop.

#[path = "../../completer.rs"]
mod completer;
mod hand_overs;

use pyo3::prelude::*;

#[pymodule]
mod bench_ours {
    use std::time::Duration;

    use pyo3::prelude::*;
    use rsloop::rust_async::{
        future_into_py, future_into_py_with_locals, get_current_locals, into_future_with_locals,
        local_future_into_py, local_future_into_py_with_locals,
    };

    use crate::completer::completed_elsewhere;

    #[pymodule_export]
    use crate::hand_overs::hand_overs;

    #[pyfunction]
    fn ready(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        future_into_py(py, async { Ok(7_u64) })
    }

    #[pyfunction]
    fn ready_local(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        local_future_into_py(py, async { Ok(7_u64) })
    }

    #[pyfunction]
    fn yield_once(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        future_into_py(py, async {
            async_std::task::yield_now().await;
            Ok(7_u64)
        })
    }

    #[pyfunction]
    fn yield_once_local(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        local_future_into_py(py, async {
            async_std::task::yield_now().await;
            Ok(7_u64)
        })
    }

    #[pyfunction]
    fn sleep(py: Python<'_>, milliseconds: u64) -> PyResult<Bound<'_, PyAny>> {
        future_into_py(py, async move {
            async_std::task::sleep(Duration::from_millis(milliseconds)).await;
            Ok(7_u64)
        })
    }

    #[pyfunction]
    fn blocking(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        future_into_py(py, async {
            Ok(async_std::task::spawn_blocking(|| 7_u64).await)
        })
    }

    #[pyfunction]
    fn cross(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        future_into_py(py, async {
            Ok(completed_elsewhere().await.expect("it is completed"))
        })
    }

    #[pyfunction]
    fn cross_local(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        local_future_into_py(py, async {
            Ok(completed_elsewhere().await.expect("it is completed"))
        })
    }

    #[pyfunction]
    fn pending(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        future_into_py(py, std::future::pending::<PyResult<u64>>())
    }

    #[pyfunction]
    fn call<'py>(py: Python<'py>, awaitable: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let locals = get_current_locals(py)?;
        let future = into_future_with_locals(&locals, awaitable)?;
        future_into_py_with_locals(py, locals, future)
    }

    #[pyfunction]
    fn call_local<'py>(
        py: Python<'py>,
        awaitable: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let locals = get_current_locals(py)?;
        let future = into_future_with_locals(&locals, awaitable)?;
        local_future_into_py_with_locals(py, locals, future)
    }

    #[pyfunction]
    fn call_many(py: Python<'_>, make: Py<PyAny>, times: usize) -> PyResult<Bound<'_, PyAny>> {
        let locals = get_current_locals(py)?;
        future_into_py_with_locals(py, locals.clone(), async move {
            for _ in 0..times {
                Python::attach(|py| into_future_with_locals(&locals, make.bind(py).call0()?))?
                    .await?;
            }
            Ok(())
        })
    }

    #[pyfunction]
    fn call_many_local(
        py: Python<'_>,
        make: Py<PyAny>,
        times: usize,
    ) -> PyResult<Bound<'_, PyAny>> {
        let locals = get_current_locals(py)?;
        local_future_into_py_with_locals(py, locals.clone(), async move {
            for _ in 0..times {
                Python::attach(|py| into_future_with_locals(&locals, make.bind(py).call0()?))?
                    .await?;
            }
            Ok(())
        })
    }
}

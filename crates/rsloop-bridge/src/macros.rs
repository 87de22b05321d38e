//! The macro for asynchronous functions.

/// Defines a function for Python whose body is asynchronous Rust that runs on the bridge.
///
/// It is what `#[pyfunction] async fn` would be if PyO3 ran it by
/// [`future_into_py`](crate::rust_async::future_into_py): the body is a `Send` future that returns
/// a `PyResult`, the arguments are owned, and attributes such as `#[pyo3(signature = ...)]` go to
/// the function. PyO3's own asynchronous functions are polled by the loop alone, do not run until
/// they are awaited, and find no runtime of tokio's.
///
/// ```
/// use std::time::Duration;
///
/// use pyo3::prelude::*;
///
/// rsloop_bridge::async_pyfunction! {
///     /// Wait, and return the label.
///     #[pyo3(signature = (label, delay_ms = 10))]
///     async fn sleep_and_tag(label: String, delay_ms: u64) -> PyResult<String> {
///         async_std::task::sleep(Duration::from_millis(delay_ms)).await;
///         Ok(format!("rust finished: {label}"))
///     }
/// }
///
/// #[pymodule]
/// fn my_rust_ext(m: &Bound<'_, PyModule>) -> PyResult<()> {
///     m.add_function(wrap_pyfunction!(sleep_and_tag, m)?)
/// }
/// ```
///
/// What the body holds where it awaits must be `Send`, or the function is not compiled:
///
/// ```compile_fail
/// rsloop_bridge::async_pyfunction! {
///     async fn not_send() -> pyo3::PyResult<()> {
///         let held = std::rc::Rc::new(());
///         async_std::task::yield_now().await;
///         drop(held);
///         Ok(())
///     }
/// }
/// ```
#[macro_export]
macro_rules! async_pyfunction {
    (
        $(#[$attribute:meta])*
        $visible:vis async fn $name:ident($($argument:ident: $type:ty),* $(,)?) -> $output:ty
        $body:block
    ) => {
        #[::pyo3::pyfunction]
        $(#[$attribute])*
        $visible fn $name<'py>(
            py: ::pyo3::Python<'py>
            $(, $argument: $type)*
        ) -> ::pyo3::PyResult<::pyo3::Bound<'py, ::pyo3::PyAny>> {
            // A function of its own, so that `return` and `?` in the body have its type.
            async fn body($($argument: $type),*) -> $output $body

            $crate::rust_async::future_into_py(py, body($($argument),*))
        }
    };
}

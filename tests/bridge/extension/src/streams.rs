//! Streams, both ways.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use rsloop::rust_async::{self, Stream};

use crate::gate::Gate;
use crate::send::End;
use crate::watch::{Drops, Token};

/// Counts, each number behind the gate, and ends as told.
struct Numbers {
    next: u32,
    last: u32,
    gate: Option<Gate>,
    end: Option<End>,
    _token: Option<Token>,
}

impl Stream for Numbers {
    type Item = PyResult<u32>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<PyResult<u32>>> {
        if let Some(gate) = &self.gate {
            ready!(pin!(gate.pass()).poll(cx));
        }
        if self.next < self.last {
            self.next += 1;
            return Poll::Ready(Some(Ok(self.next)));
        }
        Poll::Ready(match self.end.take() {
            Some(End::Error) => Some(Err(PyValueError::new_err("the error"))),
            Some(End::Panic) => panic!("the panic"),
            Some(End::Value) | None => None,
        })
    }
}

#[pyfunction]
#[pyo3(signature = (last, gate = None, drops = None, end = End::Value))]
fn numbers(
    py: Python<'_>,
    last: u32,
    gate: Option<Gate>,
    drops: Option<Drops>,
    end: End,
) -> PyResult<Bound<'_, PyAny>> {
    let numbers = Numbers {
        next: 0,
        last,
        gate,
        end: Some(end),
        _token: drops.as_ref().map(Drops::token),
    };
    rust_async::stream_into_py(py, numbers)
}

/// Collects `take` items, or all, once the gate is open; then drops the stream.
#[pyfunction]
#[pyo3(signature = (iterable, gate = None, take = None))]
fn collect<'py>(
    iterable: &Bound<'py, PyAny>,
    gate: Option<Gate>,
    take: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let mut stream = rust_async::into_stream(iterable)?;
    rust_async::future_into_py(iterable.py(), async move {
        if let Some(gate) = gate {
            gate.pass().await;
        }
        let mut items = Vec::new();
        while take.is_none_or(|take| items.len() < take) {
            match poll_fn(|cx| Pin::new(&mut stream).poll_next(cx)).await {
                Some(item) => items.push(item?),
                None => break,
            }
        }
        Ok(items)
    })
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(numbers, module)?)?;
    module.add_function(wrap_pyfunction!(collect, module)?)
}

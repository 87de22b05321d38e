//! `create_future` and `create_task`, and what every future and task asks its loop.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyTuple};

use super::state::LoopBase;
use crate::py::call::call_with_keywords;
use crate::py::fastcall::{Args, Method, fastcall};

pub(super) fn methods() -> Vec<Method> {
    vec![
        Method {
            name: c"create_future",
            function: fastcall!(LoopBase, "create_future", 0, create_future),
            doc: c"create_future($self)\n--\n\nReturn an asyncio.Future that belongs to the loop.",
        },
        Method {
            name: c"create_task",
            function: fastcall!(LoopBase, "create_task", 0.., create_task),
            doc: c"create_task($self, coro, **kwargs)\n--\n\n\
                Run a coroutine as an asyncio.Task and return it.\n\n\
                kwargs are those of the running CPython's asyncio.loop.create_task: name, context, and\n\
                whatever it passes on to the task factory. Raises RuntimeError when the loop is closed,\n\
                TypeError when coro is no coroutine. Not thread-safe.",
        },
        Method {
            name: c"get_debug",
            function: fastcall!(LoopBase, "get_debug", 0, get_debug),
            doc: c"get_debug($self)\n--\n\nReturn whether debug mode is on.",
        },
    ]
}

/// asyncio's modules and functions, found once.
struct Asyncio {
    futures: Py<PyModule>,
    tasks: Py<PyModule>,
    /// `BaseEventLoop.create_task`
    create_task: Py<PyAny>,
    /// The keywords of a task, by which of `name` and `context` it is given.
    keywords: [Py<PyTuple>; 4],
}

impl Asyncio {
    fn get(py: Python<'_>) -> PyResult<&'static Self> {
        static ASYNCIO: PyOnceLock<Asyncio> = PyOnceLock::new();
        ASYNCIO.get_or_try_init(py, || {
            let names = |names: &[&str]| {
                let names = names.iter().map(|name| PyString::intern(py, name));
                PyTuple::new(py, names.collect::<Vec<_>>()).map(Bound::unbind)
            };
            let base = py.import("asyncio.base_events")?.getattr("BaseEventLoop")?;
            Ok(Self {
                futures: py.import("asyncio.futures")?.unbind(),
                tasks: py.import("asyncio.tasks")?.unbind(),
                create_task: base.getattr("create_task")?.unbind(),
                keywords: [
                    names(&["loop"])?,
                    names(&["loop", "name"])?,
                    names(&["loop", "context"])?,
                    names(&["loop", "name", "context"])?,
                ],
            })
        })
    }
}

fn create_future(slf: &Bound<'_, PyAny>, _: &LoopBase, _: Args<'_, '_>) -> PyResult<Py<PyAny>> {
    let py = slf.py();
    let asyncio = Asyncio::get(py)?;
    // The class is looked up with each call, because programs and debuggers replace it.
    let class = asyncio.futures.bind(py).getattr(intern!(py, "Future"))?;
    let [names, ..] = &asyncio.keywords;
    call_with_keywords(&class, [slf.as_borrowed()], names.bind(py)).map(Bound::unbind)
}

fn create_task(slf: &Bound<'_, PyAny>, this: &LoopBase, args: Args<'_, '_>) -> PyResult<Py<PyAny>> {
    let py = slf.py();
    let asyncio = Asyncio::get(py)?;
    let by_asyncio = || args.forward(asyncio.create_task.bind(py), slf);
    if this.debug.get() || this.has_task_factory(py) {
        return by_asyncio().map(Bound::unbind);
    }
    let Some(usual) = UsualCall::of(py, args) else {
        return by_asyncio().map(Bound::unbind);
    };
    this.check_closed()?;
    let class = asyncio.tasks.bind(py).getattr(intern!(py, "Task"))?;
    let (coro, loop_) = (usual.coro, slf.as_borrowed());
    let [plain, named, contextual, both] = &asyncio.keywords;
    match (usual.name, usual.context) {
        (None, None) => call_with_keywords(&class, [coro, loop_], plain.bind(py)),
        (Some(name), None) => call_with_keywords(&class, [coro, loop_, name], named.bind(py)),
        (None, Some(context)) => {
            call_with_keywords(&class, [coro, loop_, context], contextual.bind(py))
        }
        (Some(name), Some(context)) => {
            call_with_keywords(&class, [coro, loop_, name, context], both.bind(py))
        }
    }
    .map(Bound::unbind)
}

fn get_debug(_: &Bound<'_, PyAny>, this: &LoopBase, _: Args<'_, '_>) -> PyResult<bool> {
    Ok(this.debug.get())
}

/// A call with the arguments that every CPython's `create_task` takes; `None` counts as absent.
struct UsualCall<'a, 'py> {
    coro: Borrowed<'a, 'py, PyAny>,
    name: Option<Borrowed<'a, 'py, PyAny>>,
    context: Option<Borrowed<'a, 'py, PyAny>>,
}

impl<'a, 'py> UsualCall<'a, 'py> {
    fn of(py: Python<'py>, args: Args<'a, 'py>) -> Option<Self> {
        let mut call = Self {
            coro: args.get(0)?,
            name: None,
            context: None,
        };
        if args.len() != 1 {
            return None;
        }
        for (keyword, value) in args.keywords() {
            let field = if keyword.is(intern!(py, "name")) {
                &mut call.name
            } else if keyword.is(intern!(py, "context")) {
                &mut call.context
            } else {
                return None;
            };
            *field = (!value.is_none()).then_some(value);
        }
        Some(call)
    }
}

impl LoopBase {
    pub(crate) fn has_task_factory(&self, py: Python<'_>) -> bool {
        self.task_factory.with(py, |factory| factory.is_some())
    }
}

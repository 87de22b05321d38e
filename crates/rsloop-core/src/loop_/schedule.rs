//! `call_soon` and `call_soon_threadsafe`, and the hooks by which inherited code queues a handle.

use pyo3::intern;
use pyo3::prelude::*;

use super::entry::Ready;
use super::state::LoopBase;
use crate::py::fastcall::{Args, Method, fastcall};
use crate::py::handle::{Call, Handle};

pub(super) fn methods() -> Vec<Method> {
    vec![
        Method {
            name: c"call_soon",
            function: fastcall!(LoopBase, "call_soon", 1.., call_soon),
            doc: c"call_soon($self, callback, /, *args, context=None)\n--\n\n\
                Run callback(*args) in the next tick, after everything queued before.\n\n\
                context is the contextvars.Context to run in, by default a copy of the current one. Returns\n\
                the Handle that cancels it. Raises RuntimeError when the loop is closed and, in debug mode,\n\
                TypeError when callback cannot be called, which otherwise shows when it runs. Not\n\
                thread-safe. Follows asyncio.loop.call_soon.",
        },
        Method {
            name: c"call_soon_threadsafe",
            function: fastcall!(LoopBase, "call_soon_threadsafe", 1.., call_soon_threadsafe),
            doc: c"call_soon_threadsafe($self, callback, /, *args, context=None)\n--\n\n\
                Run callback(*args) in the loop's thread, and wake the loop for it.\n\n\
                As call_soon, from any thread. Follows asyncio.loop.call_soon_threadsafe.",
        },
        Method {
            name: c"_add_callback",
            function: fastcall!(LoopBase, "_add_callback", 1.., add_callback),
            doc: c"_add_callback($self, handle)\n--\n\nQueue an asyncio.Handle, unless cancelled.",
        },
        Method {
            name: c"_add_callback_signalsafe",
            function: fastcall!(LoopBase, "_add_callback_signalsafe", 1.., add_callback_signalsafe),
            doc: c"_add_callback_signalsafe($self, handle)\n--\n\n\
                Queue an asyncio.Handle, and wake the loop for it.",
        },
        Method {
            name: c"_write_to_self",
            function: fastcall!(LoopBase, "_write_to_self", 0.., write_to_self),
            doc: c"_write_to_self($self)\n--\n\nWake the loop if it waits. Thread-safe.",
        },
    ]
}

fn call_soon(slf: &Bound<'_, PyAny>, this: &LoopBase, args: Args<'_, '_>) -> PyResult<Py<PyAny>> {
    this.queue_call(slf, args, "call_soon")
}

fn call_soon_threadsafe(
    slf: &Bound<'_, PyAny>,
    this: &LoopBase,
    args: Args<'_, '_>,
) -> PyResult<Py<PyAny>> {
    let handle = this.queue_call(slf, args, "call_soon_threadsafe")?;
    this.shared.ring_if_asleep();
    Ok(handle)
}

fn add_callback(slf: &Bound<'_, PyAny>, this: &LoopBase, args: Args<'_, '_>) -> PyResult<()> {
    let handle = args.leading(0);
    let cancelled = handle.getattr(intern!(slf.py(), "_cancelled"))?;
    if !cancelled.is_truthy()? {
        this.queue(handle);
    }
    Ok(())
}

fn add_callback_signalsafe(
    slf: &Bound<'_, PyAny>,
    this: &LoopBase,
    args: Args<'_, '_>,
) -> PyResult<()> {
    add_callback(slf, this, args)?;
    this.shared.ring_if_asleep();
    Ok(())
}

fn write_to_self(_: &Bound<'_, PyAny>, this: &LoopBase, _: Args<'_, '_>) -> PyResult<()> {
    this.shared.ring_if_asleep();
    Ok(())
}

impl LoopBase {
    /// The body of both methods. With a GIL, holding it is all that another thread needs, so both
    /// share one queue and their callbacks run in the order of the calls, as asyncio's do.
    #[inline]
    fn queue_call(
        &self,
        slf: &Bound<'_, PyAny>,
        args: Args<'_, '_>,
        method: &str,
    ) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let context = args.context(method)?;
        self.check_closed()?;
        // From 3.14 on, handles of this method lock: another thread may cancel them.
        let locking = cfg!(Py_3_14) && method == "call_soon_threadsafe";
        if locking || self.debug.get() {
            let debug = slf.getattr(intern!(py, "_call_soon_by_asyncio"))?;
            return args
                .forward(&debug, &method.into_pyobject(py)?.into_any())
                .map(Bound::unbind);
        }
        let call = Call {
            callback: args.leading(0).as_ptr(),
            arguments: args.tail(1),
        };
        let handle = Handle::new(py, &call, context)?;
        if !self.ticking.get() {
            handle.track(py);
        }
        self.ready
            .with(py, |ready| ready.push(Ready::Handle(handle.clone_ref(py))));
        Ok(handle.into_object())
    }

    /// Queues a handle, ours or asyncio's.
    pub(super) fn queue(&self, handle: Borrowed<'_, '_, PyAny>) {
        let py = handle.py();
        let entry = match Handle::of(&handle) {
            Some(handle) => Ready::Handle(handle),
            None => Ready::Foreign(handle.to_owned().unbind()),
        };
        self.ready.with(py, |ready| ready.push(entry));
    }
}

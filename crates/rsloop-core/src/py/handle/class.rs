//! The classes `Handle` and `TimerHandle`: what Python sees of them.

use std::ffi::{CStr, c_int, c_void};
use std::ptr;

use pyo3::exceptions::PyRuntimeError;
use pyo3::types::{
    PyAnyMethods, PyBool, PyFloat, PyModule, PyModuleMethods, PyType, PyTypeMethods,
};
use pyo3::{Borrowed, Bound, Py, PyAny, PyResult, Python, ffi, intern};

use super::borrowed::HandleRef;
use super::death::bury;
use super::fields::{empty, release_all, take, traverse_call};
use super::memory::{
    FREE_HANDLES, FREE_TIMERS, HandleClasses, HandleObject, INHERITED_SLOTS, TimerObject,
};
use crate::py::guard::guarded;

/// Makes the classes and adds them to `module`.
pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let (handle, timer) = (handle_slots(), timer_slots());
    let handle = new_class(
        module,
        "Handle",
        HANDLE_NAME,
        size_of::<HandleObject>(),
        handle,
    )?;
    let timer = new_class(
        module,
        "TimerHandle",
        TIMER_NAME,
        size_of::<TimerObject>(),
        timer,
    )?;
    HandleClasses::set(module.py(), handle, timer);
    Ok(())
}

const HANDLE_NAME: &CStr = c"rsloop_core._core.Handle";
const TIMER_NAME: &CStr = c"rsloop_core._core.TimerHandle";

/// Makes a class over asyncio's class `base`, and adds it to `module`.
fn new_class(
    module: &Bound<'_, PyModule>,
    base: &str,
    name: &'static CStr,
    size: usize,
    mut slots: Vec<ffi::PyType_Slot>,
) -> PyResult<Py<PyType>> {
    let py = module.py();
    let base = py
        .import("asyncio.events")?
        .getattr(base)?
        .cast_into::<PyType>()?;
    let room = size_of::<ffi::PyObject>() + INHERITED_SLOTS * size_of::<*mut ffi::PyObject>();
    if base.getattr("__basicsize__")?.extract::<usize>()? > room {
        return Err(PyRuntimeError::new_err(format!(
            "{base} has more slots than rsloop knows of: it needs a newer rsloop"
        )));
    }
    let mut spec = ffi::PyType_Spec {
        name: name.as_ptr(),
        basicsize: size as c_int,
        itemsize: 0,
        flags: (ffi::Py_TPFLAGS_DEFAULT
            | ffi::Py_TPFLAGS_HAVE_GC
            | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION) as u32,
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: attached; the slots end with a zero and their tables are leaked. The base's fields
    // lie before ours, as was checked.
    let class = unsafe {
        let class = ffi::PyType_FromSpecWithBases(&raw mut spec, base.as_ptr());
        Bound::from_owned_ptr_or_err(py, class)?.cast_into_unchecked::<PyType>()
    };
    module.add(class.name()?, &class)?;
    Ok(class.unbind())
}

fn handle_slots() -> Vec<ffi::PyType_Slot> {
    let doc = c"A callback that the loop will run: an asyncio.Handle.";
    slots(
        dealloc_handle,
        traverse_handle,
        clear_handle,
        doc,
        getters(get_nothing),
    )
}

fn timer_slots() -> Vec<ffi::PyType_Slot> {
    let doc = c"A callback that the loop will run at its time: an asyncio.TimerHandle.";
    let mut getters = getters(get_loop);
    getters.push(getter(c"_when", get_when));
    getters.push(getter(c"_scheduled", get_scheduled));
    slots(dealloc_timer, traverse_timer, clear_timer, doc, getters)
}

/// The names under which asyncio's handles keep what ours keep in their fields. What is not
/// overridden (comparisons, `when()`, `cancelled()`, `get_context()`) is asyncio's, and reads these.
fn getters(get_loop: ffi::getter) -> Vec<ffi::PyGetSetDef> {
    vec![
        getter(c"_callback", get_callback),
        getter(c"_args", get_arguments),
        getter(c"_context", get_context),
        getter(c"_cancelled", get_cancelled),
        getter(c"_loop", get_loop),
        getter(c"_repr", get_nothing),
        getter(c"_source_traceback", get_nothing),
    ]
}

fn slots(
    dealloc: ffi::destructor,
    traverse: ffi::traverseproc,
    clear: ffi::inquiry,
    doc: &'static CStr,
    getters: Vec<ffi::PyGetSetDef>,
) -> Vec<ffi::PyType_Slot> {
    let cancel = ffi::PyMethodDef {
        ml_name: c"cancel".as_ptr(),
        ml_meth: ffi::PyMethodDefPointer {
            PyCFunction: cancel,
        },
        ml_flags: ffi::METH_NOARGS,
        ml_doc: c"cancel($self)\n--\n\nCancel the callback: it does not run (again). Idempotent."
            .as_ptr(),
    };
    // SAFETY: rows of NULL pointers are how these tables end.
    let (no_method, no_getter) = unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    vec![
        slot(ffi::Py_tp_dealloc, dealloc as *mut c_void),
        slot(ffi::Py_tp_traverse, traverse as *mut c_void),
        slot(ffi::Py_tp_clear, clear as *mut c_void),
        slot(ffi::Py_tp_repr, repr as *mut c_void),
        slot(ffi::Py_tp_methods, leak(vec![cancel], no_method)),
        slot(ffi::Py_tp_getset, leak(getters, no_getter)),
        slot(ffi::Py_tp_doc, doc.as_ptr() as *mut c_void),
        slot(0, ptr::null_mut()),
    ]
}

fn slot(slot: c_int, function: *mut c_void) -> ffi::PyType_Slot {
    ffi::PyType_Slot {
        slot,
        pfunc: function,
    }
}

fn leak<T>(mut rows: Vec<T>, end: T) -> *mut c_void {
    rows.push(end);
    Box::leak(rows.into_boxed_slice()).as_mut_ptr().cast()
}

fn getter(name: &'static CStr, get: ffi::getter) -> ffi::PyGetSetDef {
    ffi::PyGetSetDef {
        name: name.as_ptr(),
        get: Some(get),
        set: None,
        doc: ptr::null(),
        closure: ptr::null_mut(),
    }
}

/// Runs a slot's body; the interpreter holds the object, and is attached. Nothing unwinds out.
fn body(
    object: Object,
    run: impl for<'a, 'py> FnOnce(HandleRef<'a, 'py>, Python<'py>) -> PyResult<Object>,
) -> Object {
    // SAFETY: the interpreter calls slots attached, with a live instance of the slot's class.
    let (py, handle) = unsafe {
        let py = Python::assume_attached();
        (py, HandleRef::new(Borrowed::from_ptr(py, object)))
    };
    guarded(py, || run(handle, py))
}

type Object = *mut ffi::PyObject;

fn object_of(py: Python<'_>, value: bool) -> Object {
    PyBool::new(py, value).to_owned().into_ptr()
}

fn object_or_none(py: Python<'_>, value: Option<Bound<'_, PyAny>>) -> Object {
    value.map_or_else(|| py.None().into_ptr(), Bound::into_ptr)
}

unsafe extern "C" fn cancel(slf: Object, _: Object) -> Object {
    body(slf, |handle, py| {
        if let Some(loop_) = handle.cancel() {
            // The hook by which asyncio's own timer handles tell their loop.
            loop_.call_method1(intern!(py, "_timer_handle_cancelled"), (handle.as_any(),))?;
        }
        Ok(py.None().into_ptr())
    })
}

unsafe extern "C" fn get_callback(slf: Object, _: *mut c_void) -> Object {
    body(slf, |handle, py| Ok(object_or_none(py, handle.callback())))
}

unsafe extern "C" fn get_arguments(slf: Object, _: *mut c_void) -> Object {
    body(slf, |handle, py| {
        Ok(object_or_none(py, handle.arguments()?.map(Bound::into_any)))
    })
}

unsafe extern "C" fn get_context(slf: Object, _: *mut c_void) -> Object {
    body(slf, |handle, py| Ok(object_or_none(py, handle.context())))
}

unsafe extern "C" fn get_cancelled(slf: Object, _: *mut c_void) -> Object {
    body(slf, |handle, py| Ok(object_of(py, handle.is_cancelled())))
}

unsafe extern "C" fn get_nothing(slf: Object, _: *mut c_void) -> Object {
    body(slf, |_, py| Ok(py.None().into_ptr()))
}

unsafe extern "C" fn get_loop(slf: Object, _: *mut c_void) -> Object {
    // The method belongs to `TimerHandle`, whose loop this is while it waits.
    body(slf, |handle, py| Ok(object_or_none(py, handle.loop_())))
}

unsafe extern "C" fn get_when(slf: Object, _: *mut c_void) -> Object {
    body(slf, |handle, py| {
        // SAFETY: the method belongs to `TimerHandle`.
        Ok(PyFloat::new(py, unsafe { handle.when() })
            .into_any()
            .into_ptr())
    })
}

unsafe extern "C" fn repr(slf: Object) -> Object {
    body(slf, |handle, _| {
        describe(&handle.as_any()).map(Bound::into_ptr)
    })
}

/// The text is asyncio's, so Python code that calls asyncio's formatters makes it.
fn describe<'py>(handle: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    handle
        .py()
        .import("rsloop_core._handles")?
        .call_method1("describe", (handle,))
}

unsafe extern "C" fn get_scheduled(slf: Object, _: *mut c_void) -> Object {
    body(slf, |handle, py| Ok(object_of(py, handle.is_scheduled())))
}

unsafe extern "C" fn traverse_handle(
    slf: Object,
    visit: ffi::visitproc,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: the collector calls this with a live handle; a heap type's instances own a
    // reference to their class.
    unsafe {
        let status = visit(ffi::Py_TYPE(slf).cast(), argument);
        if status != 0 {
            status
        } else {
            traverse_call(slf.cast(), visit, argument)
        }
    }
}

unsafe extern "C" fn traverse_timer(
    slf: Object,
    visit: ffi::visitproc,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: as in `traverse_handle`.
    unsafe {
        let loop_ = (*slf.cast::<TimerObject>()).loop_;
        let status = if loop_.is_null() {
            0
        } else {
            visit(loop_, argument)
        };
        if status != 0 {
            status
        } else {
            traverse_handle(slf, visit, argument)
        }
    }
}

unsafe extern "C" fn clear_handle(slf: Object) -> c_int {
    // SAFETY: the collector calls this, attached, with garbage: nothing runs it any more, and no
    // other thread can reach it.
    unsafe { empty(slf.cast()) };
    0
}

unsafe extern "C" fn clear_timer(slf: Object) -> c_int {
    // SAFETY: as in `clear_handle`. The loop is not told: it is garbage as well, or the timer
    // would not be.
    unsafe {
        release_all([take(&raw mut (*slf.cast::<TimerObject>()).loop_)]);
        clear_handle(slf)
    }
}

unsafe extern "C" fn dealloc_handle(slf: Object) {
    // SAFETY: the last reference is gone, and the interpreter is attached.
    unsafe {
        ffi::PyObject_GC_UnTrack(slf.cast());
        bury(slf, &FREE_HANDLES);
    }
}

unsafe extern "C" fn dealloc_timer(slf: Object) {
    // SAFETY: as in `dealloc_handle`.
    unsafe {
        ffi::PyObject_GC_UnTrack(slf.cast());
        bury(slf, &FREE_TIMERS);
    }
}

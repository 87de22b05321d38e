//! The classes `Handle` and `TimerHandle`: their slots, methods and recycled memory.

use std::ffi::{c_int, c_void};
use std::ptr;

use pyo3::exceptions::PyRuntimeError;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyAnyMethods, PyFloat, PyModule, PyModuleMethods, PyType};
use pyo3::{Borrowed, Bound, IntoPyObject, Py, PyAny, PyResult, Python, ffi, intern};

use super::gil_cell::GilCell;
use super::handle::{
    HandleObject, HandleRef, TimerObject, clear_call, out_of_memory, release, traverse_call,
};

static TYPES: PyOnceLock<HandleTypes> = PyOnceLock::new();

/// The two classes of one interpreter.
pub(crate) struct HandleTypes {
    pub(super) handle: HandleClass,
    pub(super) timer: HandleClass,
}

/// A class and the memory of its dead instances.
pub(crate) struct HandleClass {
    class: Py<PyType>,
    free: &'static FreeList,
}

/// Dead instances of one class, ready to be born again.
struct FreeList(GilCell<Vec<usize>>);

/// More dead handles than this are given back to the allocator.
const MOST_FREE: usize = 1024;

static FREE_HANDLES: FreeList = FreeList(GilCell::new(Vec::new()));
static FREE_TIMERS: FreeList = FreeList(GilCell::new(Vec::new()));

impl FreeList {
    #[inline]
    fn take(&self, py: Python<'_>) -> *mut ffi::PyObject {
        self.0
            .with(py, |free| free.pop().unwrap_or(0) as *mut ffi::PyObject)
    }

    #[inline]
    fn keep(&self, py: Python<'_>, object: *mut ffi::PyObject) -> bool {
        // Without a GIL an object's memory belongs to the heap of the thread that made it.
        !cfg!(Py_GIL_DISABLED)
            && self.0.with(py, |free| {
                let room = free.len() < MOST_FREE;
                if room {
                    free.push(object as usize);
                }
                room
            })
    }
}

impl HandleClass {
    /// Memory for an instance, with a live header and nothing else written.
    #[inline]
    pub(super) fn allocate(&self, py: Python<'_>) -> PyResult<*mut ffi::PyObject> {
        let class = self.class.as_ptr().cast::<ffi::PyTypeObject>();
        // SAFETY: attached. Recycled memory came from the same class and is untracked, and
        // `PyObject_Init` gives it a reference count and a reference to its class again.
        unsafe {
            let recycled = self.free.take(py);
            if !recycled.is_null() {
                return Ok(ffi::PyObject_Init(recycled, class));
            }
            let object: *mut ffi::PyObject = ffi::PyObject_GC_New(class);
            if object.is_null() {
                Err(out_of_memory())
            } else {
                Ok(object)
            }
        }
    }

    /// Whether `object` is an instance of exactly this class.
    #[inline]
    fn is_class_of(&self, object: &Bound<'_, PyAny>) -> bool {
        // SAFETY: reading the type of a live object.
        unsafe { ffi::Py_TYPE(object.as_ptr()).cast() == self.class.as_ptr() }
    }
}

impl HandleTypes {
    /// The classes of this process.
    #[inline]
    pub(crate) fn get(py: Python<'_>) -> &'static Self {
        TYPES
            .get(py)
            .expect("the module made the classes when it was imported")
    }

    /// Makes the classes and adds them to `module`.
    pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let types = Self::new(module)?;
        let _ = TYPES.set(module.py(), types); // a second import finds the first one's classes
        Ok(())
    }

    fn new(module: &Bound<'_, PyModule>) -> PyResult<Self> {
        let py = module.py();
        let handle = new_class(
            py,
            &mut handle_slots(),
            c"rsloop_core._core.Handle",
            0,
            None,
        )?;
        let timer = new_class(
            py,
            &mut timer_slots(),
            c"rsloop_core._core.TimerHandle",
            size_of::<TimerObject>(),
            Some(&handle),
        )?;
        module.add("Handle", &handle)?;
        module.add("TimerHandle", &timer)?;
        Ok(Self {
            handle: HandleClass {
                class: handle.unbind(),
                free: &FREE_HANDLES,
            },
            timer: HandleClass {
                class: timer.unbind(),
                free: &FREE_TIMERS,
            },
        })
    }

    /// Looks into `object` when it is a handle of ours.
    #[inline]
    pub(crate) fn cast<'a, 'py>(
        &self,
        object: Borrowed<'a, 'py, PyAny>,
    ) -> Option<HandleRef<'a, 'py>> {
        let ours = self.handle.is_class_of(&object) || self.timer.is_class_of(&object);
        // SAFETY: the classes cannot be subclassed, so the layout is ours.
        ours.then(|| unsafe { HandleRef::new(object) })
    }
}

fn new_class<'py>(
    py: Python<'py>,
    slots: &mut [ffi::PyType_Slot],
    name: &'static std::ffi::CStr,
    size: usize,
    base: Option<&Bound<'py, PyType>>,
) -> PyResult<Bound<'py, PyType>> {
    let size = if size == 0 {
        size_of::<HandleObject>()
    } else {
        size
    };
    let base_flag = if base.is_none() {
        ffi::Py_TPFLAGS_BASETYPE
    } else {
        0
    };
    let mut spec = ffi::PyType_Spec {
        name: name.as_ptr(),
        basicsize: size as c_int,
        itemsize: 0,
        flags: (ffi::Py_TPFLAGS_DEFAULT
            | ffi::Py_TPFLAGS_HAVE_GC
            | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION
            | base_flag) as u32,
        slots: slots.as_mut_ptr(),
    };
    let bases = base.map_or(ptr::null_mut(), |base| base.as_ptr());
    // SAFETY: attached; the slots end with a zero and their tables are leaked.
    unsafe {
        let class = ffi::PyType_FromSpecWithBases(&raw mut spec, bases);
        Ok(Bound::from_owned_ptr_or_err(py, class)?.cast_into_unchecked())
    }
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

fn method(
    name: &'static std::ffi::CStr,
    function: ffi::PyCFunction,
    doc: &'static std::ffi::CStr,
) -> ffi::PyMethodDef {
    ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer {
            PyCFunction: function,
        },
        ml_flags: ffi::METH_NOARGS,
        ml_doc: doc.as_ptr(),
    }
}

fn getter(name: &'static std::ffi::CStr, get: ffi::getter) -> ffi::PyGetSetDef {
    ffi::PyGetSetDef {
        name: name.as_ptr(),
        get: Some(get),
        set: None,
        doc: ptr::null(),
        closure: ptr::null_mut(),
    }
}

fn handle_slots() -> Vec<ffi::PyType_Slot> {
    let methods = vec![
        method(
            c"cancel",
            cancel,
            c"cancel($self)\n--\n\nCancel the callback: it does not run (again). Idempotent.",
        ),
        method(
            c"cancelled",
            cancelled,
            c"cancelled($self)\n--\n\nReturn whether the callback was cancelled.",
        ),
        method(
            c"get_context",
            get_context,
            c"get_context($self)\n--\n\nReturn the contextvars.Context that the callback runs in.",
        ),
    ];
    let getters = vec![
        getter(c"_callback", get_callback),
        getter(c"_args", get_arguments),
        getter(c"_context", get_context_attribute),
        getter(c"_cancelled", get_cancelled),
        getter(c"_source_traceback", get_nothing),
    ];
    let members = vec![ffi::PyMemberDef {
        name: c"__weaklistoffset__".as_ptr(),
        type_code: ffi::Py_T_PYSSIZET,
        offset: std::mem::offset_of!(HandleObject, weak_references) as ffi::Py_ssize_t,
        flags: ffi::Py_READONLY,
        doc: ptr::null(),
    }];
    // SAFETY: rows of NULL pointers are how these tables end.
    let (no_method, no_getter, no_member) =
        unsafe { (std::mem::zeroed(), std::mem::zeroed(), std::mem::zeroed()) };
    vec![
        slot(ffi::Py_tp_dealloc, dealloc_handle as *mut c_void),
        slot(ffi::Py_tp_traverse, traverse_handle as *mut c_void),
        slot(ffi::Py_tp_clear, clear_handle as *mut c_void),
        slot(ffi::Py_tp_repr, repr as *mut c_void),
        slot(ffi::Py_tp_methods, leak(methods, no_method)),
        slot(ffi::Py_tp_getset, leak(getters, no_getter)),
        slot(ffi::Py_tp_members, leak(members, no_member)),
        slot(
            ffi::Py_tp_doc,
            c"A callback that the loop will run, as asyncio.Handle.".as_ptr() as *mut c_void,
        ),
        slot(0, ptr::null_mut()),
    ]
}

fn timer_slots() -> Vec<ffi::PyType_Slot> {
    let methods = vec![method(
        c"when",
        when,
        c"when($self)\n--\n\nReturn the due time, in seconds on the loop's clock (loop.time()).",
    )];
    let getters = vec![getter(c"_when", get_when)];
    // SAFETY: as in `handle_slots`.
    let (no_method, no_getter) = unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    vec![
        slot(ffi::Py_tp_dealloc, dealloc_timer as *mut c_void),
        slot(ffi::Py_tp_traverse, traverse_timer as *mut c_void),
        slot(ffi::Py_tp_clear, clear_timer as *mut c_void),
        slot(ffi::Py_tp_hash, hash_timer as *mut c_void),
        slot(ffi::Py_tp_richcompare, compare_timers as *mut c_void),
        slot(ffi::Py_tp_methods, leak(methods, no_method)),
        slot(ffi::Py_tp_getset, leak(getters, no_getter)),
        slot(
            ffi::Py_tp_doc,
            c"A callback that the loop will run at its time, as asyncio.TimerHandle.".as_ptr()
                as *mut c_void,
        ),
        slot(0, ptr::null_mut()),
    ]
}

/// Runs a slot's body; the interpreter holds the object, and is attached.
fn body<R>(
    object: *mut ffi::PyObject,
    failed: R,
    run: impl for<'a, 'py> FnOnce(HandleRef<'a, 'py>, Python<'py>) -> PyResult<R>,
) -> R {
    // SAFETY: the interpreter calls slots attached, with a live instance of the slot's class.
    let (py, handle) = unsafe {
        let py = Python::assume_attached();
        (py, HandleRef::new(Borrowed::from_ptr(py, object)))
    };
    run(handle, py).unwrap_or_else(|error| {
        error.restore(py);
        failed
    })
}

type Object = *mut ffi::PyObject;

fn object_or_none(py: Python<'_>, value: Option<Bound<'_, PyAny>>) -> Object {
    value.map_or_else(|| py.None().into_ptr(), Bound::into_ptr)
}

unsafe extern "C" fn cancel(slf: Object, _: Object) -> Object {
    body(slf, ptr::null_mut(), |handle, py| {
        if let Some(loop_) = handle.cancel() {
            // The hook by which asyncio's own timer handles tell their loop.
            loop_.call_method1(intern!(py, "_timer_handle_cancelled"), (handle.as_any(),))?;
        }
        Ok(py.None().into_ptr())
    })
}

unsafe extern "C" fn cancelled(slf: Object, _: Object) -> Object {
    // SAFETY: the interpreter calls getters as it calls methods.
    unsafe { get_cancelled(slf, ptr::null_mut()) }
}

unsafe extern "C" fn get_context(slf: Object, _: Object) -> Object {
    // SAFETY: as in `cancelled`.
    unsafe { get_context_attribute(slf, ptr::null_mut()) }
}

unsafe extern "C" fn get_callback(slf: Object, _: *mut c_void) -> Object {
    body(slf, ptr::null_mut(), |handle, py| {
        Ok(object_or_none(py, handle.callback()))
    })
}

unsafe extern "C" fn get_arguments(slf: Object, _: *mut c_void) -> Object {
    body(slf, ptr::null_mut(), |handle, py| {
        Ok(object_or_none(py, handle.arguments()?.map(Bound::into_any)))
    })
}

unsafe extern "C" fn get_context_attribute(slf: Object, _: *mut c_void) -> Object {
    body(slf, ptr::null_mut(), |handle, py| {
        Ok(object_or_none(py, handle.context()))
    })
}

unsafe extern "C" fn get_cancelled(slf: Object, _: *mut c_void) -> Object {
    body(slf, ptr::null_mut(), |handle, py| {
        Ok(handle
            .is_cancelled()
            .into_pyobject(py)?
            .to_owned()
            .into_any()
            .into_ptr())
    })
}

unsafe extern "C" fn get_nothing(slf: Object, _: *mut c_void) -> Object {
    body(slf, ptr::null_mut(), |_, py| Ok(py.None().into_ptr()))
}

unsafe extern "C" fn when(slf: Object, _: Object) -> Object {
    // SAFETY: as in `cancelled`.
    unsafe { get_when(slf, ptr::null_mut()) }
}

unsafe extern "C" fn get_when(slf: Object, _: *mut c_void) -> Object {
    body(slf, ptr::null_mut(), |handle, py| {
        // SAFETY: the method belongs to `TimerHandle`.
        Ok(PyFloat::new(py, unsafe { handle.when() })
            .into_any()
            .into_ptr())
    })
}

unsafe extern "C" fn repr(slf: Object) -> Object {
    body(slf, ptr::null_mut(), |handle, _| {
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

unsafe extern "C" fn hash_timer(slf: Object) -> ffi::Py_hash_t {
    body(slf, -1, |handle, py| {
        // SAFETY: the slot belongs to `TimerHandle`.
        PyFloat::new(py, unsafe { handle.when() }).hash()
    })
}

unsafe extern "C" fn compare_timers(left: Object, right: Object, operator: c_int) -> Object {
    body(left, ptr::null_mut(), |timer, py| {
        // SAFETY: the interpreter passes live objects.
        let other = unsafe { Borrowed::<PyAny>::from_ptr(py, right) };
        // SAFETY: reading types; two instances of one class that cannot be subclassed.
        if unsafe { ffi::Py_TYPE(left) != ffi::Py_TYPE(right) } {
            return Ok(py.NotImplemented().into_ptr());
        }
        // SAFETY: both are `TimerHandle`s.
        let (other, when, other_when) = unsafe {
            let other = HandleRef::new(other);
            (other, timer.when(), other.when())
        };
        let equal = || -> PyResult<bool> {
            Ok(when == other_when
                && timer.is_cancelled() == other.is_cancelled()
                && same(timer.callback(), other.callback())?
                && same(timer.arguments()?, other.arguments()?)?)
        };
        let answer = match operator {
            ffi::Py_EQ => equal()?,
            ffi::Py_NE => !equal()?,
            ffi::Py_LT => when < other_when,
            ffi::Py_LE => when < other_when || equal()?,
            ffi::Py_GT => when > other_when,
            ffi::Py_GE => when > other_when || equal()?,
            _ => return Err(PyRuntimeError::new_err("an unknown comparison")),
        };
        Ok(answer.into_pyobject(py)?.to_owned().into_any().into_ptr())
    })
}

fn same<T>(left: Option<Bound<'_, T>>, right: Option<Bound<'_, T>>) -> PyResult<bool> {
    match (left, right) {
        (Some(left), Some(right)) => left.as_any().eq(right.as_any()),
        (None, None) => Ok(true),
        _ => Ok(false),
    }
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
    // SAFETY: the collector calls this, attached, with garbage: nothing runs it any more.
    unsafe {
        clear_call(slf.cast());
        release(&raw mut (*slf.cast::<HandleObject>()).context);
    }
    0
}

unsafe extern "C" fn clear_timer(slf: Object) -> c_int {
    // SAFETY: as in `clear_handle`. The loop is not told: it is garbage as well, or the timer
    // would not be.
    unsafe {
        release(&raw mut (*slf.cast::<TimerObject>()).loop_);
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
        release(&raw mut (*slf.cast::<TimerObject>()).loop_);
        bury(slf, &FREE_TIMERS);
    }
}

/// Releases everything a dead handle holds, then recycles or frees its memory.
///
/// # Safety
/// `slf` is a dead, untracked handle of the class that `free` belongs to.
unsafe fn bury(slf: Object, free: &FreeList) {
    // SAFETY: the caller's promise. The class is released last, after its instance.
    unsafe {
        if !(*slf.cast::<HandleObject>()).weak_references.is_null() {
            ffi::PyObject_ClearWeakRefs(slf);
        }
        clear_handle(slf);
        let class = ffi::Py_TYPE(slf);
        if !free.keep(Python::assume_attached(), slf) {
            ffi::PyObject_GC_Del(slf.cast());
        }
        ffi::Py_DECREF(class.cast());
    }
}

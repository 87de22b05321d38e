//! `Handle` and `TimerHandle`: the objects that the loop queues, laid out by hand.
//!
//! A loop makes a handle for every callback, so what a handle costs is what the loop costs:
//! - freed handles wait in a list for the next one;
//! - up to two arguments lie in the handle, so that no tuple is made for them;
//! - a handle in the ready queue of a loop that runs is not tracked by the garbage collector:
//!   what runs is no garbage. It starts to be tracked when somebody has kept it and it leaves the
//!   queue, or when the run ends before that; so `self.handle = loop.call_soon(self.method)`
//!   becomes a cycle that can be collected. Where there is no GIL, tracking costs nothing, and
//!   every handle is tracked.
//!
//! Another thread may look at a handle or cancel it at any time. Without a GIL the flags decide
//! who releases the references (see [`Flags`]), and whoever reads or empties a field holds the
//! handle's critical section, save the loop's thread while `RUNNING` keeps the fields in place.
//!
//! | state | allowed with | meaning |
//! | --- | --- | --- |
//! | `CANCELLED` | all | never runs (again); callback and arguments are gone unless `RUNNING` |
//! | `RUNNING` | all | the callback is on the stack, so its references stay until it returns |
//! | `SCHEDULED` | timers | in the loop's timer heap |
//! | `PACKED` | all | `arguments[0]` is the tuple of all arguments |
//!
//! | file | what it holds |
//! | --- | --- |
//! | here | making handles |
//! | `borrowed` | what the loop and the methods do with one: run, cancel, look |
//! | `class` | what Python sees of the classes |
//! | `death` | how handles die without overflowing the stack |
//! | `memory`, `fields` | their layout and the free lists; the references inside |
//! | `flags` | the states of the table above |
//! | `replaced` | whether a program watches callbacks run |

mod borrowed;
pub(crate) mod class;
mod death;
mod fields;
mod flags;
mod memory;
pub(crate) mod replaced;

use pyo3::types::PyTuple;
use pyo3::{Borrowed, Bound, Py, PyAny, PyResult, Python, ffi};

use self::borrowed::HandleRef;
use self::flags::{Flags, PACKED, SCHEDULED};
use self::memory::{HandleClasses, HandleObject, INLINE, TimerObject};
use crate::py::context;

/// An owned reference to a `Handle` or `TimerHandle` of ours.
pub(crate) struct Handle(Py<PyAny>);

/// What a new handle is made of.
pub(crate) struct Call<'a> {
    /// What to call.
    pub(crate) callback: *mut ffi::PyObject,
    /// Its positional arguments, borrowed.
    pub(crate) arguments: &'a [*mut ffi::PyObject],
}

impl Handle {
    /// A handle that calls `call` in `context`, or in a copy of the current context.
    #[inline(always)]
    pub(crate) fn new<'py>(
        py: Python<'py>,
        call: &Call<'_>,
        context: Option<Borrowed<'_, 'py, PyAny>>,
    ) -> PyResult<Self> {
        let context = owned_context(py, context)?;
        let packed = pack(py, call.arguments)?;
        // SAFETY: attached; `allocate` returns memory of the handle class with a live header, and
        // `fill` writes every other field before anything can look.
        unsafe {
            let object = HandleClasses::get(py).handle.allocate(py)?;
            fill(object.cast(), call, packed, context);
            if cfg!(Py_GIL_DISABLED) {
                ffi::PyObject_GC_Track(object.cast());
            }
            Ok(Self(Bound::from_owned_ptr(py, object).unbind()))
        }
    }

    /// A timer handle due at `when` (seconds on the loop's clock), scheduled with `loop_`.
    pub(crate) fn new_timer<'py>(
        py: Python<'py>,
        call: &Call<'_>,
        context: Option<Borrowed<'_, 'py, PyAny>>,
        when: f64,
        loop_: &Bound<'py, PyAny>,
    ) -> PyResult<Self> {
        let context = owned_context(py, context)?;
        let packed = pack(py, call.arguments)?;
        // SAFETY: as in `new`. The object is tracked once it is whole.
        unsafe {
            let object = HandleClasses::get(py)
                .timer
                .allocate(py)?
                .cast::<TimerObject>();
            fill(object.cast(), call, packed, context);
            (*object).when = when;
            (*object).loop_ = loop_.clone().into_ptr();
            (*object).handle.state.insert(SCHEDULED);
            ffi::PyObject_GC_Track(object.cast());
            Ok(Self(Bound::from_owned_ptr(py, object.cast()).unbind()))
        }
    }

    /// `object`, when it is a handle of ours.
    pub(crate) fn of(object: &Bound<'_, PyAny>) -> Option<Self> {
        let classes = HandleClasses::get(object.py());
        let ours = classes.handle.is_class_of(object) || classes.timer.is_class_of(object);
        ours.then(|| Self(object.clone().unbind()))
    }

    /// The handle, to look into.
    #[inline(always)]
    pub(crate) fn get<'a, 'py>(&'a self, py: Python<'py>) -> HandleRef<'a, 'py> {
        // SAFETY: every constructor made or checked an instance of one of the two classes, which
        // cannot be subclassed.
        unsafe { HandleRef::new(self.0.bind_borrowed(py)) }
    }

    /// Another reference to the same handle.
    #[inline]
    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self(self.0.clone_ref(py))
    }

    /// The handle as Python sees it.
    #[inline]
    pub(crate) fn into_object(self) -> Py<PyAny> {
        self.0
    }

    /// The handle as Python sees it.
    pub(crate) fn as_object(&self) -> &Py<PyAny> {
        &self.0
    }

    /// Shows the handle to the garbage collector: one that stays, as those of readers do.
    pub(crate) fn track(&self, _py: Python<'_>) {
        // SAFETY: attached; the handle is whole, and tracking twice is what the check prevents.
        unsafe {
            if ffi::PyObject_GC_IsTracked(self.0.as_ptr()) == 0 {
                ffi::PyObject_GC_Track(self.0.as_ptr().cast());
            }
        }
    }
}

#[inline]
fn owned_context<'py>(
    py: Python<'py>,
    given: Option<Borrowed<'_, 'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    match given {
        Some(context) => Ok(context.to_owned()),
        None => context::copy_current(py),
    }
}

/// The tuple for arguments that do not fit into the handle.
#[inline(always)]
fn pack<'py>(
    py: Python<'py>,
    arguments: &[*mut ffi::PyObject],
) -> PyResult<Option<Bound<'py, PyTuple>>> {
    if arguments.len() <= INLINE {
        return Ok(None);
    }
    let borrowed = arguments.iter().map(|&argument| {
        // SAFETY: the caller keeps the arguments alive for the call.
        unsafe { Borrowed::<PyAny>::from_ptr(py, argument) }
    });
    PyTuple::new(py, borrowed).map(Some)
}

/// Writes every field behind the header.
///
/// # Safety
/// `object` is fresh memory of a handle; the pointers of `call` are alive.
#[inline(always)]
unsafe fn fill(
    object: *mut HandleObject,
    call: &Call<'_>,
    packed: Option<Bound<'_, PyTuple>>,
    context: Bound<'_, PyAny>,
) {
    // SAFETY: the caller's promise. References are taken before they are stored.
    unsafe {
        ffi::Py_INCREF(call.callback);
        (*object).callback = call.callback;
        (*object).context = context.into_ptr();
        (*object).arguments = [std::ptr::null_mut(); INLINE];
        (*object).count = call.arguments.len() as u32;
        (*object).state = Flags::new(0);
        if let Some(tuple) = packed {
            (*object).arguments[0] = tuple.into_ptr();
            (*object).state = Flags::new(PACKED);
        } else {
            for (index, &argument) in call.arguments.iter().enumerate() {
                ffi::Py_INCREF(argument);
                (*object).arguments[index] = argument;
            }
        }
    }
}

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

use std::ffi::c_int;

use pyo3::sync::critical_section::with_critical_section;
use pyo3::types::PyTuple;
use pyo3::{Borrowed, Bound, Py, PyAny, PyErr, PyResult, Python, ffi};

use super::context;
use super::handle_flags::Flags;
use super::handle_memory::{HandleClasses, HandleObject, INLINE, TimerObject};

pub(super) const CANCELLED: u8 = 1;
pub(super) const RUNNING: u8 = 2;
const SCHEDULED: u8 = 4;
const PACKED: u8 = 8;

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

/// A handle of ours, borrowed: what the loop and the methods do with one.
#[derive(Clone, Copy)]
pub(crate) struct HandleRef<'a, 'py> {
    object: *mut HandleObject,
    borrowed: Borrowed<'a, 'py, PyAny>,
}

impl<'a, 'py> HandleRef<'a, 'py> {
    /// Looks into `object`.
    ///
    /// # Safety
    /// `object` is a `Handle` or a `TimerHandle` of these types.
    #[inline]
    pub(crate) unsafe fn new(object: Borrowed<'a, 'py, PyAny>) -> Self {
        Self {
            object: object.as_ptr().cast(),
            borrowed: object,
        }
    }

    #[inline]
    fn flags(self) -> &'a Flags {
        // SAFETY: the borrow keeps the handle alive.
        unsafe { &(*self.object).state }
    }

    /// Runs `access` while no other thread reads or empties the handle's fields. It must not run
    /// Python code, which could let others in.
    #[inline]
    fn locked<R>(self, access: impl FnOnce(*mut HandleObject) -> R) -> R {
        with_critical_section(&self.borrowed, || access(self.object))
    }

    /// The handle as Python sees it.
    pub(crate) fn as_any(self) -> Borrowed<'a, 'py, PyAny> {
        self.borrowed
    }

    /// Whether `cancel()` was called.
    #[inline]
    pub(crate) fn is_cancelled(self) -> bool {
        self.flags().has(CANCELLED)
    }

    /// Calls the callback in its context. The callback's exception is returned.
    #[inline]
    pub(crate) fn run(self) -> PyResult<()> {
        let py = self.borrowed.py();
        // SAFETY: the caller owns a reference to the handle, and `RUNNING` keeps `cancel()` from
        // releasing the callback, the arguments or the context while they are in use.
        unsafe {
            let object = self.object;
            // Of this and `cancel()` in another thread, the second sees the first: either that
            // leaves the references to the end of this run, or nothing runs.
            let before = self.flags().insert(RUNNING);
            if before & (CANCELLED | RUNNING) == CANCELLED || (*object).callback.is_null() {
                self.flags().remove(RUNNING);
                return Ok(()); // without `CANCELLED`, cleared by the garbage collector
            }
            // A reader's callback that runs a tick itself is found ready again in it. That run is
            // refused, since the context is entered, and must not end the outer one's state.
            let nested = before & RUNNING != 0;
            let context = Borrowed::from_ptr(py, (*object).context);
            let result = context::run_in(context, || self.call());
            if !nested {
                if self.flags().remove(RUNNING) & CANCELLED != 0 {
                    self.clear_call();
                }
                self.track_if_kept();
            }
            result
        }
    }

    /// Shows the handle to the garbage collector if there are other references than the caller's.
    #[inline]
    pub(crate) fn track_if_kept(self) {
        // SAFETY: attached; the handle is whole.
        unsafe {
            let object = self.object.cast();
            if ffi::Py_REFCNT(object) > 1 && ffi::PyObject_GC_IsTracked(object) == 0 {
                ffi::PyObject_GC_Track(object.cast());
            }
        }
    }

    #[inline]
    fn call(self) -> PyResult<()> {
        let py = self.borrowed.py();
        // SAFETY: see `run`. The vector has a free slot in front, as the flag promises.
        unsafe {
            let object = self.object;
            let result = if self.flags().has(PACKED) {
                ffi::PyObject_Call(
                    (*object).callback,
                    (*object).arguments[0],
                    std::ptr::null_mut(),
                )
            } else {
                let [first, second] = (*object).arguments;
                let mut vector = [std::ptr::null_mut(), first, second];
                ffi::PyObject_Vectorcall(
                    (*object).callback,
                    vector.as_mut_ptr().add(1),
                    (*object).count as usize | ffi::PY_VECTORCALL_ARGUMENTS_OFFSET,
                    std::ptr::null_mut(),
                )
            };
            if result.is_null() {
                return Err(PyErr::fetch(py));
            }
            ffi::Py_DECREF(result);
            Ok(())
        }
    }

    /// Marks the handle cancelled and lets go of what it would have called.
    ///
    /// Returns the loop to tell, when this was a timer in its heap.
    pub(crate) fn cancel(self) -> Option<Bound<'py, PyAny>> {
        let before = self.flags().insert(CANCELLED);
        if before & CANCELLED != 0 {
            return None;
        }
        let loop_ = if before & SCHEDULED != 0 {
            self.loop_()
        } else {
            None
        };
        if before & RUNNING == 0 {
            self.clear_call();
        }
        loop_
    }

    /// The loop of a timer in its heap; `None` once another thread has taken the timer out, or the
    /// garbage collector has cleared it.
    fn loop_(self) -> Option<Bound<'py, PyAny>> {
        let py = self.borrowed.py();
        // SAFETY: only called for timers, whose field is NULL or an owned reference.
        self.locked(|object| unsafe {
            Bound::from_borrowed_ptr_or_opt(py, (*object.cast::<TimerObject>()).loop_)
        })
    }

    /// Releases the callback and its arguments; the context stays, as in asyncio.
    fn clear_call(self) {
        // SAFETY: the handle is cancelled and not running, so nothing uses the references.
        // Released after all fields are empty, so that the code which a release runs finds a
        // consistent handle.
        unsafe { release_all(self.locked(|object| take_call(object))) };
    }

    /// Whether this is a timer in its heap.
    pub(super) fn is_scheduled(self) -> bool {
        self.flags().has(SCHEDULED)
    }

    /// Notes that a timer has left the heap.
    pub(crate) fn unschedule(self) {
        self.flags().remove(SCHEDULED);
        // SAFETY: only called for timers, by the loop that popped them.
        unsafe {
            release_all(
                [self.locked(|object| take(&raw mut (*object.cast::<TimerObject>()).loop_))],
            )
        };
    }

    /// The callback, unless cancelled.
    pub(crate) fn callback(self) -> Option<Bound<'py, PyAny>> {
        let py = self.borrowed.py();
        // SAFETY: NULL or an owned reference.
        self.locked(|object| unsafe { Bound::from_borrowed_ptr_or_opt(py, (*object).callback) })
    }

    /// The context the callback runs in.
    pub(crate) fn context(self) -> Option<Bound<'py, PyAny>> {
        let py = self.borrowed.py();
        // SAFETY: NULL or an owned reference.
        self.locked(|object| unsafe { Bound::from_borrowed_ptr_or_opt(py, (*object).context) })
    }

    /// The arguments as a tuple, unless cancelled.
    pub(crate) fn arguments(self) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let py = self.borrowed.py();
        // SAFETY: NULL or owned references; `count` of them are set unless packed. New references
        // are taken under the lock, and the tuple, which may run the collector, made after it.
        let (arguments, count) = self.locked(|object| unsafe {
            let arguments = (*object).arguments;
            let owned = arguments.map(|argument| Bound::from_borrowed_ptr_or_opt(py, argument));
            let cancelled = (*object).callback.is_null();
            (owned, (!cancelled).then_some((*object).count as usize))
        });
        let Some(count) = count else {
            return Ok(None);
        };
        if self.flags().has(PACKED) {
            let [tuple, _] = arguments;
            // SAFETY: packed arguments are one tuple.
            return Ok(tuple.map(|tuple: Bound<'_, PyAny>| unsafe { tuple.cast_into_unchecked() }));
        }
        let arguments: Vec<_> = arguments.into_iter().flatten().take(count).collect();
        PyTuple::new(py, arguments).map(Some)
    }

    /// When a timer is due, in seconds on its loop's clock.
    ///
    /// # Safety
    /// The handle is a `TimerHandle`.
    pub(super) unsafe fn when(self) -> f64 {
        // SAFETY: the caller's promise.
        unsafe { (*self.object.cast::<TimerObject>()).when }
    }
}

/// Visits the callback, its context and arguments.
///
/// # Safety
/// `object` is a handle, and the caller a `tp_traverse`.
pub(super) unsafe fn traverse_call(
    object: *mut HandleObject,
    visit: ffi::visitproc,
    argument: *mut std::ffi::c_void,
) -> c_int {
    // SAFETY: NULL or owned references.
    unsafe {
        let [first, second] = (*object).arguments;
        for reference in [(*object).callback, (*object).context, first, second] {
            if !reference.is_null() {
                let status = visit(reference, argument);
                if status != 0 {
                    return status;
                }
            }
        }
    }
    0
}

/// Takes the callback and its arguments away, leaving NULL; the context stays, as in asyncio.
///
/// # Safety
/// Nothing else reads or changes the fields.
pub(super) unsafe fn take_call(object: *mut HandleObject) -> [*mut ffi::PyObject; 1 + INLINE] {
    // SAFETY: the caller's promise.
    unsafe {
        [
            take(&raw mut (*object).callback),
            take(&raw mut (*object).arguments[0]),
            take(&raw mut (*object).arguments[1]),
        ]
    }
}

/// Takes the reference in `field` away, leaving NULL.
///
/// # Safety
/// Nothing else reads or changes the field.
pub(super) unsafe fn take(field: *mut *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: the caller's promise.
    unsafe { std::mem::replace(&mut *field, std::ptr::null_mut()) }
}

/// Releases references that were taken out of their fields.
///
/// # Safety
/// Attached; each is NULL or an owned reference.
#[inline]
pub(super) unsafe fn release_all<const COUNT: usize>(references: [*mut ffi::PyObject; COUNT]) {
    for reference in references {
        // SAFETY: the caller's promise.
        unsafe { ffi::Py_XDECREF(reference) };
    }
}

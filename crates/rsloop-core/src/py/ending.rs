//! Threads that end in the midst of Python code: daemon threads, when the interpreter exits.
//!
//! Until 3.14 CPython ends such a thread by `pthread_exit` when it next asks for the GIL, which
//! is somewhere in the Python code that a callback runs. For that, glibc unwinds the stack, and
//! the first Rust frame on it would abort the process, since none of PyO3's declarations lets
//! Python unwind. From 3.14 on CPython lets the thread hang instead, and so it does here: every
//! call from this module's Rust code, PyO3 included, that may run Python code goes through one
//! of these functions. The linker sees to that: `build.rs` finds their names in this file, and
//! tells it by `--wrap` that `f` means `__wrap_f`, and `__real_f` the `f` of Python.
//!
//! What PyO3 does for `PyGILState_Ensure` and `PyEval_RestoreThread` is the same.
//!
//! Two ways into Python code have no wrapper: `PySys_Audit`, which is variadic, and on 3.11 any
//! allocation, which may begin a collection there.

use std::ffi::{c_double, c_int};
use std::mem;
use std::thread;
use std::time::Duration;

use pyo3::ffi::{Py_buffer, Py_ssize_t, PyObject};

/// Lets the thread hang when it is dropped, which only unwinding does.
struct Hang;

impl Drop for Hang {
    fn drop(&mut self) {
        loop {
            thread::sleep(Duration::MAX);
        }
    }
}

macro_rules! wrap {
    ($(
        $plain:ident, $wrapper:ident, $real:ident($($name:ident: $argument:ty),*) $(-> $result:ty)?;
    )*) => {
        unsafe extern "C-unwind" {
            $(fn $real($($name: $argument),*) $(-> $result)?;)*
        }
        $(
            #[unsafe(no_mangle)]
            unsafe extern "C" fn $wrapper($($name: $argument),*) $(-> $result)? {
                let hang = Hang;
                // SAFETY: the arguments are the caller's, who means this very function. Nothing
                // is on the stack between here and Python that a thread which hangs could owe.
                let result = unsafe { $real($($name),*) };
                mem::forget(hang);
                result
            }
            // The linker knows `__real_f` only where something calls `f`, which not every PyO3 does.
            const _: () = {
                unsafe extern "C" {
                    fn $plain($($name: $argument),*) $(-> $result)?;
                }
                #[used]
                static CALLED: unsafe extern "C" fn($($argument),*) $(-> $result)? = $plain;
            };
        )*
    };
}

type Object = *mut PyObject;
type Vector = *const *mut PyObject;

wrap! {
    PyObject_Call, __wrap_PyObject_Call,
        __real_PyObject_Call(callable: Object, arguments: Object, keywords: Object) -> Object;
    PyObject_CallNoArgs, __wrap_PyObject_CallNoArgs,
        __real_PyObject_CallNoArgs(callable: Object) -> Object;
    PyObject_CallOneArg, __wrap_PyObject_CallOneArg,
        __real_PyObject_CallOneArg(callable: Object, argument: Object) -> Object;
    PyObject_Vectorcall, __wrap_PyObject_Vectorcall,
        __real_PyObject_Vectorcall(
            callable: Object, arguments: Vector, count: usize, names: Object
        ) -> Object;
    PyObject_VectorcallDict, __wrap_PyObject_VectorcallDict,
        __real_PyObject_VectorcallDict(
            callable: Object, arguments: Vector, count: usize, keywords: Object
        ) -> Object;
    PyObject_VectorcallMethod, __wrap_PyObject_VectorcallMethod,
        __real_PyObject_VectorcallMethod(
            name: Object, arguments: Vector, count: usize, names: Object
        ) -> Object;
    PyObject_GetAttr, __wrap_PyObject_GetAttr,
        __real_PyObject_GetAttr(object: Object, name: Object) -> Object;
    PyObject_SetAttr, __wrap_PyObject_SetAttr,
        __real_PyObject_SetAttr(object: Object, name: Object, value: Object) -> c_int;
    PyObject_GetItem, __wrap_PyObject_GetItem,
        __real_PyObject_GetItem(object: Object, key: Object) -> Object;
    PyObject_IsTrue, __wrap_PyObject_IsTrue, __real_PyObject_IsTrue(object: Object) -> c_int;
    PyObject_Size, __wrap_PyObject_Size, __real_PyObject_Size(object: Object) -> Py_ssize_t;
    PyObject_RichCompare, __wrap_PyObject_RichCompare,
        __real_PyObject_RichCompare(one: Object, other: Object, operation: c_int) -> Object;
    PyObject_SetItem, __wrap_PyObject_SetItem,
        __real_PyObject_SetItem(object: Object, key: Object, value: Object) -> c_int;
    PyObject_IsInstance, __wrap_PyObject_IsInstance,
        __real_PyObject_IsInstance(object: Object, class: Object) -> c_int;
    PyObject_IsSubclass, __wrap_PyObject_IsSubclass,
        __real_PyObject_IsSubclass(derived: Object, class: Object) -> c_int;
    PyObject_Repr, __wrap_PyObject_Repr, __real_PyObject_Repr(object: Object) -> Object;
    PyObject_Str, __wrap_PyObject_Str, __real_PyObject_Str(object: Object) -> Object;
    PyObject_GetIter, __wrap_PyObject_GetIter, __real_PyObject_GetIter(object: Object) -> Object;
    PyIter_Next, __wrap_PyIter_Next, __real_PyIter_Next(iterator: Object) -> Object;
    PyNumber_Add, __wrap_PyNumber_Add,
        __real_PyNumber_Add(one: Object, other: Object) -> Object;
    PyNumber_Index, __wrap_PyNumber_Index, __real_PyNumber_Index(object: Object) -> Object;
    PyFloat_AsDouble, __wrap_PyFloat_AsDouble,
        __real_PyFloat_AsDouble(object: Object) -> c_double;
    PyObject_GetBuffer, __wrap_PyObject_GetBuffer,
        __real_PyObject_GetBuffer(object: Object, view: *mut Py_buffer, flags: c_int) -> c_int;
    PyBuffer_Release, __wrap_PyBuffer_Release, __real_PyBuffer_Release(view: *mut Py_buffer);
    PyMemoryView_FromObject, __wrap_PyMemoryView_FromObject,
        __real_PyMemoryView_FromObject(object: Object) -> Object;
    PyObject_ClearWeakRefs, __wrap_PyObject_ClearWeakRefs,
        __real_PyObject_ClearWeakRefs(object: Object);
    PyErr_CheckSignals, __wrap_PyErr_CheckSignals, __real_PyErr_CheckSignals() -> c_int;
    PyErr_WriteUnraisable, __wrap_PyErr_WriteUnraisable,
        __real_PyErr_WriteUnraisable(object: Object);
    PyImport_Import, __wrap_PyImport_Import, __real_PyImport_Import(name: Object) -> Object;
}

#[cfg(not(Py_GIL_DISABLED))]
wrap! {
    _Py_Dealloc, __wrap__Py_Dealloc, __real__Py_Dealloc(object: Object);
}
#[cfg(Py_GIL_DISABLED)]
wrap! {
    _Py_DecRef, __wrap__Py_DecRef, __real__Py_DecRef(object: Object);
}

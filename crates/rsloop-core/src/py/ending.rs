//! Threads that end in the midst of Python code: daemon threads, when the interpreter exits.
//!
//! Until 3.14 CPython ends such a thread by `pthread_exit` when it next attaches, which may be
//! anywhere in what Rust calls: in a callback, an audit hook or a finalizer, at a lock, or in PyO3
//! when it attaches again. For that, glibc unwinds the stack, and the first Rust frame on it that
//! has anything to drop or catches panics would abort the process. From 3.14 on CPython lets the
//! thread hang instead, and so it does here.
//!
//! In each frame the unwinder asks the function that the frame's code names, its personality, what
//! is to be done there. All Rust code names the same one, by a pointer that the compiler adds to
//! each shared object, as writable data. Here that pointer is led to a function that lets the
//! thread hang if the unwinding is one that nothing may stop, and leaves panics to Rust. The stack
//! is whole then, since an unwinder takes nothing off it before the first cleanup.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicPtr, Ordering};
use std::thread;
use std::time::Duration;

/// Says, among an unwinder's actions, that nothing may stop it; a panic is not like that.
const FORCED: c_int = 8;

unsafe extern "C" {
    fn rust_eh_personality(
        version: c_int,
        actions: c_int,
        class: u64,
        exception: *mut c_void,
        context: *mut c_void,
    ) -> c_int;

    #[link_name = "DW.ref.rust_eh_personality"]
    static PERSONALITY: AtomicPtr<c_void>;
}

/// Lets each thread hang that would be unwound through a Rust frame of this module.
pub(crate) fn let_threads_hang() {
    // SAFETY: the pointer is there and writable, as said above, and only the unwinder reads it. It
    // may do so at this moment, on any thread: the old function and the new one are right for it.
    unsafe { PERSONALITY.store(personality as *mut c_void, Ordering::Relaxed) };
}

unsafe extern "C" fn personality(
    version: c_int,
    actions: c_int,
    class: u64,
    exception: *mut c_void,
    context: *mut c_void,
) -> c_int {
    if actions & FORCED != 0 {
        loop {
            thread::sleep(Duration::MAX);
        }
    }
    // SAFETY: the arguments are the unwinder's, which means this very function.
    unsafe { rust_eh_personality(version, actions, class, exception, context) }
}

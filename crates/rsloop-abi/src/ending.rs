//! Threads that end in the midst of Python code: daemon threads, when the interpreter exits.
//!
//! Until 3.14 CPython ends such a thread by `pthread_exit` when it next attaches, which may be
//! anywhere in what Rust calls: in a callback, an audit hook or a finalizer, at a lock, or in PyO3
//! when it attaches again. For that, glibc unwinds the stack. A Rust frame on it that has anything
//! to drop would drop it, not attached, and the first that catches panics would abort the process.
//! From 3.14 on CPython lets the thread hang instead, and so it does here.
//!
//! In each frame the unwinder asks the function that the frame's code names, its personality, what
//! is to be done there. All Rust code names the same one, by a pointer that the compiler adds to
//! each shared object, as writable data. Here that pointer is led to a function that lets the
//! thread hang if the unwinding is one that nothing may stop, and leaves panics to Rust. The stack
//! is whole then, since an unwinder takes nothing off it before the first cleanup.
//!
//! The pointer is looked up by a name that is weak, because there is none where no code can be
//! unwound, or where it is linked to stay in one place of memory.

use core::ffi::{c_int, c_void};
use core::mem;
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};
use core::time::Duration;
use std::thread;

/// Says, among an unwinder's actions, that nothing may stop it; a panic is not like that.
const FORCED: c_int = 8;

type Personality = unsafe extern "C" fn(c_int, c_int, u64, *mut c_void, *mut c_void) -> c_int;

/// Rust's own, once another has its place.
static RUSTS: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

/// Lets each thread hang that would otherwise be unwound through a Rust frame of this shared object,
/// as CPython before 3.14 has glibc do to daemon threads when the interpreter exits.
///
/// For both sides of the table. Nothing happens where the C library is another, which does not
/// unwind such threads, and on processors other than x86-64 and AArch64.
pub fn let_ending_threads_hang() {
    // SAFETY: what has this name is a pointer, aligned, writable and there for ever. Only the
    // unwinder reads it besides, and the atomic type is a pointer in memory.
    let Some(pointer) = (unsafe { personality_pointer().as_ref() }) else {
        return;
    };
    let found = pointer.load(Ordering::Relaxed);
    if found != personality as *mut c_void {
        RUSTS.store(found, Ordering::Relaxed);
        // The unwinder may look at this moment, on any thread: the old function and the new one
        // are right for it, and the new one finds the old, which is stored before.
        pointer.store(personality as *mut c_void, Ordering::Release);
    }
}

/// Where the pointer to the personality of Rust code is, or NULL.
#[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
fn personality_pointer() -> *const AtomicPtr<c_void> {
    let address;
    // SAFETY: reads an entry of the table in which the linker puts the addresses of names, zero for
    // one that nothing defines.
    unsafe {
        core::arch::asm!(
            ".weak DW.ref.rust_eh_personality",
            "mov {}, qword ptr [rip + DW.ref.rust_eh_personality@GOTPCREL]",
            out(reg) address,
            options(pure, readonly, nostack, preserves_flags),
        );
    }
    address
}

#[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "aarch64"))]
fn personality_pointer() -> *const AtomicPtr<c_void> {
    let address;
    // SAFETY: as above.
    unsafe {
        core::arch::asm!(
            ".weak DW.ref.rust_eh_personality",
            "adrp {0}, :got:DW.ref.rust_eh_personality",
            "ldr {0}, [{0}, :got_lo12:DW.ref.rust_eh_personality]",
            out(reg) address,
            options(pure, readonly, nostack, preserves_flags),
        );
    }
    address
}

#[cfg(not(all(
    target_os = "linux",
    target_env = "gnu",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
fn personality_pointer() -> *const AtomicPtr<c_void> {
    ptr::null()
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
    // SAFETY: this function was where the unwinder found it only after Rust's own was stored,
    // which has this type.
    let rusts =
        unsafe { mem::transmute::<*mut c_void, Personality>(RUSTS.load(Ordering::Acquire)) };
    // SAFETY: the arguments are the unwinder's, which means that very function.
    unsafe { rusts(version, actions, class, exception, context) }
}

#[cfg(all(
    test,
    target_os = "linux",
    target_env = "gnu",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod tests {
    use core::ffi::c_void;
    use core::sync::atomic::Ordering;
    use std::panic::catch_unwind;

    use super::{let_ending_threads_hang, personality, personality_pointer};

    #[test]
    fn the_unwinder_is_led_elsewhere_and_panics_are_caught_as_before() {
        let_ending_threads_hang();
        let_ending_threads_hang();
        // SAFETY: as in the function.
        let pointer = unsafe { personality_pointer().as_ref() }.expect("tests can be unwound");
        let found = pointer.load(Ordering::Relaxed);
        assert_eq!(found, personality as *mut c_void);
        assert!(catch_unwind(|| panic!("as before")).is_err());
    }
}

//! `fork` copies the memory but not the threads: a child must not use what its parent set up.
//!
//! A process has a generation, which tells it from its parent. Whatever is bound to threads or
//! descriptors remembers the generation it was made in, and is dead in another: leaked, never
//! run, never dropped.

use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyCFunction, PyDict};

static GENERATION: AtomicU32 = AtomicU32::new(0);

/// Set once a hook counts the generations, of this process and of those forked from it.
static HOOKED: AtomicBool = AtomicBool::new(false);

/// The number of forks between the first process that loaded this module and this one, as far as
/// it matters: those before the first call of this function are not counted.
pub(crate) fn generation() -> u32 {
    if !HOOKED.load(Ordering::Relaxed) {
        look();
    }
    GENERATION.load(Ordering::Relaxed)
}

/// Counts by the number of the process, which costs a system call: before there is a hook.
fn look() {
    static HOME: AtomicU32 = AtomicU32::new(0);
    let here = process::id();
    let home = HOME.load(Ordering::Relaxed);
    if home == here {
        return;
    }
    let moved = HOME.compare_exchange(home, here, Ordering::Relaxed, Ordering::Relaxed);
    if moved.is_ok() && home != 0 {
        GENERATION.fetch_add(1, Ordering::Relaxed);
    }
}

/// Registers the hook, once.
pub(crate) fn register(py: Python<'_>) -> PyResult<()> {
    static REGISTERED: PyOnceLock<()> = PyOnceLock::new();
    REGISTERED
        .get_or_try_init(py, || {
            call_in_children(wrap_pyfunction!(after_fork, py)?)?;
            look();
            HOOKED.store(true, Ordering::Relaxed);
            Ok(())
        })
        .copied()
}

/// Has each child of this process call `hook`, after those that were given before.
pub(crate) fn call_in_children(hook: Bound<'_, PyCFunction>) -> PyResult<()> {
    let py = hook.py();
    let os = py.import("os")?;
    // Platforms without fork have no such function, and nothing to detect.
    if os.hasattr("register_at_fork")? {
        let keywords = PyDict::new(py);
        keywords.set_item("after_in_child", hook)?;
        os.call_method("register_at_fork", (), Some(&keywords))?;
    }
    Ok(())
}

/// Begins a generation, in the child.
#[pyfunction]
#[pyo3(name = "_after_fork")]
fn after_fork() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

/// A value that each process makes for itself. A child has its parent's too, to look at: it is
/// never dropped.
///
/// A list, from the oldest generation to this one, since a `OnceLock` that another thread was
/// filling at the fork stays in that state for ever.
pub(crate) struct PerProcess<T: 'static>(OnceLock<Box<Node<T>>>);

struct Node<T: 'static> {
    generation: u32,
    value: OnceLock<T>,
    next: PerProcess<T>,
}

impl<T> PerProcess<T> {
    pub(crate) const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// This process's value, which `make` makes of the parent's, if the parent had one.
    pub(crate) fn get_or_init(
        &'static self,
        make: impl FnOnce(Option<&'static T>) -> T,
    ) -> &'static T {
        self.of(generation(), make)
    }

    fn of(
        &'static self,
        generation: u32,
        make: impl FnOnce(Option<&'static T>) -> T,
    ) -> &'static T {
        let (mut list, mut inherited) = (self, None);
        loop {
            let node = list.0.get_or_init(|| Box::new(Node::new(generation)));
            // A younger one is impossible: a child adds those, to a copy of its own.
            if node.generation == generation {
                return node.value.get_or_init(|| make(inherited));
            }
            inherited = node.value.get().or(inherited);
            list = &node.next;
        }
    }
}

impl<T> Node<T> {
    fn new(generation: u32) -> Self {
        Self {
            generation,
            value: OnceLock::new(),
            next: PerProcess::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::PerProcess;

    #[test]
    fn each_generation_makes_a_value_once_of_its_parents() {
        static VALUE: PerProcess<u32> = PerProcess::new();
        let next = |inherited: Option<&u32>| inherited.map_or(1, |old| old + 1);
        assert_eq!(VALUE.of(3, next), &1);
        assert_eq!(VALUE.of(3, |_| 9), &1);
        assert_eq!(VALUE.of(5, next), &2);
        assert_eq!(VALUE.of(5, |_| 9), &2);
    }
}

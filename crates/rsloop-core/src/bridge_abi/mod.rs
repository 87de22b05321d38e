//! The provider's side of the C ABI: the table of `rsloop-abi` and its capsule.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `inbox` | the lock-free queue of jobs |
//! | `sleep` | whether the loop waits, and who must ring |
//! | `sync` | the primitives that loom replaces |
//! | `shared` | `rsl_loop`: the inbox, the wakeup, who is the loop thread, what `close()` runs |
//! | `table` | the functions that extensions call |

mod inbox;
pub(crate) mod shared;
mod sleep;
mod sync;
mod table;

use std::ptr;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3::{ffi, wrap_pyfunction};
use rsloop_abi::{CAPSULE_ATTRIBUTE, CAPSULE_NAME};

/// Adds the capsule to the module, and the hook that closes a parent's loops in its children.
pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    // SAFETY: attached; table and name are static, and nothing is to be done when it goes.
    let capsule = unsafe {
        let table = ptr::from_ref(&table::TABLE).cast_mut().cast();
        Bound::from_owned_ptr_or_err(py, ffi::PyCapsule_New(table, CAPSULE_NAME.as_ptr(), None))?
    };
    let attribute = CAPSULE_ATTRIBUTE
        .to_str()
        .map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
    module.add(attribute, capsule)?;
    let hooks = PyDict::new(py);
    hooks.set_item(
        "after_in_child",
        wrap_pyfunction!(after_fork_in_child, module)?,
    )?;
    py.import("os")?
        .call_method("register_at_fork", (), Some(&hooks))
        .map(drop)
}

/// Makes every loop of the parent refuse jobs in the child.
#[pyfunction]
fn after_fork_in_child() {
    shared::forked();
}

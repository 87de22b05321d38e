//! The provider's side of the C ABI: the table of `rsloop-abi` and its capsule.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `table` | the functions that extensions call |

mod table;

use std::ptr;

use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;
use rsloop_abi::{CAPSULE_ATTRIBUTE, CAPSULE_NAME};

/// Adds the capsule to the module.
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
    module.add(attribute, capsule)
}

//! The provider's side of the C ABI: the table of `rsloop-abi` and its capsule.

mod inbox;
mod shared;

pub(crate) use shared::{Shared, forked};

use pyo3::prelude::*;

/// Adds the capsule to the module.
pub(crate) fn add_to(_module: &Bound<'_, PyModule>) -> PyResult<()> {
    Ok(())
}

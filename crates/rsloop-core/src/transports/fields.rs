//! Fields of a transport's state as attributes of its class, for inherited code to read and set.
//!
//! The state of the class is in a `GilCell` named `state`.

/// An attribute that is one plain value of the state.
macro_rules! value {
    ($name:literal, $($field:ident).+) => {
        crate::py::attribute::Attribute {
            name: $name,
            get: |kept, py| {
                let value = kept?.state.with(py, |state| state.$($field).+);
                ::pyo3::IntoPyObjectExt::into_py_any(value, py)
            },
            set: |kept, value| {
                let (new, py) = (value.extract()?, value.py());
                kept.state.with(py, |state| state.$($field).+ = new);
                Ok(())
            },
        }
    };
}
pub(super) use value;

/// An attribute that is one object of the state, or `None`.
macro_rules! object {
    ($name:literal, $($field:ident).+) => {
        crate::py::attribute::Attribute {
            name: $name,
            get: |kept, py| {
                let value = kept?.state.with(py, |state| {
                    let value = state.$($field).+.as_ref();
                    value.map(|value| value.clone_ref(py).into_any())
                });
                Ok(value.unwrap_or_else(|| py.None()))
            },
            set: |kept, value| {
                let (new, py) = (value.extract()?, value.py());
                let replaced = kept
                    .state
                    .with(py, |state| std::mem::replace(&mut state.$($field).+, new));
                drop(replaced); // which may run Python code
                Ok(())
            },
        }
    };
}
pub(super) use object;

/// The attribute that is the protocol, whatever that is: what has not its methods is refused when
/// they are called. The field is `None` only when the transport has let go of it.
macro_rules! protocol {
    () => {
        crate::py::attribute::Attribute {
            set: |kept, value| {
                let (new, py) = (Some(value.clone().unbind()), value.py());
                let replaced = kept
                    .state
                    .with(py, |state| std::mem::replace(&mut state.protocol, new));
                drop(replaced); // which may run Python code
                Ok(())
            },
            ..crate::transports::fields::object!(c"_protocol", protocol)
        }
    };
}
pub(super) use protocol;

/// An attribute that inherited code initialises, and that says something else here.
macro_rules! fixed {
    ($name:literal, $get:expr) => {
        crate::py::attribute::Attribute {
            name: $name,
            get: $get,
            set: |_, _| Ok(()),
        }
    };
}
pub(super) use fixed;

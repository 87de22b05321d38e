//! The C ABI between the event loop and the extensions that join it.

//! The bridge between Rust futures and the running asyncio loop.

//! The Rust code of the documentation's pages: each block is compiled, and run where it can be.

#[doc = include_str!("../../../docs/cookbook.md")]
pub struct Cookbook;
#[doc = include_str!("../../../docs/extensions.md")]
pub struct Extensions;
#[doc = include_str!("../../../docs/porting.md")]
pub struct Porting;

//! The page an auditor asks for: every access of a time, and what one asks about them.
//!
//! Never: hold more than lists with a bound, decide who sees what, or read the time.

mod access;
mod format;
mod gather;
mod html;
mod json;
mod questions;
mod section;
mod table;
mod words;
mod writer;

pub use access::Access;
pub use format::Format;
pub use gather::{Asked, Report, Scope};
pub use writer::Writer;

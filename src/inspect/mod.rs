//! What it means: bytes become files and commands. Pure.
//!
//! Never: do I/O, be async, stand in the way of a byte, or end a session by its failure.

pub mod agent;
pub mod commands;
mod fields;
pub mod files;
pub mod forwards;
pub mod guess;

pub use commands::{At, Found, Inspector, mask};

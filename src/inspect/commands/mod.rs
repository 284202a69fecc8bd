//! Bytes of a terminal become the commands that a person ran.
//!
//! From what was typed and shown to findings; the same bytes in the same order give the same
//! findings, however they were cut. Start with [`Inspector`].
//!
//! Never: stand in the way of a byte, or take a target's word for text.

mod findings;
mod held;
mod judge;
mod keys;
mod line;
mod outcome;
mod place;
mod prompt;
mod screen;
mod secret;
mod settle;
mod signals;
mod terminal;
mod typing;

pub use secret::mask;
pub use terminal::{At, Found, Inspector};

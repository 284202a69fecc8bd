//! What a forwarded stream speaks, guessed from its first bytes.
//!
//! A label for people who read later. The same bytes of a side give the same label, however they were
//! cut and whichever side came first.
//!
//! Never: be asked whether something may pass, or keep more than 4 KiB of a side.

mod opener;
mod server;
mod stream;
mod tls;

#[cfg(test)]
mod tests;

pub use stream::{From, Guess, KEPT_BYTES, Label};

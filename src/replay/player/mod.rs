//! The player: a pure state machine over recorded events, time and keys. It says what it wants;
//! whoever drives it reads lines, waits and writes.
//!
//! Never: read, wait or write by itself; keep more than some pictures of a recording; show a screen
//! that may be wrong without saying so.

mod bar;
mod core;
mod event;
mod find;
mod frames;
mod keyboard;
mod live;
mod over;
mod stage;
#[cfg(test)]
mod tests;

pub use self::core::{Jump, Player, Settings, Want};
pub use event::{Event, Tape};
pub use find::{Hits, find};
pub use frames::{Exact, Keyframe, exact};
pub use live::Incoming;

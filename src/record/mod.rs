//! Events in, evidence out: journal, segments, chunks.
//!
//! Never: know SSH, a person or a policy; acknowledge an event before `write(2)` returned; drop an
//! event without a `gap` event in its place.

mod chunk;
mod config;
mod cursor;
mod disk;
mod durable;
mod entry;
mod file;
mod journal;
mod lock;
mod object;
mod prepare;
mod recorder;
mod recording;
mod recover;
mod render;
mod segment;
mod stream;
mod tail;
#[cfg(test)]
mod tests;
mod watch;
mod watchdog;
mod writer;

pub use config::{Config, Durability, Error, Free, Status};
pub use recorder::Recorder;
pub use recording::Recording;
pub use watch::{Seen, SeenBytes, Watch};

//! Connections that go through a session to somewhere else: `-L`, `-D`, `-W` to a place that the
//! target reaches, `-R` from the target to the user.
//!
//! ```text
//! user ──> channel ──> up queue   ──> count, hash, append ──> target ──> place     local.rs
//! user <── channel <── down queue <── append, hash, count <── target <── place
//! ```
//! A remote forward is the same two pumps (pump.rs); its channel is opened the other way round:
//! listener.rs holds the listener at the target, guest.rs who comes in at it, arrive.rs opens the channel
//! to the user.
//!
//! Never: let a byte pass that is not counted and hashed in the journal, keep its content, or open
//! anything that policy was not asked about.

pub(crate) mod agent;
mod agent_talk;
pub(crate) mod arrive;
mod guest;
mod label;
mod listener;
pub(crate) mod local;
mod pump;
mod right;

pub(crate) use guest::Bound;
pub(crate) use listener::{Listeners, cancel, listen};

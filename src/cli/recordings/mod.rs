//! Verbs that look at recordings. Each look is an event before anything is shown.
//!
//! Never: show a session to somebody who may not see it.

mod beside;
pub mod events;
pub mod export;
pub(crate) mod filter;
pub mod look;
pub(crate) mod places;
pub mod play;
mod reel;
pub mod report;
pub mod review;
pub mod search;
pub mod sessions;
pub mod show;
pub mod transcript;

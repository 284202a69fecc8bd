//! Files from a verb: it sends them through the answer, and who called writes them.
//!
//! The bastion never opens a path that somebody named: over ssh there is only standard output, and
//! on the node the caller's own process writes, with the caller's rights.
//!
//! Never: leave a half-written file under its name, or write into a directory that is not ours.

mod folder;
mod frames;
mod place;
mod progress;
mod receive;

pub(crate) use folder::Folder;
pub(crate) use frames::Out;
pub(crate) use place::Place;
pub(crate) use progress::{Beside, bar};
pub(crate) use receive::{Trouble, receive};

//! `doctor`: what is wrong with this installation, and what to do about each thing. Only on the node.
//!
//! Never: change anything, open a channel on a target, or stop at the first finding.

mod files;
mod finding;
mod machine;
mod running;
mod targets;
mod visit;

pub use visit::{DoctorArgs, run};

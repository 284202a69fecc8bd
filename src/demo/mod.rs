//! A try-out without anything of yours: an installation, a target and a bastion on loopback, and
//! one session through the real `ssh`.
//!
//! Never: listen beyond loopback, open the target to any certificate but the installation's own,
//! touch a file outside of the demo's directory, or be needed by a real bastion.

mod admission;
mod child;
mod inbox;
mod installation;
mod keys;
mod ssh;
mod target;
#[cfg(test)]
mod tests;
mod tour;
mod visitor;

pub use target::{Target, target};
pub use tour::{Trouble, run};

//! The way to the target: dial, host verified, logged in, asked for what was wanted.
//!
//! Never: open a socket without a `Permit`, or accept a host that was not verified.

pub(crate) mod dial;
pub(crate) mod hostkey;
pub(crate) mod known;
pub(crate) mod line;
pub(crate) mod probe;
pub(crate) mod reach;
pub(crate) mod side;
pub(crate) mod visitor;

pub use dial::Dialler;
pub use known::Known;
pub use probe::{Probed, Problem, own_address, probe};

//! An SSH connection's life, from accept to close. Read [`session`] first.
//!
//! Floors: `entry` who comes in, `bastion` what we answer ourselves, `target` the way to the target,
//! `pumps` the bytes, `forward` connections that go through a session to somewhere else.
//!
//! Never: decide who may do what (that is `access`), or write a byte to either side before
//! `Recording::append` returned for it.

mod bastion;
mod channel;
pub mod config;
mod connection;
pub mod entry;
mod forward;
mod house;
mod pumps;
pub mod session;
mod start;
mod tap;
mod target;
mod watch;

pub use bastion::{Call, Choice, Live, Status, Taking, VerbEnd, Verbs};
pub use config::Config;
pub use entry::{Hosts, Limiter, listen};
pub use house::House;
pub use pumps::budget::Budget;
pub use target::{Dialler, Known, Probed, Problem, own_address, probe};

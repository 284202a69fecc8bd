//! Who comes in: the port, the key exchange, the certificate, the door; and the way in through a jump.
//!
//! Never: let somebody in whom `identity` did not check, or wait for a client without an end.

pub(crate) mod algorithms;
pub(crate) mod auth;
pub mod door;
pub(crate) mod guard;
pub(crate) mod handler;
pub(crate) mod hosts;
pub(crate) mod jump;
pub(crate) mod lifetime;
pub mod listen;
pub(crate) mod negotiated;
pub(crate) mod software;
pub(crate) mod user;

pub use guard::Limiter;
pub use hosts::Hosts;

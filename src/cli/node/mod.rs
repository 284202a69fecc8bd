//! Verbs of the node, and what its operator gets: installation, certificates, policies, health.
//!
//! Never: exist over ssh, but where `tree::Remote` lists it.

pub mod certificates;
pub mod client;
pub mod control;
pub mod doctor;
pub(crate) mod explain;
pub mod index;
pub mod init;
pub mod inspect;
pub(crate) mod local;
pub(crate) mod policy;
pub mod setup;
pub mod status;
pub(crate) mod taking;

//! The agent of a person, asked from a target (draft-ietf-sshm-ssh-agent, OpenSSH PROTOCOL.agent).
//!
//! This stands in the path: a request is understood and allowed, or the bastion answers it itself.
//! One at a time, so that each answer belongs to its request.
//!
//! Never: keep what is to be signed, or let a request through because it is not known.

mod ask;
mod key;
mod messages;
mod talk;
mod told;

#[cfg(test)]
mod tests;

pub use talk::{Bad, Ruled, Said, Talk};
pub use told::{answered, request, told};

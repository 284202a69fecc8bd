//! The desk where rights are asked for and used: which target is meant, may they, and why.
//!
//! Never: touch a socket or an SSH type, or hand out a [`Permit`] by any path but [`Desk::admit`].

mod address;
mod denied;
mod desk;
mod explain;
mod facts;
mod permit;
mod policies;
mod rights;
mod target;
mod why;

/// What may be asked for: the words of policy that a caller needs to ask.
pub use crate::policy::{Action, BadDestination, Destination, Resource};
pub use denied::Denied;
pub use desk::{Ask, Caller, Config, Desk, Door};
pub use explain::Question;
pub use permit::Permit;
pub use policies::{load_examples, load_policies, policy_files};
pub use target::{Addresses, HostCheck, SourceAddress, Target, TargetAuth, Targets};
pub use why::{BadReason, reason};

//! What the bastion answers itself: verbs, questions, refusals, what runs now.
//!
//! Never: decide a right, or send foreign text to a terminal but through `Shown`.

pub(crate) mod live;
pub(crate) mod prompt;
pub(crate) mod say;
pub(crate) mod status;
pub(crate) mod verb;
pub(crate) mod verbs;

pub use live::Live;
pub use status::Status;
pub use verbs::{Call, Choice, Taking, VerbEnd, Verbs};

//! Builds the house, owns the task tree, stops it from the door inwards.
//!
//! Never: decide a right, or leave a task behind.

mod names;
mod parts;
mod reload;
mod run;
mod stamp;
mod trust;
mod watch;

pub use parts::{Parts, targets};
pub use run::run;
pub use trust::{BadTrust, load_trust, public_key};

//! Who is this: an OpenSSH user certificate, checked. Pure: bytes, trust and time in; identity or
//! refusal out.
//!
//! Reading order: [`check`] is the story; `algorithm`, `trust`, `options`, `statement` and `revoke`
//! are its chapters; `krl` reads and writes OpenSSH's revocation lists.
//!
//! Never: read a file or the clock, or return an [`Identity`] by any path but [`check`].

mod algorithm;
mod check;
mod krl;
mod krl_write;
mod options;
mod person;
mod ranges;
mod refusal;
mod restrictions;
mod revoke;
mod rules;
mod source;
mod statement;
mod trust;

pub use algorithm::usable_key;
pub use check::{check, facts_of, recheck, regarded_now};
pub use krl::BadKrl;
pub use krl_write::{Revoke, krl_write};
pub use person::Identity;
pub use refusal::{KeyOf, Refusal, quoted as shown};
pub use restrictions::Restrictions;
pub use revoke::{KrlFile, Revocations, Revoked};
pub use rules::Rule;
pub use statement::{APPROVERS, GRANT, GROUPS, REASON, TICKET};
pub use trust::{Authority, FromTargets, PrincipalsMode, Trust};

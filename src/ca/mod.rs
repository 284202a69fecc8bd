//! Signs: user, host and per-session target certificates. The only holder of signing keys.
//!
//! Never: decide who gets a certificate, or let a private signing key out (no getter, no `Debug`).

mod agent;
mod draft;
mod error;
mod file;
mod issue;
mod key;
mod revoke;
mod show;

pub use error::Error;
pub use file::{
    certificate_path, generate, load_certificate, load_private, load_public, parse_certificate,
    parse_public, write_certificate,
};
pub use issue::{
    SessionCertificate, UserCertificate, issue_host, issue_session, issue_user, random_serial,
};
pub use key::{KeySource, Signer, public_of};
pub use revoke::{load_krl, new_krl, revoke};
pub use russh::keys::ssh_key::PublicKey;
pub use show::{fingerprint, show};

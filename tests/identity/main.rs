//! Certificates and revocation lists of the real `ssh-keygen`, `ssh-agent` and `sshd`, shown to us.

#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::panic, reason = "a test may panic")]
#![expect(clippy::indexing_slicing, reason = "a test may panic")]

mod certificate;
mod keygen;
mod restriction;
mod revocation;
mod sign;
mod sshd;

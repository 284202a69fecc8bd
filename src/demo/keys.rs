//! Keys for the demo only: made here, kept in its directory, gone with it.

use russh::keys::ssh_key::PrivateKey;
use russh::keys::ssh_key::private::Ed25519Keypair;
use std::io;

/// A fresh Ed25519 key.
pub(super) fn fresh() -> io::Result<PrivateKey> {
    let mut seed = zeroize::Zeroizing::new([0_u8; 32]);
    fill(seed.as_mut())?;
    Ok(PrivateKey::from(Ed25519Keypair::from_seed(&seed)))
}

/// A name that nobody else has: 64 random bits in hexadecimal.
pub(super) fn fresh_name() -> io::Result<String> {
    let mut bits = [0_u8; 8];
    fill(&mut bits)?;
    Ok(format!("{:016x}", u64::from_be_bytes(bits)))
}

fn fill(bytes: &mut [u8]) -> io::Result<()> {
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), bytes)
        .map_err(|_| io::Error::other("the system has no random numbers"))
}

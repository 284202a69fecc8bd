//! Which keys and signatures are good enough.

use super::Refusal;
use super::refusal::KeyOf;
use russh::keys::ssh_key::public::{KeyData, RsaPublicKey};
use russh::keys::ssh_key::{Algorithm, Certificate};

/// As OpenSSH's `RequiredRSASize` has it, doubled: NIST SP 800-131A ended 1024 bits in 2013.
const RSA_BITS_MIN: u32 = 2048;
/// What OpenSSH can read at all (sshbuf.h, `SSHBUF_MAX_BIGNUM`); more would be work for nothing.
const RSA_BITS_MAX: u32 = 16 * 1024;

pub(super) fn check(certificate: &Certificate) -> Result<(), Refusal> {
    check_key(certificate.public_key(), KeyOf::Person)?;
    check_key(certificate.signature_key(), KeyOf::Authority)?;
    check_signature(certificate)
}

/// Whether a public key may be certified at all: for those who issue. The reason why not.
pub fn usable_key(key: &KeyData) -> Result<(), Refusal> {
    check_key(key, KeyOf::Person)
}

fn check_key(key: &KeyData, what: KeyOf) -> Result<(), Refusal> {
    if let KeyData::Rsa(rsa) = key {
        let bits = bits_of(rsa);
        if (RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
            return Ok(());
        }
        return Err(Refusal::WeakKey { what, bits });
    }
    let known = matches!(
        key,
        KeyData::Ed25519(_)
            | KeyData::Ecdsa(_)
            | KeyData::SkEd25519(_)
            | KeyData::SkEcdsaSha2NistP256(_)
    );
    if known {
        return Ok(());
    }
    let kind = super::refusal::quoted(key.algorithm().as_str());
    Err(Refusal::UnsupportedKey { what, kind })
}

/// The library counts whole bytes; a modulus of 2041 bits is not one of 2048.
fn bits_of(key: &RsaPublicKey) -> u32 {
    let modulus = key.n().as_positive_bytes().unwrap_or_default();
    let idle = modulus.first().map_or(0, |first| first.leading_zeros());
    key.key_size().saturating_sub(idle)
}

/// The signature must be of the CA key's own kind; for RSA with SHA-2 (RFC 8332), never `ssh-rsa`,
/// which is SHA-1.
fn check_signature(certificate: &Certificate) -> Result<(), Refusal> {
    let used = certificate.signature().algorithm();
    let ca = certificate.signature_key();
    let fits = if let Algorithm::Rsa { hash } = &used {
        hash.is_some() && ca.is_rsa()
    } else {
        used == ca.algorithm()
    };
    if fits {
        return Ok(());
    }
    Err(Refusal::WeakSignature(super::refusal::quoted(
        used.as_str(),
    )))
}

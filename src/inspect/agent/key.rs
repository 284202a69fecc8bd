//! The name of a public key, as `ssh-add -l` prints it. Only its outer form is read.

use crate::event::TextOrBytes;
use crate::inspect::fields::Fields;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ring::digest::{SHA256, digest};

/// Of the names and types that somebody else wrote, more is cut.
const TEXT_BYTES_MAX: usize = 256;

/// Certificates by type: the type of the key inside, and how many fields it has (PROTOCOL.certkeys).
const CERTIFICATES: [(&[u8], &[u8], usize); 7] = [
    (b"ssh-rsa-cert-v01@openssh.com", b"ssh-rsa", 2),
    (b"ssh-ed25519-cert-v01@openssh.com", b"ssh-ed25519", 1),
    (
        b"ecdsa-sha2-nistp256-cert-v01@openssh.com",
        b"ecdsa-sha2-nistp256",
        2,
    ),
    (
        b"ecdsa-sha2-nistp384-cert-v01@openssh.com",
        b"ecdsa-sha2-nistp384",
        2,
    ),
    (
        b"ecdsa-sha2-nistp521-cert-v01@openssh.com",
        b"ecdsa-sha2-nistp521",
        2,
    ),
    (
        b"sk-ssh-ed25519-cert-v01@openssh.com",
        b"sk-ssh-ed25519@openssh.com",
        2,
    ),
    (
        b"sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
        b"sk-ecdsa-sha2-nistp256@openssh.com",
        3,
    ),
];

pub(super) fn fingerprint(blob: &[u8]) -> String {
    let key = inside(blob);
    let sum = digest(&SHA256, key.as_deref().unwrap_or(blob));
    format!("SHA256:{}", STANDARD_NO_PAD.encode(sum))
}

pub(super) fn kind(blob: &[u8]) -> TextOrBytes {
    text(Fields(blob).string().unwrap_or_default())
}

pub(super) fn text(bytes: &[u8]) -> TextOrBytes {
    TextOrBytes::from_bytes(bytes.get(..TEXT_BYTES_MAX).unwrap_or(bytes))
}

/// The key that a certificate is for.
fn inside(blob: &[u8]) -> Option<Vec<u8>> {
    let mut fields = Fields(blob);
    let kind = fields.string()?;
    let of_kind = |known: &&(&[u8], &[u8], usize)| known.0 == kind;
    let (_, plain, count) = CERTIFICATES.iter().find(of_kind)?;
    let _nonce = fields.string()?;
    let rest = fields.0;
    for _ in 0..*count {
        fields.string()?;
    }
    let key = rest.get(..rest.len() - fields.0.len())?;
    let length = u32::try_from(plain.len()).ok()?;
    Some([&length.to_be_bytes()[..], plain, key].concat())
}

use super::revoke::Revoked;
use crate::event::Shown;
use crate::id::BadName;

/// Characters of a name out of a certificate that a message repeats.
const QUOTED_CHARACTERS_MAX: usize = 128;

/// Why a certificate was not accepted. `code` is what `auth.fail` carries.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("it is a host certificate, not a user certificate")]
    NotUser,
    /// Fingerprint of the authority that the certificate names.
    #[error("it was signed by {0}, which is not a user CA of this bastion")]
    UnknownAuthority(String),
    #[error("{what} is of the type `{kind}`, which is not accepted here")]
    UnsupportedKey { what: KeyOf, kind: String },
    #[error("{what} is an RSA key of {bits} bits; at least 2048 and at most 16384 are accepted")]
    WeakKey { what: KeyOf, bits: u32 },
    #[error("it was signed with `{0}`, which is not accepted here")]
    WeakSignature(String),
    #[error("the signature of its CA does not fit")]
    BadSignature,
    #[error("it is revoked: {0}")]
    Revoked(Revoked),
    #[error("the certificate expired")]
    Expired,
    #[error("the certificate is not valid yet")]
    NotYetValid,
    #[error("it is valid for another {remaining_s} seconds; at most {allowed_s} are accepted")]
    TooLong { remaining_s: u64, allowed_s: u64 },
    #[error("its key id `{}` is not an identity: {problem}", quoted(key_id))]
    BadKeyId { key_id: String, problem: BadName },
    #[error("its CA may not speak for the identity `{}`", quoted(.0))]
    IdentityOutside(String),
    #[error("the certificate names no principal")]
    NoPrincipal,
    #[error("the certificate names {0} principals; at most 256 are accepted")]
    TooManyPrincipals(usize),
    #[error("its CA may not name the principal `{}`", quoted(.0))]
    PrincipalOutside(String),
    #[error("the identity `{}` is not one of its principals", quoted(.0))]
    IdentityNotPrincipal(String),
    #[error("its critical option `{}` is not known here", quoted(.0))]
    UnknownOption(String),
    #[error("its critical option `{}` cannot be read: {problem}", quoted(name))]
    BadOption { name: String, problem: &'static str },
    #[error("it demands a verified user (`verify-required`), which cannot be checked here")]
    VerifyRequired,
    #[error("it may not be used from {0}")]
    WrongSource(std::net::IpAddr),
    #[error("its extension `{}` cannot be read: {problem}", quoted(name))]
    BadExtension { name: String, problem: &'static str },
    #[error("two different commands are forced at once")]
    TwoForcedCommands,
}

/// Whose key a refusal speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOf {
    Person,
    Authority,
}

impl std::fmt::Display for KeyOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Person => "the certified key",
            Self::Authority => "the key of its CA",
        })
    }
}

/// Foreign text for a message: short, and nothing in it that a terminal obeys.
pub fn quoted(text: &str) -> String {
    let short: String = text.chars().take(QUOTED_CHARACTERS_MAX).collect();
    Shown(&short).to_string()
}

impl Refusal {
    /// Stable, for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotUser => "not_user",
            Self::UnknownAuthority(_) => "unknown_ca",
            Self::UnsupportedKey { .. } => "unsupported_key",
            Self::WeakKey { .. } => "weak_key",
            Self::WeakSignature(_) => "weak_signature",
            Self::BadSignature => "bad_signature",
            Self::Revoked(_) => "revoked",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::TooLong { .. } => "lifetime",
            Self::BadKeyId { .. } => "bad_key_id",
            Self::IdentityOutside(_) => "identity_outside",
            Self::NoPrincipal => "no_principal",
            Self::TooManyPrincipals(_) => "too_many_principals",
            Self::PrincipalOutside(_) => "principal_outside",
            Self::IdentityNotPrincipal(_) => "identity_not_principal",
            Self::UnknownOption(_) => "unknown_option",
            Self::BadOption { .. } => "bad_option",
            Self::VerifyRequired => "verify_required",
            Self::WrongSource(_) => "wrong_source",
            Self::BadExtension { .. } => "bad_extension",
            Self::TwoForcedCommands => "two_forced_commands",
        }
    }

    /// What the person does next. One sentence, no secret, no oracle beyond their own certificate.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Expired | Self::NoPrincipal | Self::BadSignature => {
                "ask your operator for a new one: `portcullis ca issue --identity YOU --principal \
                 LOGIN --reason WORDS KEY.pub`"
            }
            Self::NotYetValid => "wait until it is valid, or compare this machine's clock",
            Self::NotUser => "offer a user certificate: `ssh-keygen -L -f FILE` shows the type",
            Self::UnknownAuthority(_) => {
                "ask your operator which CA signs for this bastion; `ssh-keygen -L -f FILE` shows \
                 yours"
            }
            Self::UnsupportedKey { .. } | Self::WeakKey { .. } => {
                "make a key with `ssh-keygen -t ed25519` and have it certified"
            }
            Self::WeakSignature(_) => {
                "the CA signs with SHA-1: sign with `ssh-keygen -t rsa-sha2-512 -s CA`"
            }
            Self::Revoked(_) => "ask your operator why, and for a new certificate of a new key",
            Self::TooLong { .. } => {
                "ask for a shorter one: `portcullis ca issue --for 4h`, or `ssh-keygen -V +4h`"
            }
            Self::BadKeyId { .. } => {
                "the key id (`ssh-keygen -I`) is the identity: [A-Za-z0-9._@+/-], at most 128 bytes"
            }
            Self::IdentityOutside(_) | Self::PrincipalOutside(_) => {
                "the operator decides with `identities` and `principals` of `[[identity.ca]]`"
            }
            Self::TooManyPrincipals(_) => "ask for one with fewer principals (`ssh-keygen -n`)",
            Self::IdentityNotPrincipal(_) => {
                "this bastion wants the identity among the principals: `ssh-keygen -I YOU -n YOU`"
            }
            Self::UnknownOption(_) | Self::BadOption { .. } => {
                "ask for one without that option; `ssh-keygen -L -f FILE` shows it"
            }
            Self::VerifyRequired => "ask for one without `-O verify-required`",
            Self::WrongSource(_) => "connect from an address that its `source-address` names",
            Self::BadExtension { .. } => {
                "ask for one with that extension corrected; `ssh-keygen -L -f FILE` shows it"
            }
            Self::TwoForcedCommands => "ask for a certificate that forces one command at most",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_repeats_nothing_that_a_terminal_obeys() {
        let text = Refusal::UnknownOption(format!("\x1b]0;x\x07{}", "y".repeat(1_000))).to_string();
        assert!(!text.contains('\x1b') && text.len() < 300, "{text}");
    }
}

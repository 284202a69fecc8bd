use super::Error;
use ring::rand::{SecureRandom, SystemRandom};
use russh::keys::signature::{self, Signer};
use russh::keys::ssh_key::certificate::{Builder, CertType};
use russh::keys::ssh_key::public::KeyData;
use russh::keys::ssh_key::{Certificate, HashAlg, PublicKey, Signature, SigningKey};
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

/// PROTOCOL.certkeys: "a CA-provided random bitstring of arbitrary length (but typically 16 or 32
/// bytes)", against collisions of the hash.
const NONCE_BYTES: usize = 32;

/// A certificate before it is signed. The library signs in one synchronous step; an agent answers
/// later. So the draft is built twice, equal to the last byte: once to learn what is to be signed,
/// once to put the signature in.
pub(super) struct Draft {
    pub(super) key: KeyData,
    pub(super) kind: CertType,
    pub(super) serial: u64,
    pub(super) key_id: String,
    pub(super) principals: Vec<String>,
    pub(super) valid_after: u64,
    pub(super) valid_before: u64,
    pub(super) options: Vec<(&'static str, String)>,
    pub(super) extensions: Vec<(&'static str, String)>,
    pub(super) comment: String,
    pub(super) nonce: [u8; NONCE_BYTES],
}

impl Draft {
    pub(super) fn sign_with<K: SigningKey>(&self, key: &K) -> Result<Certificate, Error> {
        self.builder()?.sign(key).map_err(cannot)
    }

    pub(super) fn bytes_to_sign(&self, ca: &PublicKey) -> Result<Vec<u8>, Error> {
        let listener = Listener {
            ca: ca.key_data().clone(),
            heard: Mutex::new(Vec::new()),
        };
        // Refused on purpose: the listener only wants to see the bytes.
        if self.builder()?.sign(&listener).is_ok() {
            return Err(Error::Sign("a draft was signed by nobody".to_owned()));
        }
        let heard = listener.heard.into_inner().unwrap_or_default();
        if heard.is_empty() {
            return Err(Error::Sign("the certificate cannot be written".to_owned()));
        }
        Ok(heard)
    }

    pub(super) fn with_signature(
        &self,
        ca: &PublicKey,
        signature: Signature,
    ) -> Result<Certificate, Error> {
        self.sign_with(&Ready {
            ca: ca.key_data().clone(),
            signature,
        })
    }

    pub(super) fn check_signed(
        &self,
        certificate: Certificate,
        ca: &PublicKey,
    ) -> Result<Certificate, Error> {
        let fingerprint = ca.fingerprint(HashAlg::Sha256);
        certificate
            .validate_at(self.valid_after, [&fingerprint])
            .map_err(|_| Error::Sign(format!("the signature of {fingerprint} does not fit")))?;
        Ok(certificate)
    }

    fn builder(&self) -> Result<Builder, Error> {
        if self.principals.is_empty() {
            // To OpenSSH that would be a certificate for everybody.
            return Err(Error::Sign("the certificate names no principal".to_owned()));
        }
        let fill = || {
            let mut builder = Builder::new(
                self.nonce,
                self.key.clone(),
                self.valid_after,
                self.valid_before,
            )?;
            builder.serial(self.serial)?.cert_type(self.kind)?;
            builder
                .key_id(&self.key_id)?
                .comment(self.comment.as_str())?;
            for principal in &self.principals {
                builder.valid_principal(principal)?;
            }
            for (name, value) in &self.options {
                builder.critical_option(*name, value)?;
            }
            for (name, value) in &self.extensions {
                builder.extension(*name, value)?;
            }
            Ok(builder)
        };
        fill().map_err(cannot)
    }
}

/// Sees what is to be signed, signs nothing.
struct Listener {
    ca: KeyData,
    heard: Mutex<Vec<u8>>,
}

impl Signer<Signature> for Listener {
    fn try_sign(&self, message: &[u8]) -> Result<Signature, signature::Error> {
        if let Ok(mut heard) = self.heard.lock() {
            *heard = message.to_vec();
        }
        Err(signature::Error::new())
    }
}

impl From<&Listener> for KeyData {
    fn from(listener: &Listener) -> Self {
        listener.ca.clone()
    }
}

/// Gives the signature that somebody else made.
struct Ready {
    ca: KeyData,
    signature: Signature,
}

impl Signer<Signature> for Ready {
    fn try_sign(&self, _message: &[u8]) -> Result<Signature, signature::Error> {
        Ok(self.signature.clone())
    }
}

impl From<&Ready> for KeyData {
    fn from(ready: &Ready) -> Self {
        ready.ca.clone()
    }
}

pub(super) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Error::Sign("the system gives no random bytes".to_owned()))?;
    Ok(bytes)
}

pub(super) fn seconds(time: SystemTime) -> Result<u64, Error> {
    time.duration_since(UNIX_EPOCH)
        .map(|since| since.as_secs())
        .map_err(|_| Error::Sign("the clock is before 1970".to_owned()))
}

fn cannot(problem: russh::keys::ssh_key::Error) -> Error {
    Error::Sign(problem.to_string())
}

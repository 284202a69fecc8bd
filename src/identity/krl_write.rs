//! Writes KRLs that OpenSSH reads (PROTOCOL.krl; `ssh-keygen -Q -f FILE` is the judge).

use super::krl::{
    BadKrl, CERTIFICATES, FORMAT, KEY_IDS, KEYS, MAGIC, SERIAL_RANGE, SERIALS, SHA1, SHA256,
};
use super::ranges::Ranges;
use super::revoke::KrlFile;
use super::rules::{CertificateRules, Rules, blob};
use russh::keys::ssh_key::PublicKey;
use std::time::{SystemTime, UNIX_EPOCH};

/// What is to be revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revoke {
    Serial {
        serial: u64,
        ca: PublicKey,
    },
    /// Of any CA, if none is given.
    KeyId {
        key_id: String,
        ca: Option<PublicKey>,
    },
    /// A person's key, or a CA's with everything it ever signed.
    Key(PublicKey),
}

/// A KRL with what `existing` has and what is added, its number one higher (1 for the first).
pub fn krl_write(
    existing: Option<&KrlFile>,
    add: &[Revoke],
    now: SystemTime,
) -> Result<Vec<u8>, BadKrl> {
    let mut rules = Rules::default();
    let mut number: u64 = 1;
    let mut generated = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let mut comment: &[u8] = b"";
    if let Some(file) = existing {
        let header = file.contents.header.as_ref().ok_or(BadKrl::NotKrl)?;
        if file.contents.has_extension {
            return Err(BadKrl::HasExtension);
        }
        rules = file.contents.rules.clone();
        number = header.number.checked_add(1).ok_or(BadKrl::TooMany)?;
        // A clock that was set back must not make the new list look like the old one.
        generated = generated.max(header.generated);
        comment = &header.comment;
    }
    for what in add {
        insert(&mut rules, what)?;
    }

    let mut out = Vec::new();
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&FORMAT.to_be_bytes());
    out.extend_from_slice(&number.to_be_bytes());
    out.extend_from_slice(&generated.to_be_bytes());
    out.extend_from_slice(&0_u64.to_be_bytes()); // flags
    string(&mut out, b"")?; // reserved
    string(&mut out, comment)?;
    sections(&mut out, &rules)?;
    Ok(out)
}

fn insert(rules: &mut Rules, what: &Revoke) -> Result<(), BadKrl> {
    match what {
        Revoke::Serial { serial, ca } => {
            if *serial == 0 {
                return Err(BadKrl::BadSerial);
            }
            let of_ca = rules.certificates.entry(blob_of(ca)?).or_default();
            let parts = of_ca.serials.iter().chain([(*serial, *serial)]).collect();
            of_ca.serials = Ranges::of(parts);
        }
        Revoke::KeyId { key_id, ca } => {
            let ca = ca.as_ref().map(blob_of).transpose()?.unwrap_or_default();
            let of_ca = rules.certificates.entry(ca).or_default();
            of_ca.key_ids.insert(key_id.as_bytes().to_vec());
        }
        Revoke::Key(key) => {
            rules.keys.insert(blob_of(key)?);
        }
    }
    Ok(())
}

fn blob_of(key: &PublicKey) -> Result<Vec<u8>, BadKrl> {
    blob(key.key_data()).map_err(|_| BadKrl::BadKey)
}

fn sections(out: &mut Vec<u8>, rules: &Rules) -> Result<(), BadKrl> {
    for (ca, of_ca) in &rules.certificates {
        if of_ca.serials.len() == 0 && of_ca.key_ids.is_empty() {
            continue;
        }
        let mut body = Vec::new();
        string(&mut body, ca)?;
        string(&mut body, b"")?; // reserved
        certificates(&mut body, of_ca)?;
        section(out, CERTIFICATES, &body)?;
    }
    for (kind, list) in [
        (KEYS, &rules.keys),
        (SHA1, &rules.sha1),
        (SHA256, &rules.sha256),
    ] {
        if !list.is_empty() {
            section(out, kind, &strings(list.iter())?)?;
        }
    }
    Ok(())
}

fn certificates(body: &mut Vec<u8>, rules: &CertificateRules) -> Result<(), BadKrl> {
    let mut singles = Vec::new();
    for (low, high) in rules.serials.iter() {
        if low == high {
            singles.extend_from_slice(&low.to_be_bytes());
            continue;
        }
        let mut range = low.to_be_bytes().to_vec();
        range.extend_from_slice(&high.to_be_bytes());
        section(body, SERIAL_RANGE, &range)?;
    }
    if !singles.is_empty() {
        section(body, SERIALS, &singles)?;
    }
    if !rules.key_ids.is_empty() {
        section(body, KEY_IDS, &strings(rules.key_ids.iter())?)?;
    }
    Ok(())
}

fn section(out: &mut Vec<u8>, kind: u8, body: &[u8]) -> Result<(), BadKrl> {
    out.push(kind);
    string(out, body)
}

fn strings<'a>(list: impl Iterator<Item = &'a Vec<u8>>) -> Result<Vec<u8>, BadKrl> {
    let mut out = Vec::new();
    for item in list {
        string(&mut out, item)?;
    }
    Ok(out)
}

fn string(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), BadKrl> {
    let length = u32::try_from(bytes.len()).map_err(|_| BadKrl::TooLong)?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

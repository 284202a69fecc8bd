//! Reads OpenSSH's key revocation lists (PROTOCOL.krl) and lists of public keys.
//!
//! What is not understood refuses the file: a rule that is skipped is a key that gets in.

use super::ranges::Ranges;
use super::rules::{Rules, blob};
use russh::keys::ssh_key::{Certificate, PublicKey};
use std::collections::BTreeMap;

/// PROTOCOL.krl §1: `SSHKRL\n\0`.
pub(super) const MAGIC: &[u8; 8] = b"SSHKRL\n\0";
pub(super) const FORMAT: u32 = 1;
/// Section types, §1 and §2.
pub(super) const CERTIFICATES: u8 = 1;
pub(super) const KEYS: u8 = 2;
pub(super) const SHA1: u8 = 3;
const SIGNATURE: u8 = 4;
pub(super) const SHA256: u8 = 5;
const EXTENSION: u8 = 255;
pub(super) const SERIALS: u8 = 0x20;
pub(super) const SERIAL_RANGE: u8 = 0x21;
const SERIAL_BITMAP: u8 = 0x22;
pub(super) const KEY_IDS: u8 = 0x23;
const CERTIFICATES_EXTENSION: u8 = 0x39;

/// Some 900,000 fingerprints.
const FILE_BYTES_MAX: usize = 32 * 1024 * 1024; // 32 MiB
/// Rules of one file; 16 to 100 bytes each in memory.
const RULES_MAX: usize = 2_000_000;
/// OpenSSH reads no larger integer (sshbuf.h, `SSHBUF_MAX_BIGNUM`), plus the sign byte.
const BITMAP_BYTES_MAX: usize = 16 * 1024 / 8 + 1;

/// Why a list is not used. Never repeats bytes of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKrl {
    #[error(
        "it is empty; a list that revokes nothing has at least a comment line (`# nothing yet`)"
    )]
    Empty,
    #[error("it is longer than 32 MiB")]
    TooLong,
    #[error("it has more than {RULES_MAX} rules")]
    TooMany,
    #[error("it ends in the middle")]
    Truncated,
    #[error("its format is version {0}; only version 1 is known")]
    Format(u32),
    #[error("it has a section of the unknown type {0}")]
    UnknownSection(u8),
    #[error(
        "it carries a signature, which is not checked here; write it again with `ssh-keygen -k`"
    )]
    Signed,
    #[error("it has a critical extension that is not known here")]
    CriticalExtension,
    #[error("it names a CA key that cannot be read")]
    BadAuthority,
    #[error("it has a serial that is 0, or a range that ends before it starts")]
    BadSerial,
    #[error("it has a bitmap of serials that cannot be read")]
    BadBitmap,
    #[error("it has a fingerprint of the wrong length")]
    BadFingerprint,
    #[error("it has bytes behind its end")]
    Trailing,
    #[error("it is neither an OpenSSH KRL nor text")]
    NotText,
    #[error(
        "line {0} is not a public key; write keys as in a `.pub` file, and `#` before comments"
    )]
    BadLine(usize),
    #[error(
        "it is number {number} and older than number {in_force}, which is in force; write the next \
         one with a higher number (`ssh-keygen -k -z NUMBER`, or `portcullis ca revoke`)"
    )]
    Older { number: u64, in_force: u64 },
    #[error("it is a list of public keys and no KRL: add a line to it instead")]
    NotKrl,
    #[error("it has an extension that would be lost on writing; write it with `ssh-keygen -k -u`")]
    HasExtension,
    #[error("a key cannot be written into it")]
    BadKey,
}

/// A list as read.
#[derive(Clone, Debug, Default)]
pub(super) struct Contents {
    /// Absent for a list of public keys.
    pub(super) header: Option<Header>,
    pub(super) rules: Rules,
    pub(super) has_extension: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Header {
    pub(super) number: u64,
    pub(super) generated: u64,
    pub(super) comment: Vec<u8>,
}

pub(super) fn parse(bytes: &[u8]) -> Result<Contents, BadKrl> {
    if bytes.is_empty() {
        // An editor that was interrupted leaves this; it must not lift every revocation.
        return Err(BadKrl::Empty);
    }
    if bytes.len() > FILE_BYTES_MAX {
        return Err(BadKrl::TooLong);
    }
    match bytes.strip_prefix(MAGIC) {
        Some(rest) => parse_krl(Input(rest)),
        None => parse_list(bytes),
    }
}

fn parse_krl(mut input: Input<'_>) -> Result<Contents, BadKrl> {
    let format = input.u32()?;
    if format != FORMAT {
        return Err(BadKrl::Format(format));
    }
    let number = input.u64()?;
    let generated = input.u64()?;
    let _flags = input.u64()?;
    let _reserved = input.string()?;
    let comment = input.string()?.to_vec();

    let mut read = Reading::default();
    while !input.is_finished() {
        let kind = input.u8()?;
        let section = Input(input.string()?);
        read.section(kind, section)?;
    }
    Ok(Contents {
        header: Some(Header {
            number,
            generated,
            comment,
        }),
        has_extension: read.has_extension,
        rules: read.finish(),
    })
}

/// Rules while they are collected; ranges are joined at the end.
#[derive(Default)]
struct Reading {
    rules: Rules,
    serials: BTreeMap<Vec<u8>, Vec<(u64, u64)>>,
    count: usize,
    has_extension: bool,
}

impl Reading {
    fn section(&mut self, kind: u8, mut section: Input<'_>) -> Result<(), BadKrl> {
        match kind {
            CERTIFICATES => self.certificates(section),
            KEYS => {
                while !section.is_finished() {
                    self.one_more()?;
                    self.rules.keys.insert(section.string()?.to_vec());
                }
                Ok(())
            }
            SHA1 => {
                while !section.is_finished() {
                    self.one_more()?;
                    self.rules.sha1.insert(section.hash(20)?);
                }
                Ok(())
            }
            SHA256 => {
                while !section.is_finished() {
                    self.one_more()?;
                    self.rules.sha256.insert(section.hash(32)?);
                }
                Ok(())
            }
            SIGNATURE => Err(BadKrl::Signed),
            EXTENSION => self.extension(section),
            unknown => Err(BadKrl::UnknownSection(unknown)),
        }
    }

    /// §2. An empty CA key means any CA.
    fn certificates(&mut self, mut section: Input<'_>) -> Result<(), BadKrl> {
        let ca = section.string()?.to_vec();
        if !ca.is_empty() && PublicKey::from_bytes(&ca).is_err() {
            return Err(BadKrl::BadAuthority);
        }
        let _reserved = section.string()?;
        let mut serials = Vec::new();
        while !section.is_finished() {
            let kind = section.u8()?;
            let mut part = Input(section.string()?);
            match kind {
                SERIALS => {
                    while !part.is_finished() {
                        let serial = part.u64()?;
                        self.push(&mut serials, serial, serial)?;
                    }
                }
                SERIAL_RANGE => {
                    let (low, high) = (part.u64()?, part.u64()?);
                    part.finish()?;
                    self.push(&mut serials, low, high)?;
                }
                SERIAL_BITMAP => {
                    let offset = part.u64()?;
                    let bitmap = part.string()?;
                    part.finish()?;
                    self.bitmap(&mut serials, offset, bitmap)?;
                }
                KEY_IDS => {
                    let rules = self.rules.certificates.entry(ca.clone()).or_default();
                    while !part.is_finished() {
                        rules.key_ids.insert(part.string()?.to_vec());
                        self.count += 1;
                    }
                    self.check_count()?;
                }
                CERTIFICATES_EXTENSION => self.extension(part)?,
                unknown => return Err(BadKrl::UnknownSection(unknown)),
            }
        }
        self.serials.entry(ca).or_default().append(&mut serials);
        Ok(())
    }

    /// §2.3: an mpint (RFC 4251 §5); bit n stands for `offset + n`.
    fn bitmap(
        &mut self,
        serials: &mut Vec<(u64, u64)>,
        offset: u64,
        bitmap: &[u8],
    ) -> Result<(), BadKrl> {
        let is_negative = bitmap.first().is_some_and(|first| *first >= 0x80);
        if is_negative || bitmap.len() > BITMAP_BYTES_MAX {
            return Err(BadKrl::BadBitmap);
        }
        for (index, byte) in bitmap.iter().rev().enumerate() {
            for bit in 0..8 {
                if byte >> bit & 1 == 1 {
                    let step = u64::try_from(index * 8 + bit).map_err(|_| BadKrl::BadBitmap)?;
                    let at = offset.checked_add(step).ok_or(BadKrl::BadBitmap)?;
                    self.push(serials, at, at)?;
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, serials: &mut Vec<(u64, u64)>, low: u64, high: u64) -> Result<(), BadKrl> {
        if low == 0 || high < low {
            return Err(BadKrl::BadSerial);
        }
        // Runs of a bitmap and of a sorted list are one range at once.
        match serials.last_mut() {
            Some((_, end)) if end.checked_add(1) == Some(low) => *end = high,
            Some(_) | None => {
                self.one_more()?;
                serials.push((low, high));
            }
        }
        Ok(())
    }

    /// §6: name, critical, contents. Ours to ignore only if it is not critical.
    fn extension(&mut self, mut section: Input<'_>) -> Result<(), BadKrl> {
        let _name = section.string()?;
        let is_critical = section.u8()? != 0;
        let _contents = section.string()?;
        section.finish()?;
        if is_critical {
            return Err(BadKrl::CriticalExtension);
        }
        self.has_extension = true;
        Ok(())
    }

    fn one_more(&mut self) -> Result<(), BadKrl> {
        self.count += 1;
        self.check_count()
    }

    fn check_count(&self) -> Result<(), BadKrl> {
        if self.count > RULES_MAX {
            return Err(BadKrl::TooMany);
        }
        Ok(())
    }

    fn finish(mut self) -> Rules {
        for (ca, parts) in self.serials {
            self.rules.certificates.entry(ca).or_default().serials = Ranges::of(parts);
        }
        self.rules
    }
}

/// One key a line, as in a `.pub` file; a certificate stands for its key. Like sshd's `RevokedKeys`
/// in text form.
fn parse_list(bytes: &[u8]) -> Result<Contents, BadKrl> {
    let text = std::str::from_utf8(bytes).map_err(|_| BadKrl::NotText)?;
    let mut rules = Rules::default();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if rules.keys.len() >= RULES_MAX {
            return Err(BadKrl::TooMany);
        }
        let key = match (
            PublicKey::from_openssh(line),
            Certificate::from_openssh(line),
        ) {
            (Ok(key), _) => blob(key.key_data()),
            (Err(_), Ok(certificate)) => blob(certificate.public_key()),
            (Err(_), Err(_)) => return Err(BadKrl::BadLine(index + 1)),
        };
        rules
            .keys
            .insert(key.map_err(|_| BadKrl::BadLine(index + 1))?);
    }
    Ok(Contents {
        header: None,
        rules,
        has_extension: false,
    })
}

/// What is left to read. The library's reader stops at strings of 1 MiB, which a section of 30,000
/// fingerprints is longer than; these five lines have no other limit than the file.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, bytes: usize) -> Result<&'a [u8], BadKrl> {
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or(BadKrl::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BadKrl> {
        self.take(N)?.try_into().map_err(|_| BadKrl::Truncated)
    }

    fn u8(&mut self) -> Result<u8, BadKrl> {
        self.array().map(u8::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, BadKrl> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, BadKrl> {
        self.array().map(u64::from_be_bytes)
    }

    /// RFC 4251 §5. The length is checked before anything is taken, and nothing is copied.
    fn string(&mut self) -> Result<&'a [u8], BadKrl> {
        let bytes = usize::try_from(self.u32()?).map_err(|_| BadKrl::Truncated)?;
        self.take(bytes)
    }

    fn hash(&mut self, bytes: usize) -> Result<Vec<u8>, BadKrl> {
        let hash = self.string()?;
        if hash.len() != bytes {
            return Err(BadKrl::BadFingerprint);
        }
        Ok(hash.to_vec())
    }

    fn is_finished(&self) -> bool {
        self.0.is_empty()
    }

    fn finish(&self) -> Result<(), BadKrl> {
        if self.is_finished() {
            Ok(())
        } else {
            Err(BadKrl::Trailing)
        }
    }
}

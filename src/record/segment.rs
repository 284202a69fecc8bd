//! The journal's bytes: a header page, then binary records, little endian. Pure.
//!
//! ```text
//! length u32 | crc32c u32 | seq u64 | mt u64 | session 16 | channel u32 | kind u8 | payload
//! ```
//! `length` counts what follows it; the checksum covers everything after itself, and the segment's
//! epoch, so that bytes of an older life of the file never pass for records of this one. `seq` goes
//! on by one over all segments of a run: a record that was written again in a newer segment keeps
//! its number, and a hole in the numbers is a loss.

use crate::id::SessionId;
use uuid::Uuid;

pub(crate) const HEADER_BYTES: u64 = 4096;
pub(crate) const RECORD_BYTES_MAX: usize = 1024 * 1024;
const MAGIC: &[u8; 8] = b"PCJRNL01";
/// crc, seq, mt, session, channel, kind.
const FIXED: usize = 4 + 8 + 8 + 16 + 4 + 1;
const NO_CHANNEL: u32 = u32::MAX;

/// What a record holds. The numbers are the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    Audit = 1,
    Input = 2,
    Withheld = 3,
    Output = 4,
    Stderr = 5,
    Notice = 6,
    Resize = 7,
    Progress = 8,
    /// Opens a stream; payload: wall clock at its start, nanoseconds since the epoch, u64.
    Open = 9,
    Close = 10,
    /// Ends a chunk here.
    Cut = 11,
    /// Everything up to a line is on the disk; payload: its number, u64.
    Commit = 12,
}

impl Tag {
    fn from_byte(byte: u8) -> Option<Self> {
        [
            Self::Audit,
            Self::Input,
            Self::Withheld,
            Self::Output,
            Self::Stderr,
            Self::Notice,
            Self::Resize,
            Self::Progress,
            Self::Open,
            Self::Close,
            Self::Cut,
            Self::Commit,
        ]
        .into_iter()
        .find(|tag| *tag as u8 == byte)
    }
}

/// A record without its place: number and epoch are given when it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) session: SessionId,
    pub(crate) channel: Option<u32>,
    pub(crate) mt: u64,
    pub(crate) tag: Tag,
    pub(crate) payload: Vec<u8>,
}

/// Everything but number and checksum is written here, before any lock is taken.
pub(crate) struct Encoded {
    bytes: Vec<u8>,
    body_crc: u32,
}

impl Record {
    pub(crate) fn encode(&self) -> Encoded {
        let length = FIXED + self.payload.len();
        let mut bytes = Vec::with_capacity(4 + length);
        bytes.extend_from_slice(&u32::try_from(length).unwrap_or(0).to_le_bytes());
        bytes.extend_from_slice(&[0; 12]);
        bytes.extend_from_slice(&self.mt.to_le_bytes());
        bytes.extend_from_slice(self.session.as_bytes());
        bytes.extend_from_slice(&self.channel.unwrap_or(NO_CHANNEL).to_le_bytes());
        bytes.push(self.tag as u8);
        bytes.extend_from_slice(&self.payload);
        let body_crc = crc32c::crc32c(bytes.get(16..).unwrap_or_default());
        Encoded { bytes, body_crc }
    }
}

impl Encoded {
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Makes it record `seq`, in a segment of `epoch`.
    pub(crate) fn place(&mut self, seq: u64, epoch: u64) {
        let crc = placed_crc(self.body_crc, seq, epoch);
        if let Some(field) = self.bytes.get_mut(4..8) {
            field.copy_from_slice(&crc.to_le_bytes());
        }
        if let Some(field) = self.bytes.get_mut(8..16) {
            field.copy_from_slice(&seq.to_le_bytes());
        }
    }

    /// The same record, same number, in another segment.
    pub(crate) fn place_again(&mut self, epoch: u64) {
        let seq = u64_at(&self.bytes, 8).unwrap_or(0);
        self.place(seq, epoch);
    }
}

fn placed_crc(body: u32, seq: u64, epoch: u64) -> u32 {
    crc32c::crc32c_append(
        crc32c::crc32c_append(body, &seq.to_le_bytes()),
        &epoch.to_le_bytes(),
    )
}

pub(crate) fn header(epoch: u64) -> Vec<u8> {
    let mut page = vec![0; 4096];
    let text = [MAGIC.as_slice(), &epoch.to_le_bytes()].concat();
    if let Some(start) = page.get_mut(..text.len()) {
        start.copy_from_slice(&text);
    }
    page
}

/// The epoch of a segment that was ready; `None` for one that never got that far.
pub(crate) fn epoch(page: &[u8]) -> Option<u64> {
    let rest = page.strip_prefix(MAGIC)?;
    Some(u64::from_le_bytes(rest.get(..8)?.try_into().ok()?))
}

/// What stands at the start of `bytes`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    Record {
        seq: u64,
        record: Record,
        length: usize,
    },
    /// Zeros: nothing was written here yet.
    End,
    /// More bytes are needed to say.
    Short,
    Bad,
}

/// The shortest record there can be.
pub(crate) const RECORD_BYTES_MIN: usize = 4 + FIXED;

/// Its number as it stands there, unchecked: to look for a record cheaply.
pub(crate) fn claimed_seq(bytes: &[u8]) -> Option<u64> {
    u64_at(bytes, 8)
}

pub(crate) fn parse(bytes: &[u8], epoch: u64) -> Parsed {
    let Some(length) = u32_at(bytes, 0) else {
        return Parsed::Short;
    };
    if length == 0 {
        return Parsed::End;
    }
    let length = length as usize;
    if !(FIXED..=RECORD_BYTES_MAX + FIXED).contains(&length) {
        return Parsed::Bad;
    }
    let Some(whole) = bytes.get(4..4 + length) else {
        return Parsed::Short;
    };
    parse_whole(whole, epoch).map_or(Parsed::Bad, |(seq, record)| Parsed::Record {
        seq,
        record,
        length: 4 + length,
    })
}

fn parse_whole(whole: &[u8], epoch: u64) -> Option<(u64, Record)> {
    let crc = u32_at(whole, 0)?;
    let seq = u64_at(whole, 4)?;
    let body = whole.get(12..)?;
    if placed_crc(crc32c::crc32c(body), seq, epoch) != crc {
        return None;
    }
    let session: [u8; 16] = body.get(8..24)?.try_into().ok()?;
    let channel = u32_at(body, 24)?;
    let record = Record {
        session: SessionId(Uuid::from_bytes(session)),
        channel: (channel != NO_CHANNEL).then_some(channel),
        mt: u64_at(body, 0)?,
        tag: Tag::from_byte(*body.get(28)?)?,
        payload: body.get(29..)?.to_vec(),
    };
    Some((seq, record))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(payload: Vec<u8>) -> Record {
        Record {
            session: SessionId(Uuid::from_u128(7)),
            channel: Some(3),
            mt: 42,
            tag: Tag::Output,
            payload,
        }
    }

    fn placed(record: &Record, seq: u64, epoch: u64) -> Vec<u8> {
        let mut encoded = record.encode();
        encoded.place(seq, 1);
        encoded.place_again(epoch);
        encoded.bytes().to_vec()
    }

    #[test]
    fn another_epoch_or_number_does_not_pass() {
        let bytes = placed(&record(b"x".to_vec()), 5, 9);
        assert!(matches!(parse(&bytes, 9), Parsed::Record { seq: 5, .. }));
        assert_eq!(parse(&bytes, 10), Parsed::Bad);
        let mut forged = bytes;
        forged[8] = 6;
        assert_eq!(parse(&forged, 9), Parsed::Bad);
        assert_eq!(parse(&[0; 64], 9), Parsed::End);
        assert_eq!(epoch(&header(77)), Some(77));
        assert_eq!(epoch(&[0; 4096]), None);
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_parsed(payload: Vec<u8>, seq: u64, epoch: u64) {
            let record = record(payload);
            let bytes = placed(&record, seq, epoch);
            let length = bytes.len();
            prop_assert_eq!(parse(&bytes, epoch), Parsed::Record { seq, record, length });
            for cut in 0..bytes.len().min(64) {
                prop_assert_eq!(parse(&bytes[..cut], epoch), Parsed::Short);
            }
        }

        #[test]
        fn any_bytes_give_a_verdict(bytes: Vec<u8>, epoch: u64) {
            let parsed = parse(&bytes, epoch);
            let is_record = matches!(parsed, Parsed::Record { .. });
            prop_assert!(!is_record, "random bytes passed a checksum");
        }
    }
}

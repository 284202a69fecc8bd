//! Where a session's chunks stand, so that recovery goes on from there; and what passed, for the end
//! of a session that a crash cut off.

use super::segment::{Record, Tag, u32_at, u64_at};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Channels counted one by one; the oldest of more are only a sum.
const CHANNELS: usize = 64;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    pub(crate) wall_ns: u64,
    pub(crate) next_line: u64,
    pub(crate) next_chunk: u64,
    /// The largest time a line of the chunks may have.
    pub(crate) last_mt: u64,
    /// The last record that was taken, and the segment that held it.
    pub(crate) segment: u64,
    pub(crate) through: Option<u64>,
    pub(crate) closed: bool,
    pub(crate) tally: Tally,
}

impl Cursor {
    pub(crate) fn at(wall_ns: u64, segment: u64) -> Self {
        Self {
            wall_ns,
            segment,
            ..Self::default()
        }
    }
}

/// Bytes either way and channels, counted from the records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    channels: BTreeMap<u32, [u64; 3]>,
    older: [u64; 3],
    older_channels: u64,
}

impl Tally {
    pub(crate) fn count(&mut self, record: &Record) {
        let Some(channel) = record.channel else {
            return;
        };
        let length = record.payload.len() as u64;
        let (way, bytes, so_far) = match record.tag {
            Tag::Input => (0, length, false),
            Tag::Withheld => (0, u64::from(u32_at(&record.payload, 0).unwrap_or(0)), false),
            Tag::Output => (1, length, false),
            Tag::Stderr => (2, length, false),
            Tag::Progress => {
                let way = record.payload.first().copied().unwrap_or(0);
                let bytes = u64_at(&record.payload, 1).unwrap_or(0);
                (usize::from(way), bytes, true)
            }
            Tag::Audit | Tag::Notice | Tag::Resize => (0, 0, false),
            Tag::Open | Tag::Close | Tag::Cut | Tag::Commit => return,
        };
        let counts = self.channels.entry(channel).or_default();
        if let Some(count) = counts.get_mut(way) {
            *count = if so_far {
                bytes.max(*count)
            } else {
                *count + bytes
            };
        }
        if self.channels.len() > CHANNELS
            && let Some((_, counts)) = self.channels.pop_first()
        {
            self.older_channels += 1;
            for (sum, count) in self.older.iter_mut().zip(counts) {
                *sum += count;
            }
        }
    }

    pub(crate) fn channels(&self) -> u64 {
        self.older_channels + self.channels.len() as u64
    }

    pub(crate) fn input_bytes(&self) -> u64 {
        self.sum(0)
    }

    pub(crate) fn output_bytes(&self) -> u64 {
        self.sum(1) + self.sum(2)
    }

    fn sum(&self, way: usize) -> u64 {
        let of = |counts: &[u64; 3]| counts.get(way).copied().unwrap_or(0);
        of(&self.older) + self.channels.values().map(of).sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::SessionId;

    fn record(channel: u32, tag: Tag, payload: Vec<u8>) -> Record {
        Record {
            session: SessionId(uuid::Uuid::nil()),
            channel: Some(channel),
            mt: 0,
            tag,
            payload,
        }
    }

    #[test]
    fn what_passed_is_counted_once() {
        let mut tally = Tally::default();
        tally.count(&record(0, Tag::Output, vec![0; 1000]));
        let progress = [vec![1], 5000u64.to_le_bytes().to_vec(), vec![0; 32]].concat();
        tally.count(&record(0, Tag::Progress, progress));
        tally.count(&record(0, Tag::Stderr, vec![0; 7]));
        tally.count(&record(1, Tag::Withheld, 3u32.to_le_bytes().to_vec()));
        assert_eq!(tally.output_bytes(), 5007);
        assert_eq!(tally.input_bytes(), 3);
        for channel in 2..1000 {
            tally.count(&record(channel, Tag::Input, vec![1]));
        }
        assert_eq!(tally.channels(), 1000);
        assert_eq!(tally.input_bytes(), 1001);
        assert!(tally.channels.len() <= CHANNELS);
    }
}

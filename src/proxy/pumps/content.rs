//! What of one direction of a channel is kept (docs/recording-format.md 6).
//!
//! Bytes whose content is not kept are counted and hashed before they go on, with a
//! `stream.progress` in the journal before the byte that crosses each MiB.

use crate::event::{Body, Direction, Entry, Kind, Outcome, Secret, StreamSum};
use crate::id::ChannelId;
use bytes::Bytes;
use ring::digest;

use crate::proxy::tap::Tap;

const PROGRESS_BYTES: u64 = 1024 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// A terminal, both ways.
    All,
    /// Typed on a terminal: length and time only (docs/recording-format.md 5.5).
    Withheld,
    /// This many bytes, then size and SHA-256 of the whole.
    First(u64),
}

/// One direction of one channel.
pub(crate) struct Content {
    direction: Direction,
    keep: Keep,
    bytes: u64,
    kept: u64,
    hash: digest::Context,
}

impl Content {
    pub(crate) fn new(direction: Direction, keep: Keep) -> Self {
        Self {
            direction,
            keep,
            bytes: 0,
            kept: 0,
            hash: digest::Context::new(&digest::SHA256),
        }
    }

    pub(crate) fn direction(&self) -> Direction {
        self.direction
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Of all bytes so far, hexadecimal; only where not all are kept.
    pub(crate) fn sha256(&self) -> String {
        hex::encode(self.hash.clone().finish().as_ref())
    }

    /// The entries that must be in the journal before `data` goes on.
    pub(crate) fn take(&mut self, channel: ChannelId, data: &Bytes) -> Vec<Entry> {
        let length = data.len() as u64;
        let entries = match self.keep {
            Keep::All => vec![Entry::on(channel, self.frame(data.clone()))],
            Keep::Withheld => vec![Entry::on(
                channel,
                Body::InputWithheld {
                    bytes: u32::try_from(length).unwrap_or(u32::MAX),
                },
            )],
            Keep::First(limit) => return self.take_limited(channel, data, limit),
        };
        self.bytes += length;
        entries
    }

    fn take_limited(&mut self, channel: ChannelId, data: &Bytes, limit: u64) -> Vec<Entry> {
        let mut entries = Vec::new();
        let room = usize::try_from(limit.saturating_sub(self.kept)).unwrap_or(usize::MAX);
        let kept = data.slice(..room.min(data.len()));
        if !kept.is_empty() {
            self.kept += kept.len() as u64;
            entries.push(Entry::on(channel, self.frame(kept)));
        }
        let mut rest = data.clone();
        while !rest.is_empty() {
            let to_mark = PROGRESS_BYTES - self.bytes % PROGRESS_BYTES;
            let n = usize::try_from(to_mark)
                .unwrap_or(usize::MAX)
                .min(rest.len());
            let piece = rest.split_to(n);
            self.hash.update(&piece);
            self.bytes += piece.len() as u64;
            if self.bytes.is_multiple_of(PROGRESS_BYTES) && self.bytes > self.kept {
                entries.push(Entry::on(channel, self.progress()));
            }
        }
        entries
    }

    fn frame(&self, data: Bytes) -> Body {
        match self.direction {
            Direction::Input => Body::Input(Secret(data)),
            Direction::Output => Body::Output {
                fd: 1,
                data: Secret(data),
            },
            Direction::Stderr => Body::Output {
                fd: 2,
                data: Secret(data),
            },
        }
    }

    fn progress(&self) -> Body {
        let sum = self.hash.clone().finish();
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(sum.as_ref());
        Body::Progress {
            direction: self.direction,
            bytes: self.bytes,
            sha256,
        }
    }

    /// At the end of the stream: size and hash of the whole. Nothing for terminals, whose bytes are
    /// all there.
    pub(crate) fn sum(&self, channel: ChannelId, tap: &Tap) -> Option<Entry> {
        if !matches!(self.keep, Keep::First(_)) || self.bytes == 0 {
            return None;
        }
        let sum = StreamSum {
            direction: self.direction,
            bytes: self.bytes,
            sha256: self.sha256(),
            kept_bytes: self.kept,
        };
        Some(tap.on(channel, Kind::Stream(sum), Outcome::Success))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CHANNEL: ChannelId = ChannelId(0);

    fn kept(entries: &[Entry]) -> Vec<u8> {
        entries
            .iter()
            .filter_map(|entry| match &entry.body {
                Body::Output { data, .. } => Some(data.0.to_vec()),
                Body::Audit(_)
                | Body::Input(_)
                | Body::InputWithheld { .. }
                | Body::Notice(_)
                | Body::Resize { .. }
                | Body::Progress { .. } => None,
            })
            .flatten()
            .collect()
    }

    #[test]
    fn a_terminal_keeps_everything_and_typing_only_its_length() {
        let mut output = Content::new(Direction::Output, Keep::All);
        let entries = output.take(CHANNEL, &Bytes::from_static(b"hello"));
        assert_eq!(kept(&entries), b"hello");
        let mut typed = Content::new(Direction::Input, Keep::Withheld);
        let entries = typed.take(CHANNEL, &Bytes::from_static(b"hunter2"));
        assert!(matches!(entries[0].body, Body::InputWithheld { bytes: 7 }));
        assert_eq!(entries.len(), 1);
    }

    proptest! {
        /// Whatever the cuts: the first bytes are kept, all are hashed, and no MiB passes unmarked.
        #[test]
        fn limits_do_not_depend_on_cuts(total in 0usize..5_000_000, cut in 1usize..200_000, limit in 0u64..3_000_000) {
            let data = Bytes::from(vec![7u8; total]);
            let mut content = Content::new(Direction::Output, Keep::First(limit));
            let mut frames = 0;
            let mut marks = Vec::new();
            let mut at = 0;
            while at < total {
                let end = (at + cut).min(total);
                for entry in content.take(CHANNEL, &data.slice(at..end)) {
                    match &entry.body {
                        Body::Output { data, .. } => frames += data.0.len() as u64,
                        Body::Progress { bytes, .. } => marks.push(*bytes),
                        Body::Audit(_)
                        | Body::Input(_)
                        | Body::InputWithheld { .. }
                        | Body::Notice(_)
                        | Body::Resize { .. } => panic!("{:?}", entry.body),
                    }
                }
                at = end;
            }
            prop_assert_eq!(frames, limit.min(total as u64));
            for mark in (1..=total as u64 / PROGRESS_BYTES).map(|n| n * PROGRESS_BYTES) {
                prop_assert_eq!(marks.contains(&mark), mark > limit, "{}", mark);
            }
            let whole = digest::digest(&digest::SHA256, &data);
            let hashed = content.hash.clone().finish();
            prop_assert_eq!(hashed.as_ref(), whole.as_ref());
        }
    }
}

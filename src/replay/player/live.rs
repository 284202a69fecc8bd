//! What the recorder sees now, as events: for who follows a running session.

use super::event::{Act, Event, LIVE, act_of};
use crate::event::Audit;
use crate::record::{Seen, SeenBytes};
use crate::replay::open::Place;
use std::collections::BTreeMap;
use std::time::Duration;

/// The start of a character that waits for its rest is at most this long.
const CHARACTER_BYTES: usize = 4;

/// The state between two of them.
#[derive(Debug, Default)]
pub struct Incoming {
    tails: BTreeMap<u32, Vec<u8>>,
    last: Duration,
}

impl Incoming {
    /// `None` when the session has ended. It stands behind all that is in chunks.
    pub fn event(&mut self, seen: Seen, chunk: u32) -> Option<Event> {
        let (channel, mt, act) = match seen {
            Seen::Ended => return None,
            Seen::Skipped { bytes } => (None, 0, Act::Skipped(bytes)),
            Seen::Bytes(SeenBytes { channel, mt, bytes }) => {
                let text = self.text(channel.unwrap_or(0), &bytes);
                (channel, mt, Act::Text(text))
            }
            Seen::Resize {
                channel,
                mt,
                cols,
                rows,
            } => (channel, mt, Act::Resize { cols, rows }),
            Seen::Audit { channel, mt, json } => {
                let audit: Option<Audit> = serde_json::from_slice(&json).ok();
                let act = audit.map_or(Act::Nothing, |audit| act_of(&audit.kind));
                (channel, mt, act)
            }
        };
        self.last = self.last.max(Duration::from_nanos(mt));
        Some(Event {
            at: self.last,
            place: Place { chunk, seq: LIVE },
            channel: channel.unwrap_or(0),
            act,
        })
    }

    fn text(&mut self, channel: u32, bytes: &[u8]) -> String {
        let mut whole = self.tails.remove(&channel).unwrap_or_default();
        whole.extend_from_slice(bytes);
        let mut text = String::new();
        let mut rest = whole.as_slice();
        while !rest.is_empty() {
            match std::str::from_utf8(rest) {
                Ok(valid) => {
                    text.push_str(valid);
                    break;
                }
                Err(error) => {
                    let (valid, after) = rest.split_at(error.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(valid));
                    let Some(bad) = error.error_len() else {
                        let tail = after.get(..after.len().min(CHARACTER_BYTES));
                        self.tails
                            .insert(channel, tail.unwrap_or_default().to_vec());
                        break;
                    };
                    text.push(char::REPLACEMENT_CHARACTER);
                    rest = after.get(bad..).unwrap_or_default();
                }
            }
        }
        text
    }
}

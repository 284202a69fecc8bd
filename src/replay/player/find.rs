//! Where a text was shown: a look through everything that was printed, without its control codes.

use crate::event::Kind;
use crate::replay::line::What;
use crate::replay::open::{Error, Events, Step};
use avt::Parser;
use avt::parser::Function;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc;

/// Hits that are kept; one that has so many looks for something else.
const HITS_MAX: usize = 10_000;
/// Channels whose text is joined over events at once.
const CHANNELS_MAX: usize = 64;
/// What is searched for at most.
pub(super) const NEEDLE_CHARS_MAX: usize = 200;

/// Some places, and whether these are the last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hits {
    pub at: Vec<Duration>,
    pub done: bool,
}

/// Gives each moment at which `needle` was printed, in order. Capitals in it are meant, small letters
/// fit both. Blocking: for a thread of its own, which ends when nobody listens.
///
/// # Errors
/// When the recording cannot be read.
pub fn find(events: Events, needle: &str, to: &mpsc::Sender<Hits>) -> Result<(), Error> {
    let mut search = Search::new(needle);
    let mut found = 0;
    for (number, step) in events.enumerate() {
        let Step::Line(line) = step? else {
            continue;
        };
        let channel = line.channel.unwrap_or(0);
        let hit = match &line.what {
            What::Output { text, .. } | What::Notice { text } => search.see(channel, text),
            What::Audit(audit) => search.is_asked_for(&audit.kind),
            What::Input { .. }
            | What::Resize { .. }
            | What::Progress { .. }
            | What::Commit
            | What::Unknown => false,
        };
        if hit {
            found += 1;
            let hits = Hits {
                at: vec![line.mt],
                done: false,
            };
            if to.blocking_send(hits).is_err() {
                return Ok(());
            }
        }
        if found >= HITS_MAX {
            break;
        }
        if number.is_multiple_of(256) && to.is_closed() {
            return Ok(());
        }
    }
    let last = Hits {
        at: Vec::new(),
        done: true,
    };
    // Nobody waits for it any more: that is no failure.
    drop(to.blocking_send(last));
    Ok(())
}

struct Search {
    needle: Vec<char>,
    any_case: bool,
    shown: BTreeMap<u32, Shown>,
}

/// The end of what a channel printed, long enough to hold a part of the needle.
struct Shown {
    parser: Parser,
    tail: Vec<char>,
}

impl Search {
    fn new(needle: &str) -> Self {
        Self {
            any_case: !needle.chars().any(char::is_uppercase),
            needle: needle.chars().take(NEEDLE_CHARS_MAX).collect(),
            shown: BTreeMap::new(),
        }
    }

    fn fold(&self, c: char) -> char {
        match self.any_case {
            true => c.to_lowercase().next().unwrap_or(c),
            false => c,
        }
    }

    /// Whether the needle was completed by this text.
    fn see(&mut self, channel: u32, text: &str) -> bool {
        if self.shown.len() >= CHANNELS_MAX && !self.shown.contains_key(&channel) {
            self.shown.pop_first();
        }
        let mut shown = self.shown.remove(&channel).unwrap_or_else(|| Shown {
            parser: Parser::new(),
            tail: Vec::new(),
        });
        let mut hit = false;
        for c in text.chars() {
            match shown.parser.feed(c) {
                Some(Function::Print(c)) => {
                    shown.tail.push(self.fold(c));
                    hit |= shown.tail.ends_with(&self.needle);
                }
                // A colour stands in the midst of words; what moves the cursor ends them.
                Some(Function::Sgr(_)) | None => {}
                Some(_) => shown.tail.clear(),
            }
            if shown.tail.len() > 2 * NEEDLE_CHARS_MAX {
                shown.tail.drain(..NEEDLE_CHARS_MAX);
            }
        }
        self.shown.insert(channel, shown);
        hit
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "no other kind holds what was asked for and is on no screen"
    )]
    fn is_asked_for(&self, kind: &Kind) -> bool {
        match kind {
            Kind::Exec { command, .. } => self.is_in(command.data.as_deref().unwrap_or_default()),
            _ => false,
        }
    }

    fn is_in(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().map(|c| self.fold(c)).collect();
        let length = self.needle.len().max(1);
        text.windows(length).any(|part| part == self.needle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(needle: &str, texts: &[&str]) -> Vec<bool> {
        let mut search = Search::new(needle);
        texts.iter().map(|text| search.see(0, text)).collect()
    }

    #[test]
    fn a_word_is_found_over_colours_and_pieces_and_not_over_lines() {
        assert_eq!(
            seen("drop table", &["DR\x1b[1mOP\x1b[0m ta", "ble;"]),
            [false, true]
        );
        assert_eq!(
            seen("Drop", &["drop", "DROP", "xDrop"]),
            [false, false, true]
        );
        assert_eq!(seen("ab", &["a\r\nb", "a\x1b[5Cb"]), [false, false]);
        assert_eq!(seen("0;title", &["\x1b]0;title\x07"]), [false]);
        assert!(Search::new("rm -RF").is_in("sudo rm -RF /"));
    }
}

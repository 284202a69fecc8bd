//! The commands of a recording, derived from its lines again: what was found live never depends on
//! how busy the node was.
//!
//! Input that was withheld and revealed later gets its content back at its own place: what was
//! revealed is gathered first, then the lines are gone through.

use super::line::{Line, What};
use crate::event::{
    Audit, Blind, BlindReason, Command, CommandSource, Confidence, Kind, Marks, Reveal, Secret,
    Span, TextOrBytes,
};
use crate::inspect::{self, At, Found, Inspector};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Terminals followed at once; a session has few.
const TERMINALS_MAX: usize = 64;

/// A finding and the channel it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derived {
    pub channel: u32,
    pub found: Found,
}

/// Goes over a recording twice: [`Replayed::learn`] for each line, then [`Replayed::follow`] for each.
#[derive(Default)]
pub struct Replayed {
    /// By channel and place in its input.
    revealed: BTreeMap<(u32, u64), Vec<u8>>,
    terminals: BTreeMap<u32, Terminal>,
    /// Channels of a shell that was asked for.
    shells: BTreeSet<u32>,
    last: At,
}

struct Terminal {
    inspector: Inspector,
    typed: u64,
}

impl Replayed {
    /// First, of every line: what it reveals.
    pub fn learn(&mut self, line: &Line) {
        if let (Some(channel), What::Audit(audit)) = (line.channel, &line.what)
            && let Kind::InputReveal(Reveal { offset, text }) = &audit.kind
        {
            let bytes = bytes_of(text);
            self.revealed.insert((channel, *offset), bytes);
        }
    }

    /// Whether some of these bytes of the channel's input is known.
    pub(super) fn knows(&self, channel: u32, bytes: Range<u64>) -> bool {
        let mut before = self.revealed.range((channel, 0)..(channel, bytes.end));
        let last = before.next_back();
        last.is_some_and(|((_, offset), text)| offset + text.len() as u64 > bytes.start)
    }

    /// Then, of every line in order: what is found by it.
    pub fn follow(&mut self, line: &Line) -> Vec<Derived> {
        let at = At {
            mt: u64::try_from(line.mt.as_nanos()).unwrap_or(u64::MAX),
            seq: Some(line.seq),
        };
        self.last = at;
        let Some(channel) = line.channel else {
            return Vec::new();
        };
        if let What::Audit(audit) = &line.what {
            return self.follow_audit(channel, at, audit);
        }
        let Some(terminal) = self.terminals.get_mut(&channel) else {
            return Vec::new();
        };
        match &line.what {
            What::Output { text, .. } => terminal.inspector.shown(at, text.as_bytes()),
            What::Resize { cols, rows } => terminal.inspector.resize(*cols, *rows),
            What::Input { bytes, content } => {
                let from = terminal.typed;
                terminal.typed += bytes;
                match content {
                    Some(Secret(content)) => terminal.inspector.typed(at, content),
                    None => type_revealed(
                        &self.revealed,
                        channel,
                        from,
                        *bytes,
                        at,
                        &mut terminal.inspector,
                    ),
                }
            }
            What::Notice { .. }
            | What::Progress { .. }
            | What::Audit(_)
            | What::Commit
            | What::Unknown => {}
        }
        derived(channel, terminal.inspector.take())
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "other kinds say nothing about commands"
    )]
    fn follow_audit(&mut self, channel: u32, at: At, audit: &Audit) -> Vec<Derived> {
        match &audit.kind {
            Kind::Pty(pty) if self.terminals.len() < TERMINALS_MAX => {
                if let Some(inspector) = Inspector::new(pty.cols, pty.rows) {
                    let terminal = Terminal {
                        inspector,
                        typed: 0,
                    };
                    self.terminals.insert(channel, terminal);
                }
                Vec::new()
            }
            Kind::Exec { command, .. } => {
                let found = Found::Command(Box::new(of_exec(command, at)));
                derived(channel, vec![found])
            }
            Kind::Shell { .. } if !self.terminals.contains_key(&channel) => {
                self.shells.insert(channel);
                Vec::new()
            }
            Kind::ChannelClose(detail) if self.shells.remove(&channel) => {
                let span = Span {
                    to_mt: at.mt,
                    to_seq: at.seq,
                    ..Span::default()
                };
                let reason = BlindReason::NoTerminal;
                let found = Found::Blind(Blind { reason, span });
                let typed = detail.input_bytes > 0;
                derived(channel, typed.then_some(found).into_iter().collect())
            }
            Kind::ChannelClose(_) => self.end(channel, at),
            _ => Vec::new(),
        }
    }

    fn end(&mut self, channel: u32, at: At) -> Vec<Derived> {
        let Some(mut terminal) = self.terminals.remove(&channel) else {
            return Vec::new();
        };
        terminal.inspector.finish(at);
        derived(channel, terminal.inspector.take())
    }

    /// After the last line: channels that have no end, after a crash.
    pub fn finish(mut self) -> Vec<Derived> {
        let open: Vec<u32> = self.terminals.keys().copied().collect();
        let at = self.last;
        open.into_iter()
            .flat_map(|channel| self.end(channel, at))
            .collect()
    }
}

fn derived(channel: u32, found: Vec<Found>) -> Vec<Derived> {
    found
        .into_iter()
        .map(|found| Derived { channel, found })
        .collect()
}

/// The request is the command: nothing can be surer.
fn of_exec(command: &TextOrBytes, at: At) -> Command {
    let text = String::from_utf8_lossy(&bytes_of(command)).into_owned();
    Command {
        lines: u32::try_from(text.lines().count()).unwrap_or(u32::MAX),
        text: inspect::mask(&text),
        confidence: Confidence::High,
        sources: vec![CommandSource::Exec],
        span: Span {
            from_seq: at.seq,
            to_seq: at.seq,
            from_mt: at.mt,
            to_mt: at.mt,
        },
        marks: Marks::default(),
    }
}

/// Types what was revealed of these bytes, and says of the rest that it was withheld.
fn type_revealed(
    revealed: &BTreeMap<(u32, u64), Vec<u8>>,
    channel: u32,
    from: u64,
    bytes: u64,
    at: At,
    inspector: &mut Inspector,
) {
    let end = from + bytes;
    let mut next = from;
    while next < end {
        let before = revealed.range((channel, 0)..=(channel, next)).next_back();
        let known = before.and_then(|((_, offset), text)| {
            let skip = usize::try_from(next - offset).ok()?;
            let rest = text.get(skip..)?;
            let length = usize::try_from(end - next).unwrap_or(usize::MAX);
            rest.get(..length.min(rest.len()))
        });
        if let Some(known) = known.filter(|known| !known.is_empty()) {
            inspector.typed(at, known);
            next += known.len() as u64;
            continue;
        }
        let after = revealed.range((channel, next)..(channel, end)).next();
        let stop = after.map_or(end, |((_, offset), _)| *offset);
        inspector.withheld(at, stop - next);
        next = stop;
    }
}

fn bytes_of(text: &TextOrBytes) -> Vec<u8> {
    match (&text.data, &text.base64) {
        (Some(text), _) => text.clone().into_bytes(),
        (None, Some(text)) => STANDARD.decode(text).unwrap_or_default(),
        (None, None) => Vec::new(),
    }
}

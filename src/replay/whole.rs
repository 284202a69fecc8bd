//! A recording with every command in it. A terminal that showed more than could be followed live has
//! its commands derived from its bytes, in the place of those that were found meanwhile: what is said
//! of a session never depends on how busy its node was.
//!
//! What was typed while nobody followed was revealed by nobody, and cannot be derived: there the
//! recorded `overload` stays.
//!
//! Derived lines have the number of the recorded line that made them certain, and one of their own
//! behind it. The recording stays as it is, and so does what `events` and JSONL give.

use super::chunks::Lines;
use super::commands::{Derived, Replayed};
use super::line::{Line, What};
use super::open::{Archive, Error, Events, Piece, Step};
use crate::event::{
    Audit, Blind, BlindReason, CommandSource, Confidence, Kind, Outcome, SecretLine,
};
use crate::id::SessionId;
use crate::inspect::Found;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;

/// Terminals of one recording; a session has few.
const CHANNELS_MAX: usize = 64;
/// Intervals that are looked at; what was recorded of others stays.
const INTERVALS_MAX: usize = 10_000;
/// What the bastion says of a terminal whose commands broke off.
pub(crate) const COMMANDS_LOST: &str = "commands_lost";
/// A setting of `[recording] typed`: no key is in the recording, so that nothing better can be derived.
const OFF: &str = "off";
const RECORD: &str = "record";

/// See [`Archive::whole`]. Blocking.
pub struct Whole {
    events: Events,
    again: Option<Again>,
    ready: VecDeque<Step>,
}

struct Again {
    /// Terminals that were not followed all the time.
    channels: BTreeSet<u32>,
    /// Intervals that can be filled, by the number of the line that tells of them.
    filled: BTreeSet<u64>,
    /// `None` once all of it is told.
    replayed: Option<Replayed>,
    /// A line that was typed and not shown is a command only where everything typed is kept.
    keeps_typed: bool,
    /// The session's own words: who, where, why.
    said: Option<Audit>,
    /// The line whose number derived ones have, and how many have it.
    last: (u64, u32),
    /// Where the last line stands.
    stands: Option<Line>,
}

/// What a look over the lines shows.
#[derive(Default)]
struct Overlooked {
    channels: BTreeSet<u32>,
    intervals: Vec<Interval>,
    typed: String,
    ended: bool,
}

/// A terminal was not followed from here to there.
struct Interval {
    seq: u64,
    channel: u32,
    from_mt: u64,
    to_mt: u64,
    /// Keys of it are known to nobody.
    typed: bool,
}

impl Archive {
    /// As [`Archive::events`]; of an ended session with the commands that could not be followed live.
    /// Looks over the recording before, and reads it once more where there are such.
    ///
    /// # Errors
    /// When the recording is missing, unreadable or of a newer version.
    pub fn whole(&self, id: SessionId) -> Result<Whole, Error> {
        // The same ones every time: a session that runs may end in between.
        let chunks = self.chunks(id)?;
        let overlooked = overlooked(chunks.clone(), id);
        let is_derived =
            overlooked.ended && !overlooked.channels.is_empty() && overlooked.typed != OFF;
        let again = match is_derived {
            true => Some(again(chunks.clone(), id, overlooked)?),
            false => None,
        };
        Ok(Whole {
            events: Events::over(chunks, id),
            again,
            ready: VecDeque::new(),
        })
    }
}

type Chunks = Vec<(u32, PathBuf)>;

fn overlooked(chunks: Chunks, id: SessionId) -> Overlooked {
    let mut found = Overlooked::default();
    for piece in Lines::new(chunks, 0) {
        let Piece::Line(bytes) = piece else {
            continue;
        };
        // Whatever is wrong with a line is said where it is read.
        if may_say(&bytes)
            && let Ok(line) = Line::skim(&bytes)
            && line.sid == id
        {
            found.look(&line);
        }
    }
    found
}

fn again(chunks: Chunks, id: SessionId, overlooked: Overlooked) -> Result<Again, Error> {
    let mut replayed = Replayed::default();
    let mut typed: BTreeMap<u32, u64> = BTreeMap::new();
    let mut unknown = Vec::new();
    for step in Events::over(chunks, id) {
        let Step::Line(line) = step? else {
            continue;
        };
        replayed.learn(&line);
        if let (Some(channel), What::Input { bytes, content }) = (line.channel, &line.what) {
            let offset = typed.entry(channel).or_default();
            let range = *offset..offset.saturating_add(*bytes);
            *offset = range.end;
            let mt = u64::try_from(line.mt.as_nanos()).unwrap_or(u64::MAX);
            let within =
                |one: &Interval| one.channel == channel && one.from_mt <= mt && mt <= one.to_mt;
            let interval = overlooked.intervals.iter().position(within);
            if let (Some(interval), None) = (interval, content)
                && unknown.len() < INTERVALS_MAX
            {
                unknown.push((interval, channel, range));
            }
        }
    }
    let mut intervals = overlooked.intervals;
    for (interval, channel, range) in unknown {
        if !replayed.knows(channel, range)
            && let Some(interval) = intervals.get_mut(interval)
        {
            interval.typed = true;
        }
    }
    let filled = intervals.iter().filter(|one| !one.typed);
    Ok(Again {
        channels: overlooked.channels,
        filled: filled.map(|one| one.seq).collect(),
        replayed: Some(replayed),
        keeps_typed: overlooked.typed == RECORD,
        said: None,
        last: (0, 0),
        stands: None,
    })
}

/// By its envelope alone: most bytes are in other lines.
fn may_say(line: &[u8]) -> bool {
    const KINDS: [&[u8]; 4] = [
        br#""kind":"blind""#,
        br#""kind":"error""#,
        br#""kind":"session.start""#,
        br#""kind":"session.end""#,
    ];
    const ENVELOPE_BYTES_MAX: usize = 256;
    let envelope = line.get(..ENVELOPE_BYTES_MAX).unwrap_or(line);
    KINDS
        .iter()
        .any(|kind| envelope.windows(kind.len()).any(|part| part == *kind))
}

impl Overlooked {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "other kinds say nothing of what was not followed"
    )]
    fn look(&mut self, line: &Line) {
        let What::Audit(audit) = &line.what else {
            return;
        };
        let lost = match &audit.kind {
            Kind::SessionStart(start) => {
                self.typed.clone_from(&start.typed);
                false
            }
            Kind::SessionEnd { .. } => {
                self.ended = true;
                false
            }
            Kind::Blind(blind) if blind.reason == BlindReason::Overload => {
                self.miss(line, blind);
                true
            }
            Kind::Error(note) => note.code == COMMANDS_LOST,
            _ => false,
        };
        if lost && self.channels.len() < CHANNELS_MAX {
            self.channels.extend(line.channel);
        }
    }

    fn miss(&mut self, line: &Line, blind: &Blind) {
        if let Some(channel) = line.channel
            && self.intervals.len() < INTERVALS_MAX
        {
            self.intervals.push(Interval {
                seq: line.seq.0,
                channel,
                from_mt: blind.span.from_mt,
                to_mt: blind.span.to_mt,
                typed: false,
            });
        }
    }
}

impl Whole {
    /// As [`super::Lines::of_ended`].
    #[must_use]
    pub fn of_ended(mut self, has_ended: bool) -> Self {
        self.events = self.events.of_ended(has_ended);
        self
    }

    /// As [`Events::skim`], where nothing is derived: that needs the content of frames.
    #[must_use]
    pub fn skim(mut self) -> Self {
        if self.again.is_none() {
            self.events = self.events.skim();
        }
        self
    }

    /// What was told while the session ran is not all, or not the same.
    pub(super) fn is_derived(&self) -> bool {
        self.again.is_some()
    }
}

impl Iterator for Whole {
    type Item = Result<Step, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(step) = self.ready.pop_front() {
                return Some(Ok(step));
            }
            let step = self.events.next();
            let Some(again) = &mut self.again else {
                return step;
            };
            match step {
                Some(Ok(Step::Line(line))) => again.tell(line, &mut self.ready),
                Some(other) => return Some(other),
                // A recording whose end is damaged.
                None => {
                    let stands = again.stands.take()?;
                    again.tell_rest(&stands, &mut self.ready);
                }
            }
        }
    }
}

impl Again {
    fn tell(&mut self, line: Box<Line>, ready: &mut VecDeque<Step>) {
        let stands = envelope(&line);
        if let What::Audit(audit) = &line.what {
            self.said.get_or_insert_with(|| (**audit).clone());
            if matches!(audit.kind, Kind::SessionEnd { .. }) {
                // Its end stays the last line.
                self.tell_rest(&stands, ready);
            }
        }
        let found = match &mut self.replayed {
            Some(replayed) => replayed.follow(&line),
            None => Vec::new(),
        };
        if !self.is_instead(&line) {
            ready.push_back(Step::Line(line));
        }
        self.put(&stands, found, ready);
        self.stands = Some(stands);
    }

    /// Of terminals that are not closed.
    fn tell_rest(&mut self, stands: &Line, ready: &mut VecDeque<Step>) {
        if let Some(replayed) = self.replayed.take() {
            self.put(stands, replayed.finish(), ready);
        }
    }

    /// It was found live, and what is derived stands in its place.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "other kinds do not come from a terminal that is followed"
    )]
    fn is_instead(&self, line: &Line) -> bool {
        let What::Audit(audit) = &line.what else {
            return false;
        };
        let of_terminal = line.channel.is_some_and(|one| self.channels.contains(&one));
        of_terminal
            && match &audit.kind {
                Kind::Command(command) => !command.sources.contains(&CommandSource::Exec),
                Kind::Blind(blind) if blind.reason == BlindReason::Overload => {
                    self.filled.contains(&line.seq.0)
                }
                Kind::CommandSecret(_) | Kind::Blind(_) => true,
                _ => false,
            }
    }

    /// With the number and the time of that line.
    fn put(&mut self, stands: &Line, found: Vec<Derived>, ready: &mut VecDeque<Step>) {
        for derived in found {
            if !self.channels.contains(&derived.channel) {
                continue;
            }
            let Some((name, kind)) = self.event_of(derived.found) else {
                continue;
            };
            if self.last.0 != stands.seq.0 {
                self.last = (stands.seq.0, 0);
            }
            self.last.1 = self.last.1.saturating_add(1);
            let audit = match &self.said {
                Some(said) => Audit {
                    kind,
                    outcome: Outcome::Success,
                    ..said.clone()
                },
                None => Audit::of_node(kind, Outcome::Success),
            };
            ready.push_back(Step::Line(Box::new(Line {
                kind: name.to_owned(),
                channel: Some(derived.channel),
                derived: Some(self.last.1),
                what: What::Audit(Box::new(audit)),
                ..envelope(stands)
            })));
        }
    }

    /// As it would have been recorded.
    fn event_of(&self, found: Found) -> Option<(&'static str, Kind)> {
        Some(match found {
            // The request itself is recorded, and what it was.
            Found::Command(command) if command.sources.contains(&CommandSource::Exec) => {
                return None;
            }
            Found::Command(command)
                if command.confidence == Confidence::Low && !self.keeps_typed =>
            {
                let secret = SecretLine {
                    bytes: command.text.len() as u64,
                    span: command.span,
                };
                ("command.secret", Kind::CommandSecret(secret))
            }
            Found::Command(command) => ("command", Kind::Command(command)),
            Found::Secret(secret) => ("command.secret", Kind::CommandSecret(secret)),
            Found::Blind(blind) => ("blind", Kind::Blind(blind)),
            Found::Reveal(_) => return None,
        })
    }
}

/// The line without what it says.
fn envelope(line: &Line) -> Line {
    Line {
        sid: line.sid,
        seq: line.seq,
        ts: line.ts,
        mt: line.mt,
        kind: String::new(),
        channel: line.channel,
        derived: None,
        what: What::Unknown,
    }
}

//! Lines that stood on a screen, each once while it scrolls: what somebody can have seen, to be
//! found again. A screen is looked at when it stood still, and a line when it leaves at the top; what
//! a full-screen program shows counts like everything else.

use super::line::{Line, What};
use super::screen::{bounded, tame, terminal};
use crate::event::Kind;
use avt::{Line as Row, Observation, Observer, Operation, Parser, ScreenKind, Terminal};
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::time::Duration;

/// A screen that did not change for so long was seen.
const STOOD: Duration = Duration::from_millis(200);
/// A line that comes again within so many others is the same one.
const RECENT: usize = 1000;
/// Lines of one session; the transcript has the rest.
const LINES_MAX: u64 = 100_000;
/// Lines that few bytes can scroll out at once; more in one event were seen by nobody.
const GONE_MAX: usize = 10_000;
/// A line without an end is broken here.
const LINE_BYTES_MAX: usize = 64 * 1024; // 64 KiB
/// Terminals emulated at once: 2.4 MB each at the most. Of further ones nothing is found.
const TERMINALS_MAX: usize = 16;
/// Fewer characters say nothing.
const CHARS_MIN: usize = 3;

/// A line, when it was there first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sight {
    pub(super) channel: u32,
    pub(super) at: Duration,
    pub(super) text: String,
}

/// Feed it every line in order.
#[derive(Default)]
pub(super) struct Seen {
    papers: BTreeMap<u32, Paper>,
    recent: Recent,
    count: u64,
    left_out: u64,
}

/// Lines of a channel, with the time since which they stood there.
struct Texts {
    now: Duration,
    channel: u32,
    lines: Vec<Sight>,
}

impl Texts {
    fn extend(&mut self, lines: impl IntoIterator<Item = String>) {
        lines
            .into_iter()
            .for_each(|line| self.push(self.now, &line));
    }

    fn push(&mut self, at: Duration, text: &str) {
        self.lines.push(Sight {
            channel: self.channel,
            at,
            text: text.trim_end().to_owned(),
        });
    }
}

enum Paper {
    Terminal(Box<Screen>),
    Plain { out: String, err: String },
}

struct Screen {
    parser: Parser,
    terminal: Terminal,
    gone: Gone,
    /// When it changed last, if it was not looked at since.
    changed: Option<Duration>,
}

impl Seen {
    /// What is known to have been seen by this line of the recording.
    pub(super) fn take(&mut self, line: &Line) -> Vec<Sight> {
        let channel = line.channel.unwrap_or(0);
        let mut texts = Texts {
            now: line.mt,
            channel,
            lines: Vec::new(),
        };
        match &line.what {
            // Files pass here as well: bytes that are no text are nobody's sight.
            What::Output { fd, text, lost } => match self.papers.get_mut(&channel) {
                Some(Paper::Terminal(screen)) => screen.write(text, &mut texts),
                Some(Paper::Plain { .. }) | None if *lost > 0 => {}
                Some(Paper::Plain { out, err }) => {
                    write_plain(if *fd == 2 { err } else { out }, text, &mut texts);
                }
                None => {
                    let (mut out, mut err) = (String::new(), String::new());
                    let to = if *fd == 2 { &mut err } else { &mut out };
                    write_plain(to, text, &mut texts);
                    self.papers.insert(channel, Paper::Plain { out, err });
                }
            },
            What::Resize { cols, rows } => {
                if let Some(Paper::Terminal(screen)) = self.papers.get_mut(&channel) {
                    screen.look(true, &mut texts);
                    let (cols, rows) = bounded(*cols, *rows);
                    screen.terminal.resize_with(cols, rows, &mut screen.gone);
                    texts.extend(screen.gone.take());
                }
            }
            What::Audit(audit) => self.happened(channel, &audit.kind, &mut texts),
            What::Notice { .. }
            | What::Input { .. }
            | What::Progress { .. }
            | What::Commit
            | What::Unknown => {}
        }
        let mut sights = texts.lines;
        sights.retain(|sight| self.is_new(&sight.text));
        sights
    }

    /// Lines beyond the bound.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "other kinds put nothing on a screen"
    )]
    fn happened(&mut self, channel: u32, kind: &Kind, texts: &mut Texts) {
        match kind {
            Kind::Pty(pty) => {
                self.close(channel, texts);
                if self.papers.len() < TERMINALS_MAX
                    && let Some(terminal) = terminal(bounded(pty.cols, pty.rows))
                {
                    let screen = Screen {
                        parser: Parser::new(),
                        terminal,
                        gone: Gone::default(),
                        changed: None,
                    };
                    self.papers
                        .insert(channel, Paper::Terminal(Box::new(screen)));
                }
            }
            Kind::ChannelClose(_) => self.close(channel, texts),
            Kind::SessionEnd { .. } => {
                let open: Vec<u32> = self.papers.keys().copied().collect();
                open.into_iter()
                    .for_each(|channel| self.close(channel, texts));
            }
            _ => {}
        }
    }

    fn close(&mut self, channel: u32, texts: &mut Texts) {
        texts.channel = channel;
        match self.papers.remove(&channel) {
            Some(Paper::Terminal(mut screen)) => screen.look(true, texts),
            Some(Paper::Plain { out, err }) => texts.extend([out, err]),
            None => {}
        }
    }

    fn is_new(&mut self, text: &str) -> bool {
        let letters = text.chars().filter(|c| !c.is_whitespace()).count();
        if letters < CHARS_MIN || is_noise(text) || !self.recent.is_new(text.trim()) {
            return false;
        }
        if self.count >= LINES_MAX {
            self.left_out += 1;
            return false;
        }
        self.count += 1;
        true
    }
}

impl Screen {
    fn write(&mut self, text: &str, texts: &mut Texts) {
        let stood = |changed| texts.now.saturating_sub(changed) >= STOOD;
        if self.changed.is_some_and(stood) {
            self.look(false, texts);
        }
        let functions = text.chars().filter_map(|c| self.parser.feed(c)).map(tame);
        for function in functions {
            self.terminal.execute_with(function, &mut self.gone);
        }
        self.changed = Some(texts.now);
        texts.extend(self.gone.take());
    }

    /// All lines of the screen. The one with the cursor may be half typed.
    fn look(&mut self, with_cursor: bool, texts: &mut Texts) {
        let Some(since) = self.changed.take() else {
            return;
        };
        let is_primary = self.terminal.active_screen_kind() == ScreenKind::Primary;
        let cursor = self.terminal.cursor().row;
        let mut joined = Joined::default();
        let mut held = false;
        for (row, line) in self.terminal.screen().visible_lines().enumerate() {
            held |= row == cursor && is_primary && !with_cursor;
            if let Some(text) = joined.push(line)
                && !std::mem::take(&mut held)
            {
                texts.push(since, &text);
            }
        }
        if !held {
            texts.push(since, &joined.line);
        }
    }
}

/// Rows that one line was wrapped into.
#[derive(Default)]
struct Joined {
    line: String,
}

impl Joined {
    fn push(&mut self, row: &Row) -> Option<String> {
        self.line.extend(row.chars());
        if row.is_wrapped() && self.line.len() < LINE_BYTES_MAX {
            return None;
        }
        Some(std::mem::take(&mut self.line))
    }
}

/// Collects the lines that leave the screen at the top.
#[derive(Default)]
struct Gone {
    joined: Joined,
    ready: Vec<String>,
}

impl Gone {
    fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.ready)
    }
}

impl Observer for Gone {
    type Output = ();

    fn before(&mut self, _: &mut Observation<'_>, _: &Operation) {}

    fn evicted(&mut self, _: &mut Observation<'_>, row: &Row) {
        if let Some(line) = self.joined.push(row)
            && self.ready.len() < GONE_MAX
        {
            self.ready.push(line);
        }
    }

    fn end(&mut self, _: &mut Observation<'_>) {}
}

fn write_plain(line: &mut String, text: &str, texts: &mut Texts) {
    for part in text.split_inclusive('\n') {
        line.push_str(part);
        if part.ends_with('\n') || line.len() >= LINE_BYTES_MAX {
            texts.extend([std::mem::take(line)]);
        }
    }
}

/// Mostly no text: a file that passed, say.
fn is_noise(text: &str) -> bool {
    let text = text.trim();
    let strange = text
        .chars()
        .filter(|c| (c.is_control() && !c.is_whitespace()) || *c == char::REPLACEMENT_CHARACTER);
    strange.count() * 4 > text.chars().count()
}

/// Remembers lines by their hash: one that is taken for another is one line less to be found.
#[derive(Default)]
struct Recent {
    known: HashSet<u64>,
    order: VecDeque<u64>,
}

impl Recent {
    fn is_new(&mut self, text: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let hash = hasher.finish();
        if !self.known.insert(hash) {
            return false;
        }
        self.order.push_back(hash);
        if self.order.len() > RECENT
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
#[path = "tests/seen.rs"]
mod tests;

//! What a person saw, line by line: what scrolled by and what stood there at the end. A full-screen
//! program becomes one line that says so, and so does what the bastion itself put on the terminal.

use super::emulated::{Emulated, LINE_BYTES_MAX, clock};
use super::line::{Line, What};
use super::marks::{self, Mark, Sort};
use super::open::Step;
use super::screen::{bounded, terminal};
use crate::event::{Audit, ChannelDetail, Kind, Outcome, Shown, TextOrBytes};
use avt::Pen;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Channels emulated at once: `limits.channels` is 64. Beyond it they are written as plain text.
const TERMINALS_MAX: usize = 64;

/// One line of the transcript: recorded text, or a note of ours about it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Said {
    pub channel: Option<u32>,
    pub text: String,
    pub ours: bool,
    /// How `text` looked on a terminal; nothing for what was on none.
    #[serde(skip)]
    pub(super) ink: Vec<Run>,
    /// No line: here begins the command of that mark.
    #[serde(skip)]
    pub(super) heading: Option<Mark>,
    #[serde(skip)]
    number: Option<usize>,
}

/// That many bytes of a line, all in one look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) bytes: usize,
    pub(super) pen: Pen,
}

/// Recorded text for a terminal or a file: everything but tabs that a terminal obeys is shown.
pub fn safe_line(text: &str) -> String {
    let parts: Vec<String> = text
        .split('\t')
        .map(|part| Shown(part).to_string())
        .collect();
    parts.join("\t")
}

/// The state of writing. Feed it every step, then [`Transcript::finish`].
#[derive(Default)]
pub struct Transcript {
    papers: BTreeMap<u32, Paper>,
    /// Commands that were typed, by channel and time, and which of them is next.
    commands: BTreeMap<u32, VecDeque<usize>>,
    marks: Vec<Mark>,
}

enum Paper {
    Terminal(Box<Emulated>),
    Plain { out: Plain, err: Plain },
}

impl Transcript {
    /// One with headings: the commands, from a look through the whole recording before. A command is
    /// only known after it was typed.
    pub(super) fn with_headings(mut marks: Vec<Mark>) -> Self {
        marks.retain(|mark| mark.sort == Sort::Command && !mark.is_request);
        marks.sort_by_key(|mark| mark.at);
        let mut commands: BTreeMap<u32, VecDeque<usize>> = BTreeMap::new();
        for (number, mark) in marks.iter().enumerate() {
            let channel = mark.channel.unwrap_or(0);
            commands.entry(channel).or_default().push_back(number);
        }
        Self {
            papers: BTreeMap::new(),
            commands,
            marks,
        }
    }

    /// The lines that are finished by this step.
    pub fn take(&mut self, step: &Step) -> Vec<Said> {
        let mut said = self.step(step);
        for said in &mut said {
            if let Some(number) = said.number {
                said.heading = self.marks.get(number).cloned();
            }
        }
        said
    }

    fn step(&mut self, step: &Step) -> Vec<Said> {
        let line = match step {
            Step::Line(line) => line,
            Step::Damage(damage) => return vec![note(None, format!("damage: {damage}"))],
        };
        let channel = line.channel.unwrap_or(0);
        let mut said = self.head(channel, line.mt);
        said.extend(self.line(channel, line));
        said
    }

    /// Commands that began before this moment.
    fn head(&mut self, channel: u32, now: Duration) -> Vec<Said> {
        let mut said = Vec::new();
        let Some(commands) = self.commands.get_mut(&channel) else {
            return said;
        };
        while let Some(number) = commands.front().copied() {
            let is_due = self.marks.get(number).is_none_or(|mark| mark.at <= now);
            if !is_due {
                break;
            }
            commands.pop_front();
            match self.papers.get_mut(&channel) {
                Some(Paper::Terminal(emulated)) => emulated.head(number),
                Some(Paper::Plain { .. }) | None => said.push(heading(channel, number)),
            }
        }
        said
    }

    fn line(&mut self, channel: u32, line: &Line) -> Vec<Said> {
        match &line.what {
            What::Output { fd, text, .. } => self.write(channel, *fd, text, line.mt),
            What::Notice { text } => self.tell(line.channel, text),
            What::Resize { cols, rows } => self.resize(channel, *cols, *rows),
            What::Audit(audit) => self.happened(line, audit),
            What::Input { .. } | What::Progress { .. } | What::Commit | What::Unknown => Vec::new(),
        }
    }

    /// What stands on the screens of channels that did not close.
    pub fn finish(mut self) -> Vec<Said> {
        let channels: Vec<u32> = self.papers.keys().copied().collect();
        let mut said = Vec::new();
        for channel in channels {
            for mut one in self.close(channel) {
                one.heading = one
                    .number
                    .and_then(|number| self.marks.get(number).cloned());
                said.push(one);
            }
        }
        said
    }

    /// What the bastion itself put on the terminal is said as ours, so that nobody takes it for the
    /// target's.
    fn tell(&mut self, channel: Option<u32>, text: &str) -> Vec<Said> {
        let lines = text.split(['\r', '\n']).filter(|line| !line.is_empty());
        let notes: Vec<String> = lines.map(|line| format!("notice: {line}")).collect();
        match channel.and_then(|channel| Some((channel, self.papers.get_mut(&channel)?))) {
            Some((channel, Paper::Terminal(emulated))) => emulated.tell(channel, notes),
            Some((_, Paper::Plain { .. })) | None => {
                notes.into_iter().map(|text| note(channel, text)).collect()
            }
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a transcript is what was on the screen; most kinds are not"
    )]
    fn happened(&mut self, line: &Line, audit: &Audit) -> Vec<Said> {
        let channel = line.channel;
        let at = channel.unwrap_or(0);
        if audit.outcome == Outcome::Denied {
            return refused(line, &audit.kind).into_iter().collect();
        }
        match &audit.kind {
            Kind::Pty(pty) => {
                let mut said = self.close(at);
                if self.papers.len() >= TERMINALS_MAX {
                    said.push(note(
                        channel,
                        "too many terminals: as plain text".to_owned(),
                    ));
                } else if let Some(terminal) = terminal(bounded(pty.cols, pty.rows)) {
                    let paper = Paper::Terminal(Box::new(Emulated::new(terminal)));
                    self.papers.insert(at, paper);
                }
                said
            }
            Kind::Shell { .. } => vec![note(channel, "shell".to_owned())],
            Kind::Exec { command, .. } => vec![Said {
                heading: marks::of(line),
                ..note(channel, format!("exec {}", words(command)))
            }],
            Kind::Subsystem { name, .. } => vec![note(channel, format!("subsystem {name}"))],
            Kind::ChannelClose(detail) => {
                let mut said = self.close(at);
                said.push(note(channel, ending(detail)));
                said
            }
            Kind::Gap {
                bytes,
                events,
                message,
            } => {
                let text = format!("gap: {bytes} bytes, {events} events not recorded: {message}");
                vec![note(channel, text)]
            }
            _ => Vec::new(),
        }
    }

    fn write(&mut self, channel: u32, fd: u8, text: &str, at: Duration) -> Vec<Said> {
        let paper = self.papers.entry(channel).or_insert_with(|| Paper::Plain {
            out: Plain::default(),
            err: Plain::default(),
        });
        match paper {
            Paper::Terminal(emulated) => emulated.write(channel, text, at),
            Paper::Plain { err, .. } if fd == 2 => err.write(channel, text),
            Paper::Plain { out, .. } => out.write(channel, text),
        }
    }

    fn resize(&mut self, channel: u32, cols: u32, rows: u32) -> Vec<Said> {
        match self.papers.get_mut(&channel) {
            Some(Paper::Terminal(emulated)) => emulated.resize(channel, bounded(cols, rows)),
            Some(Paper::Plain { .. }) | None => Vec::new(),
        }
    }

    fn close(&mut self, channel: u32) -> Vec<Said> {
        match self.papers.remove(&channel) {
            None => Vec::new(),
            Some(Paper::Terminal(emulated)) => emulated.finish(channel),
            Some(Paper::Plain { out, err }) => {
                let rest = [out.line, err.line]
                    .into_iter()
                    .filter(|line| !line.is_empty());
                rest.map(|line| recorded(channel, line, Vec::new()))
                    .collect()
            }
        }
    }
}

/// Output without a terminal: lines as they are.
#[derive(Default)]
struct Plain {
    line: String,
}

impl Plain {
    fn write(&mut self, channel: u32, text: &str) -> Vec<Said> {
        let mut said = Vec::new();
        for part in text.split_inclusive('\n') {
            self.line.push_str(part.trim_end_matches('\n'));
            if part.ends_with('\n') || self.line.len() >= LINE_BYTES_MAX {
                let line = std::mem::take(&mut self.line);
                let line = line.trim_end_matches('\r').to_owned();
                said.push(recorded(channel, line, Vec::new()));
            }
        }
        said
    }
}

pub(super) fn recorded(channel: u32, text: String, ink: Vec<Run>) -> Said {
    Said {
        channel: Some(channel),
        text,
        ours: false,
        ink,
        heading: None,
        number: None,
    }
}

pub(super) fn note(channel: Option<u32>, text: String) -> Said {
    Said {
        channel,
        text,
        ours: true,
        ink: Vec::new(),
        heading: None,
        number: None,
    }
}

pub(super) fn heading(channel: u32, number: usize) -> Said {
    Said {
        number: Some(number),
        ..note(Some(channel), String::new())
    }
}

/// What was asked for in vain.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "other refusals are in `sessions show`"
)]
fn refused(line: &Line, kind: &Kind) -> Option<Said> {
    let what = match kind {
        Kind::Shell { .. } => "shell".to_owned(),
        Kind::Exec { command, .. } => format!("exec {}", words(command)),
        Kind::Subsystem { name, .. } => format!("subsystem {name}"),
        _ => return None,
    };
    Some(note(line.channel, format!("refused: {what}")))
}

fn words(text: &TextOrBytes) -> String {
    match &text.data {
        Some(data) => data.clone(),
        None => format!("({} bytes that are no text)", text.n),
    }
}

fn ending(detail: &ChannelDetail) -> String {
    match (&detail.exit_status, &detail.exit_signal) {
        (Some(status), _) => format!("closed, exit status {status}"),
        (None, Some(signal)) => format!("closed by signal {}", signal.0),
        (None, None) => "closed".to_owned(),
    }
}

pub(super) fn full_screen(since: Duration, until: Duration) -> String {
    let took = Duration::from_secs(until.saturating_sub(since).as_secs());
    format!(
        "full-screen program from {} to {} ({})",
        clock(since),
        clock(until),
        humantime::format_duration(took)
    )
}

#[cfg(test)]
#[path = "tests/transcript.rs"]
mod tests;

//! A terminal whose lines are written down: what left it at the top, what stood there at the end,
//! and where full-screen programs and commands were.

use super::screen::tame;
use super::transcript::{Run, Said, full_screen, heading, note, recorded};
use avt::parser::Function;
use avt::{Line as Row, Observation, Observer, Operation, Parser, ScreenKind, Terminal};
use std::collections::VecDeque;
use std::time::Duration;

/// A line without an end is broken here, so that memory stays bounded.
pub(super) const LINE_BYTES_MAX: usize = 64 * 1024; // 64 KiB
/// Text that one event may scroll out: few bytes can fill and clear a large screen many times.
pub(super) const SCROLLED_BYTES_MAX: usize = 4 * 1024 * 1024; // 4 MiB
/// Stands for a note of ours inside an emulator. A target that prints it gets U+FFFD.
const NOTE: char = '\u{10fffd}';

pub(super) struct Emulated {
    parser: Parser,
    terminal: Terminal,
    scroll: Scroll,
    /// Since when the alternate screen is shown.
    full_screen: Option<Duration>,
    notes: Vec<String>,
}

impl Emulated {
    pub(super) fn new(terminal: Terminal) -> Self {
        Self {
            parser: Parser::new(),
            terminal,
            scroll: Scroll::default(),
            full_screen: None,
            notes: Vec::new(),
        }
    }

    pub(super) fn resize(&mut self, channel: u32, (cols, rows): (usize, usize)) -> Vec<Said> {
        self.terminal.resize_with(cols, rows, &mut self.scroll);
        self.said(channel)
    }

    pub(super) fn write(&mut self, channel: u32, text: &str, at: Duration) -> Vec<Said> {
        for c in text.chars() {
            let c = if c == NOTE {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            };
            if let Some(function) = self.parser.feed(c) {
                self.terminal.execute_with(tame(function), &mut self.scroll);
                self.look_for_full_screen(at);
            }
        }
        self.said(channel)
    }

    /// What the bastion itself said: notes of ours, where the cursor is. A full-screen program
    /// does not keep them for itself.
    pub(super) fn tell(&mut self, channel: u32, notes: Vec<String>) -> Vec<Said> {
        if self.full_screen.is_some() {
            let notes = notes.into_iter().map(|text| note(Some(channel), text));
            return notes.collect();
        }
        for text in notes {
            self.insert_note(text);
        }
        self.said(channel)
    }

    /// A command begins on the row of the cursor.
    pub(super) fn head(&mut self, number: usize) {
        let row = match self.terminal.active_screen_kind() {
            ScreenKind::Primary => self.terminal.cursor().row,
            // In a pane of a full-screen program: before all that will be written.
            ScreenKind::Alternate => 0,
        };
        let row = self.scroll.gone.saturating_add(row as u64);
        self.scroll.headings.push_back((row, number));
    }

    fn look_for_full_screen(&mut self, at: Duration) {
        match (self.terminal.active_screen_kind(), self.full_screen) {
            (ScreenKind::Alternate, None) => self.full_screen = Some(at),
            (ScreenKind::Primary, Some(since)) => {
                self.full_screen = None;
                self.insert_note(full_screen(since, at));
            }
            (ScreenKind::Alternate, Some(_)) | (ScreenKind::Primary, None) => {}
        }
    }

    /// On a line of its own, where the cursor is: the note keeps its place among the lines.
    fn insert_note(&mut self, text: String) {
        let break_before = if self.terminal.cursor().col > 0 {
            "\r\n"
        } else {
            ""
        };
        let mark = format!("{break_before}{NOTE}{}{NOTE}\r\n", self.notes.len());
        self.notes.push(text);
        self.terminal.feed_with(mark.as_str(), &mut self.scroll);
    }

    fn said(&mut self, channel: u32) -> Vec<Said> {
        let (ready, skipped) = self.scroll.take();
        let mut said = Vec::new();
        for ready in ready {
            match ready {
                Ready::Heading(number) => said.push(heading(channel, number)),
                Ready::Line(text, ink) => said.extend(self.line(channel, text, ink)),
            }
        }
        if skipped > 0 {
            let text = format!("{skipped} lines that scrolled by at once are not shown");
            said.push(note(Some(channel), text));
        }
        said
    }

    fn line(&self, channel: u32, line: String, ink: Vec<Run>) -> Vec<Said> {
        let mut parts = line.splitn(3, NOTE);
        let (before, number, after) = (parts.next(), parts.next(), parts.next());
        let Some(number) = number else {
            return vec![recorded(channel, line, ink)];
        };
        let number: Option<usize> = number.trim().parse().ok();
        let text = number.and_then(|number| self.notes.get(number)).cloned();
        let text = text.unwrap_or_else(|| "a full-screen program".to_owned());
        let around = |part: Option<&str>| {
            let part = part.unwrap_or_default().replace(NOTE, "");
            let part = part.trim_end();
            (!part.is_empty()).then(|| recorded(channel, part.to_owned(), Vec::new()))
        };
        let ours = Some(note(Some(channel), text));
        [around(before), ours, around(after)]
            .into_iter()
            .flatten()
            .collect()
    }

    pub(super) fn finish(mut self, channel: u32) -> Vec<Said> {
        self.scroll.finish(&self.terminal);
        self.scroll.head_all();
        let mut said = self.said(channel);
        if let Some(since) = self.full_screen {
            let text = format!("full-screen program from {} to the end", clock(since));
            said.push(note(Some(channel), text));
        }
        said
    }
}

pub(super) fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!(
        "{}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

enum Ready {
    Line(String, Vec<Run>),
    Heading(usize),
}

/// Collects the lines that leave the primary screen.
#[derive(Default)]
struct Scroll {
    line: String,
    ink: Vec<Run>,
    ready: Vec<Ready>,
    bytes: usize,
    /// Lines that did not fit into `ready`.
    skipped: usize,
    /// Rows that left so far: the number of the row that stands at the top.
    gone: u64,
    /// Commands whose row is still on the screen.
    headings: VecDeque<(u64, usize)>,
}

impl Scroll {
    fn push(&mut self, row: &Row) {
        if self.line.is_empty() {
            self.head_until(self.gone);
        }
        self.gone = self.gone.saturating_add(1);
        self.extend(row);
        if row.is_wrapped() && self.line.len() < LINE_BYTES_MAX {
            return;
        }
        let (line, ink) = (
            std::mem::take(&mut self.line),
            std::mem::take(&mut self.ink),
        );
        if self.bytes >= SCROLLED_BYTES_MAX {
            self.skipped += 1;
            return;
        }
        let line = line.trim_end().to_owned();
        self.bytes += line.len() + size_of::<Ready>() + ink.len() * size_of::<Run>();
        self.ready.push(Ready::Line(line, ink));
    }

    fn extend(&mut self, row: &Row) {
        for cell in row.cells().iter().filter(|cell| cell.width() > 0) {
            let bytes = cell.char().len_utf8();
            self.line.push(cell.char());
            match self.ink.last_mut().filter(|run| run.pen == *cell.pen()) {
                Some(run) => run.bytes += bytes,
                None => self.ink.push(Run {
                    bytes,
                    pen: *cell.pen(),
                }),
            }
        }
    }

    fn head_until(&mut self, row: u64) {
        while let Some((at, number)) = self.headings.pop_front() {
            if at > row {
                self.headings.push_front((at, number));
                return;
            }
            self.ready.push(Ready::Heading(number));
        }
    }

    fn head_all(&mut self) {
        self.head_until(u64::MAX);
    }

    fn take(&mut self) -> (Vec<Ready>, usize) {
        self.bytes = 0;
        (
            std::mem::take(&mut self.ready),
            std::mem::take(&mut self.skipped),
        )
    }

    /// What stands on the screen, without the empty lines below it.
    fn finish(&mut self, terminal: &Terminal) {
        let start = self.ready.len();
        for row in terminal.primary_screen().all_lines() {
            self.push(row);
        }
        if !self.line.trim_end().is_empty() {
            let line = std::mem::take(&mut self.line);
            self.ready
                .push(Ready::Line(line, std::mem::take(&mut self.ink)));
        }
        let is_empty = |ready: &Ready| matches!(ready, Ready::Line(text, _) if text.is_empty());
        while self.ready.len() > start && self.ready.last().is_some_and(is_empty) {
            self.ready.pop();
        }
    }
}

impl Observer for Scroll {
    type Output = ();

    /// A reset clears the screen without scrolling: what stood there was seen.
    fn before(&mut self, seen: &mut Observation<'_>, operation: &Operation) {
        if matches!(operation, Operation::Function(Function::Ris)) {
            self.finish(seen.terminal());
        }
    }

    fn evicted(&mut self, _: &mut Observation<'_>, row: &Row) {
        self.push(row);
    }

    fn end(&mut self, _: &mut Observation<'_>) {}
}

//! One terminal channel, followed: keys make lines (`typing.rs`), output answers them, and a line that
//! was answered is settled (`settle.rs`).

use super::held::Held;
use super::keys::Keys;
use super::line::Typed;
use super::prompt::Prompts;
use super::screen::Screen;
use super::signals::{Signal, Signals};
use crate::event::{Blind, BlindReason, Command, Reveal, SecretLine, Span};
use crate::id::Seq;
use avt::Anchor;
use avt::parser::Function;
use std::collections::VecDeque;

/// Where in a session something was typed or shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct At {
    /// Nanoseconds since the session's start.
    pub mt: u64,
    /// The number of the frame, when it is read from a recording.
    pub seq: Option<Seq>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Command(Box<Command>),
    Secret(SecretLine),
    Blind(Blind),
    /// These bytes were shown.
    Reveal(Reveal),
}

/// What is known of the target's line editor.
#[derive(Default)]
pub(super) struct Editor {
    pub(super) on: bool,
    pub(super) ever: bool,
    /// Where the cursor was when it began to read.
    pub(super) at: Option<Anchor>,
    /// A line feed came since the last Enter, or since it began.
    pub(super) line_fed: bool,
    /// It stopped to read, and the line feed is still to come.
    pub(super) accepting: bool,
}

/// Follows one terminal. Memory is bounded: the grid, 64 lines, 4 KiB a line.
pub struct Inspector {
    pub(super) screen: Screen,
    pub(super) keys: Keys,
    pub(super) signals: Signals,
    pub(super) prompts: Prompts,
    pub(super) draft: Option<Typed>,
    pub(super) queue: VecDeque<Typed>,
    pub(super) awaited: VecDeque<(u64, char)>,
    pub(super) loose: Vec<u8>,
    /// Bytes of a character of output that is not whole.
    pub(super) tail: Vec<u8>,
    /// Lines begun, and bytes typed.
    pub(super) lines: u64,
    pub(super) offset: u64,
    pub(super) editor: Editor,
    /// A known prompt was shown, and nothing was typed at it.
    pub(super) armed: bool,
    /// Lines that were not shown when they were typed; a shell may show them later.
    pub(super) lost: u32,
    pub(super) alternate: Option<At>,
    pub(super) garbage: (At, u32),
    pub(super) held: Held,
    pub(super) found: Vec<Found>,
}

impl Inspector {
    /// `None` for sizes that no terminal has; 0x0 is taken for 80x24 (RFC 4254 §6.2).
    pub fn new(cols: u32, rows: u32) -> Option<Self> {
        Some(Self {
            screen: Screen::new(cols, rows)?,
            keys: Keys::default(),
            signals: Signals::default(),
            prompts: Prompts::default(),
            draft: None,
            queue: VecDeque::new(),
            awaited: VecDeque::new(),
            loose: Vec::new(),
            tail: Vec::new(),
            lines: 0,
            offset: 0,
            editor: Editor::default(),
            armed: false,
            lost: 0,
            alternate: None,
            garbage: (At::default(), 0),
            held: Held::default(),
            found: Vec::new(),
        })
    }

    /// What was found since this was asked last.
    pub fn take(&mut self) -> Vec<Found> {
        std::mem::take(&mut self.found)
    }

    pub fn resize(&mut self, cols: u32, rows: u32) {
        self.screen.resize(cols, rows);
    }

    pub fn shown(&mut self, at: At, bytes: &[u8]) {
        let joined;
        let mut bytes = bytes;
        if !self.tail.is_empty() {
            let mut tail = std::mem::take(&mut self.tail);
            tail.extend_from_slice(bytes);
            joined = tail;
            bytes = &joined;
        }
        while !bytes.is_empty() {
            match std::str::from_utf8(bytes) {
                Ok(text) => return self.show_text(at, text),
                Err(error) => {
                    let (good, bad) = bytes.split_at(error.valid_up_to());
                    self.show_text(at, std::str::from_utf8(good).unwrap_or_default());
                    let Some(length) = error.error_len() else {
                        self.tail = bad.to_vec();
                        return;
                    };
                    self.garble(at);
                    self.show(at, '\u{fffd}');
                    bytes = bad.get(length..).unwrap_or_default();
                }
            }
        }
    }

    fn garble(&mut self, at: At) {
        if self.garbage.1 == 0 {
            self.garbage.0 = at;
        }
        self.garbage.1 = self.garbage.1.saturating_add(1);
    }

    fn show_text(&mut self, at: At, text: &str) {
        for c in text.chars() {
            self.show(at, c);
        }
    }

    fn show(&mut self, at: At, c: char) {
        let signal = self.signals.feed(c);
        if let Some(function) = self.screen.parse(c) {
            self.run(at, function);
        }
        match signal {
            None => {}
            Some(Signal::Editor(on)) => self.edit(at, on),
            Some(Signal::Directory(directory)) => self.held.enter(directory),
            Some(Signal::Mark(mark)) => {
                let ended = self.held.mark(mark, at);
                self.found.extend(ended.map(Found::Command));
            }
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what else a terminal can do only moves or colours"
    )]
    fn run(&mut self, at: At, function: Function) {
        match function {
            Function::Print(c) => {
                self.screen.execute(function);
                if !self.awaited.is_empty() {
                    self.echo(c);
                }
                if !self.queue.is_empty() {
                    self.settle_at_prompt(at, c);
                }
            }
            Function::Lf | Function::Nel => {
                self.before_line_feed(at);
                self.screen.execute(function);
            }
            // A line editor may leave its row without a line feed.
            Function::Cud(_) | Function::Cup(..) | Function::Cnl(_) | Function::Vpa(_)
                if self.editor.accepting =>
            {
                self.before_line_feed(at);
                self.screen.execute(function);
            }
            Function::Decset(_) | Function::Decrst(_) | Function::Ris => {
                self.screen.execute(function);
                self.switch(at);
            }
            _ => self.screen.execute(function),
        }
    }

    fn echo(&mut self, c: char) {
        let Some(&(number, awaited)) = self.awaited.front() else {
            return;
        };
        let hit = awaited == c;
        if hit {
            self.awaited.pop_front();
        }
        let lines = self.queue.iter_mut().chain(&mut self.draft);
        for line in lines {
            if line.number == number {
                let count = if hit {
                    &mut line.hits
                } else {
                    &mut line.misses
                };
                *count = count.saturating_add(1);
                return;
            }
        }
        // Its line is settled.
        self.awaited.pop_front();
    }

    /// Echoes of lines that are settled are not awaited.
    pub(super) fn forget_awaited(&mut self) {
        let first = self.queue.iter().chain(&self.draft).map(|line| line.number);
        match first.min() {
            Some(first) => self.awaited.retain(|(number, _)| *number >= first),
            None => self.awaited.clear(),
        }
    }

    fn before_line_feed(&mut self, at: At) {
        if let Some(draft) = &mut self.draft {
            draft.breaks = draft.breaks.saturating_add(1);
        }
        self.editor.line_fed = true;
        if self.editor.accepting {
            self.editor.accepting = false;
            let (_, row) = self.screen.cursor();
            self.settle(at, row);
        } else if self.queue.is_empty() {
        } else if self.alternate.is_some() {
            self.settle_pane(at);
        } else if !self.editor.on && !self.settle_shown_again(at) {
            self.settle_cooked(at);
        }
    }

    fn edit(&mut self, at: At, on: bool) {
        if on == self.editor.on {
            return;
        }
        self.editor.on = on;
        if self.alternate.is_some() {
            return;
        }
        if on {
            self.editor.ever = true;
            self.editor.accepting = false;
            self.editor.line_fed = false;
            self.editor.at = Some(self.screen.anchor());
            self.end_of_program();
            return;
        }
        let (col, row) = self.screen.cursor();
        if self.editor.line_fed && col == 0 {
            self.settle(at, row - 1);
        } else {
            self.editor.accepting = true;
        }
    }

    /// To or from the alternate screen.
    fn switch(&mut self, at: At) {
        let now = self.screen.is_alternate();
        match (self.alternate, now) {
            (None, true) => self.alternate = Some(at),
            (Some(since), false) => {
                self.alternate = None;
                self.blind(BlindReason::AlternateScreen, since, at);
                // Keys of the program; lines may be for the shell behind it.
                if let Some(draft) = self.draft.take() {
                    self.reveal_end(&draft);
                }
                for line in &mut self.queue {
                    line.ahead = true;
                    line.passed = true;
                    line.anchor = None;
                }
                self.editor.accepting = false;
            }
            (None, false) | (Some(_), true) => {}
        }
    }

    /// What was typed and shown between these is not there: all is begun anew but the known prompts.
    pub fn skip(&mut self, from: At, to: At, (cols, rows): (u32, u32)) {
        self.finish(from);
        self.blind(BlindReason::Overload, from, to);
        let Some(mut fresh) = Self::new(cols, rows) else {
            return;
        };
        std::mem::swap(&mut fresh.prompts, &mut self.prompts);
        std::mem::swap(&mut fresh.found, &mut self.found);
        fresh.editor.ever = self.editor.ever;
        (fresh.offset, fresh.lines) = (self.offset, self.lines);
        *self = fresh;
    }

    /// The channel is closed.
    pub fn finish(&mut self, at: At) {
        if self.editor.accepting {
            self.editor.accepting = false;
            let (_, row) = self.screen.cursor();
            self.settle(at, row);
        }
        self.settle_rest(at);
        if let Some(since) = self.alternate.take() {
            self.blind(BlindReason::AlternateScreen, since, at);
        }
        self.end_garbage(at);
        self.release();
    }
}

pub(super) fn span(from: At, to: At) -> Span {
    Span {
        from_seq: from.seq,
        to_seq: to.seq,
        from_mt: from.mt,
        to_mt: to.mt,
    }
}

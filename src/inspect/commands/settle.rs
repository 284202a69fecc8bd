//! Typed lines meet the screen. Every line that was ended is settled once: as a command, as a secret,
//! or inside a blind interval; none is dropped in silence.
//!
//! ```text
//! a line editor reads      settle         when it stops reading (mode 2004), at the line's feed
//! the terminal reads       settle_cooked  at the line feed
//! a pane of tmux, screen   settle_pane    at the line feed, behind a known prompt
//! typed ahead, no editor   settle_at_prompt   when the prompt after it is shown
//! whatever is left         settle_stale, settle_rest
//! ```

use super::judge::{self, Verdict};
use super::line::Typed;
use super::outcome::command;
use super::place::Start;
use super::prompt;
use super::screen::Row;
use super::terminal::{At, Inspector, span};
use crate::event::{CommandSource, Confidence};
use std::collections::VecDeque;

/// Rows that are searched for a prompt.
pub(super) const SEARCH_ROWS: Row = 100;

impl Inspector {
    /// A line editor has stopped to read; `end` is the last row of what it accepted.
    pub(super) fn settle(&mut self, at: At, end: Row) {
        self.pass_over(at);
        if self.queue.is_empty() {
            return self.settle_unseen(at, end);
        }
        while let Some(first) = self.queue.front() {
            let start = self.find_start(first, end);
            let lines = self.lines_of(first, start.as_ref(), end);
            let shown = lines.iter().any(|line| !line.trim().is_empty());
            let is_blank = first.simple && first.text.trim().is_empty() && !first.withheld;
            if is_blank && shown && self.queue.len() > 1 {
                // An Enter that chose from a menu.
                self.drop_first();
                continue;
            }
            let typed: Vec<_> = self.queue.iter().collect();
            let trusted = start.as_ref().is_some_and(|start| start.trusted);
            let verdict = judge::judge(&typed, &lines, trusted, first.at_editor);
            let was_ahead = first.ahead;
            let more = self.queue.len() > 1;
            let again = matches!(verdict, Verdict::Unshown) && was_ahead && more;
            self.conclude(at, verdict, start.map(|start| start.prompt), true);
            if !again {
                break;
            }
        }
        self.forget_awaited();
    }

    /// Lines before one that was begun at this editor's prompt went elsewhere.
    pub(super) fn pass_over(&mut self, at: At) {
        let Some(first) = self
            .queue
            .iter()
            .rposition(|line| line.at_editor && !line.ahead)
        else {
            return;
        };
        let is_before = |line: &Typed| !line.at_editor && !line.ahead || line.passed;
        let before: Vec<Typed> = self.queue.drain(..first).collect();
        let mut kept = VecDeque::new();
        for line in before {
            if !is_before(&line) {
                kept.push_back(line);
            } else if line.keys > 0 {
                self.give_to_program(&line, at);
            } else {
                self.reveal(&line);
            }
        }
        kept.append(&mut self.queue);
        self.queue = kept;
    }

    /// A line editor begins to read: what was typed before went to a program, or is shown again.
    pub(super) fn end_of_program(&mut self) {
        for line in self.queue.iter_mut().filter(|line| !line.at_editor) {
            line.passed = true;
        }
        if let Some(draft) = &mut self.draft {
            draft.early = draft.text.len();
        }
    }

    /// The editor accepted a line, and nobody is known to have typed it: it was typed before the
    /// prompt was there.
    pub(super) fn settle_unseen(&mut self, at: At, end: Row) {
        if self.lost == 0 || self.draft.is_some() {
            return;
        }
        let Some(start) = self.find_known(end, end - SEARCH_ROWS) else {
            return;
        };
        let lines = self.screen.text(start.place, end);
        let text = lines.join("\n").trim().to_owned();
        if text.is_empty() {
            return;
        }
        self.lost -= 1;
        let now = span(at, at);
        let command = command(text, Confidence::Medium, vec![CommandSource::Screen], now);
        self.say(command, at);
    }

    pub(super) fn lines_of(&self, first: &Typed, start: Option<&Start>, end: Row) -> Vec<String> {
        let Some(start) = start else {
            return Vec::new();
        };
        let mut lines = self.screen.text(start.place, end);
        // A right prompt is no part of the command.
        if let Some(line) = lines.first_mut()
            && !first.right.is_empty()
            && let Some(kept) = line.strip_suffix(first.right.as_str())
            && (kept.is_empty() || kept.ends_with(' '))
        {
            *line = kept.trim_end().to_owned();
        }
        lines
    }

    // ---- without a line editor -----------------------------------------------------------------

    /// The terminal's own line discipline has ended a line, or a program's output has.
    pub(super) fn settle_cooked(&mut self, at: At) {
        // A line typed while an editor was reading is shown when an editor reads again.
        let waits = |line: &Typed| line.passed || line.ahead && line.at_editor;
        let Some(index) = self.queue.iter().position(|line| !waits(line)) else {
            return;
        };
        let Some(line) = self.queue.remove(index) else {
            return;
        };
        let (_, end) = self.screen.cursor();
        let start = self.find_cooked(&line, end);
        let lines = self.lines_of(&line, Some(&start), end);
        let is_prompt = start.known || self.is_prompt(&line);
        let verdict = judge::judge(&[&line], &lines, true, is_prompt);
        // A line feed says nothing of a line that was typed ahead: a shell may show it yet.
        let waits = line.ahead && matches!(verdict, Verdict::Unshown);
        if waits || matches!(verdict, Verdict::Command { .. }) && !is_prompt {
            let mut line = line;
            line.passed = true;
            self.queue.insert(index, line);
            return;
        }
        if is_prompt && !line.ahead {
            // What was typed before this prompt was shown went to a program.
            for line in self.queue.drain(..index).collect::<Vec<_>>() {
                self.give_to_program(&line, at);
            }
        }
        self.queue.push_front(line);
        self.conclude(at, verdict, Some(start.prompt), false);
        self.forget_awaited();
    }

    /// Typed ahead, and shown again behind its prompt by an editor that sets no mode.
    pub(super) fn settle_shown_again(&mut self, at: At) -> bool {
        let Some(line) = self.queue.front().filter(|line| line.passed || line.ahead) else {
            return false;
        };
        let (_, end) = self.screen.cursor();
        let Some(start) = self.find_known(end, end) else {
            return false;
        };
        let lines = self.screen.text(start.place, end);
        let verdict = judge::judge(&[line], &lines, true, true);
        let is_same = matches!(
            verdict,
            Verdict::Command {
                confidence: Confidence::High,
                ..
            }
        );
        if is_same {
            self.armed = false;
            self.conclude(at, verdict, Some(start.prompt), false);
            self.forget_awaited();
        }
        is_same
    }

    pub(super) fn find_cooked(&self, line: &Typed, end: Row) -> Start {
        let place = line
            .anchor
            .as_ref()
            .and_then(|anchor| self.screen.resolve(anchor))
            .filter(|(_, row)| *row <= end);
        let floor = place.map_or(end - SEARCH_ROWS, |(_, row)| row);
        if let Some(start) = self.find_prompt(&line.prompt, end, floor) {
            return start;
        }
        let place = place.unwrap_or_else(|| (0, self.screen.logical_start(end)));
        Start {
            place,
            prompt: line.prompt.clone(),
            trusted: true,
            known: false,
        }
    }

    /// Is it where a shell reads, as far as can be told without a line editor?
    pub(super) fn is_prompt(&self, line: &Typed) -> bool {
        let prompt = line.prompt.as_str();
        if line.ahead || prompt.trim().is_empty() {
            return false;
        }
        if self.prompts.knows(prompt) || prompt::is_of_shell(prompt) {
            return true;
        }
        !self.editor.ever && self.prompts.is_empty() && !prompt::is_question(prompt)
    }

    /// A shell without an editor reads what was typed ahead when it shows its prompt: between two
    /// prompts it has run a line.
    pub(super) fn settle_at_prompt(&mut self, at: At, c: char) {
        if self.editor.on || self.is_alternate() || !self.prompts.may_end_with(c) {
            return;
        }
        if !self.queue.front().is_some_and(|line| line.passed) || self.draft.is_some() {
            return;
        }
        let (left, _) = self.screen.around_cursor();
        if !self.prompts.is_waiting(&left) {
            return;
        }
        if !self.armed {
            self.armed = true;
            return;
        }
        if let Some(line) = self.queue.pop_front() {
            self.run_ahead(at, &line);
        }
    }

    pub(super) fn run_ahead(&mut self, at: At, line: &Typed) {
        if !line.is_echoed() {
            return self.secret(line);
        }
        self.reveal(line);
        let verdict = judge::typed_alone(line);
        if let Verdict::Command {
            text,
            confidence,
            sources,
            ..
        } = verdict
            && !text.is_empty()
        {
            let span = span(line.from, line.to);
            self.say(command(text, confidence, sources, span), at);
        }
    }

    // ---- in the alternate screen ---------------------------------------------------------------

    /// Only behind a known prompt: the rest of the screen is an editor's or a pager's.
    pub(super) fn settle_pane(&mut self, at: At) {
        let Some(line) = self.queue.pop_front() else {
            return;
        };
        let place = line
            .anchor
            .as_ref()
            .and_then(|anchor| self.screen.resolve(anchor));
        let shown = place.map_or_else(String::new, |place| {
            let text = self.screen.text(place, place.1).concat();
            prompt::pane("", &text).1.to_owned()
        });
        let is_prompt = self.is_pane_prompt(&line.prompt);
        let verdict = judge::judge(&[&line], &[shown], true, is_prompt);
        match (&verdict, is_prompt) {
            (Verdict::Command { .. }, true) => {
                let prompt = line.prompt.clone();
                self.queue.push_front(line);
                self.conclude(at, verdict, Some(prompt), false);
            }
            (Verdict::Unshown, _) if prompt::is_for_secret(&line.prompt) => self.secret(&line),
            // The blind interval of the alternate screen says that there may be more.
            (Verdict::Command { .. } | Verdict::Unshown | Verdict::Nothing, _) => {
                self.reveal_end(&line);
            }
        }
        self.forget_awaited();
    }

    fn is_pane_prompt(&self, prompt: &str) -> bool {
        if self.prompts.knows(prompt) {
            return true;
        }
        // An editor puts a comment sign before a line by itself: one character is no prompt.
        let looks_so = self.prompts.resembles(prompt) || prompt::is_of_shell(prompt);
        self.editor.on && looks_so && prompt.trim().chars().count() > 1
    }
}

//! Where on the screen a command begins: behind its prompt.

use super::line::Typed;
use super::prompt;
use super::screen::Row;
use super::settle::SEARCH_ROWS;
use super::terminal::Inspector;

/// Where a command begins on the screen.
pub(super) struct Start {
    pub(super) place: (usize, Row),
    pub(super) prompt: String,
    /// Found by the place of the first key, or by a prompt that is known.
    pub(super) trusted: bool,
    /// Behind a prompt that was known before.
    pub(super) known: bool,
}

impl Inspector {
    pub(super) fn find_start(&self, first: &Typed, end: Row) -> Option<Start> {
        let anchored = first.anchor.as_ref().filter(|_| !first.ahead);
        let place = anchored
            .and_then(|anchor| self.screen.resolve(anchor))
            .filter(|(_, row)| *row <= end);
        let floor = place.map_or(end - SEARCH_ROWS, |(_, row)| row);
        let own = (!first.ahead && first.at_editor).then_some(first.prompt.as_str());
        if let Some(prompt) = own
            && let Some(start) = self.find_prompt(prompt, end, floor)
        {
            return Some(start);
        }
        // A key that came before its prompt was drawn.
        let is_blank = own.is_some_and(|prompt| prompt.trim().is_empty());
        if is_blank {
            let found = self.find_known(end, floor);
            if let Some(start) = found.or_else(|| self.find_by_text(first, end)) {
                return Some(start);
            }
        }
        if let (Some(place), true) = (place, own.is_some()) {
            let prompt = first.prompt.clone();
            return Some(Start {
                place,
                prompt,
                trusted: true,
                known: false,
            });
        }
        self.find_ahead(first, end)
    }

    /// The nearest row that begins with this very prompt.
    pub(super) fn find_prompt(&self, prompt: &str, end: Row, floor: Row) -> Option<Start> {
        let wanted = prompt.trim_end();
        if wanted.trim().is_empty() {
            return None;
        }
        self.search(end, floor, |line| {
            line.starts_with(wanted).then(|| prompt.chars().count())
        })
    }

    pub(super) fn find_known(&self, end: Row, floor: Row) -> Option<Start> {
        let found = self.search(end, floor, |line| self.prompts.begins(line))?;
        Some(Start {
            known: true,
            ..found
        })
    }

    pub(super) fn search(
        &self,
        end: Row,
        floor: Row,
        length: impl Fn(&str) -> Option<usize>,
    ) -> Option<Start> {
        let mut row = end;
        while row >= floor {
            let first = self.screen.logical_start(row);
            let line = self.screen.text((0, first), row).concat();
            if let Some(length) = length(&line) {
                let place = self.screen.locate(first, length)?;
                let prompt = line.chars().take(length).collect();
                return Some(Start {
                    place,
                    prompt,
                    trusted: true,
                    known: false,
                });
            }
            row = first - 1;
        }
        None
    }

    /// Of a line that was typed before its prompt was there.
    pub(super) fn find_ahead(&self, first: &Typed, end: Row) -> Option<Start> {
        let editor = self.editor.at.as_ref();
        let editor = editor.and_then(|anchor| self.screen.resolve(anchor));
        let editor = editor.filter(|(_, row)| *row <= end);
        let floor = editor.map_or(end - SEARCH_ROWS, |(_, row)| row);
        if let Some(start) = self.find_known(end, floor) {
            return Some(start);
        }
        if let Some(start) = self.find_by_text(first, end) {
            return Some(start);
        }
        // The prompt was shown before the editor began to read.
        let (col, row) = editor.filter(|(col, _)| *col > 0)?;
        let line = self.screen.text((0, row), row).concat();
        Some(Start {
            place: (col, row),
            prompt: line.chars().take(col).collect(),
            trusted: true,
            known: false,
        })
    }

    /// A prompt that was never seen, before what was typed.
    pub(super) fn find_by_text(&self, first: &Typed, end: Row) -> Option<Start> {
        let row = self.screen.logical_start(end);
        let line = self.screen.text((0, row), end).concat();
        let text = first.text.trim();
        let (before, after) = line.rsplit_once(text)?;
        if !(after.trim().is_empty() || after.starts_with("   ")) {
            return None;
        }
        let fits = self.prompts.resembles(before) || prompt::is_of_shell(before);
        if !first.simple || text.is_empty() || !fits {
            return None;
        }
        let place = self.screen.locate(row, before.chars().count())?;
        Some(Start {
            place,
            prompt: before.to_owned(),
            trusted: true,
            known: false,
        })
    }
}

//! Keys make lines. A line begins at its first key, and where the cursor stands then is the end of the
//! prompt.

use super::keys::Key;
use super::line::{LINE_BYTES_MAX, Typed};
use super::prompt;
use super::terminal::{At, Inspector};
use unicode_width::UnicodeWidthChar;

/// Lines that were typed and not yet answered; the first is settled when there are more.
const LINES_MAX: usize = 64;
/// Characters whose echo is awaited.
const AWAITED_MAX: usize = 4096;
/// Keys and answers of the terminal that belong to no line yet.
const LOOSE_BYTES: usize = 256;

impl Inspector {
    pub fn typed(&mut self, at: At, bytes: &[u8]) {
        for byte in bytes {
            let key = self.keys.feed(*byte);
            self.byte(at, *byte);
            if let Some(key) = key {
                self.key(at, key);
            }
        }
    }

    /// So many bytes were typed on the channel before the next ones.
    pub fn typed_before(&mut self, bytes: u64) {
        if self.offset != bytes {
            self.offset = bytes;
            self.loose.clear();
        }
    }

    /// So many bytes were typed that nobody kept.
    pub fn withheld(&mut self, at: At, bytes: u64) {
        self.loose.clear();
        let draft = self.open(at);
        let looked = bytes.min(LINE_BYTES_MAX as u64);
        for _ in 0..looked {
            draft.keep_withheld();
        }
        draft.bytes += bytes - looked;
        draft.to = at;
        self.offset += bytes;
    }

    pub(super) fn byte(&mut self, at: At, byte: u8) {
        self.offset += 1;
        match &mut self.draft {
            Some(draft) => {
                draft.keep(byte);
                draft.to = at;
            }
            None if self.loose.len() < LOOSE_BYTES => self.loose.push(byte),
            None => self.loose.clear(),
        }
    }

    pub(super) fn key(&mut self, at: At, key: Key) {
        match key {
            Key::Interrupt => return self.interrupt(at),
            Key::Neutral | Key::EndOfFile if self.draft.is_none() => return,
            Key::Char(_)
            | Key::Erase
            | Key::EraseWord
            | Key::EraseLine
            | Key::Enter
            | Key::EnterChanged
            | Key::Break
            | Key::Neutral
            | Key::EndOfFile
            | Key::Other => {}
        }
        let draft = self.open(at);
        let number = draft.number;
        if draft.press(key)
            && let Key::Char(c) = key
            && c.width() != Some(0)
            && self.awaited.len() < AWAITED_MAX
        {
            self.awaited.push_back((number, c));
        }
        if matches!(key, Key::Enter | Key::EnterChanged)
            && let Some(draft) = self.draft.take()
        {
            self.queue.push_back(draft);
            self.editor.line_fed = false;
            if self.queue.len() > LINES_MAX {
                self.give_up_first(at);
            }
        }
    }

    /// The line that is being typed; it begins with this key.
    fn open(&mut self, at: At) -> &mut Typed {
        if self.was_for_another() {
            self.draft = None;
        }
        if self.draft.is_none() {
            self.settle_stale(at);
            self.release();
            let typed = self.begin(at);
            self.draft = Some(typed);
        }
        self.draft.get_or_insert_with(|| Typed::new(0, 0, at))
    }

    pub(super) fn begin(&mut self, at: At) -> Typed {
        self.lines += 1;
        let loose = std::mem::take(&mut self.loose);
        let offset = self.offset.saturating_sub(loose.len() as u64);
        let mut typed = Typed::new(self.lines, offset, at);
        typed.bytes = loose.len() as u64;
        typed.raw = loose;
        typed.at_editor = self.editor.on;
        typed.ahead = self.is_ahead();
        if typed.ahead {
            return typed;
        }
        self.armed = false;
        let (left, right) = self.screen.around_cursor();
        let (left, right) = if self.alternate.is_some() {
            prompt::pane(&left, &right)
        } else {
            (left.as_str(), right.as_str())
        };
        right.trim().clone_into(&mut typed.right);
        left.clone_into(&mut typed.prompt);
        typed.anchor = Some(self.screen.anchor());
        self.notice_prefilled(&mut typed);
        typed
    }

    /// Keys that showed nothing, and now the cursor is elsewhere: they told tmux or screen what to do,
    /// or a program that has ended since (`q`), for a known prompt is shown.
    fn was_for_another(&self) -> bool {
        let Some(draft) = self.draft.as_ref().filter(|draft| draft.hits == 0) else {
            return false;
        };
        let place = draft.anchor.as_ref();
        let place = place.and_then(|anchor| self.screen.resolve(anchor));
        if self.is_alternate() {
            return place.is_some_and(|place| place != self.screen.cursor());
        }
        !draft.at_editor
            && !self.editor.on
            && !self.prompts.knows(&draft.prompt)
            && place != Some(self.screen.cursor())
            && self.prompts.knows(&self.screen.around_cursor().0)
    }

    /// A line before this one was not answered yet. At a known prompt in another place it was: by a
    /// program that ended without a line feed.
    fn is_ahead(&mut self) -> bool {
        let Some(waiting) = self.queue.iter().find(|line| !line.passed) else {
            return false;
        };
        let place = waiting.anchor.as_ref();
        let place = place.and_then(|anchor| self.screen.resolve(anchor));
        let (left, _) = self.screen.around_cursor();
        let is_elsewhere = place.is_some_and(|place| place != self.screen.cursor());
        if self.editor.on || !is_elsewhere || !self.prompts.ends(&left) {
            return true;
        }
        for line in &mut self.queue {
            line.passed = true;
        }
        false
    }

    /// A shell can put text behind its prompt before a key is typed (`print -z`).
    fn notice_prefilled(&mut self, typed: &mut Typed) {
        if !self.editor.on || self.alternate.is_some() || self.prompts.knows(&typed.prompt) {
            return;
        }
        let Some(length) = self.prompts.begins(&typed.prompt) else {
            return;
        };
        let rest: String = typed.prompt.chars().skip(length).collect();
        if rest.trim().is_empty() {
            return;
        }
        let (_, row) = self.screen.cursor();
        let first = self.screen.logical_start(row);
        if let Some(place) = self.screen.locate(first, length) {
            typed.anchor = self.screen.anchor_at(place);
            typed.prompt = typed.prompt.chars().take(length).collect();
            typed.simple = false;
        }
    }

    /// The line is not run, and what was typed ahead is gone.
    pub(super) fn interrupt(&mut self, at: At) {
        match self.draft.take() {
            Some(draft) if draft.is_echoed() => self.reveal(&draft),
            Some(draft) => self.reveal_end(&draft),
            None => {
                let bytes = std::mem::take(&mut self.loose);
                let offset = self.offset.saturating_sub(bytes.len() as u64);
                self.push_reveal(offset, &bytes);
            }
        }
        let (passed, rest): (Vec<_>, Vec<_>) = self.queue.drain(..).partition(|line| line.passed);
        self.queue.extend(rest);
        for line in passed {
            self.give_to_program(&line, at);
        }
        self.forget_awaited();
    }
}

//! A line as it is typed, beside the screen: with what was erased taken back.

use super::At;
use super::keys::Key;
use avt::Anchor;

/// Bytes of a line that are kept while its echo is awaited (docs/recording-format.md 5.5).
pub(super) const LINE_BYTES_MAX: usize = 4096;

pub(super) struct Typed {
    pub(super) number: u64,
    /// The text, if only `simple` keys made it.
    pub(super) text: String,
    pub(super) simple: bool,
    /// Some of it was withheld from us.
    pub(super) withheld: bool,
    /// More than is kept.
    pub(super) long: bool,
    /// Typed on before the line before it was answered, or while a program ran.
    pub(super) ahead: bool,
    /// Its line end was shown where no prompt was.
    pub(super) passed: bool,
    /// A line editor was reading when it began.
    pub(super) at_editor: bool,
    /// Left and right of the cursor when it began.
    pub(super) prompt: String,
    pub(super) right: String,
    pub(super) anchor: Option<Anchor>,
    /// Of `text`, what was typed before a line editor began to read.
    pub(super) early: usize,
    /// Line feeds of output between its keys: something else wrote in between.
    pub(super) breaks: u32,
    /// Characters typed, shown right after it, and others shown while they were awaited.
    pub(super) keys: u32,
    pub(super) hits: u32,
    pub(super) misses: u32,
    /// The bytes, for `input.reveal`, and where they stand in the input of the channel.
    pub(super) raw: Vec<u8>,
    pub(super) offset: u64,
    pub(super) bytes: u64,
    pub(super) from: At,
    pub(super) to: At,
}

impl Typed {
    pub(super) fn new(number: u64, offset: u64, at: At) -> Self {
        Self {
            number,
            text: String::new(),
            simple: true,
            withheld: false,
            long: false,
            ahead: false,
            passed: false,
            at_editor: false,
            prompt: String::new(),
            right: String::new(),
            anchor: None,
            early: 0,
            breaks: 0,
            keys: 0,
            hits: 0,
            misses: 0,
            raw: Vec::new(),
            offset,
            bytes: 0,
            from: at,
            to: at,
        }
    }

    /// True when the key is one whose echo is the character itself.
    pub(super) fn press(&mut self, key: Key) -> bool {
        match key {
            Key::Char(c) => {
                self.keys = self.keys.saturating_add(1);
                self.push(c);
                return true;
            }
            Key::Break => self.push('\n'),
            Key::Erase => {
                self.text.pop();
            }
            Key::EraseWord => {
                let kept = self.text.trim_end();
                // A space may be longer than a byte: U+00A0, U+3000.
                let spaces = kept.char_indices().rev();
                let space = spaces.into_iter().find(|(_, c)| c.is_whitespace());
                let word = space.map_or(0, |(at, c)| at + c.len_utf8());
                self.text.truncate(word);
            }
            Key::EraseLine => self.text.clear(),
            Key::Other | Key::EnterChanged | Key::EndOfFile => self.simple = false,
            Key::Enter | Key::Interrupt | Key::Neutral => {}
        }
        false
    }

    fn push(&mut self, c: char) {
        if self.text.len() < LINE_BYTES_MAX {
            self.text.push(c);
        } else {
            self.long = true;
            self.simple = false;
        }
    }

    pub(super) fn keep(&mut self, byte: u8) {
        self.bytes += 1;
        if self.raw.len() < LINE_BYTES_MAX {
            self.raw.push(byte);
        } else {
            self.long = true;
        }
    }

    /// A byte that we were not given.
    pub(super) fn keep_withheld(&mut self) {
        self.bytes += 1;
        self.withheld = true;
        self.keys = self.keys.saturating_add(1);
        self.push('\u{fffd}');
    }

    /// Its characters were shown as they were typed: most, and little else in between, so that a
    /// password under streaming output is not taken for shown.
    pub(super) fn is_echoed(&self) -> bool {
        self.keys > 0
            && !self.withheld
            && u64::from(self.hits) * 10 >= u64::from(self.keys) * 6
            && u64::from(self.misses) <= u64::from(self.hits) * 2
    }
}

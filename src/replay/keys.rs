//! Keys from bytes, over ssh and locally alike, through termwiz's parser.
//!
//! Three of its habits would be holes here and are kept from it: bytes that are not UTF-8 stay in
//! its buffer for ever, a bracketed paste is buffered without a bound, and one that is not UTF-8
//! panics. We never switch bracketed paste on, so its marks only come from an attacker.

use termwiz::input::{InputEvent, InputParser, KeyCode, KeyEvent, Modifiers};

const PASTE_START: &[u8] = b"\x1b[200~";
const PASTE_END: &[u8] = b"\x1b[201~";
/// Bytes handed to the parser at once: its work is quadratic in what it holds.
const SLICE_BYTES: usize = 128;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Char(char),
    Ctrl(char),
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
    Enter,
    Escape,
    Backspace,
    Other,
}

/// The state between two reads: at most the start of an escape sequence or of a character.
pub struct Keys {
    parser: InputParser,
    held: Vec<u8>,
    unsettled: bool,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            parser: InputParser::new(),
            held: Vec::new(),
            unsettled: false,
        }
    }
}

impl Keys {
    /// Keys that are certain. What may be the start of a longer sequence waits for the next call
    /// or for [`Keys::settle`].
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Key> {
        let mut bytes = [std::mem::take(&mut self.held).as_slice(), bytes].concat();
        let held = bytes.len() - tail(&bytes);
        self.held = bytes.split_off(held);
        self.unsettled = true;
        self.parse(&bytes, true)
    }

    /// Whether [`Keys::settle`] is due once nothing came for a moment.
    pub fn unsettled(&self) -> bool {
        self.unsettled
    }

    /// Nothing more came: a lone ESC is the key Escape.
    pub fn settle(&mut self) -> Vec<Key> {
        let held = std::mem::take(&mut self.held);
        self.unsettled = false;
        self.parse(&held, false)
    }

    fn parse(&mut self, bytes: &[u8], more: bool) -> Vec<Key> {
        // Replacement characters stay in the text, so that what surrounds them never joins into a
        // paste mark after it was looked for; NUL takes the place of a mark for the same reason.
        let text = String::from_utf8_lossy(bytes)
            .replace("\x1b[200~", "\0")
            .replace("\x1b[201~", "\0");
        let mut keys = Vec::new();
        let mut take = |event| keys.extend(key(&event));
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (slice, after) = rest.split_at(rest.floor_char_boundary(SLICE_BYTES));
            self.parser.parse(slice.as_bytes(), &mut take, true);
            rest = after;
        }
        if !more {
            self.parser.parse(&[], &mut take, false);
        }
        keys
    }
}

/// Bytes at the end that may be the start of a paste mark or of a character.
fn tail(bytes: &[u8]) -> usize {
    let ends_with = |mark: &[u8]| {
        (1..mark.len()).rev().find(|&length| {
            mark.get(..length)
                .is_some_and(|start| bytes.ends_with(start))
        })
    };
    let mark = ends_with(PASTE_START)
        .max(ends_with(PASTE_END))
        .unwrap_or(0);
    let character = match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => bytes.len() - error.valid_up_to(),
        _ => 0,
    };
    // After an earlier invalid byte `from_utf8` says nothing about the end; a character is then
    // cut, which costs one replacement character.
    mark.max(character)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a terminal has a hundred keys; those that mean nothing here are one"
)]
fn key(event: &InputEvent) -> Option<Key> {
    let InputEvent::Key(KeyEvent { key, modifiers }) = event else {
        return None;
    };
    if modifiers.contains(Modifiers::ALT) {
        return Some(Key::Other);
    }
    Some(match *key {
        KeyCode::Char(c) if modifiers.contains(Modifiers::CTRL) => {
            Key::Ctrl(c.to_ascii_lowercase())
        }
        KeyCode::Char('\u{8}' | '\u{7f}') | KeyCode::Backspace => Key::Backspace,
        KeyCode::Char(c) if crate::event::is_dangerous(c) || c == '\u{fffd}' => Key::Other,
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::UpArrow | KeyCode::ApplicationUpArrow => Key::Up,
        KeyCode::DownArrow | KeyCode::ApplicationDownArrow => Key::Down,
        KeyCode::LeftArrow | KeyCode::ApplicationLeftArrow => Key::Left,
        KeyCode::RightArrow | KeyCode::ApplicationRightArrow => Key::Right,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Enter => Key::Enter,
        KeyCode::Escape => Key::Escape,
        _ => Key::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(chunks: &[&[u8]]) -> Vec<Key> {
        let mut keys = Keys::default();
        let mut found: Vec<Key> = chunks.iter().flat_map(|chunk| keys.feed(chunk)).collect();
        found.extend(keys.settle());
        found
    }

    #[test]
    fn keys_are_the_same_however_they_are_cut() {
        let bytes = b"a\x1b[A\x1bOB\x03\r\x7f \x1b[5~\x1b";
        let whole = all(&[bytes]);
        assert_eq!(
            whole,
            [
                Key::Char('a'),
                Key::Up,
                Key::Down,
                Key::Ctrl('c'),
                Key::Enter,
                Key::Backspace,
                Key::Char(' '),
                Key::PageUp,
                Key::Escape
            ]
        );
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(all(&single), whole);
    }

    #[test]
    fn a_paste_that_is_no_text_neither_panics_nor_waits() {
        for attack in [
            &b"\x1b[200~\xff\xff\xff\xff\xff\xff\x1b[201~x"[..],
            b"\x1b[20\x1b[200~0~\xff\x1b[201~x",
            b"\x1b[200~\xffx",
            b"\xff\xfe\xff\xffx",
        ] {
            let single: Vec<&[u8]> = attack.chunks(1).collect();
            assert_eq!(all(&[attack]).last(), Some(&Key::Char('x')));
            assert_eq!(all(&single).last(), Some(&Key::Char('x')));
        }
    }

    proptest! {
        #[test]
        fn nothing_is_held_for_ever(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20)) {
            let mut keys = Keys::default();
            for chunk in &chunks {
                keys.feed(chunk);
                prop_assert!(keys.held.len() <= 8);
            }
            keys.settle();
            prop_assert_eq!(keys.feed(b"z"), vec![Key::Char('z')]);
        }
    }
}

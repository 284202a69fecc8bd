//! What was typed, as keys. A proxy sees bytes; a line is edited with keys.

/// A key, or an answer that the person's terminal gave by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Char(char),
    /// Takes back one character.
    Erase,
    /// Takes back a word (`^W`).
    EraseWord,
    /// Takes back the line (`^U`).
    EraseLine,
    /// Submits.
    Enter,
    /// Submits, after having changed the line in a way that only the shell knows.
    EnterChanged,
    /// A line break inside a bracketed paste.
    Break,
    /// `^C`, `^\`.
    Interrupt,
    /// A key without an effect on the line: `^L`, `^Z`, `^S`, `^Q`, the brackets of a paste.
    Neutral,
    /// `^D`: nothing in an empty line but its end.
    EndOfFile,
    /// A key that only the shell knows the effect of: arrows, tab, history.
    Other,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    Escape,
    /// `ESC [`, then parameters.
    Csi,
    /// `ESC O`, then one byte.
    Ss3,
    /// An answer of the terminal (OSC, DCS) until BEL or `ESC \`.
    Answer,
    AnswerEscape,
}

/// Longest sequence of a key; longer ones are no keys.
const CSI_BYTES: usize = 32;
/// A lone `ESC ]` typed by a person must not swallow what follows for ever.
const ANSWER_BYTES: usize = 512;

#[derive(Debug, Default)]
pub(super) struct Keys {
    state: State,
    /// Of the sequence, or of a UTF-8 character, that is not whole.
    partial: Vec<u8>,
    wanted: usize,
    pasting: bool,
}

impl Keys {
    /// The key that this byte completes.
    pub(super) fn feed(&mut self, byte: u8) -> Option<Key> {
        match self.state {
            State::Ground => self.ground(byte),
            State::Escape => self.escape(byte),
            State::Csi => self.csi(byte),
            State::Ss3 => {
                self.state = State::Ground;
                Some(Key::Other)
            }
            State::Answer => {
                self.wanted += 1;
                match byte {
                    0x07 => self.reset(),
                    0x1b => self.state = State::AnswerEscape,
                    b'\r' | b'\n' => return self.out_of_answer(byte),
                    _ if self.wanted > ANSWER_BYTES => self.reset(),
                    _ => {}
                }
                None
            }
            State::AnswerEscape => {
                self.reset();
                None
            }
        }
    }

    fn reset(&mut self) {
        self.state = State::Ground;
        self.partial.clear();
        self.wanted = 0;
    }

    /// No terminal answers with a line end: it was a person's `ESC ]`.
    fn out_of_answer(&mut self, byte: u8) -> Option<Key> {
        self.reset();
        self.ground(byte).map(|_| Key::EnterChanged)
    }

    fn ground(&mut self, byte: u8) -> Option<Key> {
        if byte >= 0x80 || !self.partial.is_empty() {
            return self.utf8(byte);
        }
        if self.pasting && byte != 0x1b {
            return Some(match byte {
                b'\r' | b'\n' => Key::Break,
                b'\t' => Key::Char('\t'),
                0x20..=0x7e => Key::Char(char::from(byte)),
                _ => Key::Other,
            });
        }
        Some(match byte {
            b'\r' | b'\n' => Key::Enter,
            0x0f => Key::EnterChanged,
            0x7f | 0x08 => Key::Erase,
            0x17 => Key::EraseWord,
            0x15 => Key::EraseLine,
            0x03 | 0x1c => Key::Interrupt,
            0x04 => Key::EndOfFile,
            0x0c | 0x11 | 0x13 | 0x1a => Key::Neutral,
            0x1b => {
                self.state = State::Escape;
                return None;
            }
            0x20..=0x7e => Key::Char(char::from(byte)),
            _ => Key::Other,
        })
    }

    fn utf8(&mut self, byte: u8) -> Option<Key> {
        if self.partial.is_empty() {
            self.wanted = match byte {
                0xc2..=0xdf => 2,
                0xe0..=0xef => 3,
                0xf0..=0xf4 => 4,
                _ => return Some(Key::Char('\u{fffd}')),
            };
        } else if !(0x80..=0xbf).contains(&byte) {
            // A character that was cut off: what follows is a key of its own.
            self.reset();
            return match self.ground(byte) {
                Some(Key::Enter) => Some(Key::EnterChanged),
                Some(_) | None => Some(Key::Other),
            };
        }
        self.partial.push(byte);
        if self.partial.len() < self.wanted {
            return None;
        }
        let text = std::str::from_utf8(&self.partial).ok();
        let key = text.and_then(|text| text.chars().next());
        self.reset();
        Some(Key::Char(key.unwrap_or('\u{fffd}')))
    }

    fn escape(&mut self, byte: u8) -> Option<Key> {
        self.state = State::Ground;
        match byte {
            b'[' => self.state = State::Csi,
            b'O' => self.state = State::Ss3,
            b']' | b'P' | b'_' | b'^' => self.state = State::Answer,
            0x1b => self.state = State::Escape,
            b'\r' | b'\n' => return Some(Key::EnterChanged),
            0x03 => return Some(Key::Interrupt),
            _ => return Some(Key::Other),
        }
        None
    }

    fn csi(&mut self, byte: u8) -> Option<Key> {
        match byte {
            0x20..=0x3f if self.partial.len() < CSI_BYTES => {
                self.partial.push(byte);
                None
            }
            b'\r' | b'\n' => {
                self.reset();
                Some(Key::EnterChanged)
            }
            0x40..=0x7e => {
                let key = self.sequence(byte);
                self.reset();
                key
            }
            _ => {
                self.reset();
                Some(Key::Other)
            }
        }
    }

    fn sequence(&mut self, last: u8) -> Option<Key> {
        let parameters = self.partial.as_slice();
        let two = parameters.contains(&b';');
        match (last, parameters) {
            (b'~', b"200") => {
                self.pasting = true;
                Some(Key::Neutral)
            }
            (b'~', b"201") => {
                self.pasting = false;
                Some(Key::Neutral)
            }
            // Answers and reports: focus, cursor position, attributes, mouse, modes.
            (b'I' | b'O', b"") => None,
            (b'R' | b't', _) if two => None,
            (b'c' | b'u' | b'y' | b'n', [b'?' | b'>' | b'=', ..]) => None,
            (b'M' | b'm', [b'<', ..]) => None,
            // The kitty protocol's Enter.
            (b'u', b"13") => Some(Key::Enter),
            (b'u', b"127") => Some(Key::Erase),
            _ => Some(Key::Other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut keys = Keys::default();
        bytes.iter().filter_map(|byte| keys.feed(*byte)).collect()
    }

    #[test]
    fn text_and_controls_are_keys() {
        use Key::{Char, Enter, Erase, EraseLine, EraseWord, Interrupt};
        assert_eq!(
            keys("aé\u{7f}\u{17}\u{15}\r\u{3}".as_bytes()),
            [
                Char('a'),
                Char('é'),
                Erase,
                EraseWord,
                EraseLine,
                Enter,
                Interrupt
            ]
        );
    }

    #[test]
    fn arrows_are_keys_and_answers_are_not() {
        assert_eq!(keys(b"\x1b[A\x1bOB\x1bb"), [Key::Other; 3]);
        let answers =
            b"\x1b[24;80R\x1b[?62;22c\x1b[I\x1b]11;rgb:0/0/0\x07\x1bP1$r0m\x1b\\\x1b[<0;1;1M";
        assert_eq!(keys(answers), []);
    }

    #[test]
    fn a_paste_keeps_its_lines_together() {
        use Key::{Break, Char, Enter, Neutral};
        assert_eq!(
            keys(b"\x1b[200~a\nb\x1b[201~\r"),
            [Neutral, Char('a'), Break, Char('b'), Neutral, Enter]
        );
    }

    #[test]
    fn no_bytes_keep_a_line_end_from_being_seen() {
        for head in [&b"\x1b["[..], b"\x1b]", b"\xc3", b"\x1b[1;", b"\x1b"] {
            let typed = [head, b"\r"].concat();
            let last = keys(&typed).pop();
            assert_eq!(last, Some(Key::EnterChanged), "{head:?}");
        }
    }
}

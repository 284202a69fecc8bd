//! What a shell says beside its text: whether its line editor reads (private mode 2004, bracketed
//! paste), and the marks of OSC 7, 133, 633 and 1337. All of it can be forged by any output.

/// Something that the output said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// Mode 2004 went on or off: a line editor began or stopped to read.
    Editor(bool),
    Mark(Mark),
    /// The directory of the shell.
    Directory(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) family: Family,
    pub(super) what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Osc133,
    Osc633,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A prompt begins or ends.
    Prompt,
    /// A command begins to run.
    Run,
    /// It ended.
    Done(Option<i32>),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    Escape,
    Csi,
    Osc,
    OscEscape,
}

/// A mark longer than this is none.
const SEQUENCE_BYTES: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Signals {
    state: State,
    text: String,
}

impl Signals {
    pub(super) fn feed(&mut self, c: char) -> Option<Signal> {
        match (self.state, c) {
            (State::Ground, '\x1b') => self.state = State::Escape,
            (State::Ground, _) => {}
            (State::Escape, '[') => self.begin(State::Csi),
            (State::Escape, ']') => self.begin(State::Osc),
            (State::Escape, '\x1b') => {}
            (State::Escape, _) => self.state = State::Ground,
            (State::Csi, '\x20'..='\x3f') if self.text.len() < SEQUENCE_BYTES => self.text.push(c),
            (State::Csi, '\x1b') => self.state = State::Escape,
            (State::Csi, _) => {
                self.state = State::Ground;
                return mode(&self.text, c);
            }
            (State::Osc, '\x07' | '\u{9c}') => {
                self.state = State::Ground;
                return osc(&self.text);
            }
            (State::Osc, '\x1b') => self.state = State::OscEscape,
            (State::Osc, '\x18' | '\x1a') => self.state = State::Ground,
            (State::Osc, _) if self.text.len() < SEQUENCE_BYTES => self.text.push(c),
            // Too long: passed over to its end, and too long to mean something.
            (State::Osc, _) => {}
            (State::OscEscape, '\\') => {
                self.state = State::Ground;
                return osc(&self.text);
            }
            (State::OscEscape, '[') => self.begin(State::Csi),
            (State::OscEscape, ']') => self.begin(State::Osc),
            (State::OscEscape, _) => self.state = State::Ground,
        }
        None
    }

    fn begin(&mut self, state: State) {
        self.text.clear();
        self.state = state;
    }
}

fn mode(parameters: &str, last: char) -> Option<Signal> {
    let on = match last {
        'h' => true,
        'l' => false,
        _ => return None,
    };
    let modes = parameters.strip_prefix('?')?;
    let is_there = modes.split(';').any(|mode| mode == "2004");
    is_there.then_some(Signal::Editor(on))
}

fn osc(text: &str) -> Option<Signal> {
    if text.len() >= SEQUENCE_BYTES {
        return None;
    }
    let (number, rest) = text.split_once(';')?;
    match number {
        "133" => mark(Family::Osc133, rest),
        "633" => match rest.strip_prefix("P;Cwd=") {
            Some(directory) => Some(Signal::Directory(directory.to_owned())),
            None => mark(Family::Osc633, rest),
        },
        "7" => {
            let rest = rest.strip_prefix("file://")?;
            let path = rest.get(rest.find('/')?..)?;
            Some(Signal::Directory(path.to_owned()))
        }
        "1337" => {
            let directory = rest.strip_prefix("CurrentDir=")?;
            Some(Signal::Directory(directory.to_owned()))
        }
        _ => None,
    }
}

fn mark(family: Family, rest: &str) -> Option<Signal> {
    let mut parts = rest.split(';');
    let what = match parts.next()? {
        "A" | "B" => What::Prompt,
        "C" => What::Run,
        "D" => What::Done(parts.next().and_then(|status| status.parse().ok())),
        _ => return None,
    };
    Some(Signal::Mark(Mark { family, what }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signals(text: &str) -> Vec<Signal> {
        let mut signals = Signals::default();
        text.chars().filter_map(|c| signals.feed(c)).collect()
    }

    #[test]
    fn the_editor_is_seen_among_other_modes() {
        let text = "\x1b[?1;2004hx\x1b[?25l\x1b[2004h\x1b[?2004l";
        assert_eq!(signals(text), [Signal::Editor(true), Signal::Editor(false)]);
    }

    #[test]
    fn marks_say_bounds_status_and_directory_and_never_text() {
        let text = "\x1b]133;A\x07\x1b]633;E;ls\x07\x1b]133;C\x1b\\\x1b]133;D;3\x07\x1b]7;file://h/tmp/x\x07";
        let found = signals(text);
        let mark = |what| {
            Signal::Mark(Mark {
                family: Family::Osc133,
                what,
            })
        };
        assert_eq!(
            found,
            [
                mark(What::Prompt),
                mark(What::Run),
                mark(What::Done(Some(3))),
                Signal::Directory("/tmp/x".to_owned())
            ]
        );
    }

    #[test]
    fn endless_sequences_are_bounded() {
        let mut signals = Signals::default();
        for c in "\x1b]133;".chars().chain(std::iter::repeat_n('x', 100_000)) {
            assert_eq!(signals.feed(c), None);
        }
        assert!(signals.text.len() <= SEQUENCE_BYTES);
        assert_eq!(signals.feed('\x07'), None);
    }
}

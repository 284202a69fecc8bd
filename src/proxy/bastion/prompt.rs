//! Asks for a reason in the terminal, before the target is dialled. A line editor of four keys: the
//! person's terminal is in raw mode, so what is typed is echoed by us.

use crate::event::{Shown, Why, WhySource};
use crate::id::Ticket;
use crate::proxy::channel::Chan;
use crate::proxy::pumps::queue::Item;
use std::time::Duration;

const LINE_BYTES_MAX: usize = 512;
/// A person thinks; a forgotten terminal does not wait for ever.
const ANSWER_MAX: Duration = Duration::from_secs(300);

/// `None`: interrupted, gone, or too slow.
pub(crate) async fn reason(chan: &Chan) -> Option<Why> {
    let asked = async {
        let reason = loop {
            let line = line(chan, "portcullis: reason for this session: ").await?;
            if !line.is_empty() {
                break line;
            }
        };
        let ticket = loop {
            let line = line(chan, "portcullis: ticket (Enter for none): ").await?;
            if line.is_empty() {
                break None;
            }
            match line.parse::<Ticket>() {
                Ok(ticket) => break Some(ticket),
                Err(bad) => say(chan, &format!("portcullis: no ticket: {bad}\r\n")).await?,
            }
        };
        Some(Why {
            justification: Some(reason),
            ticket,
            source: Some(WhySource::Prompt),
            ..Why::default()
        })
    };
    tokio::select! {
        () = chan.gone.cancelled() => None,
        why = tokio::time::timeout(ANSWER_MAX, asked) => why.ok().flatten(),
    }
}

async fn say(chan: &Chan, text: &str) -> Option<()> {
    chan.writer.data_bytes(text.as_bytes().to_vec()).await.ok()
}

async fn line(chan: &Chan, prompt: &str) -> Option<String> {
    say(chan, prompt).await?;
    let mut line = Line::default();
    loop {
        let Some(Item::Data { bytes, .. }) = chan.up.pop().await else {
            return None;
        };
        chan.up.release(bytes.len());
        let fed = line.feed(&bytes);
        say(chan, &fed.echo).await?;
        match fed.end {
            None => {}
            Some(Ended::Interrupted) => return None,
            Some(Ended::Entered(rest)) => {
                chan.up.put_back(&rest);
                return Some(line.text());
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// What was typed ahead.
    Entered(Vec<u8>),
    Interrupted,
}

#[derive(Debug, PartialEq, Eq)]
struct Fed {
    echo: String,
    end: Option<Ended>,
}

#[derive(Debug, Default)]
struct Line {
    bytes: Vec<u8>,
}

impl Line {
    fn feed(&mut self, typed: &[u8]) -> Fed {
        let mut echo = String::new();
        for (at, byte) in typed.iter().enumerate() {
            match byte {
                b'\r' | b'\n' => {
                    echo.push_str("\r\n");
                    let rest = typed.get(at + 1..).unwrap_or_default().to_vec();
                    let end = Some(Ended::Entered(rest));
                    return Fed { echo, end };
                }
                3 | 4 => {
                    echo.push_str("\r\n");
                    let end = Some(Ended::Interrupted);
                    return Fed { echo, end };
                }
                0x7f | 8 => echo.push_str(if self.erase() { "\u{8} \u{8}" } else { "" }),
                0x15 => {
                    while self.erase() {
                        echo.push_str("\u{8} \u{8}");
                    }
                }
                0..0x20 => {}
                byte if self.bytes.len() < LINE_BYTES_MAX => {
                    self.bytes.push(*byte);
                    // ASCII is echoed as typed; of other characters only a place holder, once.
                    if byte.is_ascii() {
                        echo.push(char::from(*byte));
                    } else if byte & 0xc0 == 0xc0 {
                        echo.push('.');
                    }
                }
                _ => {}
            }
        }
        Fed { echo, end: None }
    }

    /// Takes a whole character off.
    fn erase(&mut self) -> bool {
        while let Some(byte) = self.bytes.pop() {
            if byte & 0xc0 != 0x80 {
                return true;
            }
        }
        false
    }

    fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        Shown(text.trim()).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_is_edited_and_what_was_typed_ahead_is_kept() {
        let mut line = Line::default();
        let fed = line.feed(b"disc\x7fk full\rls\r");
        assert_eq!(line.text(), "disk full");
        assert_eq!(fed.end, Some(Ended::Entered(b"ls\r".to_vec())));
    }

    #[test]
    fn an_interrupt_ends_it() {
        assert_eq!(Line::default().feed(b"x\x03").end, Some(Ended::Interrupted));
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_bounded_line_that_is_safe_to_show(typed: Vec<u8>) {
            let mut line = Line::default();
            line.feed(&typed);
            prop_assert!(line.bytes.len() <= LINE_BYTES_MAX);
            prop_assert!(!line.text().chars().any(char::is_control));
        }
    }
}

//! What is said, and what is revealed with it.

use super::line::Typed;
use super::terminal::{At, Found, Inspector, span};
use crate::event::{Blind, BlindReason, Command, Reveal, SecretLine, TextOrBytes};

/// Characters that are none, in the output since the last command: more is no text.
const GARBAGE: u32 = 64;

impl Inspector {
    pub(super) fn is_alternate(&self) -> bool {
        self.alternate.is_some()
    }

    pub(super) fn say(&mut self, command: Box<Command>, at: At) {
        self.release();
        self.end_garbage(at);
        let ready = self.held.take_in(command);
        self.found.extend(ready.map(Found::Command));
    }

    pub(super) fn release(&mut self) {
        self.found.extend(self.held.release().map(Found::Command));
    }

    pub(super) fn end_garbage(&mut self, at: At) {
        let (since, count) = std::mem::take(&mut self.garbage);
        if count > GARBAGE {
            self.blind(BlindReason::Binary, since, at);
        }
    }

    pub(super) fn secret(&mut self, line: &Typed) {
        self.reveal_end(line);
        self.found.push(Found::Secret(SecretLine {
            bytes: line.bytes.saturating_sub(1),
            span: span(line.from, line.to),
        }));
    }

    pub(super) fn blind(&mut self, reason: BlindReason, from: At, to: At) {
        let span = span(from, to);
        self.found.push(Found::Blind(Blind { reason, span }));
    }

    /// The line went to a program.
    pub(super) fn give_to_program(&mut self, line: &Typed, at: At) {
        if line.keys > 0 && !line.is_echoed() && !line.long {
            return self.secret(line);
        }
        self.reveal(line);
        let reason = if line.long {
            BlindReason::TooLong
        } else {
            BlindReason::Program
        };
        self.blind(reason, line.from, at);
    }

    /// The bytes of the line were shown.
    pub(super) fn reveal(&mut self, line: &Typed) {
        if line.withheld || line.long || line.raw.len() as u64 != line.bytes {
            return self.reveal_end(line);
        }
        self.push_reveal(line.offset, &line.raw);
    }

    /// That a line ended, and with which key, is no secret; a reader needs it to find the next one.
    pub(super) fn reveal_end(&mut self, line: &Typed) {
        let last = line.raw.last().copied().filter(u8::is_ascii_control);
        if let (Some(last), false) = (last, line.long) {
            let offset = line.offset + line.bytes.saturating_sub(1);
            self.push_reveal(offset, &[last]);
        }
    }

    pub(super) fn push_reveal(&mut self, offset: u64, bytes: &[u8]) {
        if !bytes.is_empty() {
            let text = TextOrBytes::from_bytes(bytes);
            self.found.push(Found::Reveal(Reveal { offset, text }));
        }
    }
}

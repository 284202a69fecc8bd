//! What the bastion says to a person: one sentence, one hint, one reference, on standard error
//! (docs/engineer.md), and never a byte of foreign text as it is.

use crate::event::Shown;
use crate::id::SessionId;
use std::fmt::Write;

/// Exit status of a session that the bastion refused or ended.
pub(crate) const EXIT_REFUSED: u32 = 254;

/// `portcullis: what`, the hint, the reference; lines end in `\n`.
pub(crate) fn refusal(what: &str, hint: Option<&str>, reference: SessionId) -> String {
    let mut text = format!("portcullis: {}\n", Shown(what));
    for line in hint.unwrap_or_default().lines() {
        let written = writeln!(text, "hint: {}", Shown(line));
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
    }
    let written = writeln!(text, "ref: {reference}");
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
    text
}

/// The same in one line, for an SSH disconnect message: `ssh` prints 400 characters of it.
pub(crate) fn one_line(what: &str, hint: &str, reference: SessionId) -> String {
    format!(
        "portcullis: {}; {}; ref: {reference}",
        Shown(what),
        Shown(hint)
    )
}

/// A line in the middle of a session.
pub(crate) fn notice(what: &str) -> String {
    format!("portcullis: {}\n", Shown(what))
}

/// A terminal in raw mode needs the carriage return.
pub(crate) fn for_terminal(text: &str) -> String {
    text.replace('\n', "\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_a_sentence_a_hint_and_a_reference() {
        let id = SessionId(uuid::Uuid::nil());
        let text = refusal("no target `a\x1b[31m`", Some("one\ntwo"), id);
        assert_eq!(
            text,
            "portcullis: no target `a\\u{1b}[31m`\nhint: one\nhint: two\nref: 00000000-0000-0000-0000-000000000000\n"
        );
        assert_eq!(for_terminal("a\n"), "a\r\n");
    }
}

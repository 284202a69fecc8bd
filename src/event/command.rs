//! What a person ran in a terminal, as extracted from what was typed and what was shown, and the
//! places where nothing can be said.

use super::TextOrBytes;
use crate::id::Seq;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One command line, or one command over several lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Command {
    /// As it was run, without the prompt. What looks like a secret in it is masked.
    pub text: String,
    /// Lines in `text`.
    pub lines: u32,
    pub confidence: Confidence,
    /// What agrees on the text.
    pub sources: Vec<CommandSource>,
    /// From the first key of the line to the key that submitted it.
    #[serde(flatten)]
    pub span: Span,
    #[serde(flatten)]
    pub marks: Marks,
}

/// How sure the text is. Marks (OSC 133, OSC 633) never raise it: a target can forge them.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// Typed at a known prompt, and nothing of it was shown.
    Low,
    /// One of what was typed and what was shown, where the other says less or something else.
    Medium,
    /// What was typed and what was shown are the same, or it is the exec request itself.
    High,
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum CommandSource {
    /// The keys, with erasing applied.
    Typed,
    /// The terminal showed the keys as they were typed.
    Echo,
    /// Read from the emulated screen.
    Screen,
    /// The exec request (RFC 4254 §6.5).
    Exec,
    /// FinalTerm marks; bounds, exit status and directory only.
    Osc133,
    /// The marks of VS Code; bounds, exit status and directory only.
    Osc633,
}

/// The part of a stream that something is about. Times are nanoseconds since the session's start;
/// sequence numbers are there when it was read from a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Span {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_seq: Option<Seq>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_seq: Option<Seq>,
    pub from_mt: u64,
    pub to_mt: u64,
}

/// What the target's shell said of the command; nothing proves it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Marks {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_status: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
}

/// A line that was typed and not shown, as a password is. Its bytes are nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretLine {
    /// Keys of the line, without the one that ended it.
    pub bytes: u64,
    #[serde(flatten)]
    pub span: Span,
}

/// An interval in which a list of commands may miss some.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Blind {
    pub reason: BlindReason,
    #[serde(flatten)]
    pub span: Span,
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum BlindReason {
    /// A full-screen program: an editor, a pager. What is run from inside it is not seen.
    AlternateScreen,
    /// Keys ended a line of which nothing was shown.
    NoEcho,
    /// A line was typed where no prompt was seen: input of a program, as far as can be told.
    Program,
    /// What was typed or shown is no text.
    Binary,
    /// Input went to a program without a terminal.
    NoTerminal,
    /// More was typed than is kept while its echo is awaited.
    TooLong,
    /// There was more output than could be followed live; the recording has all of it.
    Overload,
}

/// The content of withheld input: `n` bytes from `offset` on, counted over all bytes that were
/// typed on the channel. Together with the lengths of the input frames it gives each its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reveal {
    pub offset: u64,
    #[serde(flatten)]
    pub text: TextOrBytes,
}

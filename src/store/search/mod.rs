//! What was run, moved and shown, line by line, and finding it again.
//!
//! Lines of a class are a table in order of time and an index of their trigrams (three characters
//! in a row, FTS5) beside it. The index says where the rare pieces of a phrase stand together; the
//! line itself says whether it has the phrase.
//!
//! Never: hold a text that is not masked, take a phrase for anything but literal words, or give
//! a line twice.

mod find;
mod fold;
mod line;
mod phrase;
mod progress;
mod rare;
mod slots;
mod write;

pub use find::{Found, Hit, Search};
pub use line::{Class, Line, PIECES_MAX, Start, Told};
pub use phrase::{BadPhrase, PHRASE_BYTES_MAX, Phrase};
pub use progress::Progress;
pub(super) use rare::Rare;
pub use write::Size;

#[cfg(test)]
mod tests;

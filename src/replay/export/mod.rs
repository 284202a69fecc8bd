//! Recordings in the formats of other tools: spreadsheets, players, SIEMs. Streams.
//!
//! Never: hold more of a recording than a line, leave something out without saying so, or change a
//! byte of JSONL.

mod cast;
mod exporter;
mod format;
mod page;
mod stream;
mod table;

pub(crate) use exporter::hexadecimal;
pub use exporter::{Error, Part, Tally, Wanted, export};
pub use format::Format;
pub use stream::{Of, Stream};
pub(crate) use table::{csv_row, harmless};

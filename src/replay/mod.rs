//! Evidence out of the box: find a recording, read its lines, play it, write it down as text.
//!
//! Never: write to a recording, hold more of one in memory than a line, a screen and
//! what was typed, pass over
//! damage in silence, or let a recorded byte reach a terminal as it is.

mod checked;
mod chunks;
mod commands;
mod emulated;
mod export;
mod file;
mod index;
mod keys;
mod line;
mod listed;
mod marks;
mod nodes;
mod open;
mod paint;
mod player;
mod ran;
mod report;
mod screen;
mod seen;
mod story;
mod transcript;
mod whole;
mod written;

pub use checked::{Checked, Raw};
pub use chunks::Lines;
pub use commands::{Derived, Replayed};
pub(crate) use export::hexadecimal;
pub use export::{
    Error as ExportError, Format, Of as ExportOf, Part, Stream as ExportStream, Tally,
    Wanted as ExportWanted, export,
};
pub use file::{Steps, open_file};
pub use keys::{Key, Keys};
pub use line::{Line, What};
pub use listed::Listed;
pub use marks::{Mark, Marks, Sort};
pub use open::{Archive, Damage, Error, Events, Piece, Place, Problem, Step, feed};
pub use paint::{Painter, put, viewer_size};
pub use player::{
    Event, Exact, Hits, Incoming, Jump, Keyframe, Player, Settings, Tape, Want, exact, find,
};
pub use ran::{Ran, Unseen};
pub use report::{Access, Asked, Format as ReportFormat, Report, Scope, Writer as ReportWriter};
pub use story::{Channel, Story};
pub use transcript::{Said, Transcript, safe_line};
pub use whole::Whole;
pub use written::{Form, Piece as WrittenPiece, Written};

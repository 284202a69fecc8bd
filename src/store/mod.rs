//! The database: the index of sessions and that of what was done in them, views that recordings rebuild.
//!
//! Never: be the only place where something about a session stands, or be waited for by one; let
//! SQL be written elsewhere, or a value into SQL but as a bound parameter.

mod fold;
mod rebuild;
mod reviews;
mod row;
mod search;
mod sessions;
mod sqlite;

pub use fold::{apply, concerns, found};
pub use rebuild::{Indexed, Piece, Recorded, Recordings, Unreadable};
pub use reviews::{LastSeen, Review};
pub use row::{Certificate, Person, Reason, Row, Seen};
pub use search::{
    BadPhrase, Class, Found, Hit, Line, PHRASE_BYTES_MAX, PIECES_MAX, Phrase, Progress, Search,
    Size, Start, Told,
};
pub use sessions::{Filter, Part};
pub use sqlite::{Error, Store};

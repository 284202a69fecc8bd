//! Tells others what was recorded. In this house so far: the session index, the search index, and events
//! in the words of other systems.
//!
//! Never: make a session wait, or know something that is not in a recording.

mod index;
mod lines;
mod map_ecs;
mod map_ocsf;
mod readings;
mod search;
mod told;

pub use index::{Cut, Index};
pub use lines::{Stands, line as index_line, told as index_told};
pub use map_ecs::ecs;
pub use map_ocsf::ocsf;
pub use search::SearchIndex;
pub use told::Told;

//! A session written down for people: text, Markdown, a page of HTML. The same recording gives the
//! same bytes.
//!
//! Never: let recorded text end a fence, open a tag or steer a terminal; load or run anything; hold
//! more than a screen, its marks and what one event scrolled out.

mod facts;
mod html;
mod markdown;
mod pen;
mod writer;

pub(super) use facts::facts;
pub(super) use html::Page as HtmlPage;
pub use writer::{Form, Piece, Written};

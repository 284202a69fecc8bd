//! A stream while it is chunked: what is rendered and in no chunk yet.

use super::chunk::Place;
use super::cursor::Cursor;
use super::render::{Line, Renderer};
use super::segment::{Record, Tag};
use crate::id::SessionId;
use bytes::Bytes;

pub(crate) struct Stream {
    pub(crate) renderer: Renderer,
    pub(crate) cursor: Cursor,
    pub(crate) lines: Vec<u8>,
    /// The start's JSON object, for the end of a session that a crash cut off.
    pub(crate) start: Option<Vec<u8>>,
    /// Monotonic time of the node when the session and when its chunk began.
    pub(crate) opened_ns: u64,
    pub(crate) began_ns: u64,
    /// The first segment with a record that is in no chunk yet.
    pub(crate) from: Option<u64>,
    /// A cut that is due, and whether it is the last: it is tried again until it is done.
    pub(crate) due: Option<bool>,
    /// Rendered up to this record and this line when `commits` looked.
    pub(crate) mark: Option<(u64, u64)>,
    /// The number of the line after the last `commit`, and when that was.
    pub(crate) committed: u64,
    pub(crate) committed_ns: u64,
    /// The line that ends a session is told only when its last chunk can be read.
    pub(crate) last_line: Option<Bytes>,
}

impl Stream {
    pub(crate) fn new(session: SessionId, cursor: Cursor, opened_ns: u64, now_ns: u64) -> Self {
        let (wall_ns, line) = (cursor.wall_ns, cursor.next_line);
        Self {
            renderer: Renderer::new(session, wall_ns, line, cursor.last_mt),
            cursor,
            lines: Vec::new(),
            start: None,
            opened_ns,
            began_ns: now_ns,
            from: None,
            due: None,
            mark: None,
            committed: 0,
            committed_ns: now_ns,
            last_line: None,
        }
    }

    pub(crate) fn take(&mut self, place: Place, record: &Record) -> Vec<Line> {
        if record.tag == Tag::Audit && self.start.is_none() {
            self.start = Some(record.payload.clone());
        }
        self.from.get_or_insert(place.segment);
        let mut lines = Vec::new();
        self.renderer.feed(record, &mut lines);
        self.cursor.segment = place.segment;
        self.cursor.through = Some(place.seq);
        self.cursor.tally.count(record);
        if record.tag == Tag::Commit {
            self.committed = self.renderer.seq();
        }
        lines
    }

    /// A line of the recorder's own.
    pub(crate) fn say(&mut self, session: SessionId, mt: u64, payload: Vec<u8>) -> Vec<Line> {
        let record = Record {
            session,
            channel: None,
            mt,
            tag: Tag::Audit,
            payload,
        };
        let mut lines = Vec::new();
        self.renderer.feed(&record, &mut lines);
        lines
    }
}

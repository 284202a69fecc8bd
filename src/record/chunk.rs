//! Records become chunks: a session's lines, compressed, one object after the other. Reads the
//! journal; never on the data path.

use super::cursor::Cursor;
use super::object::{
    Stood, chunk_name, cursor_name, made_at, make_dir, read_chunk, save, session_dir, set_aside,
    write_whole,
};
use super::recover::{crashed_end, gap_event};
use super::render::Line;
use super::segment::{Record, Tag, u64_at};
use super::stream::Stream;
use crate::id::SessionId;
use bytes::Bytes;
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use tokio::sync::broadcast;

const ZSTD_LEVEL: i32 = 3;
const DAY_NS: u64 = 86_400_000_000_000;

/// Where a record stands: its segment, and its number over all segments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) segment: u64,
    pub(crate) seq: u64,
}

pub(crate) struct Chunker {
    recordings: PathBuf,
    cursors: PathBuf,
    quarantine: PathBuf,
    chunk_bytes: usize,
    streams: HashMap<SessionId, Stream>,
    audit: broadcast::Sender<(SessionId, Bytes)>,
    /// While recovering: objects are synced all at once, and cursors only after them.
    unsaved: Option<Vec<(SessionId, Cursor)>>,
    /// Files that could not be read and were put aside.
    pub(crate) put_aside: Vec<String>,
}

impl Chunker {
    pub(crate) fn new(
        state: &Path,
        chunk_bytes: usize,
        audit: broadcast::Sender<(SessionId, Bytes)>,
    ) -> io::Result<Self> {
        let (recordings, journal) = (state.join("recordings"), state.join("journal"));
        make_dir(&recordings)?;
        make_dir(&journal.join("cursors"))?;
        Ok(Self {
            recordings,
            cursors: journal.join("cursors"),
            quarantine: journal.join("quarantine"),
            chunk_bytes,
            streams: HashMap::new(),
            audit,
            unsaved: None,
            put_aside: Vec::new(),
        })
    }

    /// One record of the journal. `now_ns` is the node's monotonic time; the caller gives records in
    /// order and repeats one that failed.
    pub(crate) fn feed(&mut self, place: Place, record: &Record, now_ns: u64) -> io::Result<bool> {
        let session = record.session;
        if !self.streams.contains_key(&session) && !self.enter(record, place, now_ns)? {
            return Ok(false);
        }
        let Some(stream) = self.streams.get_mut(&session) else {
            return Ok(false);
        };
        if stream
            .cursor
            .through
            .is_none_or(|through| place.seq > through)
        {
            let lines = stream.take(place, record);
            self.take(session, lines);
            self.note_due(session, record.tag);
        }
        self.finish(session, now_ns)
    }

    fn note_due(&mut self, session: SessionId, tag: Tag) {
        if let Some(stream) = self.streams.get_mut(&session) {
            let closed = tag == Tag::Close;
            if closed || tag == Tag::Cut || stream.lines.len() >= self.chunk_bytes {
                stream.due = Some(closed);
            }
        }
    }

    /// Makes the cut that is due; true when that closed the stream.
    fn finish(&mut self, session: SessionId, now_ns: u64) -> io::Result<bool> {
        let due = self.streams.get(&session).and_then(|stream| stream.due);
        let Some(closed) = due else {
            return Ok(false);
        };
        self.cut(session, closed, now_ns)?;
        Ok(closed)
    }

    /// A session's first record, or after a crash the first that is not yet chunked.
    fn enter(&mut self, record: &Record, place: Place, now_ns: u64) -> io::Result<bool> {
        let session = record.session;
        let (cursor, hole) = match (self.load(session)?, record.tag) {
            (Some(cursor), _) => (cursor, None),
            (None, Tag::Open) => {
                let wall_ns = u64_at(&record.payload, 0).unwrap_or(0);
                (Cursor::at(wall_ns, place.segment), None)
            }
            // A cut of a session that is closed, the end of one that never began.
            (None, Tag::Cut | Tag::Close | Tag::Commit) => return Ok(false),
            (None, _) => self.cursor_from_chunks(session, place.segment),
        };
        if cursor.closed {
            return Ok(false);
        }
        let opened = (record.tag == Tag::Open).then(|| u64_at(&record.payload, 8));
        let opened_ns = opened.flatten().unwrap_or(now_ns);
        self.streams
            .insert(session, Stream::new(session, cursor, opened_ns, now_ns));
        if let Some(text) = hole {
            self.gap(session, record.mt, 0, 0, text);
        }
        Ok(true)
    }

    /// The streams that an earlier process left open, whether or not the journal still has records
    /// of them. Gives those of which nobody knows how far they were chunked.
    pub(crate) fn reopen(&mut self) -> io::Result<Vec<SessionId>> {
        let mut unknown = Vec::new();
        for entry in std::fs::read_dir(&self.cursors)? {
            let name = entry?.file_name();
            let id = name.to_str().and_then(|name| name.strip_suffix(".json"));
            let Some(session) = id.and_then(|id| id.parse::<SessionId>().ok()) else {
                continue;
            };
            match self.load(session)? {
                Some(cursor) if cursor.closed => {}
                Some(cursor) => self.go_on(session, cursor),
                None => unknown.push(session),
            }
        }
        Ok(unknown)
    }

    /// A stream whose cursor is lost and of which the journal has nothing: it is closed as well.
    pub(crate) fn adopt(&mut self, session: SessionId) {
        if self.streams.contains_key(&session) {
            return;
        }
        let (cursor, hole) = self.cursor_from_chunks(session, 0);
        if cursor.next_chunk == 0 || cursor.closed {
            return;
        }
        let mt = cursor.last_mt;
        self.go_on(session, cursor);
        if let Some(text) = hole {
            self.gap(session, mt, 0, 0, text);
        }
    }

    fn go_on(&mut self, session: SessionId, cursor: Cursor) {
        let mut stream = Stream::new(session, cursor, 0, 0);
        stream.start = self.first_line(session, stream.cursor.wall_ns);
        self.streams.insert(session, stream);
    }

    fn take(&mut self, session: SessionId, lines: Vec<Line>) {
        let Some(stream) = self.streams.get_mut(&session) else {
            return;
        };
        for line in lines {
            stream.lines.extend_from_slice(line.text.as_bytes());
            if line.text.contains("\"kind\":\"session.end\"") && line.audit {
                stream.last_line = Some(Bytes::from(line.text));
            } else if line.audit && self.audit.receiver_count() > 0 {
                // Receivers that lag are told so by the channel itself.
                let sent = self.audit.send((session, Bytes::from(line.text)));
                tracing::trace!(receivers = sent.unwrap_or(0), "audit line");
            }
        }
    }

    /// Writes what is there as the session's next chunk. The same records give the same chunk, so a
    /// crash between the object and its cursor only writes it again.
    fn cut(&mut self, session: SessionId, closed: bool, now_ns: u64) -> io::Result<()> {
        let mut rest = Vec::new();
        if let Some(stream) = self.streams.get_mut(&session) {
            stream.renderer.flush(&mut rest);
        }
        self.take(session, rest);
        let Some(stream) = self.streams.get_mut(&session) else {
            return Ok(());
        };
        let sync = self.unsaved.is_none();
        if !stream.lines.is_empty() {
            let dir = session_dir(&self.recordings, session, stream.cursor.wall_ns);
            make_dir(&dir)?;
            let object = compress(&stream.lines)?;
            write_whole(&dir, &chunk_name(stream.cursor.next_chunk), &object, sync)?;
            stream.cursor.next_chunk += 1;
            stream.lines.clear();
        }
        stream.cursor.next_line = stream.renderer.seq();
        stream.cursor.last_mt = stream.renderer.last_mt();
        stream.cursor.closed = closed;
        match &mut self.unsaved {
            Some(unsaved) => unsaved.push((session, stream.cursor.clone())),
            None => save(&self.cursors, session, &stream.cursor, true)?,
        }
        stream.began_ns = now_ns;
        stream.from = None;
        stream.due = None;
        if closed
            && let Some(stream) = self.streams.remove(&session)
            && let Some(line) = stream.last_line
        {
            let sent = self.audit.send((session, line));
            tracing::trace!(receivers = sent.unwrap_or(0), "the last audit line");
        }
        Ok(())
    }

    /// Sessions whose chunk is as old as a chunk may get.
    pub(crate) fn aged(&self, now_ns: u64, age_ns: u64) -> Vec<SessionId> {
        let old = self.streams.iter().filter(|(_, stream)| {
            stream.from.is_some() && now_ns.saturating_sub(stream.began_ns) >= age_ns
        });
        old.map(|(session, _)| *session).collect()
    }

    /// Sessions of which a `commit` is due: the last line that the disk has for certain, and the
    /// session's time.
    pub(crate) fn commits(
        &mut self,
        now_ns: u64,
        every_ns: u64,
        durable: u64,
    ) -> Vec<(SessionId, u64, u64)> {
        let mut due = Vec::new();
        for (session, stream) in &mut self.streams {
            if let Some((seq, line)) = stream.mark {
                if seq < durable {
                    stream.mark = None;
                    stream.committed_ns = now_ns;
                    due.push((*session, line, now_ns.saturating_sub(stream.opened_ns)));
                }
            } else if stream.renderer.seq() > stream.committed
                && now_ns.saturating_sub(stream.committed_ns) >= every_ns
                && let Some(seq) = stream.cursor.through
            {
                stream.mark = Some((seq, stream.renderer.seq() - 1));
            }
        }
        due
    }

    /// The number of the next line of a session; `None` when it is not open.
    pub(crate) fn next_line(&self, session: SessionId) -> Option<u64> {
        let stream = self.streams.get(&session)?;
        Some(stream.renderer.seq())
    }

    pub(crate) fn open_sessions(&self) -> Vec<SessionId> {
        self.streams.keys().copied().collect()
    }

    /// The first segment that still has records no chunk holds.
    pub(crate) fn needed_from(&self, current: u64) -> u64 {
        let from = self.streams.values().filter_map(|stream| stream.from);
        from.chain([current]).min().unwrap_or(current)
    }

    /// A hole in the numbers of the journal, before the record at `place`: every open stream may have
    /// lost something.
    pub(crate) fn hole(&mut self, place: Place, events: u64, bytes: u64, text: &str) {
        for session in self.open_sessions() {
            let Some(stream) = self.streams.get_mut(&session) else {
                continue;
            };
            let before = place.seq.saturating_sub(1);
            if stream
                .cursor
                .through
                .is_some_and(|through| through >= before)
            {
                continue;
            }
            stream.cursor.through = Some(before);
            let mt = stream.renderer.last_mt();
            self.gap(session, mt, events, bytes, text);
        }
    }

    fn gap(&mut self, session: SessionId, mt: u64, events: u64, bytes: u64, text: &str) {
        let Some(stream) = self.streams.get_mut(&session) else {
            return;
        };
        let payload = gap_event(stream.start.as_deref(), events, bytes, text);
        let lines = stream.say(session, mt, payload);
        self.take(session, lines);
    }

    /// Ends a session that a crash cut off, at the time of its last record.
    pub(crate) fn end_crashed(&mut self, session: SessionId) -> io::Result<()> {
        let Some(stream) = self.streams.get_mut(&session) else {
            return Ok(());
        };
        let mt = stream.renderer.last_mt();
        let payload = crashed_end(stream.start.as_deref(), mt, &stream.cursor.tally);
        let lines = stream.say(session, mt, payload);
        self.take(session, lines);
        self.cut(session, true, 0)
    }

    // ---- what lies on the disk -------------------------------------------------------------------

    /// From here to `settle` nothing is synced on its own.
    pub(crate) fn recovering(&mut self) {
        self.unsaved = Some(Vec::new());
    }

    /// Objects first, then the cursors that say they are there: two syncs for all sessions.
    pub(crate) fn settle(&mut self) -> io::Result<()> {
        let dir = File::open(&self.recordings)?;
        rustix::fs::syncfs(&dir)?;
        for (session, cursor) in self.unsaved.take().unwrap_or_default() {
            save(&self.cursors, session, &cursor, false)?;
        }
        rustix::fs::syncfs(&dir)?;
        Ok(())
    }

    /// `None` also for one that cannot be read: it is in quarantine then.
    fn load(&mut self, session: SessionId) -> io::Result<Option<Cursor>> {
        let path = self.cursors.join(cursor_name(session));
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let cursor = serde_json::from_slice(&text).ok();
        if cursor.is_none() {
            self.put_aside.push(set_aside(&self.quarantine, &path)?);
        }
        Ok(cursor)
    }

    /// What the chunks themselves say, and what is to be said about it. Which records they hold they
    /// do not say.
    fn cursor_from_chunks(
        &self,
        session: SessionId,
        segment: u64,
    ) -> (Cursor, Option<&'static str>) {
        let mut cursor = Cursor::at(made_at(session), segment);
        let mut dir = session_dir(&self.recordings, session, cursor.wall_ns);
        if !dir.exists() {
            // Its id was made before midnight.
            let wall_ns = cursor.wall_ns.saturating_add(DAY_NS);
            let next = session_dir(&self.recordings, session, wall_ns);
            if next.exists() {
                cursor.wall_ns = wall_ns;
                dir = next;
            }
        }
        while let Some(lines) = read_chunk(&dir, cursor.next_chunk) {
            cursor.next_chunk += 1;
            for line in lines
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty())
            {
                cursor.next_line += 1;
                if let Ok(line) = serde_json::from_slice::<Stood>(line) {
                    cursor.last_mt = line.mt;
                    cursor.closed = ["session.end", "node.stop"].contains(&line.kind.as_str());
                }
            }
        }
        let text = match cursor.next_chunk {
            0 => "the beginning of this session is lost",
            _ => "it is not known how far this session was chunked: what follows may repeat lines",
        };
        (cursor, Some(text))
    }

    fn first_line(&self, session: SessionId, wall_ns: u64) -> Option<Vec<u8>> {
        let dir = session_dir(&self.recordings, session, wall_ns);
        let lines = read_chunk(&dir, 0)?;
        lines
            .split(|byte| *byte == b'\n')
            .next()
            .map(<[u8]>::to_vec)
    }

    /// Cursors of closed sessions are needed only while their records are in the journal.
    pub(crate) fn forget_before(&self, segment: u64) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.cursors)? {
            let path = entry?.path();
            let cursor = std::fs::read(&path).ok();
            let cursor = cursor.and_then(|text| serde_json::from_slice::<Cursor>(&text).ok());
            if cursor.is_some_and(|cursor| cursor.closed && cursor.segment < segment) {
                std::fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// One frame with a checksum over its content (RFC 8878 §3.1.1): without it a bit that the disk turned
/// can pass as another letter.
fn compress(lines: &[u8]) -> io::Result<Vec<u8>> {
    let mut compressor = zstd::bulk::Compressor::new(ZSTD_LEVEL)?;
    compressor.include_checksum(true)?;
    compressor.compress(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bit_that_turned_does_not_pass() {
        let lines: String = (0..200)
            .map(|seq| {
                format!(
                    "{{\"v\":1,\"seq\":{seq},\"data\":\"{:x}\"}}\n",
                    seq * seq * 7919
                )
            })
            .collect();
        let object = compress(lines.as_bytes()).unwrap();
        assert_eq!(
            zstd::decode_all(object.as_slice()).unwrap(),
            lines.as_bytes()
        );
        for bit in 0..object.len() * 8 {
            let mut turned = object.clone();
            turned[bit / 8] ^= 1 << (bit % 8);
            let read = zstd::decode_all(turned.as_slice());
            // One that means nothing to the reader changes nothing.
            assert!(
                read.is_err() || read.unwrap() == lines.as_bytes(),
                "bit {bit}"
            );
        }
    }
}

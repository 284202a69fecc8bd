//! Follows the journal and feeds the chunker: a thread of its own, behind everything.

use super::chunk::{Chunker, Place};
use super::file::Segment;
use super::recorder::Inner;
use super::segment::{HEADER_BYTES, Parsed, RECORD_BYTES_MAX, Record, Tag, parse};
use crate::event::Severity;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(20);
const RETRY: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_secs(1);
/// A session to which something happens says this often what the disk has for certain.
const COMMIT: Duration = Duration::from_secs(10);

pub(crate) struct Tailer {
    inner: Arc<Inner>,
    chunker: Chunker,
    segment: Option<Arc<Segment>>,
    number: u64,
    at: u64,
    /// The number that the next record has.
    next: u64,
    buffer: Vec<u8>,
    looked: Duration,
    fails: bool,
}

impl Tailer {
    pub(crate) fn new(inner: Arc<Inner>, chunker: Chunker, number: u64) -> Self {
        Self {
            inner,
            chunker,
            segment: None,
            number,
            at: HEADER_BYTES,
            next: 0,
            buffer: Vec::new(),
            looked: Duration::ZERO,
            fails: false,
        }
    }

    pub(crate) fn run(mut self) {
        loop {
            let stopping = self.inner.stopping.load(Ordering::SeqCst);
            match self.step() {
                Ok(true) => self.note_success(),
                Ok(false) if stopping => return,
                Ok(false) => std::thread::park_timeout(PAUSE),
                Err(error) => {
                    let retry = self.note_failure(&error);
                    if stopping && !retry {
                        return;
                    }
                    if !retry {
                        std::thread::park_timeout(RETRY);
                    }
                }
            }
            self.look_after();
        }
    }

    fn note_success(&mut self) {
        if std::mem::take(&mut self.fails) {
            let text = "recordings are written again";
            self.inner.alert(Severity::Low, "chunks_over", text);
        }
    }

    /// True when it is worth another try at once.
    fn note_failure(&mut self, error: &io::Error) -> bool {
        if !std::mem::replace(&mut self.fails, true) {
            tracing::error!(%error, "recordings cannot be written; the journal keeps what they need");
            let text = format!("recordings cannot be written ({error}): the journal keeps them");
            self.inner.alert(Severity::High, "chunks", &text);
        }
        error.kind() == io::ErrorKind::StorageFull && self.inner.ballast.release()
    }

    /// Ages and commits.
    fn look_after(&mut self) {
        let now = self.inner.clock.monotonic();
        if now.saturating_sub(self.looked) < LOOK {
            return;
        }
        self.looked = now;
        let health = self.inner.journal.health();
        // Segments go when everything in them is chunked: without room that is now.
        let age = match health.prepare_error {
            Some(_) => Duration::ZERO,
            None => self.inner.config.chunk_age,
        };
        for session in self.chunker.aged(self.now_ns(), nanos(age)) {
            self.inner.push_cut(session);
        }
        let durable = *self.inner.journal.durable.borrow();
        for (session, line, mt) in self.chunker.commits(self.now_ns(), nanos(COMMIT), durable) {
            self.inner.journal.push(
                Record {
                    session,
                    channel: None,
                    mt,
                    tag: Tag::Commit,
                    payload: line.to_le_bytes().to_vec(),
                }
                .encode(),
            );
        }
    }

    fn now_ns(&self) -> u64 {
        nanos(self.inner.clock.monotonic())
    }

    /// Reads what was written since; true when there was something.
    fn step(&mut self) -> io::Result<bool> {
        let (current, written) = self.inner.journal.readable();
        let segment = match &self.segment {
            Some(segment) => Arc::clone(segment),
            None => Arc::clone(&current),
        };
        self.segment = Some(Arc::clone(&segment));
        let is_current = segment.number == current.number;
        let end = if is_current { written } else { segment.bytes };
        let read = self.read(&segment, end)?;
        if is_current && !read && self.at < written {
            let path = segment.path.display();
            let text = format!("`{path}` cannot be read at byte {}", self.at);
            return Err(io::Error::other(text));
        }
        if read || is_current {
            return Ok(read);
        }
        self.next_segment(&current)?;
        Ok(true)
    }

    fn read(&mut self, segment: &Segment, end: u64) -> io::Result<bool> {
        let room = usize::try_from(end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let want = room.min(2 * RECORD_BYTES_MAX);
        self.buffer.resize(want, 0);
        let got = segment.read_at(&mut self.buffer, self.at)?;
        let bytes = std::mem::take(&mut self.buffer);
        let mut rest = bytes.get(..got).unwrap_or_default();
        let mut moved = false;
        while let Parsed::Record {
            seq,
            record,
            length,
        } = parse(rest, segment.epoch)
        {
            self.feed(segment.number, seq, &record)?;
            self.at += length as u64;
            rest = rest.get(length..).unwrap_or_default();
            moved = true;
        }
        self.buffer = bytes;
        Ok(moved)
    }

    fn feed(&mut self, segment: u64, seq: u64, record: &Record) -> io::Result<()> {
        if seq < self.next {
            // Written again when a segment failed: it was read before.
            return Ok(());
        }
        if seq > self.next {
            let lost = seq - self.next;
            let text = "the journal cannot be read here";
            let place = Place { segment, seq };
            self.chunker.hole(place, lost, 0, text);
            let text = format!("{lost} records of the journal could not be read back");
            self.inner
                .alert(Severity::High, "journal_unreadable", &text);
            self.next = seq;
        }
        let closed = self
            .chunker
            .feed(Place { segment, seq }, record, self.now_ns())?;
        self.next = seq + 1;
        let next_line = self.chunker.next_line(record.session);
        self.inner.watchers.show(record, next_line);
        if closed || record.tag == Tag::Cut {
            self.inner.tell(record.session);
        }
        Ok(())
    }

    /// The writer is past this one: the next begins, and what no session needs goes.
    fn next_segment(&mut self, current: &Arc<Segment>) -> io::Result<()> {
        let dir = &self.inner.journal.dir;
        let mut number = self.number + 1;
        // A number may be missing: of a segment that could not be made.
        let next = loop {
            if number >= current.number {
                break Arc::clone(current);
            }
            match Segment::open(&dir.join(Segment::file_name(number)), number) {
                Ok(segment) => break Arc::new(segment),
                Err(error) if error.kind() == io::ErrorKind::NotFound => number += 1,
                Err(error) => return Err(error),
            }
        };
        self.number = next.number;
        self.at = HEADER_BYTES;
        self.segment = Some(next);
        let needed = self.chunker.needed_from(self.number);
        self.remove_before(needed)?;
        self.chunker.forget_before(needed)
    }

    fn remove_before(&self, needed: u64) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.inner.journal.dir)? {
            let path = entry?.path();
            let number = path
                .file_name()
                .and_then(|name| name.to_str()?.strip_suffix(".journal")?.parse::<u64>().ok());
            if number.is_some_and(|number| number < needed) {
                std::fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

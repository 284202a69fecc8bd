//! Finds recordings on disk and iterates over their lines.

use super::chunks::{LINE_BYTES_MAX, Lines, chunk_number};
use super::line::{Line, NotALine};
use crate::event;
use crate::id::SessionId;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;

/// Lines between the reading thread and who writes them out; the reader waits when it is full.
const FEED_LINES: usize = 16;
const SECONDS_A_DAY: i64 = 86_400;

/// `state/recordings`: one directory a session, `YYYY/MM/DD/SID/NNNNNN.jsonl.zst`.
#[derive(Clone, Debug)]
pub struct Archive {
    dir: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no recording of session `{0}`")]
    Missing(SessionId),
    #[error("cannot read `{path}`: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error(
        "the recording is of version {found}, this program reads up to {max}: use a newer portcullis",
        max = event::VERSION
    )]
    Newer { found: u64 },
}

/// A line of the recording, byte for byte without its line end, or a place where there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Line(Vec<u8>),
    Damage(Damage),
}

/// Where a line stands: its chunk and its number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub chunk: u32,
    pub seq: u64,
}

/// A parsed line, or a place where there is none.
#[derive(Clone, Debug)]
pub enum Step {
    Line(Box<Line>),
    Damage(Damage),
}

/// Where a recording is not what was written. Each one is shown to the person who reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("chunk {chunk:06}: {problem}")]
pub struct Damage {
    pub chunk: u32,
    pub problem: Problem,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("it is missing")]
    Missing,
    #[error("the session has ended, and its recording goes no further: the rest is missing")]
    Cut,
    #[error("it is encrypted: open it with `age -d -i KEY`")]
    Encrypted,
    #[error("it cannot be read after line {after} and the rest of it is skipped: {message}")]
    Unreadable { after: u64, message: String },
    #[error("line {line} has no end")]
    Torn { line: u64 },
    #[error("line {line} is longer than {LINE_BYTES_MAX} bytes and is skipped")]
    TooLong { line: u64 },
    #[error("a line is not an event and is skipped: {message}")]
    NotAnEvent { message: String },
    #[error("a line belongs to session {other} and is skipped")]
    Foreign { other: SessionId },
    #[error("events {from} to {to} are missing")]
    Gap { from: u64, to: u64 },
    #[error("event {seq} comes again or out of order and is skipped")]
    Disorder { seq: u64 },
}

impl Archive {
    /// `dir` is the directory `recordings` of the state directory.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Every recording, oldest day first. Only directories with a proper name; links are not
    /// followed.
    pub fn sessions(&self) -> Result<Vec<SessionId>, Error> {
        let mut found = Vec::new();
        for year in directories(&self.dir, is_number)? {
            for month in directories(&year, is_number)? {
                for day in directories(&month, is_number)? {
                    found.extend(
                        directories(&day, |name| name.parse::<SessionId>().is_ok())?
                            .iter()
                            .filter_map(|dir| dir.file_name()?.to_str()?.parse::<SessionId>().ok()),
                    );
                }
            }
        }
        Ok(found)
    }

    /// The raw lines of a session.
    pub fn lines(&self, id: SessionId) -> Result<Lines, Error> {
        Ok(Lines::new(self.chunks(id)?, 0))
    }

    pub(super) fn chunks(&self, id: SessionId) -> Result<Vec<(u32, PathBuf)>, Error> {
        let dir = self.directory_of(id)?.ok_or(Error::Missing(id))?;
        let mut chunks = Vec::new();
        let entries = std::fs::read_dir(&dir).map_err(|source| failed(&dir, source))?;
        for entry in entries {
            let entry = entry.map_err(|source| failed(&dir, source))?;
            if let Some(number) = entry.file_name().to_str().and_then(chunk_number) {
                chunks.push((number, entry.path()));
            }
        }
        chunks.sort();
        Ok(chunks)
    }

    /// Where the last chunk begins that begins not after `at`, and where one begins that is `lead`
    /// chunks before it; by the first lines of a few chunks. The start where that cannot be told: a
    /// damaged recording is read as a whole.
    pub fn landing(
        &self,
        id: SessionId,
        at: Duration,
        lead: usize,
    ) -> Result<(Place, Place), Error> {
        let chunks = self.chunks(id)?;
        let (mut low, mut high) = (0, chunks.len());
        let mut found = None;
        while low < high {
            let middle = low + (high - low) / 2;
            let Some((place, begins)) = chunks.get(middle).and_then(begin) else {
                return Ok((Place::default(), Place::default()));
            };
            if begins <= at {
                found = Some((middle, place));
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let Some((index, place)) = found else {
            return Ok((Place::default(), Place::default()));
        };
        let before = index.checked_sub(lead).and_then(|index| chunks.get(index));
        let before = before.and_then(begin).map(|(place, _)| place);
        Ok((place, before.unwrap_or_default()))
    }

    /// As [`Archive::events`], from a place on.
    pub(super) fn events_from(&self, id: SessionId, from: Place) -> Result<Events, Error> {
        let mut chunks = self.chunks(id)?;
        chunks.retain(|(number, _)| *number >= from.chunk);
        Ok(Events {
            lines: Lines::new(chunks, from.chunk),
            id,
            // What is before the place is passed over; the first of it may have any number.
            expected: None,
            from: from.seq,
            held: None,
            skims: false,
        })
    }

    /// The parsed lines of a session, with holes and disorder named.
    pub fn events(&self, id: SessionId) -> Result<Events, Error> {
        Ok(Events::over(self.chunks(id)?, id))
    }

    /// A UUIDv7 says its day; a neighbouring day is looked at because the directory carries the
    /// day of the start and the id the moment of the accept.
    fn directory_of(&self, id: SessionId) -> Result<Option<PathBuf>, Error> {
        let name = id.to_string();
        let seconds = id.0.get_timestamp().map(|time| time.to_unix().0);
        let seconds = seconds.and_then(|seconds| i64::try_from(seconds).ok());
        for day in [0, -1, 1] {
            let Some(date) = seconds
                .and_then(|seconds| seconds.checked_add(day * SECONDS_A_DAY))
                .and_then(|seconds| chrono::DateTime::from_timestamp(seconds, 0))
            else {
                continue;
            };
            let dir = self
                .dir
                .join(date.format("%Y/%m/%d").to_string())
                .join(&name);
            if is_directory(&dir) {
                return Ok(Some(dir));
            }
        }
        for year in directories(&self.dir, is_number)? {
            for month in directories(&year, is_number)? {
                for day in directories(&month, is_number)? {
                    let dir = day.join(&name);
                    if is_directory(&dir) {
                        return Ok(Some(dir));
                    }
                }
            }
        }
        Ok(None)
    }
}

/// Place and time of a chunk's first line.
fn begin((number, path): &(u32, PathBuf)) -> Option<(Place, Duration)> {
    let mut lines = Lines::new(vec![(*number, path.clone())], *number);
    let Some(Piece::Line(line)) = lines.next() else {
        return None;
    };
    let line = Line::skim(&line).ok()?;
    let place = Place {
        chunk: *number,
        seq: line.seq.0,
    };
    Some((place, line.mt))
}

/// Lines from a thread of their own, so that disk and zstd never stand on a runtime thread. The
/// thread ends with its last line or when the receiver is dropped.
pub fn feed<I>(items: I) -> mpsc::Receiver<I::Item>
where
    I: Iterator + Send + 'static,
    I::Item: Send + 'static,
{
    let (to, from) = mpsc::channel(FEED_LINES);
    tokio::task::spawn_blocking(move || {
        for item in items {
            if to.blocking_send(item).is_err() {
                break;
            }
        }
    });
    from
}

/// See [`Archive::events`]. Blocking: run it through [`feed`].
pub struct Events {
    lines: Lines,
    id: SessionId,
    /// `None` before the first line of a recording that is read from its middle.
    expected: Option<u64>,
    /// Lines before it are not given.
    from: u64,
    /// A line that was read while the numbers before it are missing.
    held: Option<Box<Line>>,
    skims: bool,
}

impl Events {
    pub(super) fn over(chunks: Vec<(u32, PathBuf)>, id: SessionId) -> Self {
        Self {
            lines: Lines::new(chunks, 0),
            id,
            expected: Some(0),
            from: 0,
            held: None,
            skims: false,
        }
    }

    /// As [`Lines::of_ended`].
    #[must_use]
    pub fn of_ended(mut self, has_ended: bool) -> Self {
        self.lines = self.lines.of_ended(has_ended);
        self
    }

    /// The chunk that the last line came from.
    pub(super) fn chunk(&self) -> u32 {
        self.lines.chunk()
    }

    /// Audit events alone: frames come without their content.
    #[must_use]
    pub fn skim(mut self) -> Self {
        self.skims = true;
        self
    }
}

impl Iterator for Events {
    type Item = Result<Step, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(line) = self.held.take() {
                return Some(Ok(Step::Line(line)));
            }
            let step = match self.lines.next()? {
                Piece::Damage(damage) => return Some(Ok(Step::Damage(damage))),
                Piece::Line(line) => self.step(&line),
            };
            match step {
                Ok(Step::Line(line)) if line.seq.0 < self.from => {}
                step => return Some(step),
            }
        }
    }
}

impl Events {
    /// The next piece as it is, and what is wrong with it if it is a line.
    pub(super) fn as_it_is(&mut self) -> Option<(Piece, Option<Result<Damage, Error>>)> {
        let piece = self.lines.next()?;
        let wrong = match &piece {
            Piece::Damage(_) => None,
            Piece::Line(line) => match self.step(line) {
                Ok(Step::Line(_)) => None,
                Ok(Step::Damage(damage)) => Some(Ok(damage)),
                Err(error) => Some(Err(error)),
            },
        };
        // The line itself is given with its remark.
        self.held = None;
        Some((piece, wrong))
    }

    fn step(&mut self, line: &[u8]) -> Result<Step, Error> {
        let wrong = |problem| {
            let chunk = self.lines.chunk();
            Ok(Step::Damage(Damage { chunk, problem }))
        };
        let parsed = match self.skims {
            true => Line::skim(line),
            false => Line::parse(line),
        };
        let line = match parsed {
            Ok(line) => line,
            Err(NotALine::Newer(found)) => return Err(Error::Newer { found }),
            Err(NotALine::Malformed(message)) => return wrong(Problem::NotAnEvent { message }),
        };
        if line.sid != self.id {
            return wrong(Problem::Foreign { other: line.sid });
        }
        let seq = line.seq.0;
        let expected = self.expected.unwrap_or(seq);
        if seq < expected {
            return wrong(Problem::Disorder { seq });
        }
        self.expected = Some(seq.saturating_add(1));
        if seq > expected {
            let gap = wrong(Problem::Gap {
                from: expected,
                to: seq - 1,
            });
            self.held = Some(Box::new(line));
            return gap;
        }
        Ok(Step::Line(Box::new(line)))
    }
}

fn is_number(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_directory(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}

/// Sorted. A directory that is not there has none.
fn directories(dir: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>, Error> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(failed(dir, source)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|source| failed(dir, source))?;
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_dir && entry.file_name().to_str().is_some_and(&wanted) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

fn failed(path: &Path, source: io::Error) -> Error {
    Error::Io {
        path: path.to_owned(),
        source,
    }
}

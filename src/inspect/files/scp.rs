//! scp's old protocol (`scp -O`), beside its path. One side sends records, the other answers each
//! with a byte: 0, or 1 or 2 and a line that says what is wrong.
//!
//! ```text
//! T<mtime> 0 <atime> 0    times of what comes next (-p)
//! C<mode> <size> <name>   a file: its bytes and a 0 follow
//! D<mode> 0 <name>        into a directory (-r)
//! E                       out of it
//! ```
//! A sender that does not wait for an answer is taken to have been given a 0; where that was wrong,
//! what follows cannot be read and an event says so.

use super::Finding;
use super::scp_record::{Record, record};
use super::sum::Sum;
use crate::event::{
    Direction, FileContent, FileUse, Kind, Outcome, ScpDirectory, ScpFile, TextOrBytes,
    TransferError,
};
use std::collections::VecDeque;

/// A record is a name and a few numbers.
pub(super) const LINE_MAX: usize = 16 * 1024;
/// Directories in directories.
const DEPTH_MAX: usize = 1024;
/// Path of a directory, all its parts together.
const PATH_MAX: usize = 64 * 1024;
/// Records whose answer is still to come. scp waits for each.
const AHEAD_MAX: usize = 256;

/// The files of one channel that speaks scp.
pub struct Scp {
    /// Who sends the records.
    sender: Direction,
    stage: Stage,
    line: Vec<u8>,
    /// The line of an answer that is not 0.
    answer: Vec<u8>,
    times: Option<(u64, u64)>,
    inside: Vec<Vec<u8>>,
    inside_bytes: usize,
    /// What the other side has yet to answer, oldest first.
    ahead: VecDeque<Awaited>,
    /// The file whose bytes pass.
    file: Option<Passing>,
    /// Bytes so far, input and output.
    at: [u64; 2],
    stopped: bool,
    found: Vec<Finding>,
}

enum Stage {
    Record,
    Data,
    /// The sender's own word on whether it could read all of it.
    Word,
}

enum Awaited {
    /// The receiver says first that it is ready.
    Ready,
    Times,
    File,
    /// Boxed, as most of what is awaited is small.
    Done(Box<Passing>),
    Directory(ScpDirectory),
    Out,
}

struct Passing {
    file: ScpFile,
    left: u64,
    sum: Sum,
}

impl Scp {
    /// `sender` is the direction in which the records go.
    pub fn new(sender: Direction) -> Self {
        Self {
            sender,
            stage: Stage::Record,
            line: Vec::new(),
            answer: Vec::new(),
            times: None,
            inside: Vec::new(),
            inside_bytes: 0,
            ahead: VecDeque::from([Awaited::Ready]),
            file: None,
            at: [0; 2],
            stopped: false,
            found: Vec::new(),
        }
    }

    /// The next bytes of one direction. Standard error is no part of it.
    pub fn feed(&mut self, direction: Direction, bytes: &[u8]) -> Vec<Finding> {
        let at = match direction {
            _ if self.stopped => return Vec::new(),
            Direction::Stderr => return Vec::new(),
            Direction::Input => 0,
            Direction::Output => 1,
        };
        let fed = match direction == self.sender {
            true => self.sent(bytes),
            false => self.answers(bytes),
        };
        if let Err((code, message)) = fed {
            self.end_all("lost");
            self.trouble(code, direction, message, None, true);
        }
        if let Some(at) = self.at.get_mut(at) {
            *at = at.saturating_add(bytes.len() as u64);
        }
        std::mem::take(&mut self.found)
    }

    /// The channel is over.
    pub fn finish(&mut self) -> Vec<Finding> {
        if !self.stopped {
            self.end_all("unanswered");
        }
        std::mem::take(&mut self.found)
    }

    fn end_all(&mut self, result: &str) {
        self.stopped = true;
        for awaited in std::mem::take(&mut self.ahead) {
            match awaited {
                Awaited::Done(passing) => self.tell_file(*passing, result, None),
                Awaited::Directory(directory) => self.tell_directory(directory, result, None),
                Awaited::Ready | Awaited::Times | Awaited::File | Awaited::Out => {}
            }
        }
        if let Some(passing) = self.file.take() {
            self.tell_file(passing, result, None);
        }
    }

    // ---- the sender ------------------------------------------------------------------------------

    fn sent(&mut self, mut bytes: &[u8]) -> Result<(), Bad> {
        while let Some((first, rest)) = bytes.split_first() {
            match self.stage {
                Stage::Record => bytes = self.take_line(bytes)?,
                Stage::Data => bytes = self.take_data(bytes),
                Stage::Word if *first == 0 => {
                    bytes = rest;
                    self.stage = Stage::Record;
                    self.sent_all(false)?;
                }
                // The sender could not read its own file; a line says why.
                Stage::Word => {
                    self.stage = Stage::Record;
                    self.sent_all(true)?;
                }
            }
        }
        Ok(())
    }

    fn take_line<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Bad> {
        let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
            self.line.extend_from_slice(bytes);
            return match self.line.len() > LINE_MAX {
                true => Err((
                    "too_long",
                    format!("a record of more than {LINE_MAX} bytes"),
                )),
                false => Ok(&[]),
            };
        };
        let (head, rest) = bytes.split_at(end);
        let mut line = std::mem::take(&mut self.line);
        line.extend_from_slice(head);
        if line.len() > LINE_MAX {
            return Err((
                "too_long",
                format!("a record of more than {LINE_MAX} bytes"),
            ));
        }
        self.recorded(&line)?;
        Ok(rest.get(1..).unwrap_or_default())
    }

    fn recorded(&mut self, line: &[u8]) -> Result<(), Bad> {
        if let Some((1 | 2, said)) = line.split_first() {
            let message = "the sender tells of a failure".to_owned();
            self.trouble("told", self.sender, message, Some(said), false);
            return Ok(());
        }
        match record(line) {
            Some(Record::Times { mtime, atime }) => {
                self.times = Some((mtime, atime));
                self.wait(Awaited::Times)
            }
            Some(Record::File { mode, size, name }) => {
                let times = self.times.take();
                let file = ScpFile {
                    operation: self.operation(),
                    path: self.path(name),
                    mode: mode.to_owned(),
                    size,
                    mtime: times.map(|(mtime, _)| mtime),
                    atime: times.map(|(_, atime)| atime),
                    content: nothing(),
                    result: String::new(),
                    said: None,
                };
                self.stage = if size == 0 { Stage::Word } else { Stage::Data };
                self.file = Some(Passing {
                    file,
                    left: size,
                    sum: Sum::new(),
                });
                self.wait(Awaited::File)
            }
            Some(Record::Directory { mode, name }) => {
                self.times = None;
                let directory = ScpDirectory {
                    operation: self.operation(),
                    path: self.path(name),
                    mode: mode.to_owned(),
                    result: String::new(),
                    said: None,
                };
                self.inside_bytes += name.len();
                if self.inside.len() >= DEPTH_MAX || self.inside_bytes > PATH_MAX {
                    return Err(("too_many", "directories too deep to follow".to_owned()));
                }
                self.inside.push(name.to_vec());
                self.wait(Awaited::Directory(directory))
            }
            Some(Record::Out) => {
                let left = self.inside.pop();
                self.inside_bytes -= left.map_or(0, |name| name.len());
                self.wait(Awaited::Out)
            }
            None => Err(("malformed", "a line that is no record of scp".to_owned())),
        }
    }

    fn take_data<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Some(passing) = &mut self.file else {
            self.stage = Stage::Record;
            return bytes;
        };
        let left = usize::try_from(passing.left).unwrap_or(usize::MAX);
        let (data, rest) = bytes.split_at(left.min(bytes.len()));
        // In order, so that nothing waits.
        passing.sum.take(passing.sum.end(), data, &mut 0);
        passing.left -= data.len() as u64;
        if passing.left == 0 {
            self.stage = Stage::Word;
        }
        rest
    }

    fn sent_all(&mut self, failed: bool) -> Result<(), Bad> {
        let Some(mut passing) = self.file.take() else {
            return Ok(());
        };
        if failed {
            passing.sum.flaw();
        }
        self.wait(Awaited::Done(Box::new(passing)))
    }

    fn wait(&mut self, awaited: Awaited) -> Result<(), Bad> {
        if self.ahead.len() >= AHEAD_MAX {
            return Err((
                "too_many",
                format!("{AHEAD_MAX} records wait for an answer"),
            ));
        }
        self.ahead.push_back(awaited);
        Ok(())
    }

    // ---- the receiver ----------------------------------------------------------------------------

    fn answers(&mut self, mut bytes: &[u8]) -> Result<(), Bad> {
        while let Some((first, rest)) = bytes.split_first() {
            if self.answer.is_empty() && *first == 0 {
                bytes = rest;
                self.answered(None)?;
                continue;
            }
            if self.answer.is_empty() && !matches!(first, 1 | 2) {
                return Err(("malformed", format!("an answer that begins with {first}")));
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let (line, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            self.answer.extend_from_slice(line);
            if self.answer.len() > LINE_MAX {
                return Err((
                    "too_long",
                    format!("an answer of more than {LINE_MAX} bytes"),
                ));
            }
            if end.is_some() {
                let answer = std::mem::take(&mut self.answer);
                self.answered(answer.get(1..))?;
            }
            bytes = rest.get(1..).unwrap_or_default();
        }
        Ok(())
    }

    /// `said`: it is no; and what was said to it.
    fn answered(&mut self, said: Option<&[u8]>) -> Result<(), Bad> {
        match (self.ahead.pop_front(), said) {
            (Some(Awaited::Done(passing)), said) => {
                let result = if said.is_some() { "failed" } else { "ok" };
                self.tell_file(*passing, result, said);
            }
            (Some(Awaited::Directory(directory)), None) => {
                self.tell_directory(directory, "ok", None);
            }
            (Some(Awaited::Directory(directory)), said) => {
                // It is not entered: its E does not come.
                let left = self.inside.pop();
                self.inside_bytes -= left.map_or(0, |name| name.len());
                self.tell_directory(directory, "refused", said);
            }
            (Some(Awaited::File), Some(_)) => return self.refused(said),
            (Some(Awaited::Ready | Awaited::Times | Awaited::File | Awaited::Out), None) => {}
            (Some(Awaited::Ready | Awaited::Times | Awaited::Out) | None, Some(text)) => {
                let message = "the receiver tells of a failure".to_owned();
                self.trouble("told", self.receiver(), message, Some(text), false);
            }
            (None, None) => {
                return Err(("unasked", "an answer to nothing".to_owned()));
            }
        }
        Ok(())
    }

    /// The receiver does not take this file: the sender goes on with the next record.
    fn refused(&mut self, said: Option<&[u8]>) -> Result<(), Bad> {
        match self.file.take() {
            Some(passing) if passing.sum.bytes() == 0 => {
                self.stage = Stage::Record;
                self.tell_file(passing, "refused", said);
                Ok(())
            }
            passing => {
                self.file = passing;
                let what = "a file was refused while its bytes were already on their way";
                Err(("malformed", what.to_owned()))
            }
        }
    }

    // ---- events ----------------------------------------------------------------------------------

    fn operation(&self) -> FileUse {
        match self.sender {
            Direction::Input => FileUse::Write,
            Direction::Output | Direction::Stderr => FileUse::Read,
        }
    }

    fn receiver(&self) -> Direction {
        match self.sender {
            Direction::Input => Direction::Output,
            Direction::Output | Direction::Stderr => Direction::Input,
        }
    }

    fn path(&self, name: &[u8]) -> TextOrBytes {
        let mut parts: Vec<&[u8]> = self.inside.iter().map(Vec::as_slice).collect();
        parts.push(name);
        TextOrBytes::from_bytes(&parts.join(&b'/'))
    }

    fn tell_file(&mut self, passing: Passing, result: &str, said: Option<&[u8]>) {
        let Passing {
            mut file,
            left,
            sum,
        } = passing;
        let whole = left == 0 && result == "ok";
        file.content = sum.content(whole, whole).unwrap_or_else(nothing);
        file.result = result.to_owned();
        file.said = said.map(TextOrBytes::from_bytes);
        let kind = Kind::ScpFile(Box::new(file));
        self.found.push(Finding {
            kind,
            outcome: outcome(result),
        });
    }

    fn tell_directory(&mut self, mut directory: ScpDirectory, result: &str, said: Option<&[u8]>) {
        directory.result = result.to_owned();
        directory.said = said.map(TextOrBytes::from_bytes);
        let kind = Kind::ScpDirectory(Box::new(directory));
        self.found.push(Finding {
            kind,
            outcome: outcome(result),
        });
    }

    fn trouble(
        &mut self,
        code: &str,
        direction: Direction,
        message: String,
        said: Option<&[u8]>,
        stopped: bool,
    ) {
        let at = match direction {
            Direction::Input => self.at.first(),
            Direction::Output | Direction::Stderr => self.at.last(),
        };
        let error = TransferError {
            code: code.to_owned(),
            direction,
            at: at.copied().unwrap_or(0),
            message,
            said: said.map(TextOrBytes::from_bytes),
            stopped,
        };
        self.found.push(Finding {
            kind: Kind::ScpError(Box::new(error)),
            outcome: Outcome::Error,
        });
    }
}

type Bad = (&'static str, String);

fn nothing() -> FileContent {
    FileContent {
        bytes: 0,
        scope: crate::event::Scope::None,
        sha256: None,
        from: 0,
        to: 0,
    }
}

fn outcome(result: &str) -> Outcome {
    match result {
        "ok" => Outcome::Success,
        "refused" | "failed" => Outcome::Failure,
        _ => Outcome::Unknown,
    }
}

//! A file or directory that is open, and the event it becomes.

use super::Finding;
use super::answer;
use super::sum::Sum;
use crate::event::{
    FileAttributes, FileClosed, FileUse, Kind, OpenFlag, Outcome, SftpFile, SftpList, TextOrBytes,
};

const APPEND: u32 = 0x4;
const CREATE: u32 = 0x8;
const TRUNCATE: u32 = 0x10;
const EXCLUSIVE: u32 = 0x20;
const WRITE: u32 = 0x2;
const FLAGS: [(u32, OpenFlag); 6] = [
    (0x1, OpenFlag::Read),
    (WRITE, OpenFlag::Write),
    (APPEND, OpenFlag::Append),
    (CREATE, OpenFlag::Create),
    (TRUNCATE, OpenFlag::Truncate),
    (EXCLUSIVE, OpenFlag::Exclusive),
];

pub(super) struct File {
    pub(super) path: Vec<u8>,
    flags: u32,
    mode: Option<String>,
    pub(super) read: Sum,
    pub(super) written: Sum,
    /// The least offset at which a read met the end.
    eof_at: Option<u64>,
    /// As the target told it.
    size: Option<u64>,
    /// Nothing of an older file is in it.
    fresh: bool,
    /// It was made this long by a change of its attributes.
    set_size: u64,
    /// Another handle of this path was open meanwhile, and one of the two could write.
    pub(super) shared: bool,
    /// Writes that were not answered yet.
    pub(super) unanswered: u64,
    failed: Option<u32>,
}

pub(super) struct Directory {
    pub(super) path: Vec<u8>,
    pub(super) entries: u64,
    pub(super) failed: Option<u32>,
}

impl File {
    pub(super) fn new(path: Vec<u8>, flags: u32, attributes: FileAttributes) -> Self {
        Self {
            path,
            flags,
            mode: attributes.mode,
            read: Sum::new(),
            written: Sum::new(),
            eof_at: None,
            size: None,
            fresh: flags & TRUNCATE != 0 || flags & (CREATE | EXCLUSIVE) == CREATE | EXCLUSIVE,
            set_size: 0,
            shared: false,
            unanswered: 0,
            failed: None,
        }
    }

    pub(super) fn may_write(&self) -> bool {
        self.flags & WRITE != 0
    }

    pub(super) fn note_eof(&mut self, at: u64) {
        self.eof_at = Some(self.eof_at.map_or(at, |least| least.min(at)));
    }

    pub(super) fn note_size(&mut self, size: Option<u64>) {
        self.size = size;
    }

    /// A write was asked for: what was known of the size is no longer so.
    pub(super) fn note_write(&mut self, at: u64) {
        self.written.begin(at);
        self.unanswered += 1;
        self.size = None;
    }

    pub(super) fn note_failed(&mut self, code: u32) {
        self.failed.get_or_insert(code);
    }

    /// Its attributes were set, and a size among them cuts or fills.
    pub(super) fn note_set_size(&mut self, size: u64) {
        // Nothing old is left, before the first write or behind the last.
        if size == self.written.end() && self.written.start() == 0 {
            self.fresh = true;
        }
        if size < self.written.end() {
            self.written.flaw();
        }
        self.set_size = size;
        self.size = None;
    }

    /// A read came to the end of what the hash covers, or the target told that size.
    fn is_read_whole(&self) -> bool {
        let end = Some(self.read.end());
        let known = self.eof_at == end || (self.size == end && !self.may_write());
        known && self.read.start() == 0 && !self.shared
    }

    fn is_written_whole(&self) -> bool {
        self.fresh
            && self.written.start() == 0
            && self.written.end() >= self.set_size
            && !self.shared
    }

    fn used_for(&self) -> FileUse {
        match (self.read.bytes() > 0, self.written.bytes() > 0) {
            (false, false) => FileUse::Open,
            (true, false) => FileUse::Read,
            (false, true) => FileUse::Write,
            (true, true) => FileUse::Both,
        }
    }

    pub(super) fn end(mut self, closed: FileClosed) -> Finding {
        if self.unanswered > 0 {
            self.written.flaw();
        }
        let in_order = closed == FileClosed::Client;
        let written_whole = in_order && self.is_written_whole();
        let read = self.read.content(self.is_read_whole(), in_order);
        let written = self.written.content(written_whole, in_order);
        let whole = [
            (self.is_read_whole(), &self.read),
            (written_whole, &self.written),
        ];
        let mut ends = whole.iter().filter(|(whole, _)| *whole);
        let size = self
            .size
            .or_else(|| ends.next_back().map(|(_, sum)| sum.end()));
        let result = match (self.failed, self.unanswered) {
            (Some(code), _) => answer::status(code),
            (None, 0) => answer::status(answer::OK),
            (None, _) => "unanswered".to_owned(),
        };
        let outcome = match (self.failed, closed) {
            (Some(_), _) => Outcome::Failure,
            (None, FileClosed::Client) if self.unanswered == 0 => Outcome::Success,
            (None, _) => Outcome::Unknown,
        };
        let file = SftpFile {
            operation: self.used_for(),
            path: TextOrBytes::from_bytes(&self.path),
            flags: words(self.flags),
            mode: self.mode,
            read,
            written,
            size,
            result,
            closed,
        };
        Finding {
            kind: Kind::SftpFile(Box::new(file)),
            outcome,
        }
    }
}

impl Directory {
    pub(super) fn end(self, closed: FileClosed) -> Finding {
        let list = SftpList {
            path: TextOrBytes::from_bytes(&self.path),
            entries: self.entries,
            result: answer::status(self.failed.unwrap_or(answer::OK)),
            closed,
        };
        let outcome = match (self.failed, closed) {
            (Some(_), _) => Outcome::Failure,
            (None, FileClosed::Client) => Outcome::Success,
            (None, _) => Outcome::Unknown,
        };
        Finding {
            kind: Kind::SftpList(Box::new(list)),
            outcome,
        }
    }
}

pub(super) fn words(flags: u32) -> Vec<OpenFlag> {
    let known = FLAGS.iter().fold(0, |all, (bit, _)| all | bit);
    let mut words: Vec<_> = FLAGS
        .iter()
        .filter(|(bit, _)| flags & bit != 0)
        .map(|(_, word)| *word)
        .collect();
    if flags & !known != 0 {
        words.push(OpenFlag::Unknown);
    }
    words
}

/// A file that was asked for and did not open (as far as was answered), or is one too many.
pub(super) fn unopened(
    path: &[u8],
    flags: u32,
    mode: Option<String>,
    result: Option<String>,
    closed: FileClosed,
) -> Finding {
    let outcome = match (&result, closed) {
        (Some(_), FileClosed::NotOpened) => Outcome::Failure,
        (Some(_), FileClosed::NotFollowed) => Outcome::Success,
        _ => Outcome::Unknown,
    };
    let file = SftpFile {
        operation: FileUse::Open,
        path: TextOrBytes::from_bytes(path),
        flags: words(flags),
        mode,
        read: None,
        written: None,
        size: None,
        result: result.unwrap_or_else(|| "unanswered".to_owned()),
        closed,
    };
    Finding {
        kind: Kind::SftpFile(Box::new(file)),
        outcome,
    }
}

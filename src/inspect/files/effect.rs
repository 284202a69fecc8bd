//! What an answer changes: files open and close, and changes are told.

use super::Finding;
use super::answer::{self, Answer};
use super::frames::Bad;
use super::opened::{Directory, File, unopened};
use super::request::Named;
use super::table::{Number, Opened};
use super::talk::Talk;
use crate::event::{
    Direction, FileAttributes, FileClosed, Kind, Outcome, SftpOperation, TextOrBytes, TransferError,
};

const UNANSWERED: &str = "unanswered";

impl Talk {
    pub(super) fn file(&mut self, number: Option<Number>) -> Option<&mut File> {
        self.table.file(number?)
    }

    pub(super) fn unread(&mut self, number: Option<Number>, offset: u64, code: u32) {
        if let Some(file) = self.file(number) {
            match code {
                answer::EOF => file.note_eof(offset),
                code => file.note_failed(code),
            }
        }
    }

    pub(super) fn attributes_set(
        &mut self,
        number: Option<Number>,
        handle: &[u8],
        attributes: FileAttributes,
        code: u32,
    ) {
        if let (Some(file), Some(size), answer::OK) = (self.file(number), attributes.size, code) {
            file.note_set_size(size);
        }
        let named = self.by_handle("fsetstat", handle, None, Some(attributes));
        self.done(named, Some(code));
    }

    /// The target copies by itself: what it wrote did not pass here.
    pub(super) fn copied(&mut self, from: &[u8], to: &[u8], code: u32) {
        if let Some(file) = self.file(self.table.number(to))
            && code == answer::OK
        {
            file.written.flaw();
        }
        let named = self.by_handle("copy-data", from, Some(to), None);
        self.done(named, Some(code));
    }

    pub(super) fn opened(
        &mut self,
        path: Vec<u8>,
        flags: u32,
        attributes: FileAttributes,
        answer: Answer,
    ) -> Result<(), Bad> {
        let (result, closed) = match answer {
            Answer::Handle(handle) if !self.table.is_full() => {
                let file = File::new(path, flags, attributes);
                self.table.insert(handle, Opened::File(Box::new(file)));
                return Ok(());
            }
            Answer::Handle(_) => (answer::OK, FileClosed::NotFollowed),
            Answer::Status(code) => (code, FileClosed::NotOpened),
            Answer::Data(_) | Answer::Names(_) | Answer::Attributes(_) | Answer::Extended => {
                return Err(unasked("an open"));
            }
        };
        let result = Some(answer::status(result));
        self.find(unopened(&path, flags, attributes.mode, result, closed));
        Ok(())
    }

    pub(super) fn directory_opened(&mut self, path: Vec<u8>, answer: Answer) -> Result<(), Bad> {
        let mut directory = Directory {
            path,
            entries: 0,
            failed: None,
        };
        match answer {
            Answer::Handle(handle) if !self.table.is_full() => {
                self.table.insert(handle, Opened::Directory(directory));
            }
            Answer::Handle(_) => self.find(directory.end(FileClosed::NotFollowed)),
            Answer::Status(code) => {
                directory.failed = Some(code);
                self.find(directory.end(FileClosed::NotOpened));
            }
            Answer::Data(_) | Answer::Names(_) | Answer::Attributes(_) | Answer::Extended => {
                return Err(unasked("an open of a directory"));
            }
        }
        Ok(())
    }

    pub(super) fn closed(&mut self, number: Option<Number>, code: u32) {
        if let Some(file) = self.file(number)
            && code != answer::OK
        {
            file.note_failed(code);
        }
        if let Some(number) = number {
            self.end(number, FileClosed::Client);
        }
    }

    pub(super) fn end(&mut self, number: Number, closed: FileClosed) {
        match self.table.remove(number) {
            Some(Opened::File(mut file)) => {
                if self.stray {
                    file.written.flaw();
                }
                self.find(file.end(closed));
            }
            Some(Opened::Directory(directory)) => self.find(directory.end(closed)),
            None => {}
        }
    }

    pub(super) fn written(&mut self, number: Option<Number>, code: u32, at: u64) {
        if let Some(file) = self.file(number) {
            file.unanswered = file.unanswered.saturating_sub(1);
            if code != answer::OK {
                file.written.flaw();
                file.note_failed(code);
            }
        }
        if code == answer::OK {
            self.note_stray(number, at);
        }
    }

    pub(super) fn listed(&mut self, number: Option<Number>, answer: &Answer) {
        let Some(directory) = number.and_then(|number| self.table.directory(number)) else {
            return;
        };
        match answer {
            Answer::Names(count) => {
                directory.entries = directory.entries.saturating_add(u64::from(*count));
            }
            Answer::Status(code) if *code != answer::EOF => directory.failed = Some(*code),
            Answer::Status(_)
            | Answer::Handle(_)
            | Answer::Data(_)
            | Answer::Attributes(_)
            | Answer::Extended => {}
        }
    }

    /// Bytes went through a handle that we did not see given out: said once, and from then on no
    /// file is said to be whole.
    pub(super) fn note_stray(&mut self, number: Option<Number>, at: u64) {
        if number.is_some() || std::mem::replace(&mut self.stray, true) {
            return;
        }
        let bad = Bad {
            code: "unknown_handle",
            message: "bytes pass through a handle that is not followed".to_owned(),
        };
        self.find(told(Direction::Output, at, &bad, false));
    }

    pub(super) fn by_handle(
        &self,
        operation: &str,
        path: &[u8],
        to: Option<&[u8]>,
        attributes: Option<FileAttributes>,
    ) -> Named {
        Named {
            operation: operation.to_owned(),
            path: self.table.path(path),
            to: to.and_then(|to| self.table.path(to)),
            attributes,
        }
    }

    pub(super) fn done(&mut self, named: Named, code: Option<u32>) {
        let text = |bytes: Option<Vec<u8>>| bytes.map(|bytes| TextOrBytes::from_bytes(&bytes));
        let outcome = match code {
            Some(answer::OK) => Outcome::Success,
            Some(_) => Outcome::Failure,
            None => Outcome::Unknown,
        };
        let operation = SftpOperation {
            operation: named.operation,
            path: text(named.path),
            to: text(named.to),
            attributes: named.attributes,
            result: code.map_or_else(|| UNANSWERED.to_owned(), answer::status),
        };
        self.find(Finding {
            kind: Kind::SftpOperation(Box::new(operation)),
            outcome,
        });
    }
}

pub(super) fn unasked(what: &str) -> Bad {
    Bad {
        code: "unasked",
        message: format!("the target answers {what}, which nobody asked"),
    }
}

/// The conversation cannot be followed beyond this.
pub(super) fn error(direction: Direction, at: u64, bad: &Bad) -> Finding {
    told(direction, at, bad, true)
}

fn told(direction: Direction, at: u64, bad: &Bad, stopped: bool) -> Finding {
    let error = TransferError {
        code: bad.code.to_owned(),
        direction,
        at,
        message: bad.message.clone(),
        said: None,
        stopped,
    };
    Finding {
        kind: Kind::SftpError(Box::new(error)),
        outcome: Outcome::Error,
    }
}

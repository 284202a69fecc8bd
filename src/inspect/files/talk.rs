//! Requests wait for their answers, files for their close.

use super::Finding;
use super::answer::{self, Answer};
use super::effect::unasked;
use super::fields::Fields;
use super::frames::Bad;
use super::opened::unopened;
use super::request::{self, Ask};
use super::table::{Number, Table};
use crate::event::FileClosed;
use std::collections::BTreeMap;

/// The only version that OpenSSH speaks; later ones have other fields.
const SPOKEN: u32 = 3;
/// What unanswered requests may cost. OpenSSH has 64 of them, others a few hundred.
const WAITING_MAX: usize = 2 * 1024 * 1024;

/// A request that waits for its answer.
struct Waiting {
    ask: Ask,
    /// What its handle stood for when it was sent.
    number: Option<Number>,
    cost: usize,
}

/// Data that passes after its head: of what, where to, and how much of it is to come.
struct Passing {
    number: Number,
    offset: u64,
    left: u32,
}

pub(super) struct Talk {
    hello: bool,
    begun: bool,
    /// By id; where a client uses one twice, the answers come in turn, as sshd gives them.
    waiting: BTreeMap<(u32, u64), Waiting>,
    order: u64,
    cost: usize,
    pub(super) table: Table,
    write: Option<Passing>,
    read: Option<Passing>,
    pub(super) stray: bool,
    found: Vec<Finding>,
}

impl Talk {
    pub(super) fn new() -> Self {
        Self {
            hello: false,
            begun: false,
            waiting: BTreeMap::new(),
            order: 0,
            cost: 0,
            table: Table::new(),
            write: None,
            read: None,
            stray: false,
            found: Vec::new(),
        }
    }

    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    pub(super) fn find(&mut self, finding: Finding) {
        self.found.push(finding);
    }

    pub(super) fn take_found(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.found)
    }

    // ---- requests --------------------------------------------------------------------------------

    pub(super) fn hello(&mut self) {
        self.hello = true;
        self.write = None;
    }

    pub(super) fn asked(&mut self, head: &[u8], rest: u32) -> Result<(), Bad> {
        self.write = None;
        if !self.hello {
            return Err(Bad::malformed("the first packet is no greeting of SFTP"));
        }
        let (id, ask) = request::parse(head)?;
        let number = handle(&ask).and_then(|handle| self.table.number(handle));
        match (&ask, number) {
            (Ask::Write { bytes, .. }, _) if *bytes > rest => {
                return Err(Bad::malformed("a write is shorter than its data"));
            }
            (Ask::Write { offset, bytes, .. }, Some(number)) => {
                if let Some(file) = self.table.file(number) {
                    file.note_write(*offset);
                }
                self.write = Some(Passing {
                    number,
                    offset: *offset,
                    left: *bytes,
                });
            }
            (Ask::Read { offset, .. }, Some(number)) => {
                if let Some(file) = self.table.file(number) {
                    file.read.begin(*offset);
                }
            }
            _ => {}
        }
        self.wait(
            id,
            Waiting {
                cost: ask.cost(),
                ask,
                number,
            },
        )
    }

    fn wait(&mut self, id: u32, waiting: Waiting) -> Result<(), Bad> {
        self.cost += waiting.cost;
        if self.cost > WAITING_MAX {
            return Err(Bad {
                code: "too_many",
                message: format!("{} requests wait for an answer", self.waiting.len()),
            });
        }
        self.waiting.insert((id, self.order), waiting);
        self.order += 1;
        Ok(())
    }

    pub(super) fn write_passes(&mut self, data: &[u8]) {
        pass(&mut self.write, data, |number, offset, data| {
            if let Some((file, room)) = self.table.file_and_room(number) {
                file.written.take(offset, data, room);
            }
        });
    }

    // ---- answers ---------------------------------------------------------------------------------

    /// VERSION (§4).
    pub(super) fn greeted(&mut self, fields: &[u8]) -> Result<(), Bad> {
        self.read = None;
        let version = Fields(fields).u32();
        if !self.hello {
            return Err(unasked("a greeting"));
        }
        match version {
            Some(SPOKEN) => {
                self.begun = true;
                Ok(())
            }
            Some(version) => Err(Bad {
                code: "version",
                message: format!("version {version} of SFTP is not read, only {SPOKEN}"),
            }),
            None => Err(Bad::malformed("a greeting without a version")),
        }
    }

    pub(super) fn answered(&mut self, head: &[u8], at: u64, rest: u32) -> Result<(), Bad> {
        self.read = None;
        if !self.begun {
            return Err(Bad::malformed("the first answer is no greeting of SFTP"));
        }
        let (id, answer) = answer::parse(head)?;
        let key = self.waiting.range((id, 0)..=(id, u64::MAX)).next();
        let key = key.map(|(key, _)| *key);
        let Some(waiting) = key.and_then(|key| self.waiting.remove(&key)) else {
            return Err(unasked(&format!("request {id}")));
        };
        self.cost = self.cost.saturating_sub(waiting.cost);
        if let Answer::Data(bytes) = answer
            && bytes > rest
        {
            return Err(Bad::malformed("an answer is shorter than its data"));
        }
        self.match_up(waiting, answer, at)
    }

    fn match_up(&mut self, waiting: Waiting, answer: Answer, at: u64) -> Result<(), Bad> {
        let Waiting { ask, number, .. } = waiting;
        match (ask, answer) {
            (
                Ask::Open {
                    path,
                    flags,
                    attributes,
                },
                answer,
            ) => {
                self.opened(path, flags, attributes, answer)?;
            }
            (Ask::OpenDir(path), answer) => self.directory_opened(path, answer)?,
            (Ask::Close(_), Answer::Status(code)) => self.closed(number, code),
            (Ask::Read { offset, .. }, Answer::Data(bytes)) => {
                self.read = number.map(|number| Passing {
                    number,
                    offset,
                    left: bytes,
                });
                self.note_stray(number, at);
            }
            (Ask::Read { offset, .. }, Answer::Status(code)) => self.unread(number, offset, code),
            (Ask::Write { .. }, Answer::Status(code)) => self.written(number, code, at),
            (Ask::Stat(_), Answer::Attributes(size)) => {
                if let Some(file) = self.file(number) {
                    file.note_size(size);
                }
            }
            (Ask::ReadDir(_), answer) => self.listed(number, &answer),
            (Ask::Named(named), Answer::Status(code)) => self.done(named, Some(code)),
            (Ask::Named(named), _) => self.done(named, Some(answer::OK)),
            (Ask::SetStat { handle, attributes }, Answer::Status(code)) => {
                self.attributes_set(number, &handle, attributes, code);
            }
            (Ask::CopyData { from, to }, Answer::Status(code)) => self.copied(&from, &to, code),
            (Ask::Quiet | Ask::Stat(_), _) => {}
            (
                Ask::Close(_)
                | Ask::Read { .. }
                | Ask::Write { .. }
                | Ask::SetStat { .. }
                | Ask::CopyData { .. },
                answer,
            ) => {
                return Err(unasked(&format!(
                    "a request of another kind: {}",
                    word(&answer)
                )));
            }
        }
        Ok(())
    }

    pub(super) fn read_passes(&mut self, data: &[u8]) {
        pass(&mut self.read, data, |number, offset, data| {
            if let Some((file, room)) = self.table.file_and_room(number) {
                file.read.take(offset, data, room);
            }
        });
    }

    // ---- the end ---------------------------------------------------------------------------------

    /// What was asked and not answered, then what is open.
    pub(super) fn end_all(&mut self, closed: FileClosed) {
        let waiting: BTreeMap<u64, Waiting> = std::mem::take(&mut self.waiting)
            .into_iter()
            .map(|((_, order), waiting)| (order, waiting))
            .collect();
        for waiting in waiting.into_values() {
            match waiting.ask {
                Ask::Open {
                    path,
                    flags,
                    attributes,
                } => {
                    self.find(unopened(&path, flags, attributes.mode, None, closed));
                }
                Ask::Named(named) => self.done(named, None),
                Ask::SetStat { handle, attributes } => {
                    let named = self.by_handle("fsetstat", &handle, None, Some(attributes));
                    self.done(named, None);
                }
                Ask::CopyData { from, to } => {
                    let named = self.by_handle("copy-data", &from, Some(&to), None);
                    self.done(named, None);
                }
                Ask::Close(_)
                | Ask::Read { .. }
                | Ask::Write { .. }
                | Ask::Stat(_)
                | Ask::OpenDir(_)
                | Ask::ReadDir(_)
                | Ask::Quiet => {}
            }
        }
        for number in self.table.numbers() {
            self.end(number, closed);
        }
    }
}

fn handle(ask: &Ask) -> Option<&[u8]> {
    match ask {
        Ask::Close(handle)
        | Ask::Read { handle, .. }
        | Ask::Write { handle, .. }
        | Ask::Stat(handle)
        | Ask::ReadDir(handle)
        | Ask::SetStat { handle, .. } => Some(handle),
        Ask::Open { .. } | Ask::OpenDir(_) | Ask::Named(_) | Ask::CopyData { .. } | Ask::Quiet => {
            None
        }
    }
}

fn pass(passing: &mut Option<Passing>, data: &[u8], take: impl FnOnce(Number, u64, &[u8])) {
    let Some(passing) = passing else {
        return;
    };
    let left = usize::try_from(passing.left).unwrap_or(usize::MAX);
    let data = data.get(..left.min(data.len())).unwrap_or_default();
    take(passing.number, passing.offset, data);
    passing.offset = passing.offset.saturating_add(data.len() as u64);
    passing.left -= u32::try_from(data.len()).unwrap_or(passing.left);
}

fn word(answer: &Answer) -> &'static str {
    match answer {
        Answer::Status(_) => "a status",
        Answer::Handle(_) => "a handle",
        Answer::Data(_) => "data",
        Answer::Names(_) => "names",
        Answer::Attributes(_) => "attributes",
        Answer::Extended => "an extended answer",
    }
}

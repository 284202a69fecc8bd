//! What is open on a channel, by handle. A handle may be given out again while the old one is still
//! being closed, so what is open has a number of its own.

use super::opened::{Directory, File};
use super::sum::HELD_MAX;
use std::collections::{BTreeMap, HashMap};

/// sshd's sftp-server holds at most as many as it may have descriptors, 1,024 as a rule.
const OPEN_MAX: usize = 2048;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Number(u64);

pub(super) enum Opened {
    File(Box<File>),
    Directory(Directory),
}

pub(super) struct Table {
    open: BTreeMap<Number, Opened>,
    handles: HashMap<Vec<u8>, Number>,
    next: u64,
    /// What may still be held of early pieces.
    pub(super) room: usize,
}

impl Table {
    pub(super) fn new() -> Self {
        Self {
            open: BTreeMap::new(),
            handles: HashMap::new(),
            next: 0,
            room: HELD_MAX,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.open.len() >= OPEN_MAX
    }

    pub(super) fn insert(&mut self, handle: Vec<u8>, mut opened: Opened) {
        if let Opened::File(new) = &mut opened {
            for old in self.open.values_mut() {
                if let Opened::File(old) = old
                    && old.path == new.path
                    && (old.may_write() || new.may_write())
                {
                    old.shared = true;
                    new.shared = true;
                }
            }
        }
        let number = Number(self.next);
        self.next += 1;
        self.open.insert(number, opened);
        self.handles.insert(handle, number);
    }

    pub(super) fn number(&self, handle: &[u8]) -> Option<Number> {
        self.handles.get(handle).copied()
    }

    pub(super) fn path(&self, handle: &[u8]) -> Option<Vec<u8>> {
        let opened = self.open.get(&self.number(handle)?)?;
        Some(match opened {
            Opened::File(file) => file.path.clone(),
            Opened::Directory(directory) => directory.path.clone(),
        })
    }

    pub(super) fn file(&mut self, number: Number) -> Option<&mut File> {
        match self.open.get_mut(&number)? {
            Opened::File(file) => Some(file),
            Opened::Directory(_) => None,
        }
    }

    /// The file and the room for what of it is early.
    pub(super) fn file_and_room(&mut self, number: Number) -> Option<(&mut File, &mut usize)> {
        match self.open.get_mut(&number)? {
            Opened::File(file) => Some((file, &mut self.room)),
            Opened::Directory(_) => None,
        }
    }

    pub(super) fn directory(&mut self, number: Number) -> Option<&mut Directory> {
        match self.open.get_mut(&number)? {
            Opened::Directory(directory) => Some(directory),
            Opened::File(_) => None,
        }
    }

    pub(super) fn remove(&mut self, number: Number) -> Option<Opened> {
        let mut opened = self.open.remove(&number)?;
        self.handles.retain(|_, held| *held != number);
        if let Opened::File(file) = &mut opened {
            file.read.free(&mut self.room);
            file.written.free(&mut self.room);
        }
        Some(opened)
    }

    pub(super) fn numbers(&self) -> Vec<Number> {
        self.open.keys().copied().collect()
    }
}

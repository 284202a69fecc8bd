//! A command waits for its exit status, where a shell gives marks; else it goes at once.

use super::At;
use super::signals::{Family, Mark, What};
use crate::event::{Command, CommandSource};

#[derive(Default)]
pub(super) struct Held {
    command: Option<Box<Command>>,
    /// The last mark family since the last command.
    marked: Option<Family>,
    directory: Option<String>,
    since: Option<u64>,
}

impl Held {
    /// The command, if nothing more will be said of it.
    pub(super) fn take_in(&mut self, mut command: Box<Command>) -> Option<Box<Command>> {
        self.since = None;
        command.marks.directory.clone_from(&self.directory);
        let Some(family) = self.marked.take() else {
            return Some(command);
        };
        command.sources.push(match family {
            Family::Osc133 => CommandSource::Osc133,
            Family::Osc633 => CommandSource::Osc633,
        });
        self.command = Some(command);
        None
    }

    /// The command, if the mark ends it.
    pub(super) fn mark(&mut self, mark: Mark, at: At) -> Option<Box<Command>> {
        self.marked = Some(mark.family);
        match mark.what {
            What::Prompt => self.release(),
            What::Run => {
                self.since = Some(at.mt);
                None
            }
            What::Done(status) => {
                let mut command = self.release()?;
                command.marks.exit_status = status;
                if let Some(since) = self.since.take() {
                    let spent = at.mt.saturating_sub(since);
                    command.marks.duration_ms = Some(spent / 1_000_000);
                }
                Some(command)
            }
        }
    }

    pub(super) fn enter(&mut self, directory: String) {
        self.directory = Some(directory);
    }

    /// Nothing more will be said.
    pub(super) fn release(&mut self) -> Option<Box<Command>> {
        self.command.take()
    }
}

//! SFTP (draft-ietf-secsh-filexfer-02, version 3, and OpenSSH's extensions), beside its path.
//!
//! ```text
//! user   ── requests ──> Frames ──> Ask ────┐
//!                                         Talk: waiting by id, open by handle ──> Finding
//! target ── answers ───> Frames ──> Answer ─┘
//! ```

use super::Finding;
use super::effect::error;
use super::frames::{Bad, Frames, Part, Side};
use super::talk::Talk;
use crate::event::{Direction, FileClosed};

const INIT: u8 = 1;
const VERSION: u8 = 2;

/// The files of one SFTP channel.
pub struct Sftp {
    input: Frames,
    output: Frames,
    talk: Talk,
    stopped: bool,
}

impl Default for Sftp {
    fn default() -> Self {
        Self::new()
    }
}

impl Sftp {
    pub fn new() -> Self {
        Self {
            input: Frames::new(Side::Requests),
            output: Frames::new(Side::Answers),
            talk: Talk::new(),
            stopped: false,
        }
    }

    /// Whether the target has greeted as SFTP does.
    pub fn has_begun(&self) -> bool {
        self.talk.has_begun()
    }

    /// The next bytes of one direction, before they go on. Standard error is no part of it.
    pub fn feed(&mut self, direction: Direction, bytes: &[u8]) -> Vec<Finding> {
        let fed = match direction {
            _ if self.stopped => return Vec::new(),
            Direction::Stderr => return Vec::new(),
            Direction::Input => self.feed_input(bytes),
            Direction::Output => self.feed_output(bytes),
        };
        if let Err(bad) = fed {
            self.stop(direction, &bad);
        }
        self.talk.take_found()
    }

    /// The channel is over: what was open, was not answered, or was cut short.
    pub fn finish(&mut self) -> Vec<Finding> {
        if self.stopped {
            return Vec::new();
        }
        self.stopped = true;
        self.talk.end_all(FileClosed::Channel);
        let both = [
            (Direction::Input, &self.input),
            (Direction::Output, &self.output),
        ];
        for (direction, frames) in both {
            if frames.is_inside() {
                let bad = Bad {
                    code: "truncated",
                    message: "the channel ended inside a packet".to_owned(),
                };
                self.talk.find(error(direction, frames.began(), &bad));
            }
        }
        self.talk.take_found()
    }

    fn stop(&mut self, direction: Direction, bad: &Bad) {
        self.stopped = true;
        self.talk.end_all(FileClosed::Lost);
        let frames = match direction {
            Direction::Input => &self.input,
            Direction::Output | Direction::Stderr => &self.output,
        };
        self.talk.find(error(direction, frames.began(), bad));
    }

    fn feed_input(&mut self, mut bytes: &[u8]) -> Result<(), Bad> {
        while let Some(part) = self.input.next(&mut bytes)? {
            match part {
                Part::Head { head, .. } if head.first() == Some(&INIT) => self.talk.hello(),
                Part::Head { head, rest, .. } => self.talk.asked(head, rest)?,
                Part::Rest(data) => self.talk.write_passes(data),
            }
        }
        Ok(())
    }

    fn feed_output(&mut self, mut bytes: &[u8]) -> Result<(), Bad> {
        while let Some(part) = self.output.next(&mut bytes)? {
            match part {
                Part::Head { head, .. } if head.first() == Some(&VERSION) => {
                    self.talk.greeted(head.get(1..).unwrap_or_default())?;
                }
                Part::Head { head, at, rest } => self.talk.answered(head, at, rest)?,
                Part::Rest(data) => self.talk.read_passes(data),
            }
        }
        Ok(())
    }
}

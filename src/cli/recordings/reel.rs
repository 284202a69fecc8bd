//! A recording as events, from wherever the player wants; where its session still runs and somebody
//! follows it, what happens now comes behind it.

use super::look::House;
use crate::cli::answer::Fault;
use crate::id::SessionId;
use crate::record::{Seen, Watch};
use crate::replay::{self, Archive, Event, Incoming, Place, Tape};
use std::sync::Arc;
use tokio::sync::mpsc;

type Lines = mpsc::Receiver<Result<Event, replay::Error>>;

pub(super) struct Reel {
    pub(super) archive: Archive,
    pub(super) house: Arc<dyn House>,
    pub(super) id: SessionId,
    /// Whoever asked knows that the session has ended.
    pub(super) has_ended: bool,
    pub(super) follows: bool,
    from: Source,
    /// Where the next line is looked for.
    next: Place,
}

pub(super) enum Next {
    Event(Event),
    /// All that was is read: what comes now happens now.
    Live,
    End,
}

enum Source {
    Nothing,
    Chunks(Lines),
    /// What became chunks until we joined; then what comes.
    Rest(Lines, Box<Watch>),
    Live(Box<Watch>, Incoming),
}

impl Reel {
    pub(super) fn new(
        archive: Archive,
        house: Arc<dyn House>,
        id: SessionId,
        has_ended: bool,
        follows: bool,
    ) -> Self {
        Self {
            archive,
            house,
            id,
            has_ended,
            follows: follows && !has_ended,
            from: Source::Nothing,
            next: Place::default(),
        }
    }

    pub(super) fn rewind(&mut self, to: Place) {
        self.from = Source::Nothing;
        self.next = to;
    }

    pub(super) fn is_live(&self) -> bool {
        matches!(self.from, Source::Live(..))
    }

    /// What is next. Cancel safe while it is live, and only then.
    pub(super) async fn next(&mut self) -> Result<Next, Fault> {
        loop {
            match &mut self.from {
                Source::Nothing => self.from = Source::Chunks(self.tape(u64::MAX)?),
                Source::Chunks(lines) => match lines.recv().await {
                    Some(event) => return self.recorded(event?),
                    None if !self.follows => return Ok(Next::End),
                    None => self.join().await?,
                },
                Source::Rest(lines, _) => match lines.recv().await {
                    Some(event) => return self.recorded(event?),
                    None => {
                        self.go_live();
                        return Ok(Next::Live);
                    }
                },
                Source::Live(watch, incoming) => {
                    let seen = watch.next().await;
                    let event = incoming.event(seen, self.next.chunk);
                    return Ok(event.map_or(Next::End, Next::Event));
                }
            }
        }
    }

    /// What waits already, of a live session.
    pub(super) fn ready(&mut self) -> Option<Next> {
        match &mut self.from {
            Source::Live(watch, incoming) => {
                let seen: Seen = watch.ready()?;
                let event = incoming.event(seen, self.next.chunk);
                Some(event.map_or(Next::End, Next::Event))
            }
            Source::Nothing | Source::Chunks(_) | Source::Rest(..) => None,
        }
    }

    fn recorded(&mut self, event: Event) -> Result<Next, Fault> {
        let place = event.place();
        self.next = Place {
            seq: place.seq.saturating_add(1),
            ..place
        };
        Ok(Next::Event(event))
    }

    /// This is the player's own thread: it may wait for the disk.
    fn tape(&self, until: u64) -> Result<Lines, Fault> {
        let tape = Tape::open(&self.archive, self.id, self.has_ended, self.next)?;
        Ok(replay::feed(tape.until(until)))
    }

    async fn join(&mut self) -> Result<(), Fault> {
        match self.house.watch(self.id).await.map_err(Fault::Broken)? {
            Some(watch) => {
                let rest = self.tape(watch.joined_at)?;
                self.from = Source::Rest(rest, Box::new(watch));
            }
            // It ended meanwhile: what is left of it is in chunks.
            None => {
                self.follows = false;
                self.has_ended = true;
                self.from = Source::Chunks(self.tape(u64::MAX)?);
            }
        }
        Ok(())
    }

    fn go_live(&mut self) {
        if let Source::Rest(_, watch) = std::mem::replace(&mut self.from, Source::Nothing) {
            self.from = Source::Live(watch, Incoming::default());
        }
    }
}

//! What is done for a player beside the picture: moments are collected, a text is looked for, an
//! exact picture is made. Each on a thread of its own, which ends when nobody listens any more.

use super::reel::Reel;
use crate::cli::answer::Fault;
use crate::replay::{
    self, Exact, Hits, Jump, Mark, Marks, Place, Player, Tape, Whole, exact, find,
};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

/// Batches that wait; whoever makes them waits when it is full.
const QUEUE: usize = 16;
/// Moments that are told at once.
const BATCH: usize = 512;
/// A jump over more chunks than this shows at once what was there, and the exact screen when
/// everything before was read.
const FAR_CHUNKS: u32 = 6;
/// Chunks that are read before the goal, so that most of the screen is there.
const LEAD_CHUNKS: usize = 2;

#[derive(Default)]
pub(super) struct Beside {
    marks: Option<mpsc::Receiver<(Vec<Mark>, bool)>>,
    hits: Option<mpsc::Receiver<Hits>>,
    exact: Option<(Place, mpsc::Receiver<Exact>)>,
}

impl Beside {
    /// Whether something may come without a key.
    pub(super) fn is_busy(&self) -> bool {
        self.marks.is_some() || self.hits.is_some() || self.exact.is_some()
    }

    /// Collects the moments of the recording as it is now.
    pub(super) fn survey(&mut self, reel: &Reel) {
        let (archive, id) = (reel.archive.clone(), reel.id);
        let (to, from) = mpsc::channel(QUEUE);
        spawn_blocking(move || {
            let Ok(events) = archive.whole(id).map(Whole::skim) else {
                return;
            };
            let mut marks = Marks::default();
            let mut batch = Vec::new();
            for step in events {
                // What cannot be read is told where it is played.
                let Ok(step) = step else { break };
                batch.extend(marks.take(&step));
                if batch.len() >= BATCH
                    && to
                        .blocking_send((std::mem::take(&mut batch), false))
                        .is_err()
                {
                    return;
                }
                if to.is_closed() {
                    return;
                }
            }
            drop(to.blocking_send((batch, true)));
        });
        self.marks = Some(from);
    }

    /// Gives the player what came, and begins what it wants.
    pub(super) fn tell(&mut self, player: &mut Player, reel: &Reel) -> Result<(), Fault> {
        while let Some(Ok((marks, all))) = self.marks.as_mut().map(mpsc::Receiver::try_recv) {
            player.know(marks, all);
            if all {
                self.marks = None;
            }
        }
        while let Some(Ok(hits)) = self.hits.as_mut().map(mpsc::Receiver::try_recv) {
            let done = hits.done;
            player.found(hits);
            if done {
                self.hits = None;
            }
        }
        if let Some((_, exact)) = &mut self.exact {
            match exact.try_recv() {
                Ok(exact) => player.learn(exact),
                Err(mpsc::error::TryRecvError::Empty) => {}
                Err(mpsc::error::TryRecvError::Disconnected) => self.exact = None,
            }
        }
        if let Some(needle) = player.wanted() {
            self.look_for(needle, reel)?;
        }
        Ok(())
    }

    fn look_for(&mut self, needle: String, reel: &Reel) -> Result<(), Fault> {
        let events = reel.archive.events(reel.id)?;
        let (to, from) = mpsc::channel(QUEUE);
        spawn_blocking(move || {
            if let Err(error) = find(events, &needle, &to) {
                tracing::debug!(%error, "the search ended early");
            }
        });
        self.hits = Some(from);
        Ok(())
    }

    /// Brings recording and player to where the player wants to be.
    pub(super) fn jump(
        &mut self,
        jump: Jump,
        player: &mut Player,
        reel: &mut Reel,
    ) -> Result<(), Fault> {
        let (there, start) = reel.archive.landing(reel.id, jump.to, LEAD_CHUNKS)?;
        if there.chunk.saturating_sub(jump.from.chunk) <= FAR_CHUNKS {
            if !jump.is_here {
                reel.rewind(jump.from);
            }
            player.fly();
            return Ok(());
        }
        let mut sizes = Vec::new();
        for event in Tape::open(&reel.archive, reel.id, false, Place::default())? {
            let event = event?;
            if event.place().chunk > 0 {
                break;
            }
            if event.is_size() {
                sizes.push(event);
            }
        }
        player.fly_roughly(start, sizes);
        reel.rewind(start);
        if self.exact.as_ref().is_none_or(|(place, _)| *place != start) {
            self.make_exact(start, player, reel)?;
        }
        Ok(())
    }

    fn make_exact(&mut self, place: Place, player: &Player, reel: &Reel) -> Result<(), Fault> {
        let frame = player.frame_before(place);
        let begin = frame
            .as_ref()
            .map(replay::Keyframe::place)
            .unwrap_or_default();
        let tape = Tape::open(&reel.archive, reel.id, false, begin)?;
        let (to, from) = mpsc::channel(QUEUE);
        spawn_blocking(move || {
            if let Err(error) = exact(tape, frame, place, &to) {
                tracing::debug!(%error, "there is no exact picture");
            }
        });
        self.exact = Some((place, from));
        Ok(())
    }
}

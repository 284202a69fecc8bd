//! Recordings that are read into the search index, a piece of each in turn: one that is long holds up
//! none of the others.

use crate::id::SessionId;
use crate::store::Piece;
use std::collections::{BTreeSet, VecDeque};
use std::future::poll_fn;
use std::task::Poll;
use tokio::sync::mpsc;

/// Recordings open at once: each has a thread, two pieces that wait and its emulators. While so many
/// long ones are read others wait for one of them, and what runs is found from its own lines.
const OPEN_MAX: usize = 8;

#[derive(Default)]
pub(super) struct Readings {
    open: VecDeque<Reading>,
    /// To be read once more after this: more of it was written since it was opened.
    again: BTreeSet<SessionId>,
}

struct Reading {
    id: SessionId,
    pieces: mpsc::Receiver<Piece>,
}

impl Readings {
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub(super) fn has_room(&self) -> bool {
        self.open.len() < OPEN_MAX
    }

    /// Whether it is read already; then it is read again after that.
    pub(super) fn holds_back(&mut self, id: SessionId) -> bool {
        let is_open = self.open.iter().any(|reading| reading.id == id);
        if is_open {
            self.again.insert(id);
        }
        is_open
    }

    pub(super) fn begin(&mut self, id: SessionId, pieces: mpsc::Receiver<Piece>) {
        self.open.push_back(Reading { id, pieces });
    }

    /// The next piece of whoever has one, beginning with whose turn it is; `None` at the end of a
    /// recording. Waits for ever where nothing is read. Cancel safe.
    pub(super) async fn next(&mut self) -> (SessionId, Option<Piece>) {
        poll_fn(|context| {
            for _ in 0..self.open.len() {
                let Some(mut reading) = self.open.pop_front() else {
                    break;
                };
                let polled = reading.pieces.poll_recv(context);
                let id = reading.id;
                match polled {
                    Poll::Ready(None) => return Poll::Ready((id, None)),
                    Poll::Ready(piece) => {
                        self.open.push_back(reading);
                        return Poll::Ready((id, piece));
                    }
                    Poll::Pending => self.open.push_back(reading),
                }
            }
            Poll::Pending
        })
        .await
    }

    /// It cannot be read on.
    pub(super) fn give_up(&mut self, id: SessionId) {
        self.open.retain(|reading| reading.id != id);
    }

    /// It is read to its end: is it to be read again?
    pub(super) fn is_due_again(&mut self, id: SessionId) -> bool {
        self.again.remove(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn id(number: u128) -> SessionId {
        SessionId(Uuid::from_u128(number))
    }

    #[tokio::test]
    async fn each_has_its_turn_and_one_that_is_slow_holds_up_none() {
        let mut readings = Readings::default();
        let (long, from_long) = mpsc::channel(9);
        let (_slow, from_slow) = mpsc::channel(1);
        let (short, from_short) = mpsc::channel(1);
        readings.begin(id(1), from_long);
        readings.begin(id(2), from_slow);
        readings.begin(id(3), from_short);
        for _ in 0..9 {
            long.try_send(Piece::Told(Vec::new())).unwrap();
        }
        short.try_send(Piece::Told(Vec::new())).unwrap();
        drop(short);
        let mut turns = Vec::new();
        for _ in 0..5 {
            let (id, piece) = readings.next().await;
            turns.push((id.0.as_u128(), piece.is_some()));
        }
        let expected = [(1, true), (3, true), (1, true), (3, false), (1, true)];
        assert_eq!(turns, expected);
    }

    #[tokio::test]
    async fn what_is_read_already_is_read_again_after_that() {
        let mut readings = Readings::default();
        let (to, from) = mpsc::channel(1);
        assert!(!readings.holds_back(id(1)));
        readings.begin(id(1), from);
        assert!(readings.holds_back(id(1)));
        drop(to);
        assert!(matches!(readings.next().await, (_, None)));
        assert!(readings.is_due_again(id(1)) && !readings.is_due_again(id(1)));
        assert!(readings.is_empty() && readings.has_room());
    }
}

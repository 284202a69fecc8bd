//! The ordered items of one channel and direction: filled from russh's callbacks, drained by one pump.
//!
//! Bounded by the window that [`Flow`] lets the peer have; data of the same kind is joined up to
//! 32 KiB, so that a peer of one-byte packets costs bytes and not items.

use super::flow::Flow;
use bytes::{Bytes, BytesMut};
use futures_util::task::AtomicWaker;
use russh::Sig;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

/// One SSH packet's worth (RFC 4253 §6.1).
const JOIN_BYTES: usize = 32 * 1024;
/// What an item costs beside its bytes. Counted too: a peer that alternates between standard output
/// and standard error in single bytes would else fill memory with items that weigh nothing.
const SLOT_BYTES: usize = 128;
/// Items that a queue holds when one without bytes (requests, EOF) is to be added; more of those are
/// dropped with the channel.
const ITEMS_MAX: usize = 4096;

/// Everything that has an order on a channel.
#[derive(Debug)]
pub(crate) enum Item {
    /// `stderr` is extended data of type 1 (RFC 4254 §5.2).
    Data {
        bytes: Bytes,
        stderr: bool,
    },
    Eof,
    ExitStatus(u32),
    ExitSignal {
        signal: Sig,
        core: bool,
    },
    Close,
}

#[derive(Debug)]
enum Slot {
    Data { bytes: BytesMut, stderr: bool },
    Other(Item),
}

#[derive(Debug)]
struct State {
    slots: VecDeque<Slot>,
    /// Bytes of ours in the connection's count.
    counted: usize,
    attached: bool,
    /// The peer said that no data follows (RFC 4254 §5.3).
    eof: bool,
    ended: bool,
}

#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    reader: AtomicWaker,
    flow: Arc<Flow>,
}

impl Queue {
    pub(crate) fn new(flow: Arc<Flow>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                slots: VecDeque::new(),
                counted: 0,
                attached: true,
                eof: false,
                ended: false,
            }),
            reader: AtomicWaker::new(),
            flow,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// False for data after EOF, which is not taken: the other side was told that none comes.
    pub(crate) fn push_data(&self, data: &[u8], stderr: bool) -> bool {
        if data.is_empty() {
            return true;
        }
        {
            let mut state = self.state();
            if state.ended || state.eof {
                return !state.eof;
            }
            let cost = match state.slots.back_mut() {
                Some(Slot::Data {
                    bytes,
                    stderr: same,
                }) if *same == stderr && bytes.len() + data.len() <= JOIN_BYTES => {
                    bytes.extend_from_slice(data);
                    data.len()
                }
                _ => {
                    let bytes = BytesMut::from(data);
                    state.slots.push_back(Slot::Data { bytes, stderr });
                    data.len() + SLOT_BYTES
                }
            };
            if state.attached {
                state.counted += cost;
                self.flow.add(cost);
            }
        }
        self.reader.wake();
        true
    }

    /// Full (4,096 items that are not data) ends the queue: no honest peer gets there.
    pub(crate) fn push(&self, item: Item) {
        {
            let mut state = self.state();
            if state.ended {
                return;
            }
            state.eof |= matches!(item, Item::Eof);
            if state.slots.len() >= ITEMS_MAX && !matches!(item, Item::Close) {
                state.ended = true;
            } else {
                state.slots.push_back(Slot::Other(item));
            }
        }
        self.reader.wake();
    }

    /// Puts back what a prompt read too far, and counts it again. Only the one who popped and released
    /// it may do this.
    pub(crate) fn put_back(&self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let mut state = self.state();
        state.slots.push_front(Slot::Data {
            bytes: BytesMut::from(bytes),
            stderr: false,
        });
        if state.attached {
            let cost = bytes.len() + SLOT_BYTES;
            state.counted += cost;
            self.flow.add(cost);
        }
    }

    /// Nothing more comes; what is in can still be popped.
    pub(crate) fn end(&self) {
        self.state().ended = true;
        self.reader.wake();
    }

    /// Its channel is gone: gives its count back, or it would throttle its siblings for ever.
    pub(crate) fn detach(&self) {
        let mut state = self.state();
        if state.attached {
            state.attached = false;
            let counted = std::mem::take(&mut state.counted);
            self.flow.release(counted);
        }
    }

    /// The pump handed these bytes on.
    pub(crate) fn release(&self, bytes: usize) {
        self.give_back(&mut self.state(), bytes);
    }

    fn give_back(&self, state: &mut State, bytes: usize) {
        if state.attached {
            let bytes = bytes.min(state.counted);
            state.counted -= bytes;
            self.flow.release(bytes);
        }
    }

    pub(crate) fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        self.reader.register(cx.waker());
        let mut state = self.state();
        match state.slots.pop_front() {
            Some(Slot::Data { bytes, stderr }) => {
                // The item is gone from here; its bytes count until they were handed on.
                self.give_back(&mut state, SLOT_BYTES);
                Poll::Ready(Some(Item::Data {
                    bytes: bytes.freeze(),
                    stderr,
                }))
            }
            Some(Slot::Other(item)) => Poll::Ready(Some(item)),
            None if state.ended => Poll::Ready(None),
            None => Poll::Pending,
        }
    }

    /// `None` when it ended. Cancel-safe: an item is taken only when it is returned.
    pub(crate) async fn pop(&self) -> Option<Item> {
        std::future::poll_fn(|cx| self.poll_pop(cx)).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::budget::Budget;
    use super::super::flow::Side;
    use super::*;
    use proptest::prelude::*;

    fn data(item: Option<Item>) -> Bytes {
        match item {
            Some(Item::Data { bytes, .. }) => bytes,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn data_is_joined_and_order_is_kept() {
        let queue = Queue::new(Flow::new(Side::User, &Budget::for_test()));
        queue.push_data(b"a", false);
        queue.push_data(b"b", false);
        queue.push_data(b"c", true);
        queue.push(Item::Eof);
        queue.end();
        assert_eq!(data(queue.pop().await), "ab");
        assert_eq!(data(queue.pop().await), "c");
        assert!(matches!(queue.pop().await, Some(Item::Eof)));
        assert!(queue.pop().await.is_none());
    }

    #[tokio::test]
    async fn a_dead_channel_gives_its_count_back() {
        let flow = Flow::new(Side::User, &Budget::for_test());
        let (dead, alive) = (Queue::new(flow.clone()), Queue::new(flow.clone()));
        dead.push_data(&[0; 4 * 1024 * 1024], false);
        alive.push_data(b"x", false);
        assert!(flow.is_throttled());
        dead.detach();
        assert_eq!(flow.queued(), 1 + SLOT_BYTES);
        assert!(!flow.is_throttled());
        let bytes = data(dead.pop().await);
        dead.release(bytes.len());
        assert_eq!(
            flow.queued(),
            1 + SLOT_BYTES,
            "a detached queue counts no more"
        );
    }

    #[tokio::test]
    async fn single_bytes_that_cannot_be_joined_count_what_they_cost() {
        let flow = Flow::new(Side::Target, &Budget::for_test());
        let queue = Queue::new(flow.clone());
        let mut sent = 0;
        while !flow.is_throttled() {
            queue.push_data(b"x", sent % 2 == 0);
            sent += 1;
        }
        assert!(sent < 10_000, "{sent} items fit under the mark");
        for _ in 0..sent {
            assert_eq!(data(queue.pop().await), "x");
            queue.release(1);
        }
        assert_eq!(flow.queued(), 0);
    }

    #[tokio::test]
    async fn nothing_is_taken_after_eof() {
        let queue = Queue::new(Flow::new(Side::User, &Budget::for_test()));
        assert!(queue.push_data(b"a", false));
        queue.push(Item::Eof);
        assert!(!queue.push_data(b"b", false));
        queue.push(Item::Close);
        assert_eq!(data(queue.pop().await), "a");
        assert!(matches!(queue.pop().await, Some(Item::Eof)));
        assert!(matches!(queue.pop().await, Some(Item::Close)));
    }

    #[tokio::test]
    async fn a_flood_of_requests_ends_the_queue() {
        let queue = Queue::new(Flow::new(Side::User, &Budget::for_test()));
        for _ in 0..ITEMS_MAX + 1 {
            queue.push(Item::Eof);
        }
        for _ in 0..ITEMS_MAX {
            assert!(matches!(queue.pop().await, Some(Item::Eof)));
        }
        assert!(queue.pop().await.is_none());
    }

    proptest! {
        #[test]
        fn bytes_come_out_as_they_went_in(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..50)) {
            let flow = Flow::new(Side::User, &Budget::for_test());
            let queue = Queue::new(flow.clone());
            for piece in &pieces {
                queue.push_data(piece, false);
            }
            queue.end();
            let mut out = Vec::new();
            let mut cx = Context::from_waker(futures_util::task::noop_waker_ref());
            while let Poll::Ready(Some(Item::Data { bytes, .. })) = queue.poll_pop(&mut cx) {
                out.extend_from_slice(&bytes);
                queue.release(bytes.len());
            }
            prop_assert_eq!(out, pieces.concat());
            prop_assert_eq!(flow.queued(), 0);
        }
    }
}

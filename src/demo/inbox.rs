//! What the user side sent and the child has not read yet.

use bytes::{Bytes, BytesMut};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Over this much the peer gets next to no window, 1 MiB.
pub(super) const HIGH_BYTES: usize = 1024 * 1024;
/// What a peer that keeps to the window can have in flight beyond it stays well below; who does not
/// keep to it loses the connection. 8 MiB.
const CAP_BYTES: usize = 8 * 1024 * 1024;

/// Bytes in order, then the end. Bounded by [`CAP_BYTES`]: when full, [`Inbox::put`] refuses.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
    filled: Notify,
    drained: Notify,
}

#[derive(Debug, Default)]
struct State {
    bytes: BytesMut,
    ended: bool,
}

/// The peer ignored the window.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Overrun;

impl Inbox {
    pub(super) fn put(&self, data: &[u8]) -> Result<(), Overrun> {
        let mut state = self.state();
        if state.bytes.len() + data.len() > CAP_BYTES {
            return Err(Overrun);
        }
        if !state.ended {
            state.bytes.extend_from_slice(data);
        }
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// Nothing comes any more. What is here is still taken.
    pub(super) fn end(&self) {
        self.state().ended = true;
        self.filled.notify_one();
    }

    /// Nobody reads any more: what is here and what comes is dropped.
    pub(super) fn abandon(&self) {
        let mut state = self.state();
        state.ended = true;
        state.bytes.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.state().bytes.len()
    }

    /// Everything that waits; `None` after the end. One taker. Dropping the future loses nothing.
    pub(super) async fn take(&self) -> Option<Bytes> {
        loop {
            let filled = self.filled.notified();
            {
                let mut state = self.state();
                if !state.bytes.is_empty() {
                    let taken = state.bytes.split().freeze();
                    self.drained.notify_one();
                    return Some(taken);
                }
                if state.ended {
                    return None;
                }
            }
            filled.await;
        }
    }

    /// Resolves at some take after this call.
    pub(super) async fn drained(&self) {
        self.drained.notified().await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_come_out_in_order_and_then_the_end() {
        let inbox = Inbox::default();
        inbox.put(b"ab").unwrap();
        inbox.put(b"c").unwrap();
        inbox.end();
        assert_eq!(inbox.take().await.as_deref(), Some(&b"abc"[..]));
        assert_eq!(inbox.take().await, None);
    }

    #[test]
    fn a_peer_that_ignores_the_window_is_refused() {
        let inbox = Inbox::default();
        inbox.put(&vec![0; CAP_BYTES]).unwrap();
        assert_eq!(inbox.put(b"x"), Err(Overrun));
        inbox.abandon();
        assert_eq!(inbox.put(b"x"), Ok(()));
        assert_eq!(inbox.len(), 0);
    }
}

//! What waits in the queues of all connections together: one connection has its marks (flow.rs), a
//! thousand stalled ones would have a thousand times that.
//!
//! ```text
//! held > half of it ──> crowded: every connection's marks and windows are small
//! held <= 3/8       ──> free again
//! held > all of it  ──> full: who has more than a window waiting and sends on is ended
//! ```
//! Crowded is no lock: a connection whose bytes go on as they come is below the small marks, and one
//! that is above them has something to hand on first, after which it is looked at again.

use super::flow::WINDOW_BIG;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

#[derive(Debug)]
pub struct Budget {
    bytes: usize,
    held: AtomicUsize,
    users: AtomicUsize,
    crowded: AtomicBool,
}

impl Budget {
    pub fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            bytes,
            held: AtomicUsize::new(0),
            users: AtomicUsize::new(0),
            crowded: AtomicBool::new(false),
        })
    }

    /// So much that no test meets it unless it wants to.
    #[cfg(test)]
    pub(crate) fn for_test() -> Arc<Self> {
        Self::new(1 << 40)
    }

    pub(crate) fn add(&self, bytes: usize) {
        let held = self.held.fetch_add(bytes, Ordering::SeqCst) + bytes;
        if held > self.bytes / 2 && !self.crowded.swap(true, Ordering::SeqCst) {
            tracing::warn!(held, "much waits for slow peers: `[limits] memory`");
        }
    }

    pub(crate) fn release(&self, bytes: usize) {
        let held = self.held.fetch_sub(bytes, Ordering::SeqCst) - bytes;
        if held <= self.bytes / 8 * 3 && self.crowded.load(Ordering::SeqCst) {
            self.crowded.store(false, Ordering::SeqCst);
        }
    }

    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::SeqCst)
    }

    pub(crate) fn is_crowded(&self) -> bool {
        self.crowded.load(Ordering::SeqCst)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.held() > self.bytes
    }

    /// A window once given can be used at any time, by all at once: so only the first connections are
    /// given a big one.
    pub(crate) fn is_tight(&self) -> bool {
        let given = self
            .users
            .load(Ordering::SeqCst)
            .saturating_mul(WINDOW_BYTES);
        self.is_crowded() || given > self.bytes / 2
    }

    /// A connection of a user lives while the guard does.
    pub(crate) fn enter(self: &Arc<Self>) -> User {
        self.users.fetch_add(1, Ordering::SeqCst);
        User(Arc::clone(self))
    }
}

const WINDOW_BYTES: usize = WINDOW_BIG as usize;

/// See [`Budget::enter`].
#[derive(Debug)]
pub(crate) struct User(Arc<Budget>);

impl Drop for User {
    fn drop(&mut self) {
        self.0.users.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crowded_has_hysteresis_and_full_is_beyond_the_budget() {
        let budget = Budget::new(800);
        budget.add(400);
        assert!(!budget.is_crowded());
        budget.add(1);
        assert!(budget.is_crowded() && budget.is_tight());
        budget.release(100);
        assert!(budget.is_crowded(), "301 is above three eighths");
        budget.release(1);
        assert!(!budget.is_crowded());
        budget.add(500);
        assert!(!budget.is_full());
        budget.add(1);
        assert!(budget.is_full());
    }

    #[test]
    fn only_so_many_are_given_a_big_window() {
        let budget = Budget::new(4 * WINDOW_BYTES);
        let users = [budget.enter(), budget.enter()];
        assert!(!budget.is_tight());
        let third = budget.enter();
        assert!(budget.is_tight());
        drop((users, third));
        assert!(!budget.is_tight());
    }
}

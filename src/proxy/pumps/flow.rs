//! Flow control of one SSH connection: how many bytes were received and not yet handed on, and what
//! that means for the window we offer. docs/architecture.md "Flow control" tells why it cannot lock.
//!
//! ```text
//! queued > high ──> throttled: window of 2 bytes (user side) or no reading at all (target side)
//! queued <= low ──> free again
//! ```
//! While the whole node is crowded (budget.rs) the marks are small.

use super::budget::{self, Budget};
use futures_util::task::AtomicWaker;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Waker;
use std::time::Duration;

/// User side: 1-4 MiB are within noise of each other.
const USER_HIGH_BYTES: usize = 2 * 1024 * 1024;
const USER_LOW_BYTES: usize = 1024 * 1024;
const TARGET_HIGH_BYTES: usize = 1024 * 1024;
const TARGET_LOW_BYTES: usize = 512 * 1024;
/// Both sides, while the node is crowded: room for who goes on, little for who stands.
const CROWDED_HIGH_BYTES: usize = 64 * 1024;
const CROWDED_LOW_BYTES: usize = 32 * 1024;
/// What an inner connection (a jump) may have in flight on the outer one, on top of the outer marks.
pub(crate) const JUMP_EXTRA_BYTES: usize = 6 * 1024 * 1024;

/// Window targets. russh adjusts at half, so 2 MiB alone halves wide-area speed, 8 MiB slows two-way
/// loopback by a third.
pub(crate) const WINDOW_BIG: u32 = 4 * 1024 * 1024;
const WINDOW_NORMAL: u32 = 2 * 1024 * 1024;
/// The most for a connection that came when there was little left to give: 20 MiB/s at 50 ms.
pub(crate) const WINDOW_TIGHT: u32 = 1024 * 1024;
const TIGHT_BYTES: usize = 1024 * 1024;
/// While the node is crowded; a packet or two of the biggest.
const WINDOW_CROWDED: u32 = 64 * 1024;
/// With 1 russh never adjusts again and the channel is dead; with 2 the peer trickles two bytes a
/// round trip, which keeps the hook being asked.
const WINDOW_TRICKLE: u32 = 2;
/// Below this many queued bytes the big window is offered.
const NEARLY_EMPTY_BYTES: usize = 256 * 1024;
/// A peer that ignores its window is cut off this far beyond the high mark, for each channel.
const OVERRUN_BYTES: usize = 8 * 1024 * 1024;
/// While a request waits for the target's answer, the target is read up to this many times `high`.
const LIFT_FACTOR: usize = 8;

/// Trickle packets in a row that are not paced.
const TRICKLES_FREE: usize = 4;
const TRICKLES_PER_STEP: usize = 16;
const TRICKLE_WAIT_MAX: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    User,
    Target,
}

/// May the socket be read now?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    Now,
    /// After this long, or when un-throttled.
    After(Duration),
    /// Only when un-throttled, lifted or killed.
    Stop,
}

/// The counters of one connection; shared by its gate, its queues and its handler.
#[derive(Debug)]
pub(crate) struct Flow {
    side: Side,
    budget: Arc<Budget>,
    /// Of the user side: it counts among those who were given a window.
    _user: Option<budget::User>,
    /// It came when there was little left to give.
    tight: bool,
    queued: AtomicUsize,
    extra: AtomicUsize,
    throttled: AtomicBool,
    /// A window of 2 was just handed out: the gate paces the next read.
    trickle: AtomicBool,
    trickles: AtomicUsize,
    /// The data callback that follows belongs to a trickle packet.
    in_trickle: AtomicBool,
    /// Something else arrived since the last trickle packet.
    active: AtomicBool,
    lifts: AtomicUsize,
    killed: AtomicBool,
    reader: AtomicWaker,
    writer: AtomicWaker,
}

impl Flow {
    pub(crate) fn new(side: Side, budget: &Arc<Budget>) -> Arc<Self> {
        let user = match side {
            Side::User => Some(budget.enter()),
            Side::Target => None,
        };
        Arc::new(Self {
            side,
            budget: Arc::clone(budget),
            _user: user,
            tight: budget.is_tight(),
            queued: AtomicUsize::new(0),
            extra: AtomicUsize::new(0),
            throttled: AtomicBool::new(false),
            trickle: AtomicBool::new(false),
            trickles: AtomicUsize::new(0),
            in_trickle: AtomicBool::new(false),
            active: AtomicBool::new(false),
            lifts: AtomicUsize::new(0),
            killed: AtomicBool::new(false),
            reader: AtomicWaker::new(),
            writer: AtomicWaker::new(),
        })
    }

    fn high(&self) -> usize {
        let base = match self.side {
            Side::User | Side::Target if self.budget.is_crowded() => CROWDED_HIGH_BYTES,
            Side::User => USER_HIGH_BYTES,
            Side::Target => TARGET_HIGH_BYTES,
        };
        base + self.extra.load(Ordering::SeqCst)
    }

    fn low(&self) -> usize {
        match self.side {
            Side::User | Side::Target if self.budget.is_crowded() => CROWDED_LOW_BYTES,
            Side::User => USER_LOW_BYTES,
            Side::Target => TARGET_LOW_BYTES,
        }
    }

    pub(crate) fn queued(&self) -> usize {
        self.queued.load(Ordering::SeqCst)
    }

    /// Bytes arrived and wait in a queue.
    pub(crate) fn add(&self, bytes: usize) {
        self.budget.add(bytes);
        let queued = self.queued.fetch_add(bytes, Ordering::SeqCst) + bytes;
        if queued > self.high() {
            self.throttled.store(true, Ordering::SeqCst);
        }
    }

    /// Bytes were handed on, or their channel is gone.
    pub(crate) fn release(&self, bytes: usize) {
        self.budget.release(bytes);
        let queued = self.queued.fetch_sub(bytes, Ordering::SeqCst) - bytes;
        if queued <= self.low() && self.throttled.swap(false, Ordering::SeqCst) {
            self.reader.wake();
        }
    }

    /// A jump goes through this connection: while the guard lives, more may be in flight.
    pub(crate) fn widen(self: &Arc<Self>) -> Wider {
        self.extra.fetch_add(JUMP_EXTRA_BYTES, Ordering::SeqCst);
        Wider(Arc::clone(self))
    }

    /// The peer ignores the window it was given: end the connection.
    pub(crate) fn overrun(&self, channels: usize) -> bool {
        let own = self.extra.load(Ordering::SeqCst) + USER_HIGH_BYTES;
        self.queued() > own + (channels + 1) * OVERRUN_BYTES
    }

    /// The node's budget is used up, and this connection has a good part of it: somebody must go, or
    /// the process goes with everybody.
    pub(crate) fn exhausts(&self) -> bool {
        let own = TIGHT_BYTES + self.extra.load(Ordering::SeqCst);
        self.budget.is_full() && self.queued() > own
    }

    /// It came when there was little left to give: its first windows are [`WINDOW_TIGHT`].
    pub(crate) fn is_tight(&self) -> bool {
        self.tight
    }

    /// Something other than a trickle packet arrived.
    pub(crate) fn note_activity(&self) {
        self.active.store(true, Ordering::Relaxed);
    }

    /// A data packet arrived; tells apart the one that a trickle window let through.
    pub(crate) fn note_data(&self) {
        if !self.in_trickle.swap(false, Ordering::Relaxed) {
            self.note_activity();
        }
    }

    /// `Handler::adjust_window`: the window to aim at next, for the whole connection.
    pub(crate) fn window(&self, current: u32) -> u32 {
        if !self.throttled.load(Ordering::SeqCst) {
            self.trickles.store(0, Ordering::Relaxed);
            return self.free_window();
        }
        if current == WINDOW_TRICKLE {
            if self.active.swap(false, Ordering::Relaxed) {
                self.trickles.store(0, Ordering::Relaxed);
            } else {
                self.trickles.fetch_add(1, Ordering::Relaxed);
            }
            self.in_trickle.store(true, Ordering::Relaxed);
            self.trickle.store(true, Ordering::SeqCst);
        }
        WINDOW_TRICKLE
    }

    fn free_window(&self) -> u32 {
        match self.queued() <= NEARLY_EMPTY_BYTES {
            _ if self.budget.is_crowded() => WINDOW_CROWDED,
            _ if self.tight => WINDOW_TIGHT,
            true => WINDOW_BIG,
            false => WINDOW_NORMAL,
        }
    }

    /// The gate asks before it reads. On the user side TCP is always read, so that the user's own
    /// window adjusts arrive; only right after a trickle packet it waits a little.
    pub(crate) fn reading(&self) -> Reading {
        if self.is_killed() || !self.throttled.load(Ordering::SeqCst) {
            return Reading::Now;
        }
        match self.side {
            Side::User => self.user_reading(),
            Side::Target => self.target_reading(),
        }
    }

    fn user_reading(&self) -> Reading {
        if !self.trickle.swap(false, Ordering::SeqCst) {
            return Reading::Now;
        }
        let Some(paced) = self
            .trickles
            .load(Ordering::Relaxed)
            .checked_sub(TRICKLES_FREE)
        else {
            return Reading::Now;
        };
        let doublings = u32::try_from(paced / TRICKLES_PER_STEP).unwrap_or(u32::MAX);
        let wait = Duration::from_millis(1).saturating_mul(2u32.saturating_pow(doublings.min(10)));
        Reading::After(wait.min(TRICKLE_WAIT_MAX))
    }

    fn target_reading(&self) -> Reading {
        let queued = self.queued();
        if queued <= self.low() {
            self.throttled.store(false, Ordering::SeqCst);
            return Reading::Now;
        }
        let lifted = self.lifts.load(Ordering::SeqCst) > 0;
        if lifted && queued < LIFT_FACTOR * self.high() {
            return Reading::Now;
        }
        Reading::Stop
    }

    pub(crate) fn is_throttled(&self) -> bool {
        self.throttled.load(Ordering::SeqCst)
    }

    /// While this lives, answers of the target are read past the high mark.
    pub(crate) fn lift(self: &Arc<Self>) -> Lift {
        self.lifts.fetch_add(1, Ordering::SeqCst);
        self.reader.wake();
        Lift(Arc::clone(self))
    }

    /// Reads and writes of the gate fail from now on, so that russh's task ends whatever it waits for.
    pub(crate) fn kill(&self) {
        self.killed.store(true, Ordering::SeqCst);
        self.reader.wake();
        self.writer.wake();
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.killed.load(Ordering::SeqCst)
    }

    pub(crate) fn wake_reader_with(&self, waker: &Waker) {
        self.reader.register(waker);
    }

    pub(crate) fn wake_writer_with(&self, waker: &Waker) {
        self.writer.register(waker);
    }
}

impl Drop for Flow {
    /// What nobody handed on is gone with its connection: the node's budget has it back.
    fn drop(&mut self) {
        self.budget.release(self.queued());
    }
}

/// See [`Flow::widen`].
pub(crate) struct Wider(Arc<Flow>);

impl Drop for Wider {
    fn drop(&mut self) {
        self.0.extra.fetch_sub(JUMP_EXTRA_BYTES, Ordering::SeqCst);
    }
}

/// See [`Flow::lift`].
pub(crate) struct Lift(Arc<Flow>);

impl Drop for Lift {
    fn drop(&mut self) {
        self.0.lifts.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throttling_has_hysteresis() {
        let flow = Flow::new(Side::User, &Budget::for_test());
        flow.add(USER_HIGH_BYTES);
        assert!(!flow.is_throttled());
        flow.add(1);
        assert!(flow.is_throttled());
        flow.release(USER_HIGH_BYTES - USER_LOW_BYTES);
        assert!(flow.is_throttled(), "still above low");
        flow.release(1);
        assert!(!flow.is_throttled());
    }

    #[test]
    fn the_window_shrinks_to_a_trickle_and_comes_back() {
        let flow = Flow::new(Side::User, &Budget::for_test());
        assert_eq!(flow.window(0), WINDOW_BIG);
        flow.add(NEARLY_EMPTY_BYTES + 1);
        assert_eq!(flow.window(0), WINDOW_NORMAL);
        flow.add(USER_HIGH_BYTES);
        assert_eq!(flow.window(WINDOW_NORMAL), WINDOW_TRICKLE);
        flow.release(USER_HIGH_BYTES + NEARLY_EMPTY_BYTES + 1);
        assert_eq!(flow.window(WINDOW_TRICKLE), WINDOW_BIG);
    }

    #[test]
    fn only_trickles_in_a_row_are_paced() {
        let flow = Flow::new(Side::User, &Budget::for_test());
        flow.add(USER_HIGH_BYTES + 1);
        for _ in 0..TRICKLES_FREE - 1 {
            assert_eq!(flow.window(WINDOW_TRICKLE), WINDOW_TRICKLE);
            flow.note_data();
            assert_eq!(flow.reading(), Reading::Now);
        }
        flow.window(WINDOW_TRICKLE);
        flow.note_data();
        assert_eq!(flow.reading(), Reading::After(Duration::from_millis(1)));
        assert_eq!(flow.reading(), Reading::Now, "one wait a trickle packet");
        flow.note_activity();
        flow.window(WINDOW_TRICKLE);
        assert_eq!(
            flow.reading(),
            Reading::Now,
            "other traffic resets the pace"
        );
        for _ in 0..1000 {
            flow.window(WINDOW_TRICKLE);
            flow.note_data();
        }
        assert_eq!(flow.reading(), Reading::After(TRICKLE_WAIT_MAX));
    }

    #[test]
    fn the_target_side_stops_and_is_lifted_for_answers() {
        let flow = Flow::new(Side::Target, &Budget::for_test());
        flow.add(TARGET_HIGH_BYTES + 1);
        assert_eq!(flow.reading(), Reading::Stop);
        let lift = flow.lift();
        assert_eq!(flow.reading(), Reading::Now);
        flow.add(LIFT_FACTOR * TARGET_HIGH_BYTES);
        assert_eq!(flow.reading(), Reading::Stop, "a lift has an end too");
        drop(lift);
        flow.release(LIFT_FACTOR * TARGET_HIGH_BYTES);
        assert_eq!(flow.reading(), Reading::Stop);
        flow.release(TARGET_HIGH_BYTES - TARGET_LOW_BYTES + 1);
        assert_eq!(flow.reading(), Reading::Now);
    }

    #[test]
    fn a_jump_widens_the_outer_connection_while_it_lives() {
        let flow = Flow::new(Side::User, &Budget::for_test());
        let wider = flow.widen();
        flow.add(USER_HIGH_BYTES + JUMP_EXTRA_BYTES);
        assert!(!flow.is_throttled());
        drop(wider);
        flow.add(1);
        assert!(flow.is_throttled());
    }

    #[test]
    fn a_peer_that_ignores_its_window_is_noticed() {
        let flow = Flow::new(Side::User, &Budget::for_test());
        flow.add(USER_HIGH_BYTES + OVERRUN_BYTES);
        assert!(!flow.overrun(0));
        flow.add(1);
        assert!(flow.overrun(0));
        assert!(!flow.overrun(1));
    }

    /// A node with room for two stalled connections and a half.
    fn crowd() -> (Arc<Budget>, Arc<Flow>) {
        let budget = Budget::new(8 * USER_HIGH_BYTES);
        let stalled = Flow::new(Side::User, &budget);
        stalled.add(4 * USER_HIGH_BYTES + 1);
        assert!(budget.is_crowded());
        (budget, stalled)
    }

    #[test]
    fn a_connection_that_is_gone_gives_back_what_waited() {
        let budget = Budget::new(100);
        let flow = Flow::new(Side::Target, &budget);
        flow.add(101);
        assert!(budget.is_full());
        drop(flow);
        assert!(!budget.is_full() && !budget.is_crowded());
    }

    #[test]
    fn a_crowded_node_makes_everybody_small_and_lets_who_moves_go_on() {
        let (budget, stalled) = crowd();
        for side in [Side::User, Side::Target] {
            let other = Flow::new(side, &budget);
            for _ in 0..1000 {
                other.add(CROWDED_HIGH_BYTES);
                assert!(!other.is_throttled(), "bytes that go on are not in the way");
                other.release(CROWDED_HIGH_BYTES);
            }
            assert_eq!(other.window(0), WINDOW_CROWDED);
            other.add(CROWDED_HIGH_BYTES + 1);
            assert!(other.is_throttled());
            if side == Side::Target {
                assert_eq!(other.reading(), Reading::Stop);
            }
            other.release(CROWDED_HIGH_BYTES - CROWDED_LOW_BYTES + 1);
            assert!(!other.is_throttled());
            assert_eq!(other.reading(), Reading::Now);
            other.release(CROWDED_LOW_BYTES);
        }
        stalled.release(4 * USER_HIGH_BYTES + 1);
        assert_eq!(budget.held(), 0);
        let free = Flow::new(Side::User, &budget);
        assert_eq!(free.window(0), WINDOW_BIG, "as before");
    }

    /// What was stopped only because of the others goes on with its own next byte, in whatever order.
    #[test]
    fn who_was_stopped_by_the_crowd_is_free_once_it_has_handed_on() {
        let (budget, stalled) = crowd();
        let target = Flow::new(Side::Target, &budget);
        target.add(TARGET_LOW_BYTES / 2);
        assert_eq!(target.reading(), Reading::Stop);
        stalled.release(4 * USER_HIGH_BYTES + 1);
        assert_eq!(target.reading(), Reading::Now);
        target.release(1);
        assert!(!target.is_throttled());
    }

    #[test]
    fn beyond_the_budget_whoever_has_much_must_go_and_nobody_else() {
        let (budget, stalled) = crowd();
        let small = Flow::new(Side::User, &budget);
        stalled.add(4 * USER_HIGH_BYTES);
        small.add(TIGHT_BYTES);
        assert!(stalled.exhausts());
        assert!(!small.exhausts());
        stalled.release(4 * USER_HIGH_BYTES);
        assert!(!stalled.exhausts());
    }

    #[test]
    fn who_comes_late_is_given_little() {
        let budget = Budget::new(4 * TIGHT_BYTES);
        let late = Flow::new(Side::User, &budget);
        assert!(late.is_tight());
        assert_eq!(late.window(0), WINDOW_TIGHT);
    }
}

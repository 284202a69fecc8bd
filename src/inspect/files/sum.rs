//! The hash of what passes through a file in one direction, in the order of the file and not of
//! the packets: pieces that are early wait, within a bound.

use crate::event::{FileContent, Scope};
use ring::digest;
use std::collections::BTreeMap;

/// What one channel holds of early pieces, over all its files: twice what OpenSSH has in flight
/// (64 requests of 32 KiB).
pub(super) const HELD_MAX: usize = 4 * 1024 * 1024;
/// What an entry costs beside its bytes, so that pieces of one byte are counted, too.
const ENTRY: usize = 64;

pub(super) struct Sum {
    bytes: u64,
    /// What the hash covers; `None` before the first request.
    covers: Option<(u64, u64)>,
    /// Made when it is needed: most files are used in one direction.
    hash: Option<digest::Context>,
    early: BTreeMap<u64, Vec<u8>>,
    /// Something passed that the hash does not cover, or that was not confirmed.
    flawed: bool,
    /// Too much was early: nothing waits here any more.
    gave_up: bool,
}

impl Sum {
    pub(super) fn new() -> Self {
        Self {
            bytes: 0,
            covers: None,
            hash: None,
            early: BTreeMap::new(),
            flawed: false,
            gave_up: false,
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// One past the last byte that the hash covers.
    pub(super) fn end(&self) -> u64 {
        self.covers.map_or(0, |(_, to)| to)
    }

    pub(super) fn start(&self) -> u64 {
        self.covers.map_or(0, |(from, _)| from)
    }

    /// The first request says where it starts: clients ask in order, answers may come otherwise.
    pub(super) fn begin(&mut self, at: u64) {
        self.covers.get_or_insert((at, at));
    }

    pub(super) fn flaw(&mut self) {
        self.flawed = true;
    }

    /// Some of what passed, from offset `at`. `room` is what the channel may still hold. Of a byte that
    /// passes twice the first counts, or the hash would depend on how the bytes were cut.
    pub(super) fn take(&mut self, mut at: u64, mut data: &[u8], room: &mut usize) {
        if data.is_empty() {
            return;
        }
        self.bytes = self.bytes.saturating_add(data.len() as u64);
        self.begin(at);
        while !data.is_empty() {
            let known = self.known(at);
            if known > 0 {
                self.flawed = true;
            }
            let fresh = match known {
                0 => self.fresh(at),
                known => known,
            };
            let length = usize::try_from(fresh).unwrap_or(usize::MAX).min(data.len());
            let (part, rest) = data.split_at(length);
            match known {
                0 if at == self.end() => self.cover(part, room),
                0 => self.hold(at, part, room),
                _ => {}
            }
            at = at.saturating_add(length as u64);
            data = rest;
        }
    }

    /// How many bytes from here on have passed before.
    fn known(&self, at: u64) -> u64 {
        let held = self.early.range(..=at).next_back();
        let held = held.map_or(0, |(start, held)| start.saturating_add(held.len() as u64));
        self.end().max(held).saturating_sub(at)
    }

    /// How many bytes from here on have not passed before.
    fn fresh(&self, at: u64) -> u64 {
        let next = self.early.range(at..).next();
        next.map_or(u64::MAX, |(start, _)| start.saturating_sub(at))
    }

    /// What comes next, and what waited for it.
    fn cover(&mut self, data: &[u8], room: &mut usize) {
        self.hash_on(data);
        while let Some(entry) = self.early.first_entry() {
            if *entry.key() > self.covers.map_or(0, |(_, to)| to) {
                break;
            }
            let held = entry.remove();
            *room = room.saturating_add(ENTRY + held.len());
            self.hash_on(&held);
        }
    }

    fn hash_on(&mut self, data: &[u8]) {
        let Some((_, to)) = &mut self.covers else {
            return;
        };
        *to = to.saturating_add(data.len() as u64);
        self.hash
            .get_or_insert_with(|| digest::Context::new(&digest::SHA256))
            .update(data);
    }

    fn hold(&mut self, at: u64, data: &[u8], room: &mut usize) {
        if self.gave_up {
            return;
        }
        if ENTRY + data.len() > *room {
            self.give_up(room);
            return;
        }
        // Pieces of one packet come in turn: they are one entry, so that entries are few.
        let before = self.early.range_mut(..=at).next_back();
        match before {
            Some((start, held)) if *start + held.len() as u64 == at => held.extend_from_slice(data),
            Some(_) | None => {
                self.early.insert(at, data.to_vec());
                *room -= ENTRY;
            }
        }
        *room -= data.len();
    }

    fn give_up(&mut self, room: &mut usize) {
        self.free(room);
        self.flawed = true;
        self.gave_up = true;
    }

    /// Gives back what waits.
    pub(super) fn free(&mut self, room: &mut usize) {
        self.flawed |= !self.early.is_empty();
        let held: usize = self.early.values().map(|data| ENTRY + data.len()).sum();
        *room = room.saturating_add(held);
        self.early.clear();
    }

    /// What can be said of it. `whole` says that what the hash covers is the file; `confirmed` that
    /// the use of the file ended in order.
    pub(super) fn content(&self, whole: bool, confirmed: bool) -> Option<FileContent> {
        if self.bytes == 0 && !whole {
            return None;
        }
        let (from, to) = self.covers.unwrap_or((0, 0));
        let flawed = self.flawed || !self.early.is_empty();
        let scope = match (flawed, whole, confirmed) {
            _ if to == from && (flawed || !whole) => Scope::None,
            (false, true, _) => Scope::Whole,
            (false, false, true) => Scope::Range,
            (true, _, _) | (false, false, false) => Scope::Partial,
        };
        let sum = match &self.hash {
            Some(hash) => hash.clone().finish(),
            None => digest::digest(&digest::SHA256, b""),
        };
        Some(FileContent {
            bytes: self.bytes,
            scope,
            sha256: (scope != Scope::None).then(|| hex::encode(sum.as_ref())),
            from,
            to,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sha256(bytes: &[u8]) -> String {
        hex::encode(digest::digest(&digest::SHA256, bytes).as_ref())
    }

    fn told(sum: &Sum) -> (Scope, u64, u64, Option<String>) {
        let content = sum.content(false, true).unwrap();
        (content.scope, content.from, content.to, content.sha256)
    }

    #[test]
    fn a_hole_leaves_a_hash_of_what_came_before_it() {
        let mut room = 1000;
        let mut sum = Sum::new();
        sum.take(5, b"abc", &mut room);
        sum.take(20, b"xyz", &mut room);
        assert_eq!(told(&sum), (Scope::Partial, 5, 8, Some(sha256(b"abc"))));
        assert_eq!(sum.content(true, true).unwrap().scope, Scope::Partial);
        sum.free(&mut room);
        assert_eq!(room, 1000);
    }

    #[test]
    fn what_came_twice_is_hashed_once_and_said() {
        let mut room = 1000;
        let mut sum = Sum::new();
        sum.take(0, b"abc", &mut room);
        sum.take(1, b"bcd", &mut room);
        assert_eq!(told(&sum), (Scope::Partial, 0, 4, Some(sha256(b"abcd"))));
        assert_eq!(sum.content(false, true).unwrap().bytes, 6);
    }

    #[test]
    fn more_than_the_room_is_not_held() {
        let mut room = 70;
        let mut sum = Sum::new();
        sum.begin(0);
        sum.take(10, b"abc", &mut room);
        sum.take(20, b"abc", &mut room);
        assert_eq!(room, 70, "nothing waits in vain");
        sum.take(0, b"xy", &mut room);
        assert_eq!(told(&sum), (Scope::Partial, 0, 2, Some(sha256(b"xy"))));
    }

    #[test]
    fn an_empty_file_has_a_hash_only_if_it_is_known_to_be_empty() {
        let sum = Sum::new();
        assert_eq!(sum.content(false, true), None);
        let content = sum.content(true, true).unwrap();
        assert_eq!(content.scope, Scope::Whole);
        assert_eq!(content.sha256, Some(sha256(b"")));
    }

    proptest! {
        /// Also where they overlap: what a hash says of a place that passed twice is the same.
        #[test]
        fn cuts_do_not_matter(
            pieces in prop::collection::vec((0u64..60, prop::collection::vec(any::<u8>(), 1..20)), 1..20),
            cut in 1usize..20,
        ) {
            let run = |cut: usize| {
                let mut room = HELD_MAX;
                let mut sum = Sum::new();
                for (at, piece) in &pieces {
                    for (n, part) in piece.chunks(cut).enumerate() {
                        sum.take(at + (n * cut) as u64, part, &mut room);
                    }
                }
                let held = (told(&sum), sum.bytes());
                sum.free(&mut room);
                (held, room)
            };
            prop_assert_eq!(run(20), run(cut));
        }

        /// In whatever order the pieces come, the hash is that of the file.
        #[test]
        fn order_does_not_matter(data in prop::collection::vec(any::<u8>(), 1..3000), cut in 1usize..200, seed: u64) {
            let mut pieces: Vec<(u64, &[u8])> = data
                .chunks(cut)
                .enumerate()
                .map(|(n, piece)| ((n * cut) as u64, piece))
                .collect();
            let mut state = seed;
            for n in (1..pieces.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                pieces.swap(n, usize::try_from(state >> 33).unwrap() % (n + 1));
            }
            let mut room = HELD_MAX;
            let mut sum = Sum::new();
            sum.begin(0);
            for (at, piece) in pieces {
                sum.take(at, piece, &mut room);
            }
            prop_assert_eq!(told(&sum), (Scope::Range, 0, data.len() as u64, Some(sha256(&data))));
            prop_assert_eq!(room, HELD_MAX);
        }
    }
}

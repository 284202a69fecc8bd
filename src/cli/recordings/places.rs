//! Places for those who look at recordings. Each holds a thread for as long as somebody reads, and the
//! node has other work for its threads: revocations, host keys.

use crate::access::Caller;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// At once, on the node: an eighth of the threads that may block.
const ALL_MAX: usize = 64;
/// Of one person.
const EACH_MAX: usize = 8;

#[derive(Default)]
pub(crate) struct Places {
    taken: Mutex<HashMap<String, usize>>,
}

/// Free again when dropped.
pub(crate) struct Place {
    places: Arc<Places>,
    who: String,
}

impl Places {
    /// `None` when all are taken, or all that one person gets.
    pub(crate) fn take(self: &Arc<Self>, caller: &Caller) -> Option<Place> {
        let who = match caller {
            Caller::Person { who, .. } => who.subject().to_string(),
            Caller::Operator { user } => format!("os:{user}"),
        };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = taken.values().sum();
        let own = taken.get(&who).copied().unwrap_or(0);
        if all >= ALL_MAX || own >= EACH_MAX {
            return None;
        }
        taken.insert(who.clone(), own + 1);
        drop(taken);
        let places = Arc::clone(self);
        Some(Place { places, who })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self
            .places
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&self.who) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) | None => drop(taken.remove(&self.who)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operator(name: usize) -> Caller {
        let user = name.to_string();
        Caller::Operator { user }
    }

    #[test]
    fn nobody_takes_all_places_and_there_are_no_more() {
        let places = Arc::new(Places::default());
        let mine: Vec<_> = (0..100).filter_map(|_| places.take(&operator(0))).collect();
        assert_eq!(mine.len(), EACH_MAX);
        let others: Vec<_> = (1..100).filter_map(|n| places.take(&operator(n))).collect();
        assert_eq!(mine.len() + others.len(), ALL_MAX);
        drop((mine, others));
        assert!(places.taken.lock().unwrap().is_empty());
    }
}

//! The people who are connected to this node, and how a newer certificate reaches their connections.

use crate::identity::{self, Identity, Trust};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use tokio::sync::watch;

#[derive(Default)]
pub struct Live {
    people: Mutex<People>,
}

#[derive(Default)]
struct People {
    next: u64,
    connected: HashMap<u64, Connected>,
}

struct Connected {
    source: IpAddr,
    who: watch::Sender<Arc<Identity>>,
}

impl Live {
    /// Enters a connection's person; they leave when the returned guard is dropped.
    pub(crate) fn enter(
        self: &Arc<Self>,
        who: Arc<Identity>,
        source: IpAddr,
    ) -> (Entered, watch::Receiver<Arc<Identity>>) {
        let (who, current) = watch::channel(who);
        let mut people = self.lock();
        let number = people.next;
        people.next += 1;
        people.connected.insert(number, Connected { source, who });
        let entered = Entered {
            live: Arc::clone(self),
            number,
        };
        (entered, current)
    }

    /// A certificate was accepted on some connection: the other connections of the same identity and
    /// key go on with it, if it is good from where they came from and leaves them what they had.
    pub(crate) fn renew(&self, newer: &Identity, trust: &Trust, now: SystemTime) {
        for connected in self.lock().connected.values() {
            connected.who.send_if_modified(|current| {
                if !newer.carries_on(current) {
                    return false;
                }
                let checked = identity::check(newer.certificate(), trust, connected.source, now);
                checked.is_ok_and(|checked| {
                    *current = Arc::new(checked);
                    true
                })
            });
        }
    }

    pub fn count(&self) -> usize {
        self.lock().connected.len()
    }

    fn lock(&self) -> MutexGuard<'_, People> {
        self.people.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct Entered {
    live: Arc<Live>,
    number: u64,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.live.lock().connected.remove(&self.number);
    }
}

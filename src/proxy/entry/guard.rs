//! Places for strangers: how many connections may wait for their login, in total and from one
//! network, and counters of what was refused.

use crate::id::Subject;
use crate::proxy::config::Limits;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Since start; shown by `doctor` and in the status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Counters {
    pub refused_total: u64,
    pub refused_source: u64,
    pub connections_exceeded: u64,
    pub person_exceeded: u64,
    pub grace_expired: u64,
    pub logins_refused: u64,
    pub offers_exceeded: u64,
    pub channels_exceeded: u64,
    pub env_refused: u64,
    pub memory_exceeded: u64,
}

#[derive(Debug, Default)]
struct Counts {
    refused_total: AtomicU64,
    refused_source: AtomicU64,
    connections_exceeded: AtomicU64,
    person_exceeded: AtomicU64,
    grace_expired: AtomicU64,
    logins_refused: AtomicU64,
    offers_exceeded: AtomicU64,
    channels_exceeded: AtomicU64,
    env_refused: AtomicU64,
    memory_exceeded: AtomicU64,
}

#[derive(Debug)]
pub struct Limiter {
    limits: Limits,
    /// Strangers by source network. At most `limits.unauthenticated` entries, as each has one.
    waiting: Mutex<HashMap<IpAddr, usize>>,
    total: AtomicUsize,
    inside: Mutex<People>,
    counts: Counts,
    told: Mutex<HashMap<Stranger, Told>>,
    /// Who lately came without a certificate, newest last.
    lost: Mutex<VecDeque<IpAddr>>,
}

/// How somebody who never logged in went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stranger {
    TurnedAway,
    Late,
    Left,
}

/// Events about strangers, who must not fill the disk with them.
#[derive(Debug, Default)]
struct Told {
    minute: u64,
    events: u64,
    /// Since the last event.
    untold: u64,
}

/// Of strangers of one kind that never logged in; what is beyond is counted in the next event.
const STRANGER_EVENTS_A_MINUTE: u64 = 20;

/// Sources that are remembered to have come without a certificate; the oldest is forgotten.
const LOST_MAX: usize = 256;

/// Connections that have logged in: in all, and of each identity that has one.
#[derive(Debug, Default)]
struct People {
    total: usize,
    of: HashMap<Subject, usize>,
}

/// Why somebody who may come in finds no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    Bastion,
    Person,
}

/// A place of somebody who has logged in; free again when dropped.
#[derive(Debug)]
pub(crate) struct Inside {
    limiter: Arc<Limiter>,
    subject: Subject,
}

impl Drop for Inside {
    fn drop(&mut self) {
        let mut inside = self.limiter.inside();
        inside.total -= 1;
        if let Some(own) = inside.of.get_mut(&self.subject) {
            *own -= 1;
            if *own == 0 {
                inside.of.remove(&self.subject);
            }
        }
    }
}

/// A stranger's place; free again when dropped.
#[derive(Debug)]
pub(crate) struct Waiting {
    limiter: Arc<Limiter>,
    network: IpAddr,
}

/// IPv4 one address, IPv6 a /64: what one subscriber has.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
    }
}

impl Limiter {
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            waiting: Mutex::new(HashMap::new()),
            total: AtomicUsize::new(0),
            inside: Mutex::default(),
            counts: Counts::default(),
            told: Mutex::default(),
            lost: Mutex::default(),
        })
    }

    /// Somebody from there needs to be told how one gets in, the next time they come.
    pub(crate) fn note_lost(&self, ip: IpAddr) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.retain(|one| *one != ip);
        if lost.len() >= LOST_MAX {
            lost.pop_front();
        }
        lost.push_back(ip);
    }

    pub(crate) fn is_lost(&self, ip: IpAddr) -> bool {
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.contains(&ip)
    }

    pub(crate) fn note_found(&self, ip: IpAddr) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.retain(|one| *one != ip);
    }

    /// `None` when there is no place; the connection is then closed.
    pub(crate) fn admit(self: &Arc<Self>, ip: IpAddr) -> Option<Waiting> {
        let network = network(ip);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if self.total.load(Ordering::SeqCst) >= self.limits.unauthenticated {
            self.counts.refused_total.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let from_here = waiting.entry(network).or_insert(0);
        if *from_here >= self.limits.unauthenticated_per_source {
            self.counts.refused_source.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        *from_here += 1;
        self.total.fetch_add(1, Ordering::SeqCst);
        Some(Waiting {
            limiter: Arc::clone(self),
            network,
        })
    }

    /// For one more connection of somebody who has logged in.
    pub(crate) fn enter(self: &Arc<Self>, subject: &Subject) -> Result<Inside, Full> {
        let mut inside = self.inside();
        if inside.total >= self.limits.connections {
            let count = &self.counts.connections_exceeded;
            count.fetch_add(1, Ordering::Relaxed);
            return Err(Full::Bastion);
        }
        let own = inside.of.get(subject).copied().unwrap_or(0);
        if own >= self.limits.connections_per_person {
            self.counts.person_exceeded.fetch_add(1, Ordering::Relaxed);
            return Err(Full::Person);
        }
        inside.total += 1;
        inside.of.insert(subject.clone(), own + 1);
        Ok(Inside {
            limiter: Arc::clone(self),
            subject: subject.clone(),
        })
    }

    fn inside(&self) -> MutexGuard<'_, People> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connections that have logged in, and that have not.
    pub(crate) fn connections(&self) -> (usize, usize) {
        (self.inside().total, self.total.load(Ordering::SeqCst))
    }

    /// May a stranger be an event now? Then how many were not since the last one that was.
    pub(crate) fn tell(&self, how: Stranger, now: Duration) -> Option<u64> {
        let minute = now.as_secs() / 60;
        let mut all = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let told = all.entry(how).or_default();
        if told.minute != minute {
            told.minute = minute;
            told.events = 0;
        }
        if told.events >= STRANGER_EVENTS_A_MINUTE {
            told.untold += 1;
            return None;
        }
        told.events += 1;
        Some(std::mem::take(&mut told.untold))
    }

    pub(crate) fn note_grace_expired(&self) {
        self.counts.grace_expired.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn note_refused(&self) {
        self.counts.logins_refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn note_offers_exceeded(&self) {
        self.counts.offers_exceeded.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn note_channels_exceeded(&self) {
        self.counts
            .channels_exceeded
            .fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn note_env_refused(&self) {
        self.counts.env_refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn note_memory_exceeded(&self) {
        self.counts.memory_exceeded.fetch_add(1, Ordering::Relaxed);
    }

    pub fn counters(&self) -> Counters {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counters {
            refused_total: read(&self.counts.refused_total),
            refused_source: read(&self.counts.refused_source),
            connections_exceeded: read(&self.counts.connections_exceeded),
            person_exceeded: read(&self.counts.person_exceeded),
            grace_expired: read(&self.counts.grace_expired),
            logins_refused: read(&self.counts.logins_refused),
            offers_exceeded: read(&self.counts.offers_exceeded),
            channels_exceeded: read(&self.counts.channels_exceeded),
            env_refused: read(&self.counts.env_refused),
            memory_exceeded: read(&self.counts.memory_exceeded),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut waiting = self
            .limiter
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = waiting.get_mut(&self.network) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                waiting.remove(&self.network);
            }
        }
        self.limiter.total.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(total: usize, source: usize) -> Arc<Limiter> {
        Limiter::new(Limits {
            unauthenticated: total,
            unauthenticated_per_source: source,
            ..Limits::default()
        })
    }

    #[test]
    fn one_network_cannot_take_every_place() {
        let limiter = limiter(10, 2);
        let near: IpAddr = "2001:db8::1".parse().unwrap();
        let same: IpAddr = "2001:db8::2".parse().unwrap();
        let far: IpAddr = "2001:db8:0:1::1".parse().unwrap();
        let _one = limiter.admit(near).unwrap();
        let two = limiter.admit(same).unwrap();
        assert!(limiter.admit(near).is_none());
        assert_eq!(limiter.counters().refused_source, 1);
        let _other = limiter.admit(far).unwrap();
        drop(two);
        assert!(limiter.admit(near).is_some(), "a place is free again");
    }

    #[test]
    fn a_flood_of_sources_meets_the_total_and_leaves_nothing_behind() {
        let limiter = limiter(5, 5);
        let places: Vec<_> = (0..100u32)
            .filter_map(|n| limiter.admit(IpAddr::V4(n.into())))
            .collect();
        assert_eq!(places.len(), 5);
        assert_eq!(limiter.counters().refused_total, 95);
        drop(places);
        assert!(limiter.waiting.lock().unwrap().is_empty());
    }

    #[test]
    fn as_many_are_inside_as_may_be() {
        let limiter = Limiter::new(Limits {
            connections: 3,
            connections_per_person: 2,
            ..Limits::default()
        });
        let [ana, ben] = ["ana", "ben"].map(|name| name.parse::<Subject>().unwrap());
        let first = limiter.enter(&ana).unwrap();
        let second = limiter.enter(&ana).unwrap();
        assert_eq!(limiter.enter(&ana).unwrap_err(), Full::Person);
        let third = limiter.enter(&ben).unwrap();
        assert_eq!(limiter.enter(&ben).unwrap_err(), Full::Bastion);
        let counters = limiter.counters();
        assert_eq!(
            (counters.person_exceeded, counters.connections_exceeded),
            (1, 1)
        );
        drop(first);
        drop(limiter.enter(&ana).unwrap());
        drop((second, third));
        assert_eq!(limiter.connections(), (0, 0));
        assert!(limiter.inside().of.is_empty());
    }

    #[test]
    fn strangers_fill_no_disk_with_their_events() {
        let limiter = limiter(5, 5);
        let told = (0..500).filter(|_| limiter.tell(Stranger::Left, Duration::ZERO).is_some());
        assert_eq!(told.count() as u64, STRANGER_EVENTS_A_MINUTE);
        let later = limiter.tell(Stranger::Left, Duration::from_secs(60));
        assert_eq!(later, Some(500 - STRANGER_EVENTS_A_MINUTE), "none is lost");
        assert_eq!(
            limiter.tell(Stranger::Left, Duration::from_secs(61)),
            Some(0)
        );
    }

    #[test]
    fn who_is_lost_is_remembered_until_found_and_not_without_bound() {
        let limiter = limiter(1, 1);
        for n in 0..1000u32 {
            limiter.note_lost(IpAddr::V4(n.into()));
        }
        assert_eq!(limiter.lost.lock().unwrap().len(), LOST_MAX);
        let last = IpAddr::V4(999.into());
        assert!(limiter.is_lost(last));
        assert!(!limiter.is_lost(IpAddr::V4(0.into())));
        limiter.note_found(last);
        assert!(!limiter.is_lost(last));
    }

    #[test]
    fn an_ipv4_address_is_the_same_however_it_arrives() {
        let limiter = limiter(5, 1);
        let _place = limiter.admit("10.0.0.1".parse().unwrap()).unwrap();
        assert!(limiter.admit("::ffff:10.0.0.1".parse().unwrap()).is_none());
    }
}

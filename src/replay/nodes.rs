//! The nodes' own streams among the recordings: logins, refusals, changes, who looked at what.

use super::open::{Archive, Error, Step};
use crate::id::SessionId;
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;

impl Archive {
    /// Streams of nodes, oldest first, that may hold something of the time from `since` up to
    /// `until`. `sessions` are known to be none, which spares a look at each. Blocking.
    ///
    /// # Errors
    /// When the directories cannot be read.
    pub fn node_streams(
        &self,
        sessions: &BTreeSet<SessionId>,
        since: Option<DateTime<Utc>>,
        until: Option<DateTime<Utc>>,
    ) -> Result<Vec<SessionId>, Error> {
        let mut found = Vec::new();
        for id in self.sessions()? {
            let late = until.is_some_and(|until| began(id).is_some_and(|began| began >= until));
            if !late && !sessions.contains(&id) && self.is_of_a_node(id) {
                found.push(id);
            }
        }
        found.sort();
        // A node's stream ends before its next one begins: one recorder to a state directory.
        let past = since.map_or(0, |since| {
            let next = found.iter().skip(1);
            next.take_while(|id| began(**id).is_some_and(|began| began <= since))
                .count()
        });
        Ok(found.split_off(past))
    }

    /// By its first line that can be read: a damaged one must not vanish.
    fn is_of_a_node(&self, id: SessionId) -> bool {
        let Ok(events) = self.events(id) else {
            return false;
        };
        let lines = events.filter_map(|step| match step {
            Ok(Step::Line(line)) => Some(line),
            Ok(Step::Damage(_)) | Err(_) => None,
        });
        let mut kinds = lines.map(|line| line.kind).filter(|kind| kind != "commit");
        kinds.next().is_some_and(|kind| {
            let of_nodes = [
                "node.", "auth.", "access.", "config.", "policy.", "krl.", "cert.",
            ];
            let looks = [
                "view", "search", "replay", "export", "review", "verb", "why.set",
            ];
            of_nodes.iter().any(|start| kind.starts_with(start)) || looks.contains(&kind.as_str())
        })
    }
}

/// A UUIDv7 says its moment.
fn began(id: SessionId) -> Option<DateTime<Utc>> {
    let (seconds, nanoseconds) = id.0.get_timestamp()?.to_unix();
    DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanoseconds)
}

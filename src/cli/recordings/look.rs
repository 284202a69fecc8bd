//! What every verb that looks at recordings does first: find the session among those that the
//! caller may see, and record that they looked.

use crate::access::{Caller, Denied, Desk};
pub use crate::cli::answer::Fault;
use crate::clock::Clock;
use crate::event::{Audit, Decision, Kind, Outcome, Shown, Where, Who};
use crate::id::SessionId;
use crate::policy::{Action, Resource};
use crate::record::{Recorder, Watch};
use crate::replay::Archive;
use crate::store::{Certificate, Filter, Part, Recordings, Row, Store};
use chrono::{DateTime, Utc};
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;

/// Rows asked of the index at once.
const PAGE: u32 = 200;
/// People whom policy is asked about one by one.
const OWNERS_MAX: u32 = 2000;
/// Ids named when a part fits several.
const NAMED_MAX: usize = 5;

/// What looking needs. One for the node's life, or for one verb while no node runs.
#[derive(Clone)]
pub struct Look {
    pub archive: Archive,
    pub store: Store,
    pub clock: Clock,
    pub house: Arc<dyn House>,
}

pub type Watching<'a> = Pin<Box<dyn Future<Output = Result<Option<Watch>, String>> + Send + 'a>>;
type Answer<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// Who decides, and who records that somebody looked.
pub trait House: Send + Sync {
    /// Policy's answer.
    ///
    /// # Errors
    /// The denial.
    fn may(&self, caller: &Caller, action: Action, resource: Resource) -> Result<Decision, Denied>;

    /// Appends to the node's stream.
    fn append_node(&self, audit: Audit) -> Answer<'_>;

    /// Makes readable what the node itself did so far.
    fn cut_node(&self) -> Answer<'_>;

    /// Makes readable what a running session did so far.
    fn cut(&self, session: SessionId) -> Answer<'_>;

    /// A running session from now on; `None` when it does not run here.
    fn watch(&self, session: SessionId) -> Watching<'_>;
}

/// The house itself.
pub struct Node {
    pub desk: Desk,
    pub recorder: Recorder,
}

impl House for Node {
    fn may(&self, caller: &Caller, action: Action, resource: Resource) -> Result<Decision, Denied> {
        self.desk.may(caller, action, resource)
    }

    fn append_node(&self, audit: Audit) -> Answer<'_> {
        let appended = self.recorder.append_node(audit);
        Box::pin(async { appended.await.map_err(|error| error.to_string()) })
    }

    fn cut_node(&self) -> Answer<'_> {
        let cut = self.recorder.cut_node();
        Box::pin(async { cut.await.map_err(|error| error.to_string()) })
    }

    fn cut(&self, session: SessionId) -> Answer<'_> {
        let cut = self.recorder.cut(session);
        Box::pin(async { cut.await.map_err(|error| error.to_string()) })
    }

    fn watch(&self, session: SessionId) -> Watching<'_> {
        let watch = self.recorder.watch(session);
        Box::pin(async { watch.await.map_err(|error| error.to_string()) })
    }
}

/// Who looks, in the words of policy and in those of events.
#[derive(Clone)]
pub struct Looker {
    caller: Caller,
    certificate: Option<Certificate>,
    who: Option<Arc<Who>>,
    place: Option<Arc<Where>>,
}

impl Looker {
    /// `who` and `place` stand in the event that says they looked.
    pub fn new(caller: Caller, who: Option<Arc<Who>>, place: Option<Arc<Where>>) -> Self {
        let certificate = match &caller {
            Caller::Person { who, .. } => Some(who.facts().into()),
            Caller::Operator { .. } => None,
        };
        Self {
            caller,
            certificate,
            who,
            place,
        }
    }

    /// As a page shows it.
    pub(crate) fn name(&self) -> String {
        match &self.caller {
            Caller::Person { who, .. } => who.subject().to_string(),
            Caller::Operator { user } => format!("os:{user}"),
        }
    }

    pub(crate) fn node(&self) -> String {
        let place = self.place.as_deref();
        place.map(|place| place.node.clone()).unwrap_or_default()
    }

    fn resource(&self, row: &Row) -> Resource {
        let certificate = self.certificate.as_ref();
        Resource::Session {
            owner: row.who.identity.clone(),
            same_certificate: certificate.is_some_and(|one| row.who.certificates.contains(one)),
        }
    }
}

impl Look {
    /// The session that `name` (an id, a unique part of one, `last`) means to this caller, with
    /// the look recorded as `kind`.
    pub(crate) async fn open(
        &self,
        by: &Looker,
        action: Action,
        name: &str,
        kind: impl Fn(SessionId) -> Kind + Send,
    ) -> Result<Row, Fault> {
        let row = match self.resolve(by, action, name).await? {
            Found::Row(row) => *row,
            Found::Forbidden(id) => {
                self.record(by, kind(id), Outcome::Denied).await?;
                return Err(Fault::NoSession(Shown(name).to_string()));
            }
        };
        self.record(by, kind(row.id), Outcome::Success).await?;
        if !row.active() {
            return Ok(row);
        }
        self.bring_up_to_date(row.id).await;
        Ok(row)
    }

    /// Makes readable what a running session did so far.
    pub(crate) async fn bring_up_to_date(&self, running: SessionId) {
        if let Err(error) = self.house.cut(running).await {
            // It may have ended this moment; what can be read is read.
            tracing::debug!(session = %running, error, "not cut");
        }
    }

    /// Policy's answer about a session that the caller may see.
    pub(crate) fn allows(&self, by: &Looker, action: Action, row: &Row) -> bool {
        self.house.may(&by.caller, action, by.resource(row)).is_ok()
    }

    /// Policy's answer about what is nobody's own.
    pub(crate) fn allows_bastion(&self, by: &Looker, action: Action) -> bool {
        let may = self.house.may(&by.caller, action, Resource::Bastion);
        may.is_ok()
    }

    /// The node's own streams of that time, with what the running one has so far.
    pub(crate) async fn node_streams(
        &self,
        since: Option<DateTime<Utc>>,
        until: Option<DateTime<Utc>>,
    ) -> Result<Vec<SessionId>, Fault> {
        if let Err(error) = self.house.cut_node().await {
            // What can be read is read.
            tracing::debug!(error, "the node's stream is not cut");
        }
        let sessions = self.store.session_ids().await?;
        let sessions = sessions.into_iter().map(|(id, _)| id).collect();
        let archive = self.archive.clone();
        let found =
            tokio::task::spawn_blocking(move || archive.node_streams(&sessions, since, until));
        let found = found
            .await
            .map_err(|error| Fault::Broken(error.to_string()))?;
        Ok(found?)
    }

    /// Sessions of this filter that the caller may see, newest first, with a page's worth of
    /// reading ahead.
    pub(crate) fn list<'a>(
        &'a self,
        by: &'a Looker,
        action: Action,
        filter: Filter,
    ) -> Listing<'a> {
        Listing {
            look: self,
            by,
            action,
            filter,
            page: Vec::new().into_iter(),
            last: None,
            ended: false,
            decided: HashMap::new(),
            forbidden: None,
        }
    }

    /// Whose sessions the caller may see, where that is not everybody's: others are not looked
    /// at. `None` leaves it to [`Look::allows`] alone.
    pub(crate) async fn owners(
        &self,
        by: &Looker,
        action: Action,
    ) -> Result<Option<Vec<String>>, Fault> {
        let people = self.store.identities(OWNERS_MAX + 1).await?;
        let all = people.len();
        if u32::try_from(all).is_ok_and(|all| all > OWNERS_MAX) {
            return Ok(None);
        }
        let own = match &by.caller {
            Caller::Person { who, .. } => Some(who.subject().to_string()),
            Caller::Operator { .. } => None,
        };
        let may = |name: Option<&String>| {
            let resource = Resource::Session {
                owner: name.and_then(|name| name.parse().ok()),
                same_certificate: false,
            };
            self.house.may(&by.caller, action, resource).is_ok()
        };
        let seen = people.into_iter();
        let seen: Vec<String> = seen
            .filter(|name| own.as_ref() == Some(name) || may(Some(name)))
            .collect();
        let everybody = seen.len() == all && may(None);
        Ok((!everybody).then_some(seen))
    }

    pub(crate) async fn record(
        &self,
        by: &Looker,
        kind: Kind,
        outcome: Outcome,
    ) -> Result<(), Fault> {
        let audit = Audit {
            kind,
            outcome,
            who: by.who.clone(),
            place: by.place.clone(),
            why: None,
        };
        self.house
            .append_node(audit)
            .await
            .map_err(Fault::Unrecorded)
    }

    async fn resolve(&self, by: &Looker, action: Action, name: &str) -> Result<Found, Fault> {
        let unknown = || Fault::NoSession(Shown(name).to_string());
        if name == "last" {
            let mut all = self.list(by, action, Filter::default());
            return all.next().await?.map(Found::of).ok_or_else(unknown);
        }
        let part = Part::parse(name).ok_or_else(unknown)?;
        let filter = Filter {
            part: Some(part),
            ..Filter::default()
        };
        let mut fitting = self.list(by, action, filter);
        let mut seen = Vec::new();
        while let Some(row) = fitting.next().await? {
            seen.push(row);
            if seen.len() > NAMED_MAX {
                break;
            }
        }
        if seen.len() > 1 {
            let ids: Vec<String> = seen.iter().map(|row| row.id.to_string()).collect();
            return Err(Fault::Ambiguous {
                part: Shown(name).to_string(),
                ids: ids.join(", "),
            });
        }
        if let Some(row) = seen.pop() {
            return Ok(Found::of(row));
        }
        if let Some(forbidden) = fitting.forbidden {
            return Ok(Found::Forbidden(forbidden));
        }
        // Not in the index, which is only a view: a whole id is looked for among the recordings.
        let id: SessionId = name.parse().map_err(|_| unknown())?;
        let row = self
            .archive
            .row(id)
            .await
            .map_err(|error| Fault::Broken(error.to_string()))?;
        let row = row.ok_or_else(unknown)?;
        match self.house.may(&by.caller, action, by.resource(&row)) {
            Ok(_) => Ok(Found::of(row)),
            Err(_) => Ok(Found::Forbidden(id)),
        }
    }
}

enum Found {
    Row(Box<Row>),
    /// It exists, and they must not learn so.
    Forbidden(SessionId),
}

impl Found {
    fn of(row: Row) -> Self {
        Self::Row(Box::new(row))
    }
}

/// See [`Look::list`].
pub(crate) struct Listing<'a> {
    look: &'a Look,
    by: &'a Looker,
    action: Action,
    filter: Filter,
    page: std::vec::IntoIter<Row>,
    last: Option<Row>,
    ended: bool,
    /// Policy sees the owner and whether the certificate is the same, so one answer serves all
    /// sessions that are alike in these. Bounded by the people in the index.
    decided: HashMap<(Option<String>, bool), bool>,
    /// The newest session that was left out.
    forbidden: Option<SessionId>,
}

impl Listing<'_> {
    pub(crate) async fn next(&mut self) -> Result<Option<Row>, Fault> {
        loop {
            if let Some(row) = self.page.next() {
                if self.allowed(&row) {
                    return Ok(Some(row));
                }
                self.forbidden = self.forbidden.or(Some(row.id));
            } else if self.ended {
                return Ok(None);
            } else {
                let store = &self.look.store;
                let page = store
                    .sessions(&self.filter, self.last.as_ref(), PAGE)
                    .await?;
                self.ended = u32::try_from(page.len()).is_ok_and(|rows| rows < PAGE);
                self.last = page.last().cloned();
                self.page = page.into_iter();
            }
        }
    }

    fn allowed(&mut self, row: &Row) -> bool {
        let resource = self.by.resource(row);
        let Resource::Session {
            owner,
            same_certificate,
        } = &resource
        else {
            return false;
        };
        let key = (owner.as_ref().map(ToString::to_string), *same_certificate);
        if let Some(&allowed) = self.decided.get(&key) {
            return allowed;
        }
        let allowed = self
            .look
            .house
            .may(&self.by.caller, self.action, resource)
            .is_ok();
        self.decided.insert(key, allowed);
        allowed
    }
}

#[cfg(test)]
#[path = "look_tests.rs"]
mod tests;

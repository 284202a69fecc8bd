//! What a report says, gathered row by row and event by event.

use super::access::{name_of, seconds, time};
use super::questions;
use super::section::{Section, cell};
use super::words::{name, place, session_of, why_not};
use crate::event::{Audit, Kind, Outcome};
use crate::id::SessionId;
use crate::replay::line::{Line, What};
use crate::replay::open::{Archive, Error, Step};
use crate::store::{LastSeen, Row};
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet};

/// Of the longest sessions.
const LONGEST: usize = 20;
/// Names, certificates and pairs that are told apart; beyond them a report counts and does not name.
const KEYS_MAX: usize = 10_000;

/// What was asked for, by whom, and when.
#[derive(Clone, Debug)]
pub struct Asked {
    pub since: DateTime<Utc>,
    pub until: DateTime<Utc>,
    pub now: DateTime<Utc>,
    /// In words.
    pub filter: String,
    pub by: String,
    pub node: String,
    pub scope: Scope,
}

/// Whom and what a report is about. Absent means all.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    pub identity: Option<String>,
    pub target: Option<String>,
    pub login: Option<String>,
    pub ticket: Option<String>,
}

/// See the module. Feed it rows, then the node's streams.
pub struct Report {
    pub(super) asked: Asked,
    pub(super) sessions: u64,
    pub(super) running: u64,
    /// Holes in the node's own recordings.
    pub(super) damaged: u64,
    people: BTreeSet<String>,
    targets: BTreeSet<String>,
    /// Where the report is about some sessions only: which.
    chosen: BTreeSet<SessionId>,
    without_ticket: Section,
    /// Seconds and the row, longest first.
    longest: Vec<(i64, Vec<String>)>,
    refused: Section,
    revoked: Section,
    unused: Section,
    unseen: Section,
    looks: BTreeMap<[String; 2], u64>,
    reviews: Section,
    unreviewed: u64,
    gaps: Section,
    /// Listed accounts, and whether somebody used them.
    accounts: BTreeMap<(String, String), bool>,
    /// Certificates that were issued, by fingerprint and serial; none once they came.
    issued: BTreeMap<(String, u64), Option<Vec<String>>>,
}

impl Report {
    /// `accounts` are those that the configuration lists, `away` who was not here for long.
    pub fn new(asked: Asked, accounts: Vec<(String, String)>, away: &[LastSeen]) -> Self {
        let mut unseen = questions::unseen();
        for person in away {
            let row = || {
                vec![
                    cell(&person.identity),
                    time(person.at),
                    person.sessions.to_string(),
                ]
            };
            unseen.add(row);
        }
        Self {
            asked,
            sessions: 0,
            running: 0,
            damaged: 0,
            people: BTreeSet::new(),
            targets: BTreeSet::new(),
            chosen: BTreeSet::new(),
            without_ticket: questions::without_ticket(),
            longest: Vec::new(),
            refused: questions::refused(),
            revoked: questions::revoked(),
            unused: questions::unused(),
            unseen,
            looks: BTreeMap::new(),
            reviews: questions::reviews(),
            unreviewed: 0,
            gaps: questions::gaps(),
            accounts: accounts
                .into_iter()
                .map(|account| (account, false))
                .collect(),
            issued: BTreeMap::new(),
        }
    }

    pub fn sessions(&self) -> u64 {
        self.sessions
    }

    pub(super) fn people(&self) -> u64 {
        self.people.len() as u64
    }

    pub(super) fn targets(&self) -> u64 {
        self.targets.len() as u64
    }

    /// One session, and how often it was signed off.
    pub fn row(&mut self, row: &Row, reviews: u64) {
        self.sessions += 1;
        self.running += u64::from(row.active());
        self.unreviewed += u64::from(reviews == 0);
        let identity = row.who.identity.as_ref().map_or("?", |who| who.as_str());
        let known = |name: &Option<String>| name.clone().unwrap_or_else(|| "?".to_owned());
        let (login, target) = (known(&row.login), known(&row.target));
        let place = format!("{login}@{target}");
        if self.asked.scope.is_some() && self.chosen.len() < KEYS_MAX {
            self.chosen.insert(row.id);
        }
        keep(&mut self.people, identity);
        keep(&mut self.targets, &target);
        if let Some(used) = self.accounts.get_mut(&(login, target)) {
            *used = true;
        }
        self.ask_of(row, identity, &place);
        self.end_of(row, identity);
    }

    /// Without a ticket, or among the longest.
    fn ask_of(&mut self, row: &Row, identity: &str, place: &str) {
        let id = row.id.to_string();
        if row.why.ticket.is_none() {
            self.without_ticket.add(|| {
                let reason = row.why.justification.as_deref().unwrap_or("");
                let said = row.why.source.map(|source| name_of(&source));
                let said = said.unwrap_or_default();
                vec![
                    id.clone(),
                    cell(identity),
                    cell(place),
                    time(row.start),
                    cell(reason),
                    said,
                ]
            });
        }
        let long = seconds(row, self.asked.now);
        let at = self.longest.partition_point(|(other, _)| *other >= long);
        if at < LONGEST {
            let length = std::time::Duration::from_secs(u64::try_from(long).unwrap_or(0));
            let length = humantime::format_duration(length).to_string();
            let line = vec![
                id.clone(),
                cell(identity),
                cell(place),
                time(row.start),
                length,
            ];
            self.longest.insert(at, (long, line));
            self.longest.truncate(LONGEST);
        }
    }

    /// Holes, and ends that somebody made.
    fn end_of(&mut self, row: &Row, identity: &str) {
        let id = row.id.to_string();
        let ended = row.end.map(|(at, reason)| (at, name_of(&reason)));
        if let Some((at, reason)) = ended {
            let line = |what: String| vec![time(at), id.clone(), what];
            if row.seen.gaps > 0 {
                self.gaps
                    .add(|| line(format!("{} gaps are recorded", row.seen.gaps)));
            } else if matches!(reason.as_str(), "recorder" | "node_crash") {
                self.gaps
                    .add(|| line(format!("ended with the {}", reason.replace('_', " "))));
            }
            if reason == "revoked" {
                let what = format!("session {id} was ended");
                let line = || vec![time(at), cell(identity), what, String::new()];
                self.revoked.add(line);
            }
        }
    }

    /// The node's own events of the time. Gives how many lines were read. Blocking.
    ///
    /// # Errors
    /// When the recording cannot be opened; what is damaged in it is counted.
    pub fn read(&mut self, archive: &Archive, stream: SessionId) -> Result<u64, Error> {
        let mut lines = 0;
        for step in archive.events(stream)?.skim() {
            match step {
                Ok(Step::Line(line)) => {
                    lines += 1;
                    self.event(&line);
                }
                Ok(Step::Damage(_)) | Err(_) => self.damaged += 1,
            }
        }
        Ok(lines)
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the other kinds say nothing that is asked here"
    )]
    fn event(&mut self, line: &Line) {
        let What::Audit(audit) = &line.what else {
            return;
        };
        if line.ts < self.asked.since || line.ts >= self.asked.until || !self.concerns(audit) {
            return;
        }
        if audit.outcome == Outcome::Denied || matches!(audit.kind, Kind::AuthFail(_)) {
            return self.refusal(line, audit);
        }
        let (at, who) = (time(line.ts), name(audit.who.as_deref()));
        match &audit.kind {
            Kind::View { verb, .. } => self.look(who, verb),
            Kind::Replay { .. } => self.look(who, "replay"),
            // It is told twice: at its end it is done.
            Kind::Export(fact) if audit.outcome == Outcome::Success => {
                self.look(who, &format!("export {}", fact.format));
            }
            Kind::Review { session, note } => {
                self.reviews
                    .add(|| vec![at, session.to_string(), who, cell(note)]);
            }
            Kind::CertRevoke { what, reason } => {
                self.revoked.add(|| vec![at, who, cell(what), cell(reason)]);
            }
            Kind::KrlLoad { file, entries, .. } => {
                let what = format!("list {file} with {entries} entries came into force");
                self.revoked
                    .add(|| vec![at, who, cell(&what), String::new()]);
            }
            Kind::CertIssue {
                key_id,
                serial,
                fingerprint,
                ..
            } if self.issued.len() < KEYS_MAX => {
                let right = vec![format!("certificate {serial}"), cell(key_id), at];
                self.issued
                    .insert((fingerprint.clone(), *serial), Some(right));
            }
            Kind::AuthAccept(_) => {
                let certificate = audit
                    .who
                    .as_deref()
                    .and_then(|who| who.certificate.as_ref());
                if let Some(certificate) = certificate {
                    let key = (certificate.fingerprint.clone(), certificate.serial);
                    self.issued.entry(key).and_modify(|issued| *issued = None);
                }
            }
            Kind::Gap { message, .. } => self
                .gaps
                .add(|| vec![at, "the node".to_owned(), cell(message)]),
            Kind::NodeRecover {
                sessions,
                torn_bytes,
                ..
            } if *sessions > 0 || *torn_bytes > 0 => self.gaps.add(|| {
                let what = format!(
                    "started after a crash: {sessions} sessions closed, {torn_bytes} torn bytes cut"
                );
                vec![at, "the node".to_owned(), what]
            }),
            _ => {}
        }
    }

    fn refusal(&mut self, line: &Line, audit: &Audit) {
        let from = audit.who.as_deref().and_then(|who| who.source);
        let from = from.map(|source| source.ip.to_string());
        // A refused certificate proves nobody: it stands in the event itself.
        let who = if let Kind::AuthFail(note) = &audit.kind
            && let Some(found) = &note.certificate
        {
            format!("claims {}", cell(&found.key_id))
        } else {
            name(audit.who.as_deref())
        };
        self.refused.add(|| {
            vec![
                time(line.ts),
                line.kind.clone(),
                who,
                from.unwrap_or_default(),
                place(audit),
                cell(&why_not(&audit.kind)),
            ]
        });
    }

    /// In a report about some, an event counts that names one of their sessions, or is theirs.
    fn concerns(&self, audit: &Audit) -> bool {
        let scope = &self.asked.scope;
        if !scope.is_some() {
            return true;
        }
        if let Some(session) = session_of(&audit.kind) {
            return self.chosen.contains(&session);
        }
        let place = audit.place.as_deref();
        let target = place.and_then(|place| Some(place.target.as_ref()?.to_string()));
        let login = place.and_then(|place| Some(place.login.as_ref()?.to_string()));
        let why = audit.why.as_deref();
        let ticket = why.and_then(|why| Some(why.ticket.as_ref()?.to_string()));
        let is =
            |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
        let identity = audit.who.as_deref().map(|who| name(Some(who)));
        is(&scope.identity, &identity)
            && is(&scope.target, &target)
            && is(&scope.login, &login)
            && is(&scope.ticket, &ticket)
    }

    fn look(&mut self, who: String, verb: &str) {
        let key = [who, cell(verb)];
        if self.looks.contains_key(&key) || self.looks.len() < KEYS_MAX {
            *self.looks.entry(key).or_default() += 1;
        }
    }

    /// In the order of the page.
    pub(super) fn sections(&self) -> Vec<Section> {
        let mut longest = questions::longest();
        for (_, line) in &self.longest {
            longest.add(|| line.clone());
        }
        let mut looks = questions::looks();
        for ([who, verb], times) in &self.looks {
            looks.add(|| vec![who.clone(), verb.clone(), times.to_string()]);
        }
        let mut unreviewed = questions::unreviewed();
        unreviewed.total = self.unreviewed;
        let mut all = vec![
            self.without_ticket.clone(),
            longest,
            self.refused.clone(),
            self.revoked.clone(),
        ];
        // These are about everybody: of one person or ticket they would say nothing true.
        if !self.asked.scope.is_some() {
            all.extend([self.rights(), self.unseen.clone()]);
        }
        all.extend([looks, self.reviews.clone(), unreviewed, self.gaps.clone()]);
        all
    }

    fn rights(&self) -> Section {
        let mut unused = self.unused.clone();
        let never = self.accounts.iter().filter(|(_, used)| !**used);
        for ((login, target), _) in never {
            let account = format!("{login}@{target}");
            unused.add(|| vec![cell(&account), "whom policy lets".to_owned(), String::new()]);
        }
        for right in self.issued.values().flatten() {
            unused.add(|| right.clone());
        }
        unused
    }
}

impl Scope {
    fn is_some(&self) -> bool {
        let all = [&self.identity, &self.target, &self.login, &self.ticket];
        all.iter().any(|one| one.is_some())
    }
}

fn keep(names: &mut BTreeSet<String>, name: &str) {
    if names.len() < KEYS_MAX && !names.contains(name) {
        names.insert(name.to_owned());
    }
}

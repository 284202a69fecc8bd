use super::Destination;
use crate::id::{Login, Subject, TargetName};
use chrono::{DateTime, Datelike, Timelike, Utc};
use std::collections::BTreeMap;

/// What somebody wants to do. The names are the Cedar action ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    Shell,
    Exec,
    Sftp,
    /// SFTP that reads and lists, or that writes and changes: halves of `sftp`.
    SftpRead,
    SftpWrite,
    ForwardLocal,
    ForwardRemote,
    /// SSH through a forward that nobody can read: to a host that is no target.
    ForwardSsh,
    Agent,
    X11,
    /// List sessions, show one, its events, its transcript.
    View,
    Replay,
    Export,
    /// Sign off a session that one has looked at.
    Review,
    /// End somebody's running session.
    End,
    /// What everybody needs for themselves: the console, `ssh-config`, `why`.
    Use,
    /// What is nobody's own: the report over everybody, and the node's own events.
    Report,
    Revoke,
    /// Set up targets, test and explain policies.
    Administer,
}

impl Action {
    pub const ALL: [Self; 19] = [
        Self::Shell,
        Self::Exec,
        Self::Sftp,
        Self::SftpRead,
        Self::SftpWrite,
        Self::ForwardLocal,
        Self::ForwardRemote,
        Self::ForwardSsh,
        Self::Agent,
        Self::X11,
        Self::View,
        Self::Replay,
        Self::Export,
        Self::Review,
        Self::End,
        Self::Use,
        Self::Report,
        Self::Revoke,
        Self::Administer,
    ];

    /// What can be done on a target.
    pub const ON_TARGETS: [Self; 10] = [
        Self::Shell,
        Self::Exec,
        Self::Sftp,
        Self::SftpRead,
        Self::SftpWrite,
        Self::ForwardLocal,
        Self::ForwardRemote,
        Self::ForwardSsh,
        Self::Agent,
        Self::X11,
    ];

    /// What can be done with a recorded session.
    pub const ON_SESSIONS: [Self; 5] = [
        Self::View,
        Self::Replay,
        Self::Export,
        Self::Review,
        Self::End,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shell => "shell",
            Self::Exec => "exec",
            Self::Sftp => "sftp",
            Self::SftpRead => "sftp-read",
            Self::SftpWrite => "sftp-write",
            Self::ForwardLocal => "forward-local",
            Self::ForwardRemote => "forward-remote",
            Self::ForwardSsh => "forward-ssh",
            Self::Agent => "agent",
            Self::X11 => "x11",
            Self::View => "view",
            Self::Replay => "replay",
            Self::Export => "export",
            Self::Review => "review",
            Self::End => "end",
            Self::Use => "use",
            Self::Report => "report",
            Self::Revoke => "revoke",
            Self::Administer => "administer",
        }
    }
}

impl std::str::FromStr for Action {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|action| action.as_str() == text);
        found.ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|action| action.as_str()).collect();
            format!("`{text}` is no action; there are {}", names.join(", "))
        })
    }
}

/// Everything a policy may look at. Collected by the caller.
#[derive(Clone, Debug)]
pub struct Facts {
    pub principal: Principal,
    pub action: Action,
    pub resource: Resource,
    pub context: Context,
}

#[derive(Clone, Debug)]
pub struct Principal {
    /// A [`Subject`], or `os:USER` for the operator of a node.
    pub name: String,
    pub groups: Vec<String>,
    pub principals: Vec<String>,
}

#[derive(Clone, Debug)]
pub enum Resource {
    /// A login on a target.
    Target {
        name: TargetName,
        login: Login,
        labels: BTreeMap<String, String>,
        logins: Vec<String>,
        /// False when it was found by `match`.
        listed: bool,
    },
    /// A recorded session of somebody.
    Session {
        owner: Option<Subject>,
        same_certificate: bool,
    },
    Bastion,
}

#[derive(Clone, Debug, Default)]
pub struct Context {
    pub source_ip: Option<std::net::IpAddr>,
    pub now_unix_s: i64,
    /// 0 is Sunday, UTC.
    pub weekday: u8,
    pub hour: u8,
    pub ticket: bool,
    pub why_source: Option<String>,
    pub certificate_age_s: i64,
    /// False only inside a jump that was let in by its outer connection alone.
    pub certificate_inside: bool,
    pub door: String,
    /// Of a forward.
    pub destination: Option<Destination>,
}

impl Context {
    /// The time, in all forms that policies use; nothing else is known.
    pub fn at(now: DateTime<Utc>, door: &str) -> Self {
        Self {
            now_unix_s: now.timestamp(),
            weekday: u8::try_from(now.weekday().num_days_from_sunday()).unwrap_or(0),
            hour: u8::try_from(now.hour()).unwrap_or(0),
            door: door.to_owned(),
            ..Self::default()
        }
    }
}

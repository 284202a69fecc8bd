//! `[listen]`, `[limits]`, `[session]`, `[notice]`, checked.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What somebody without a certificate reads, unless the site says better.
pub const CERTIFICATE_HINT: &str = "ask your operator for one: portcullis ca issue --identity YOU \
     --principal LOGIN --reason WHY id_ed25519.pub; it lies beside your key";

#[derive(Clone, Debug)]
pub struct Config {
    pub listen: Vec<SocketAddr>,
    pub host_key: PathBuf,
    /// What clients call this bastion.
    pub names: Vec<String>,
    /// Shown as SSH banner; `None` shows nothing.
    pub notice: Option<String>,
    /// How somebody without a certificate gets one here.
    pub certificate_hint: String,
    pub node: String,
    pub limits: Limits,
    pub session: Session,
}

/// `[limits]`: what strangers may use up. Each has a counter in the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From accept to a checked certificate.
    pub login_grace: Duration,
    /// Connections that have not authenticated, over all sources.
    pub unauthenticated: usize,
    /// The same from one source network (IPv4 /32, IPv6 /64).
    pub unauthenticated_per_source: usize,
    /// Failed authentications of a connection.
    pub attempts: usize,
    /// Keys offered by a connection.
    pub offers: usize,
    /// Connections that have authenticated.
    pub connections: usize,
    pub connections_per_person: usize,
    /// Channels open at once on a connection.
    pub channels: usize,
    /// Environment variables of a channel.
    pub env: usize,
    /// What waits for slow peers, over all connections.
    pub memory_bytes: usize,
}

/// `[session]`: how sessions live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// No byte either way for this long ends a session; `None`: never.
    pub idle: Option<Duration>,
    pub max_duration: Option<Duration>,
    /// Between keepalives to the user; three unanswered ones end the connection.
    pub keepalive: Duration,
    /// Name look-up, TCP and SSH login at the target together.
    pub dial_timeout: Duration,
    /// Names (`*` allowed at the end) of variables that go on to the target.
    pub env: Vec<String>,
    /// What is typed on a terminal: what was shown of it, every byte, or its length only.
    pub typed: Typed,
    /// Content that an exec without terminal keeps a direction, bytes.
    pub content_bytes: u64,
    /// Time that running sessions get at shutdown.
    pub drain: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typed {
    /// Its length, and its content once it was shown.
    Withhold,
    Record,
    /// Its length; commands are found live.
    Off,
}

impl Typed {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Withhold => "withhold",
            Self::Record => "record",
            Self::Off => "off",
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            login_grace: Duration::from_secs(60), // a person finds a token and touches it
            unauthenticated: 200,                 // 280 kB each at worst: 56 MB
            unauthenticated_per_source: 32,       // a NAT of an office; Ansible opens 20 at once
            attempts: 6,                          // as sshd's MaxAuthTries
            offers: 20,                           // an agent with many keys
            connections: 4096,                    // 130 kB each idle: 530 MB
            connections_per_person: 512, // a fleet from one laptop, and no more than an eighth
            channels: 64,                // ControlMaster with room
            env: 128,                    // VS Code sends a dozen
            memory_bytes: 2 * 1024 * 1024 * 1024, // 2 GiB: a thousand who stall
        }
    }
}

impl Default for Session {
    fn default() -> Self {
        Self {
            idle: None,
            max_duration: None,
            keepalive: Duration::from_secs(30),
            dial_timeout: Duration::from_secs(15),
            env: ["LANG", "LC_*", "TERM", "COLORTERM"]
                .map(str::to_owned)
                .to_vec(),
            typed: Typed::Withhold,
            content_bytes: 1024 * 1024, // 1 MiB
            drain: Duration::from_secs(60),
        }
    }
}

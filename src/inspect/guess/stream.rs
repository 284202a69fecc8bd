//! Both sides of one stream, and when it is decided.

use super::{opener, server};

/// Kept of a side until it is decided. A ClientHello with a post-quantum key share has 1.8 KiB.
pub const KEPT_BYTES: usize = 4 * 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Label {
    Ssh,
    Tls {
        /// Whom the opener asked for (RFC 6066 §3), where it is a name: lower case.
        sni: Option<String>,
    },
    Http,
    Postgres,
    Mysql,
    Rdp,
    Unknown,
}

impl Label {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Ssh => "ssh",
            Self::Tls { .. } => "tls",
            Self::Http => "http",
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::Rdp => "rdp",
            Self::Unknown => "unknown",
        }
    }

    pub fn sni(&self) -> Option<&str> {
        match self {
            Self::Tls { sni } => sni.as_deref(),
            Self::Ssh | Self::Http | Self::Postgres | Self::Mysql | Self::Rdp | Self::Unknown => {
                None
            }
        }
    }
}

/// Whose bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// Who opened the stream: a client, as a rule.
    Opener,
    /// Who answered: a server, as a rule.
    Answerer,
}

/// What the bytes of one side say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// More bytes could still make it something.
    NotYet,
    /// Whatever follows, it is none of what we know.
    Nothing,
    Is(Label),
}

/// One stream. The opener's word counts; the answerer is asked when the opener said nothing known.
#[derive(Debug, Default)]
pub struct Guess {
    opener: Vec<u8>,
    answerer: Vec<u8>,
    label: Option<Label>,
}

impl Guess {
    /// The next bytes of a side. `Some` once it is decided, and the same from then on.
    pub fn feed(&mut self, from: From, bytes: &[u8]) -> Option<&Label> {
        if self.label.is_none() {
            let kept = match from {
                From::Opener => &mut self.opener,
                From::Answerer => &mut self.answerer,
            };
            let room = KEPT_BYTES.saturating_sub(kept.len()).min(bytes.len());
            kept.extend_from_slice(bytes.split_at(room).0);
            self.label = self.decide(false);
            self.forget();
        }
        self.label.as_ref()
    }

    /// Before the end of the stream it may be undecided yet.
    pub fn label(&self) -> Option<&Label> {
        self.label.as_ref()
    }

    /// No more bytes come.
    pub fn finish(&mut self) -> &Label {
        let label = match self.label.take() {
            Some(label) => label,
            None => self.decide(true).unwrap_or(Label::Unknown),
        };
        let label = self.label.insert(label);
        self.opener = Vec::new();
        self.answerer = Vec::new();
        label
    }

    fn decide(&self, over: bool) -> Option<Label> {
        let whole = |kept: &Vec<u8>| over || kept.len() >= KEPT_BYTES;
        match opener::read(&self.opener, whole(&self.opener)) {
            Said::Is(label) => return Some(label),
            Said::NotYet => return None,
            Said::Nothing => {}
        }
        match server::read(&self.answerer, whole(&self.answerer)) {
            Said::Is(label) => Some(label),
            Said::NotYet => None,
            Said::Nothing => Some(Label::Unknown),
        }
    }

    fn forget(&mut self) {
        if self.label.is_some() {
            self.opener = Vec::new();
            self.answerer = Vec::new();
        }
    }
}

/// The first reader that knows it; nothing, when none can know it any more.
pub(super) fn any<const N: usize>(said: [Said; N], whole: bool) -> Said {
    let open = said.contains(&Said::NotYet);
    let found = said.into_iter().find(|said| matches!(said, Said::Is(_)));
    match found {
        Some(found) => found,
        None if open && !whole => Said::NotYet,
        None => Said::Nothing,
    }
}

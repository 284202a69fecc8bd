//! Raw -> checked: paths become absolute, words become types, all faults at once.

use super::difference;
use super::files::Files;
use super::page::{Loose, Page};
use super::raw::{self, Raw, Text};
use super::sections;
use super::targets::{self, Found};
use crate::access::{self, Target};
use crate::ca::KeySource;
use crate::identity::{FromTargets, PrincipalsMode};
use crate::proxy;
use crate::proxy::config::{CERTIFICATE_HINT, Limits, Session};
use crate::record;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) const MAX_LIFETIME: Duration = Duration::from_secs(8 * 3600); // a working day
const REVOKED_GRACE: Duration = Duration::from_secs(600); // an operator mends a file
const NOTICE: &str = "This is a recorded session: what you do and see here is kept, with your \
     identity and reason, by the operators of this bastion.";
/// What a CA can be believed for.
const STATEMENTS: [&str; 5] = ["groups", "grant", "approvers", "reason", "ticket"];

/// What is wrong with a configuration, a line each: file, line, what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<String>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

/// A trusted user CA, by file.
#[derive(Clone, Debug)]
pub struct Authority {
    pub file: PathBuf,
    pub identities: Vec<String>,
    pub principals: Vec<String>,
    pub believe: Vec<String>,
}

/// Everything checked that can be checked without opening keys.
#[derive(Clone, Debug)]
pub struct Config {
    pub file: PathBuf,
    pub proxy: proxy::Config,
    pub record: record::Config,
    pub access: access::Config,
    pub targets: Vec<Target>,
    pub matching: Vec<(String, Target)>,
    pub authorities: Vec<Authority>,
    pub revoked: Vec<PathBuf>,
    pub max_lifetime: Duration,
    /// Revocations that cannot be read for this long: nobody new comes in.
    pub revoked_grace: Duration,
    pub principals: PrincipalsMode,
    pub from_targets: FromTargets,
    pub groups: Option<PathBuf>,
    pub user_ca: Option<KeySource>,
    pub host_ca: KeySource,
    pub target_ca: KeySource,
    pub state: PathBuf,
    pub policies: PathBuf,
    /// Whether what was on screens can be searched.
    pub index_screen: bool,
    /// SHA-256 over names and texts of all files, hexadecimal.
    pub hash: String,
    pub(super) includes: Vec<PathBuf>,
    /// Setting -> value as written, for the difference between two configurations.
    pub(super) settings: BTreeMap<String, String>,
}

impl Config {
    /// # Errors
    /// [`Faults`]: everything that is wrong with the file and what it includes.
    pub fn load(file: &Path) -> Result<Self, Faults> {
        let absolute = std::path::absolute(file)
            .map_err(|error| Faults(vec![format!("{}: {error}", file.display())]))?;
        let mut page = Page::open(&absolute).map_err(|fault| Faults(vec![fault]))?;
        let Some(raw) = page.parse::<Raw>() else {
            return Err(Faults(page.faults));
        };
        let dir = absolute.parent().unwrap_or(Path::new("/")).to_owned();
        let checker = Checker {
            page,
            files: Files { dir },
        };
        checker.check(raw)
    }

    /// The file and what its `include` means now: watched for changes.
    pub fn sources(&self) -> Vec<PathBuf> {
        let included = self
            .includes
            .iter()
            .map(|pattern| targets::included(pattern));
        let mut files = vec![self.file.clone()];
        files.extend(included.filter_map(Result::ok).flatten());
        files
    }
}

struct Checker {
    page: Page,
    files: Files,
}

impl Checker {
    fn check(mut self, mut raw: Raw) -> Result<Config, Faults> {
        let (found, includes, pages) = self.targets(&mut raw);
        let state = self.directory("state.dir", raw.state.dir, "state");
        let policies = self.directory("policies.dir", raw.policies.dir, "policies");
        let session = sections::session(&mut self.page, &raw.session, raw.recording.typed);
        let limits = sections::limits(&mut self.page, &raw.limits);
        let lifetime = raw.identity.max_lifetime.as_ref();
        let grace = raw.identity.revoked_grace.as_ref();
        let revoked_grace = self.page.duration("revoked_grace", grace, REVOKED_GRACE);
        let max_lifetime = self.page.duration("max_lifetime", lifetime, MAX_LIFETIME);
        let ca = raw.ca;
        let config = Config {
            record: sections::record(&mut self.page, &raw.recording, &state),
            proxy: self.proxy(raw.listen, &raw.notice, limits, session),
            access: access::Config {
                justification_required: raw.justification.required.unwrap_or(true),
            },
            targets: found.listed,
            matching: found.matching,
            authorities: self.authorities(raw.identity.ca),
            revoked: self.revoked(&raw.identity.revoked),
            max_lifetime,
            revoked_grace,
            index_screen: raw.index.screen.unwrap_or(true),
            principals: match raw.identity.principals {
                raw::Principals::Login => PrincipalsMode::Login,
                raw::Principals::Identity => PrincipalsMode::Identity,
            },
            from_targets: match raw.identity.from_targets {
                raw::FromTargets::Refuse => FromTargets::Refuse,
                raw::FromTargets::Allow => FromTargets::Allow,
            },
            groups: raw
                .identity
                .groups
                .map(|given| self.files.file(&mut self.page, "identity.groups", &given)),
            user_ca: ca.user.and_then(|given| self.signer("ca.user", &given)),
            host_ca: self.required_signer("host", ca.host),
            target_ca: self.required_signer("target", ca.target),
            policies,
            state,
            includes,
            hash: difference::hash(std::iter::once(&self.page).chain(&pages)),
            settings: difference::settings(std::iter::once(&self.page).chain(&pages)),
            file: self.page.file.clone(),
        };
        let mut faults = self.page.faults;
        faults.extend(pages.into_iter().flat_map(|page| page.faults));
        if faults.is_empty() {
            Ok(config)
        } else {
            Err(Faults(faults))
        }
    }

    fn targets(&mut self, raw: &mut Raw) -> (Found, Vec<PathBuf>, Vec<Page>) {
        let mut found = Found::default();
        found.add(&mut self.page, &self.files, std::mem::take(&mut raw.target));
        let includes = targets::includes(&mut self.page, &self.files, &raw.include);
        let mut pages = Vec::new();
        let files = includes.iter().map(|pattern| targets::included(pattern));
        for file in files.filter_map(Result::ok).flatten() {
            match Page::open(&file) {
                Ok(mut page) => {
                    let included = page.parse::<raw::Included>().unwrap_or_default();
                    found.add(&mut page, &self.files, included.target);
                    pages.push(page);
                }
                Err(fault) => self.page.faults.push(fault),
            }
        }
        (found, includes, pages)
    }

    /// A fault of a section as a whole, at its first line.
    fn missing(&mut self, section: &str, message: &str) {
        let at = self.page.text.find(section).unwrap_or(0);
        self.page.fault(at..at, message);
    }

    fn directory(&mut self, key: &str, given: Option<Text>, default: &str) -> PathBuf {
        match given {
            Some(given) => self.files.directory(&mut self.page, key, &given),
            None => self.files.dir.join(default),
        }
    }

    fn proxy(
        &mut self,
        raw: raw::Listen,
        notice: &raw::Notice,
        limits: Limits,
        session: Session,
    ) -> proxy::Config {
        let listen = self.addresses(raw.ssh.as_ref());
        let host = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        let mut names = raw.names;
        if names.is_empty() {
            names = vec![host.clone(), "localhost".to_owned()];
            names.extend(listen.iter().map(|address| address.ip().to_string()));
            names.dedup();
        }
        let host_key = match raw.host_key {
            Some(given) => self
                .files
                .private_key(&mut self.page, "listen.host_key", &given),
            None => {
                self.missing(
                    "[listen]",
                    "`[listen] host_key` is missing: host_key = \"keys/host_ed25519\"",
                );
                PathBuf::new()
            }
        };
        let text = notice.text.clone().unwrap_or_else(|| NOTICE.to_owned());
        let hint = notice.certificate.as_deref().unwrap_or(CERTIFICATE_HINT);
        proxy::Config {
            listen,
            host_key,
            names,
            notice: notice.on.unwrap_or(true).then_some(text),
            certificate_hint: hint.to_owned(),
            node: raw.node.filter(|node| !node.is_empty()).unwrap_or(host),
            limits,
            session,
        }
    }

    fn addresses(&mut self, given: Option<&Loose>) -> Vec<SocketAddr> {
        let Some(given) = given else {
            self.missing(
                "[listen]",
                "`[listen] ssh` is missing: ssh = \"127.0.0.1:2222\"",
            );
            return Vec::new();
        };
        let texts = self.page.texts("ssh", given);
        let mut addresses = Vec::new();
        for text in texts {
            match text.parse() {
                Ok(address) => addresses.push(address),
                Err(_) => {
                    let message = format!(
                        "`ssh` is an IP address with its port, as \"0.0.0.0:22\" or \"[::]:22\", \
                         not `{text}`"
                    );
                    self.page.fault(given.span(), &message);
                }
            }
        }
        addresses
    }

    fn authorities(&mut self, raw: Vec<toml::Spanned<raw::Authority>>) -> Vec<Authority> {
        let mut authorities = Vec::new();
        for authority in raw {
            let span = authority.span();
            let raw = authority.into_inner();
            let Some(file) = raw.file else {
                let message = "a CA in `[[identity.ca]]` has a `file`: its public key";
                self.page.fault(span, message);
                continue;
            };
            for word in &raw.believe {
                if !STATEMENTS.contains(&word.get_ref().as_str()) {
                    let message = format!(
                        "`believe` takes {}; not `{}`",
                        STATEMENTS.join(", "),
                        word.get_ref()
                    );
                    self.page.fault(word.span(), &message);
                }
            }
            let identities = raw.identities.as_ref();
            let identities = identities.map(|given| self.page.texts("identities", given));
            if identities.is_none() {
                let message = "`identities` is missing: the key ids it may speak for, as \"*\"";
                self.page.fault(span, message);
            }
            authorities.push(Authority {
                file: self.files.file(&mut self.page, "identity.ca.file", &file),
                identities: identities.unwrap_or_default(),
                principals: raw.principals,
                believe: raw
                    .believe
                    .into_iter()
                    .map(toml::Spanned::into_inner)
                    .collect(),
            });
        }
        authorities
    }

    fn revoked(&mut self, raw: &[Text]) -> Vec<PathBuf> {
        let files = raw
            .iter()
            .map(|given| self.files.file(&mut self.page, "identity.revoked", given));
        files.collect()
    }

    fn signer(&mut self, key: &str, given: &Text) -> Option<KeySource> {
        self.files.signer(&mut self.page, key, given)
    }

    fn required_signer(&mut self, name: &str, given: Option<Text>) -> KeySource {
        let found = match given {
            Some(given) => self.signer(&format!("ca.{name}"), &given),
            None => {
                let message = format!(
                    "`[ca] {name}` is missing: {name} = \"keys/{name}_ca\", or \"agent:SHA256:...\""
                );
                self.missing("[ca]", &message);
                None
            }
        };
        found.unwrap_or_else(|| KeySource::File(PathBuf::new()))
    }
}

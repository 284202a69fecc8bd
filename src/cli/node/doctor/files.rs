//! What lies on the disk: policies, keys, revocations, state.

use super::finding::{Finding, Report};
use crate::access::{load_examples, load_policies};
use crate::ca::{self, KeySource, Signer};
use crate::config::Config;
use crate::server;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Permission bits of group and others.
const OTHERS: u32 = 0o077;

pub(super) fn policies(config: &Config) -> Vec<Finding> {
    let mut report = Report::new("policies");
    let dir = config.policies.display();
    let set = match load_policies(&config.policies) {
        Ok(set) => set,
        Err(faults) => {
            for fault in faults {
                let advice = "mend it; a running bastion keeps the old policies until then";
                report.finding(format!("{dir}/{fault}"), advice);
            }
            return report.findings;
        }
    };
    for warning in set.warnings() {
        report.note(format!("{dir}/{warning}"), "`portcullis policy check`");
    }
    match load_examples(&config.policies) {
        Err(faults) => {
            for fault in faults {
                report.finding(format!("{dir}/{fault}"), "mend the example");
            }
        }
        Ok(examples) => {
            let failed = examples
                .iter()
                .filter_map(|example| example.check(&set).err());
            let failed: Vec<_> = failed.collect();
            for failed in &failed {
                let advice = "mend the policy, or the example if it is no longer wanted";
                report.finding(format!("{dir}/{failed}"), advice);
            }
            if failed.is_empty() {
                report.fine(format!("valid, and {} examples hold", examples.len()));
            }
        }
    }
    report.findings
}

pub(super) async fn keys(config: &Config) -> Vec<Finding> {
    let mut report = Report::new("keys");
    match ca::load_private(&config.proxy.host_key) {
        Ok(_) => report.fine("the host key can be used"),
        Err(error) => report.finding(error.to_string(), "without it the bastion does not start"),
    }
    let sources = [
        ("host CA", Some(&config.host_ca)),
        ("target CA", Some(&config.target_ca)),
        ("user CA", config.user_ca.as_ref()),
    ];
    for (name, source) in sources {
        let Some(source) = source else { continue };
        match Signer::open(source).await {
            Ok(_) => report.fine(format!("the {name} can sign")),
            Err(error) => {
                report.finding(format!("the {name}: {error}"), "nothing is signed with it")
            }
        }
    }
    if config.authorities.is_empty() {
        let advice = "add `[[identity.ca]]` with the public key of a user CA";
        report.finding("no user CA is trusted: nobody can log in", advice);
    }
    for authority in &config.authorities {
        if let Err(error) = ca::load_public(&authority.file) {
            report.finding(error.to_string(), "the bastion does not start without it");
        }
    }
    if let Some(groups) = &config.groups
        && let Err(error) = server::load_trust(config)
    {
        let advice = format!("{}: NAME = [\"GROUP\", ...], a line each", groups.display());
        report.finding(format!("{error:#}"), advice);
    }
    for file in private_user_cas(config) {
        let open = config.proxy.listen.iter().find(|at| !at.ip().is_loopback());
        if let Some(open) = open {
            let advice = format!(
                "move {} to another machine or into an ssh-agent, remove `[ca] user` here, and issue \
                 certificates there: the bastion needs only the public half",
                file.display()
            );
            let says = format!(
                "the private half of a user CA lies on a node that listens on {open}: who takes this \
                 machine can be anybody"
            );
            report.finding(says, advice);
        }
    }
    report.findings
}

/// What is configured to sign people, and what lies beside a trusted public key.
fn private_user_cas(config: &Config) -> Vec<PathBuf> {
    let mut files = Vec::new();
    if let Some(KeySource::File(file)) = &config.user_ca {
        files.push(file.clone());
    }
    let beside = config.authorities.iter();
    files.extend(beside.map(|authority| authority.file.with_extension("")));
    files.retain(|file| file.is_file());
    files.sort();
    files.dedup();
    files
}

pub(super) fn revocations(config: &Config) -> Vec<Finding> {
    let mut report = Report::new("revocations");
    if config.revoked.is_empty() {
        let advice = "add `revoked = [\"keys/revoked.krl\"]` to `[identity]`";
        report.finding(
            "no revocation list: a certificate cannot be revoked",
            advice,
        );
    }
    for file in &config.revoked {
        match ca::load_krl(file) {
            Ok(krl) => report.fine(format!(
                "{}: number {}, {} entries",
                file.display(),
                krl.number(),
                krl.entries()
            )),
            Err(error) => report.finding(
                error.to_string(),
                "after ten minutes nobody new comes in: put the list back, or write one with `ssh-keygen -k`",
            ),
        }
    }
    report.findings
}

pub(super) fn state(config: &Config) -> Vec<Finding> {
    let mut report = Report::new("state");
    let shown = config.state.display();
    let about = match fs::metadata(&config.state) {
        Ok(about) => about,
        Err(error) => {
            let advice = format!("mkdir -m 0700 {shown}");
            report.finding(format!("{shown}: {error}"), advice);
            return report.findings;
        }
    };
    let mode = about.permissions().mode() & 0o7777;
    if mode & OTHERS != 0 {
        let says = format!("{shown} can be read by others (mode {mode:04o}): recordings are in it");
        report.finding(says, format!("chmod 700 {shown}"));
    }
    let me = rustix::process::getuid().as_raw();
    if about.uid() != me && me != 0 {
        let says = format!(
            "{shown} belongs to the user {}, not to this one",
            about.uid()
        );
        report.finding(
            says,
            "run `portcullis` as the user that the bastion runs as",
        );
    }
    for name in ["journal", "recordings", "portcullis.db"] {
        let path = config.state.join(name);
        if let Some(mode) = open_mode(&path) {
            let says = format!("{} can be read by others (mode {mode:04o})", path.display());
            // Nobody gets through the directory above it as long as that is closed.
            report.note(says, format!("chmod -R go-rwx {}", path.display()));
        }
    }
    if report.findings.is_empty() {
        report.fine(format!("{shown} is its owner's alone"));
    }
    report.findings
}

/// The mode of what is open to others in a directory that is, too.
fn open_mode(path: &Path) -> Option<u32> {
    let mode = |path: &Path| Some(fs::metadata(path).ok()?.permissions().mode() & 0o7777);
    let closed = mode(path.parent()?)? & OTHERS == 0;
    mode(path).filter(|mode| !closed && mode & OTHERS != 0)
}

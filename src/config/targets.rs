//! `[[target]]`, in the file itself and in what it includes.

use super::files::Files;
use super::page::{Loose, Page};
use super::raw::{self, Text};
use crate::access::{HostCheck, SourceAddress, Target, TargetAuth};
use crate::id::{Login, TargetName, glob};
use crate::record::Durability;
use std::fs;
use std::net::IpAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;

const SSH_PORT: u16 = 22;
/// In `logins`: an account named like the person.
const IDENTITY: &str = "$identity";

/// Listed ones, and templates with their pattern.
#[derive(Default)]
pub(super) struct Found {
    pub(super) listed: Vec<Target>,
    pub(super) matching: Vec<(String, Target)>,
}

impl Found {
    pub(super) fn add(&mut self, page: &mut Page, files: &Files, raw: Vec<Spanned<raw::Target>>) {
        for target in raw {
            let span = target.span();
            let (target, pattern) = match check(page, files, span.clone(), target.into_inner()) {
                Some(found) => found,
                None => continue,
            };
            match pattern {
                Some(pattern) => self.matching.push((pattern, target)),
                None if self.listed.iter().any(|known| known.name == target.name) => {
                    page.fault(
                        span,
                        &format!("the target `{}` is listed twice", target.name),
                    );
                }
                None => self.listed.push(target),
            }
        }
    }
}

/// Files that `DIR/*.toml` means now, in order of names.
pub(super) fn included(pattern: &Path) -> std::io::Result<Vec<PathBuf>> {
    let name = pattern.file_name().unwrap_or_default().to_string_lossy();
    if !name.contains(['*', '?']) {
        return Ok(vec![pattern.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(pattern.parent().unwrap_or(Path::new("/")))? {
        let entry = entry?;
        let file = entry.file_name();
        let file = file.to_string_lossy();
        // As shells do: editors keep their half-written files behind a dot.
        if !file.starts_with('.') && glob(&name, &file) {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

/// What `include` says, as absolute patterns.
pub(super) fn includes(page: &mut Page, files: &Files, raw: &[Text]) -> Vec<PathBuf> {
    let mut patterns = Vec::new();
    for given in raw {
        let pattern = files.dir.join(given.get_ref());
        let parent = pattern.parent().unwrap_or(Path::new("/"));
        if parent.to_string_lossy().contains(['*', '?']) {
            let message = "`include` may have `*` in the last part only, as \"targets.d/*.toml\"";
            page.fault(given.span(), message);
        } else if let Err(error) = included(&pattern) {
            let message = format!("`include` leads to {}: {error}", parent.display());
            page.fault(given.span(), &message);
        } else {
            patterns.push(pattern);
        }
    }
    patterns
}

fn check(
    page: &mut Page,
    files: &Files,
    span: Range<usize>,
    raw: raw::Target,
) -> Option<(Target, Option<String>)> {
    let (name, host, port, pattern) = match (&raw.name, &raw.pattern) {
        (Some(name), None) => {
            let (host, port) = match &raw.address {
                Some(given) => address(page, given),
                None => (name.get_ref().clone(), SSH_PORT),
            };
            (target_name(page, name)?, host, port, None)
        }
        (None, Some(pattern)) => {
            if let Some(address) = &raw.address {
                page.fault(
                    address.span(),
                    "with `match` the name is the address: leave it out",
                );
            }
            // The template's name is replaced by the name that was asked for.
            let name = "match".parse().ok()?;
            (
                name,
                String::new(),
                SSH_PORT,
                Some(pattern.get_ref().clone()),
            )
        }
        (None, None) | (Some(_), Some(_)) => {
            page.fault(span, "a target has a `name` or a `match`, and not both");
            return None;
        }
    };
    let target = Target {
        name,
        host,
        port,
        logins: logins(page, raw.logins),
        labels: raw.labels,
        host_check: host_check(page, files, raw.host),
        auth: auth(page, files, raw.auth),
        source_address: source_address(page, raw.source_address),
        durability: durability(page, raw.durability.as_ref()),
        listed: pattern.is_none(),
    };
    Some((target, pattern))
}

fn target_name(page: &mut Page, given: &Text) -> Option<TargetName> {
    given
        .get_ref()
        .parse()
        .map_err(|bad| {
            let message = format!("`{}` is no name for a target: {bad}", given.get_ref());
            page.fault(given.span(), &message);
        })
        .ok()
}

fn logins(page: &mut Page, given: Vec<Text>) -> Vec<String> {
    for login in &given {
        let text = login.get_ref();
        if text != IDENTITY
            && let Err(bad) = text.parse::<Login>()
        {
            let message = format!("`{text}` is no login: {bad}; or \"{IDENTITY}\"");
            page.fault(login.span(), &message);
        }
    }
    given.into_iter().map(Spanned::into_inner).collect()
}

fn host_check(page: &mut Page, files: &Files, given: Option<Spanned<raw::Host>>) -> HostCheck {
    let Some(given) = given else {
        return HostCheck::Missing;
    };
    let span = given.span();
    let raw::Host {
        ca,
        known_hosts,
        keys,
    } = given.into_inner();
    match (ca, known_hosts, keys) {
        (Some(file), None, None) => HostCheck::Ca(files.file(page, "host.ca", &file)),
        (None, Some(file), None) => {
            HostCheck::KnownHosts(files.file(page, "host.known_hosts", &file))
        }
        (None, None, Some(keys)) => {
            for key in &keys {
                if !key.get_ref().starts_with("SHA256:") {
                    let message = "`host.keys` are fingerprints as `ssh-keygen -lf` prints them: \
                                   \"SHA256:...\"";
                    page.fault(key.span(), message);
                }
            }
            HostCheck::Pinned(keys.into_iter().map(Spanned::into_inner).collect())
        }
        _ => {
            let message = "`host` is one of { ca = \"FILE\" }, { known_hosts = \"FILE\" } or \
                           { keys = [\"SHA256:...\"] }";
            page.fault(span, message);
            HostCheck::Missing
        }
    }
}

fn auth(page: &mut Page, files: &Files, given: Option<Loose>) -> TargetAuth {
    let Some(given) = given else {
        return TargetAuth::Certificate;
    };
    let key = given.get_ref().as_table().filter(|table| table.len() == 1);
    let key = key.and_then(|table| table.get("key")?.as_str());
    if let Some(key) = key {
        let key = Spanned::new(given.span(), key.to_owned());
        return TargetAuth::Key(files.private_key(page, "auth.key", &key));
    }
    if given.get_ref().as_str() != Some("certificate") {
        let message = "`auth` is \"certificate\" or { key = \"FILE\" }";
        page.fault(given.span(), message);
    }
    TargetAuth::Certificate
}

fn source_address(page: &mut Page, given: Option<Loose>) -> SourceAddress {
    let Some(given) = given else {
        return SourceAddress::Auto;
    };
    let words = page.texts("source_address", &given);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["auto"] => SourceAddress::Auto,
        ["off"] => SourceAddress::Off,
        words => {
            let parsed = words.iter().map(|word| word.parse::<IpAddr>());
            SourceAddress::List(parsed.collect::<Result<_, _>>().unwrap_or_else(|_| {
                let message = "`source_address` is \"auto\", \"off\" or a list of IP addresses";
                page.fault(given.span(), message);
                Vec::new()
            }))
        }
    }
}

fn durability(page: &mut Page, given: Option<&Text>) -> Durability {
    match given.map(|given| (given, given.get_ref().as_str())) {
        None | Some((_, "batch")) => Durability::Batch,
        Some((_, "sync")) => Durability::Sync,
        Some((given, _)) => {
            page.fault(given.span(), "`durability` is \"batch\" or \"sync\"");
            Durability::Sync
        }
    }
}

fn address(page: &mut Page, given: &Text) -> (String, u16) {
    split_address(given.get_ref()).unwrap_or_else(|| {
        let message = format!(
            "`{}` is no address: write \"HOST\", \"HOST:PORT\" or \"[IPv6]:PORT\"",
            given.get_ref()
        );
        page.fault(given.span(), &message);
        (String::new(), SSH_PORT)
    })
}

/// `HOST`, `HOST:PORT`, `[IPv6]:PORT`, `IPv6`.
fn split_address(text: &str) -> Option<(String, u16)> {
    if text.parse::<IpAddr>().is_ok() {
        return Some((text.to_owned(), SSH_PORT));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0)?),
        None => (text, SSH_PORT),
    };
    let bracketed = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let host = bracketed.unwrap_or(host);
    let usable = !host.is_empty() && !host.contains(['[', ']', ' ', '/', '@']);
    let colons_in_brackets = bracketed.is_some() || !host.contains(':');
    (usable && colons_in_brackets).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_split() {
        let split = |text: &str| split_address(text);
        let is = |host: &str, port| Some((host.to_owned(), port));
        assert_eq!(split("db:2201"), is("db", 2201));
        assert_eq!(split("[::1]:22"), is("::1", 22));
        assert_eq!(split("::1"), is("::1", 22));
        assert_eq!(split("db"), is("db", 22));
        assert_eq!(split("10.0.0.1"), is("10.0.0.1", 22));
        for wrong in [
            "", ":22", "db:", "db:ssh", "db:0", "db:70000", "::1:x", "root@db",
        ] {
            assert_eq!(split(wrong), None, "{wrong}");
        }
    }
}

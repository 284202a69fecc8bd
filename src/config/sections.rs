//! Sections of numbers, sizes and times.

use super::page::{Loose, Page};
use super::raw;
use crate::proxy::config::{Limits, Session, Typed};
use crate::record::{self, Free};
use std::path::Path;
use std::time::Duration;

const SEGMENT_MIB: usize = 64; // zero-filled before use: see record/prepare.rs
const SEGMENT_MIB_MAX: usize = 1024; // recovery reads one whole
const CHUNK_BYTES: usize = 1024 * 1024; // 1 MiB
const CHUNK_AGE: Duration = Duration::from_secs(60);
const WARN_PERCENT: f64 = 15.0;
const REFUSE_PERCENT: f64 = 5.0;
/// More is a mistake in a number, not a bastion.
const LIMIT_MAX: usize = 1_000_000;
/// A connection and its target may have some 10 MiB waiting.
const MEMORY_LEAST: usize = 16 * 1024 * 1024;

pub(super) fn record(page: &mut Page, raw: &raw::Recording, state: &Path) -> record::Config {
    if let Some(recipients) = &raw.recipients
        && !recipients.get_ref().is_empty()
    {
        let message = "encryption to `recipients` is not available yet: leave it empty";
        page.fault(recipients.span(), message);
    }
    let mib = page.number(
        "segment_mib",
        raw.segment_mib.as_ref(),
        SEGMENT_MIB,
        SEGMENT_MIB_MAX,
    );
    record::Config {
        dir: state.to_owned(),
        segment_bytes: u64::try_from(mib)
            .unwrap_or(u64::MAX)
            .saturating_mul(1 << 20),
        chunk_bytes: CHUNK_BYTES,
        chunk_age: page.duration("chunk_age", raw.chunk_age.as_ref(), CHUNK_AGE),
        warn_free: free(page, "warn", raw.warn.as_ref(), WARN_PERCENT),
        refuse_free: free(page, "refuse", raw.refuse.as_ref(), REFUSE_PERCENT),
    }
}

pub(super) fn session(page: &mut Page, raw: &raw::Session, typed: Option<raw::Typed>) -> Session {
    let default = Session::default();
    let dial = raw.dial_timeout.as_ref();
    Session {
        idle: page.limit("idle", raw.idle.as_ref()),
        max_duration: page.limit("max_duration", raw.max_duration.as_ref()),
        keepalive: page.duration("keepalive", raw.keepalive.as_ref(), default.keepalive),
        dial_timeout: page.duration("dial_timeout", dial, default.dial_timeout),
        env: raw.env.clone().unwrap_or(default.env),
        typed: match typed {
            None | Some(raw::Typed::Withhold) => Typed::Withhold,
            Some(raw::Typed::Record) => Typed::Record,
            Some(raw::Typed::Off) => Typed::Off,
        },
        content_bytes: default.content_bytes,
        drain: page.duration("drain", raw.drain.as_ref(), default.drain),
    }
}

pub(super) fn limits(page: &mut Page, raw: &raw::Limits) -> Limits {
    let default = Limits::default();
    let grace = raw.login_grace.as_ref();
    let login_grace = page.duration("login_grace", grace, default.login_grace);
    let memory = raw.memory.as_ref();
    let memory_bytes = page.size("memory", memory, default.memory_bytes, MEMORY_LEAST);
    let mut number = |key: &str, given: &Option<Loose>, default: usize| {
        page.number(key, given.as_ref(), default, LIMIT_MAX)
    };
    Limits {
        login_grace,
        unauthenticated: number(
            "unauthenticated",
            &raw.unauthenticated,
            default.unauthenticated,
        ),
        unauthenticated_per_source: number(
            "unauthenticated_per_source",
            &raw.unauthenticated_per_source,
            default.unauthenticated_per_source,
        ),
        attempts: number("attempts", &raw.attempts, default.attempts),
        offers: number("offers", &raw.offers, default.offers),
        connections: number("connections", &raw.connections, default.connections),
        connections_per_person: number(
            "connections_per_person",
            &raw.connections_per_person,
            default.connections_per_person,
        ),
        channels: number("channels", &raw.channels, default.channels),
        env: number("env", &raw.env, default.env),
        memory_bytes,
    }
}

/// A share of the disk, or a size.
fn free(page: &mut Page, key: &str, given: Option<&Loose>, default: f64) -> Free {
    let Some(given) = given else {
        return Free::Percent(default);
    };
    let text = given.get_ref().as_str().unwrap_or_default();
    let percent = text.strip_suffix('%').and_then(|n| n.trim().parse().ok());
    let mib = text
        .strip_suffix("MiB")
        .and_then(|n| n.trim().parse::<u64>().ok());
    match (percent, mib) {
        (Some(percent), _) if (0.0..=100.0).contains(&percent) => Free::Percent(percent),
        (_, Some(mib)) => Free::Bytes(mib.saturating_mul(1 << 20)),
        _ => {
            let message = format!(
                "`{key}` is a share of the disk as \"{default}%\" or a size as \"500MiB\", not {}",
                given.get_ref()
            );
            page.fault(given.span(), &message);
            Free::Percent(default)
        }
    }
}

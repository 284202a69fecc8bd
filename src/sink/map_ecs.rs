//! An audit event in the words of the Elastic Common Schema 9. Pure.
//!
//! What ECS has no word for stands under `portcullis`, a name of our own beside its field sets.

use super::told::Told;
use crate::event::Outcome;
use chrono::SecondsFormat;
use serde_json::{Map, Value, json};

/// The version that `ecs.version` names.
const ECS_VERSION: &str = "9.4.0";

/// The event as ECS JSON.
pub fn ecs(told: &Told<'_>) -> Value {
    let (category, kind, types) = words_of(told.kind);
    let mut event = json!({
        "@timestamp": told.ts.to_rfc3339_opts(SecondsFormat::Nanos, true),
        "ecs": {"version": ECS_VERSION},
        "message": told.sentence(),
        "event": {
            "id": told.event_id(),
            "action": told.kind,
            "kind": kind,
            "category": [category],
            "type": types,
            "outcome": outcome(told.audit.outcome),
            "module": "portcullis",
            "dataset": "portcullis.audit",
            "provider": "portcullis",
            "sequence": told.seq.0,
        },
        "observer": {
            "name": told.node(),
            "type": "bastion",
            "vendor": "Portcullis",
            "product": "Portcullis",
            "version": env!("CARGO_PKG_VERSION"),
        },
        "network": {"protocol": "ssh", "transport": "tcp"},
        "portcullis": told.unmapped(),
    });
    if let Some(event) = event.as_object_mut() {
        event.extend(people_and_places(told));
    }
    event
}

/// `event.category`, `event.kind`, `event.type`.
fn words_of(kind: &str) -> (&'static str, &'static str, Vec<&'static str>) {
    match kind {
        "session.start" => ("session", "event", vec!["start", "connection"]),
        "session.end" => ("session", "event", vec!["end", "connection"]),
        "auth.accept" | "auth.fail" | "target.auth" => ("authentication", "event", vec!["start"]),
        "access.deny" | "agent.refuse" => ("network", "event", vec!["denied", "access"]),
        "access.admit" => ("network", "event", vec!["allowed", "access"]),
        "shell" | "exec" | "command" => ("process", "event", vec!["start"]),
        "alert" => ("intrusion_detection", "alert", vec!["info"]),
        "cert.issue" | "cert.revoke" => ("iam", "event", vec!["admin", "change"]),
        "config.change" | "policy.change" | "krl.load" => {
            ("configuration", "event", vec!["change"])
        }
        _ if kind.starts_with("sftp.") || kind.starts_with("scp.") => {
            ("file", "event", vec!["access"])
        }
        "forward.deny" => ("network", "event", vec!["denied", "connection"]),
        _ if kind.starts_with("forward.") => ("network", "event", vec!["connection"]),
        _ => ("session", "event", vec!["info"]),
    }
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => "success",
        Outcome::Failure | Outcome::Denied | Outcome::Error => "failure",
        Outcome::Unknown => "unknown",
    }
}

fn people_and_places(told: &Told<'_>) -> Map<String, Value> {
    let mut more = Map::new();
    let mut put = |name: &str, value: Value| more.insert(name.to_owned(), value);
    if let Some(who) = told.audit.who.as_deref() {
        let subject = who.subject.as_ref().map(ToString::to_string);
        let mut user = Map::new();
        if let Some(name) = subject.or_else(|| who.name.clone()) {
            user.insert("name".to_owned(), json!(name));
        }
        if let Some(certificate) = &who.certificate {
            user.insert("id".to_owned(), json!(certificate.key_id));
        }
        if let Some(login) = told.login() {
            user.insert("target".to_owned(), json!({"name": login}));
        }
        put("user", Value::Object(user));
        if let Some(source) = who.source {
            put(
                "source",
                json!({"address": source.ip, "ip": source.ip, "port": source.port}),
            );
        }
    }
    if let Some(place) = told.audit.place.as_deref()
        && let Some(target) = &place.target
    {
        let mut destination = Map::new();
        let address = place.address.clone().unwrap_or_else(|| target.to_string());
        if address.parse::<std::net::IpAddr>().is_ok() {
            destination.insert("ip".to_owned(), json!(address));
        } else {
            destination.insert("domain".to_owned(), json!(address));
        }
        destination.insert("address".to_owned(), json!(address));
        if let Some(port) = place.port {
            destination.insert("port".to_owned(), json!(port));
        }
        put("destination", Value::Object(destination));
        put("host", json!({"name": target.to_string()}));
    }
    if let Some((name, port)) = told
        .forwarded_to()
        .filter(|_| told.kind.starts_with("forward."))
    {
        put("destination", forwarded(&name, port));
    }
    if let Some(command) = told.command() {
        let mut process = Map::new();
        process.insert("command_line".to_owned(), json!(command));
        if let Some(code) = told.exit_code() {
            process.insert("exit_code".to_owned(), json!(code));
        }
        put("process", Value::Object(process));
    }
    if let Some(path) = told.path() {
        put("file", json!({"path": path}));
    }
    more
}

/// Where a forward goes, through the target.
fn forwarded(name: &str, port: Option<u64>) -> Value {
    let is_ip = name.parse::<std::net::IpAddr>().is_ok();
    let mut destination = Map::new();
    destination.insert("address".to_owned(), json!(name));
    if is_ip {
        destination.insert("ip".to_owned(), json!(name));
    } else {
        destination.insert("domain".to_owned(), json!(name));
    }
    if let Some(port) = port {
        destination.insert("port".to_owned(), json!(port));
    }
    Value::Object(destination)
}

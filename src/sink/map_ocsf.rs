//! An audit event in the words of OCSF 1.7 (schema.ocsf.io). Pure.
//!
//! What OCSF has no word for stands under `unmapped.portcullis`, so that nothing is lost on the way.

use super::told::Told;
use crate::event::{Audit, Kind, Outcome, Severity, Who};
use serde_json::{Map, Value, json};

/// The schema version that `metadata.version` names.
const OCSF_VERSION: &str = "1.7.0";

const OTHER: u64 = 99;

/// Class (`class_uid`), its category, and the activity that fits the kind.
struct Class {
    uid: u64,
    name: &'static str,
    category: (u64, &'static str),
    activity: (u64, &'static str),
}

const IAM: (u64, &str) = (3, "Identity & Access Management");
const NETWORK: (u64, &str) = (4, "Network Activity");
const SYSTEM: (u64, &str) = (1, "System Activity");
const FINDINGS: (u64, &str) = (2, "Findings");
const APPLICATION: (u64, &str) = (6, "Application Activity");

fn ssh(activity: u64, name: &'static str) -> Class {
    class(4007, "SSH Activity", NETWORK, activity, name)
}

fn class(
    uid: u64,
    name: &'static str,
    category: (u64, &'static str),
    activity: u64,
    activity_name: &'static str,
) -> Class {
    Class {
        uid,
        name,
        category,
        activity: (activity, activity_name),
    }
}

/// By the kind's name, so that a kind of a newer version still becomes an event: an API activity.
fn class_of(kind: &str, outcome: Outcome) -> Class {
    match kind {
        "session.start" => ssh(1, "Open"),
        "session.end" => ssh(2, "Close"),
        "target.fail" => ssh(4, "Fail"),
        "access.deny" | "agent.refuse" => ssh(5, "Refuse"),
        "session.renew" | "access.admit" | "channel.open" | "channel.close" | "pty" | "env"
        | "subsystem" | "signal" | "stream" | "blind" | "command.secret" | "input.reveal"
        | "rsync" | "git" => ssh(6, "Traffic"),
        "auth.accept" | "auth.fail" | "target.auth" => {
            class(3002, "Authentication", IAM, 1, "Logon")
        }
        "cert.issue" => class(3005, "User Access Management", IAM, 1, "Assign Privileges"),
        "cert.revoke" => class(3005, "User Access Management", IAM, 2, "Revoke Privileges"),
        "shell" | "exec" | "command" if outcome == Outcome::Denied => ssh(5, "Refuse"),
        "shell" | "exec" | "command" => class(1007, "Process Activity", SYSTEM, 1, "Launch"),
        "alert" => class(2004, "Detection Finding", FINDINGS, 1, "Create"),
        "node.start" | "node.recover" => log(6, "Start"),
        "node.stop" => log(7, "Stop"),
        "gap" | "clock" | "error" | "krl.load" => log(OTHER, "Other"),
        "config.change" | "policy.change" => api(3, "Update"),
        "view" | "search" | "replay" | "export" | "review" | "verb" => api(2, "Read"),
        _ if kind.starts_with("agent.") => ssh(6, "Traffic"),
        _ if kind.starts_with("sftp.") || kind == "scp.file" => {
            class(6006, "File Hosting Activity", APPLICATION, OTHER, "Other")
        }
        "forward.open" => class(4014, "Tunnel Activity", NETWORK, 1, "Open"),
        "forward.deny" => class(4014, "Tunnel Activity", NETWORK, 1, "Open"),
        "forward.close" => class(4014, "Tunnel Activity", NETWORK, 2, "Close"),
        "forward.listen" | "forward.cancel" => {
            class(4014, "Tunnel Activity", NETWORK, OTHER, "Other")
        }
        _ => api(OTHER, "Other"),
    }
}

fn api(activity: u64, name: &'static str) -> Class {
    class(6003, "API Activity", APPLICATION, activity, name)
}

fn log(activity: u64, name: &'static str) -> Class {
    class(1008, "Event Log Activity", SYSTEM, activity, name)
}

/// The event as OCSF JSON.
pub fn ocsf(told: &Told<'_>) -> Value {
    let audit = told.audit;
    let class = class_of(told.kind, audit.outcome);
    let (severity, severity_name) = severity(audit);
    let (status, status_name) = status(audit.outcome);
    let mut event = json!({
        "class_uid": class.uid,
        "class_name": class.name,
        "category_uid": class.category.0,
        "category_name": class.category.1,
        "activity_id": class.activity.0,
        "activity_name": class.activity.1,
        "type_uid": class.uid * 100 + class.activity.0,
        "type_name": format!("{}: {}", class.name, class.activity.1),
        "time": told.ts.timestamp_millis(),
        "severity_id": severity,
        "severity": severity_name,
        "status_id": status,
        "status": status_name,
        "message": told.sentence(),
        "metadata": metadata(told),
        "unmapped": { "portcullis": told.unmapped() },
    });
    if let Some(event) = event.as_object_mut() {
        event.extend(of_class(class.uid, told));
    }
    event
}

fn metadata(told: &Told<'_>) -> Value {
    json!({
        "version": OCSF_VERSION,
        "product": {
            "name": "Portcullis",
            "vendor_name": "Portcullis",
            "version": env!("CARGO_PKG_VERSION"),
        },
        "uid": told.event_id(),
        "correlation_uid": told.sid.to_string(),
        "event_code": told.kind,
        "sequence": told.seq.0,
        "log_name": "portcullis",
    })
}

fn severity(audit: &Audit) -> (u64, &'static str) {
    // Only alerts carry a severity of their own.
    if let Kind::Alert { severity, .. } = &audit.kind {
        return match severity {
            Severity::High => (4, "High"),
            Severity::Medium => (3, "Medium"),
            Severity::Low => (2, "Low"),
        };
    }
    match audit.outcome {
        Outcome::Denied | Outcome::Failure | Outcome::Error => (2, "Low"),
        Outcome::Success | Outcome::Unknown => (1, "Informational"),
    }
}

fn status(outcome: Outcome) -> (u64, &'static str) {
    match outcome {
        Outcome::Success => (1, "Success"),
        Outcome::Failure | Outcome::Denied | Outcome::Error => (2, "Failure"),
        Outcome::Unknown => (0, "Unknown"),
    }
}

/// What a class wants beside the base event.
fn of_class(uid: u64, told: &Told<'_>) -> Map<String, Value> {
    let mut more = Map::new();
    let mut put = |name: &str, value: Value| more.insert(name.to_owned(), value);
    match uid {
        4007 | 4014 => {
            put("src_endpoint", source(told));
            put("dst_endpoint", forwarded(told));
            if uid == 4007 {
                put("auth_type_id", json!(1));
                put("auth_type", json!("Certificate Based"));
            }
            if let Some(traffic) = traffic(told) {
                put("traffic", traffic);
            }
        }
        3002 => {
            put("user", user(told));
            put("src_endpoint", source(told));
            put("dst_endpoint", target(told));
            put("is_remote", json!(true));
            put("logon_type_id", json!(3));
            put("logon_type", json!("Network"));
            put("session", session(told));
        }
        3005 => {
            put("user", user(told));
            put("privileges", json!(told.privileges()));
        }
        1007 => {
            put("actor", actor(told));
            put("device", device(told));
            put(
                "process",
                json!({"name": "sh", "cmd_line": told.command().unwrap_or_default()}),
            );
        }
        1008 => {
            put("device", device(told));
            put("log_name", json!("portcullis"));
        }
        2004 => {
            let uid = told.event_id();
            put(
                "finding_info",
                json!({"uid": uid, "title": told.sentence()}),
            );
            put("is_alert", json!(true));
        }
        6006 => {
            put("actor", actor(told));
            put("src_endpoint", source(told));
            put("dst_endpoint", target(told));
            put("file", file(told));
        }
        _ => {
            put("actor", actor(told));
            put("src_endpoint", source(told));
            put(
                "api",
                json!({"operation": told.kind, "service": {"name": "portcullis"}}),
            );
        }
    }
    more
}

fn source(told: &Told<'_>) -> Value {
    match told.audit.who.as_deref().and_then(|who| who.source) {
        Some(source) => json!({"ip": source.ip, "port": source.port}),
        None => json!({"name": told.node()}),
    }
}

fn target(told: &Told<'_>) -> Value {
    let Some(place) = told.audit.place.as_deref() else {
        return json!({"name": told.node()});
    };
    let mut endpoint = Map::new();
    let name = place.target.as_ref().map(ToString::to_string);
    endpoint.insert(
        "name".to_owned(),
        json!(name.unwrap_or_else(|| place.node.clone())),
    );
    if let Some(address) = &place.address {
        let is_ip = address.parse::<std::net::IpAddr>().is_ok();
        let name = if is_ip { "ip" } else { "hostname" };
        endpoint.insert(name.to_owned(), json!(address));
    }
    if let Some(port) = place.port {
        endpoint.insert("port".to_owned(), json!(port));
    }
    Value::Object(endpoint)
}

fn traffic(told: &Told<'_>) -> Option<Value> {
    let of_session = told
        .totals()
        .map(|totals| (totals.input_bytes, totals.output_bytes));
    let (input, output) = of_session.or_else(|| told.forwarded_bytes())?;
    let all = input.saturating_add(output);
    Some(json!({"bytes_in": output, "bytes_out": input, "bytes": all}))
}

/// Where it goes: of a forward, through the target.
fn forwarded(told: &Told<'_>) -> Value {
    let forward = told.kind.starts_with("forward.");
    let Some((name, port)) = told.forwarded_to().filter(|_| forward) else {
        return target(told);
    };
    let kind = match (name.parse::<std::net::IpAddr>(), name.starts_with('/')) {
        (Ok(_), _) => "ip",
        (Err(_), true) => "name",
        (Err(_), false) => "hostname",
    };
    let mut endpoint = Map::new();
    endpoint.insert(kind.to_owned(), json!(name));
    if let Some(port) = port {
        endpoint.insert("port".to_owned(), json!(port));
    }
    Value::Object(endpoint)
}

fn user(told: &Told<'_>) -> Value {
    let Some(who) = told.audit.who.as_deref() else {
        return json!({"name": told.node(), "type_id": 3, "type": "System"});
    };
    let mut user = Map::new();
    user.insert("name".to_owned(), json!(named(who)));
    if let Some(certificate) = &who.certificate {
        user.insert("credential_uid".to_owned(), json!(certificate.fingerprint));
        user.insert("uid".to_owned(), json!(certificate.key_id));
    }
    if !who.groups.is_empty() {
        let groups: Vec<Value> = who
            .groups
            .iter()
            .map(|name| json!({"name": name}))
            .collect();
        user.insert("groups".to_owned(), json!(groups));
    }
    Value::Object(user)
}

fn named(who: &Who) -> String {
    let subject = who.subject.as_ref().map(ToString::to_string);
    subject
        .or_else(|| who.name.clone())
        .unwrap_or_else(|| "unknown".to_owned())
}

fn actor(told: &Told<'_>) -> Value {
    json!({"user": user(told), "session": session(told), "app_name": "portcullis"})
}

fn session(told: &Told<'_>) -> Value {
    let mut session = Map::new();
    session.insert("uid".to_owned(), json!(told.sid.to_string()));
    session.insert("is_remote".to_owned(), json!(true));
    let issuer = told
        .audit
        .who
        .as_deref()
        .and_then(|who| who.certificate.as_ref());
    if let Some(certificate) = issuer {
        session.insert("issuer".to_owned(), json!(certificate.ca));
        session.insert(
            "expiration_time".to_owned(),
            json!(certificate.not_after.timestamp_millis()),
        );
    }
    Value::Object(session)
}

fn device(told: &Told<'_>) -> Value {
    let place = told.audit.place.as_deref();
    let name = place.and_then(|place| place.target.as_ref());
    let name = name.map_or_else(|| told.node(), ToString::to_string);
    json!({"type_id": 1, "type": "Server", "hostname": name})
}

fn file(told: &Told<'_>) -> Value {
    let path = told.path().unwrap_or_else(|| "unknown".to_owned());
    let name = path.rsplit('/').next().unwrap_or_default();
    let name = if name.is_empty() { path.as_str() } else { name };
    json!({"name": name, "path": path, "type_id": 1, "type": "Regular File"})
}

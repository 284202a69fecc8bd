//! `export`: every format is held against somebody else's reading of it.

use crate::wait;
use crate::world::{REASON, Run, User, World, parse};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

#[path = "../oracles/asciicast_v3.rs"]
mod asciicast_v3;
use asciicast_v3::assert_is_asciicast_v3;

fn world() -> World {
    World::new()
        .user(User::named("olga").in_group("auditors"))
        .start()
}

/// A session with a terminal, bytes that are no UTF-8, a command and a file.
fn recorded() -> (World, String) {
    let world = world();
    let mut terminal = world.terminal("ana", &["-tt", "db1"]);
    terminal.type_in("printf 'bad: \\377 end\\n'; echo =1+1\n");
    terminal.see("end").see("=1+1");
    terminal.type_in("exit 3\n");
    terminal.end();
    let id = world.only_session()["id"].as_str().unwrap().to_owned();
    (world, id)
}

fn exported(world: &World, words: &[&str]) -> Run {
    let mut all = vec!["bastion", "export"];
    all.extend(words);
    let run = world.ssh("olga", &all).ok();
    assert!(run.stderr.contains("SHA-256"), "{run:?}");
    run
}

#[test]
fn jsonl_is_the_recorded_bytes() {
    let (mut world, id) = recorded();
    let run = exported(&world, &["--format", "jsonl"]);
    let events = world.verb(&["events", &id]).ok();
    assert_eq!(run.stdout, events.stdout);
    let sum = ring::digest::digest(&ring::digest::SHA256, &run.stdout);
    let sum: String = sum.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    assert!(run.stderr.contains(&sum), "{}", run.stderr);
    // Twice the same recordings, twice the same bytes.
    assert_eq!(exported(&world, &[]).stdout, run.stdout);
    // Who may only look takes nothing along.
    world
        .ssh("ana", &["bastion", "export"])
        .refused(3, "not allowed");
    // The export is an event of its own, with what went out.
    world.stop_bastion();
    let exports: Vec<Value> = world.node_events();
    let exports: Vec<&Value> = exports.iter().filter(|e| e["kind"] == "export").collect();
    // Before the first byte and at the end, twice; and the one that was denied.
    let outcomes: Vec<_> = exports.iter().map(|e| e["outcome"].as_str()).collect();
    let told = ["unknown", "success", "unknown", "success", "denied"];
    assert_eq!(outcomes, told.map(Some));
    assert_eq!(exports[1]["sha256"], sum.as_str());
    assert_eq!(exports[1]["sessions"], 1);
    assert_eq!(exports[0]["who"]["subject"], "olga");
}

#[test]
fn csv_has_a_row_for_each_audit_event_and_no_formula() {
    let world = world();
    world.ssh("ana", &["db1", "=cmd|'/C calc'!A0"]);
    let id = world.only_session()["id"].as_str().unwrap().to_owned();
    let run = exported(&world, &["--format", "csv"]);
    let mut csv = csv::Reader::from_reader(&run.stdout[..]);
    let head = csv.headers().unwrap().clone();
    let rows: Vec<BTreeMap<String, String>> = csv
        .records()
        .map(|row| {
            let row = row.unwrap();
            let cells = head.iter().zip(row.iter());
            cells.map(|(n, c)| (n.to_owned(), c.to_owned())).collect()
        })
        .collect();
    let audits = world.events(&id);
    let audits = audits.iter().filter(|e| e["outcome"].is_string()).count();
    assert_eq!(rows.len(), audits);
    for row in &rows {
        assert_eq!(row["identity"], "ana");
        assert_eq!(row["reason"], REASON);
        for cell in row.values() {
            let first = cell.chars().next().unwrap_or('x');
            assert!(!"=+-@\t\r".contains(first), "a formula: {cell}");
        }
    }
    let exec = rows.iter().find(|row| row["kind"] == "exec").unwrap();
    assert!(exec["detail"].contains("=cmd|"), "{exec:?}");
}

#[test]
fn no_export_is_obeyed_by_a_terminal() {
    let world = world();
    world.ssh(
        "ana",
        &["db1", "true \u{9b}31m \u{1b}]0;x\u{7} \u{202e}rev"],
    );
    world.only_session();
    for format in ["jsonl", "csv", "ocsf", "ecs", "html"] {
        let text = exported(&world, &["--format", format]).out();
        assert!(text.contains("31m"), "{format}: {text}");
        let obeyed = |c: &char| (c.is_control() && !"\r\n\t".contains(*c)) || *c == '\u{202e}';
        assert_eq!(text.chars().find(obeyed), None, "{format}");
    }
}

#[test]
fn an_asciicast_plays_in_asciinema() {
    let (world, _) = recorded();
    let run = exported(&world, &["--format", "asciicast-v2"]);
    assert!(
        run.stderr.contains("1 bytes are no UTF-8"),
        "{}",
        run.stderr
    );
    let file = world.path("session.cast");
    std::fs::write(&file, &run.stdout).unwrap();
    let shown = Command::new(oracle("asciinema"))
        .args(["cat", file.to_str().unwrap()])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&shown.stdout);
    assert!(shown.status.success(), "{shown:?}");
    assert!(text.contains("bad: \u{fffd} end"), "{text}");

    let run = exported(&world, &["--format", "asciicast-v3"]);
    let lines = assert_is_asciicast_v3(&run.out());
    assert_eq!(lines[0]["term"]["cols"], 80);
    assert_eq!(lines.last().unwrap()[1], "x", "no exit status");
    assert_eq!(lines.last().unwrap()[2], "3");
}

#[test]
fn ocsf_holds_against_the_published_schema() {
    let (world, _) = recorded();
    world.ssh_with("ana", &["db1", "cat"], b"x").ok();
    world.ssh("ana", &["root@db1", "id"]);
    let run = exported(&world, &["--format", "ocsf"]);
    let mut check = Command::new(oracle("python"))
        .arg("tests/oracles/check_ocsf.py")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    check.stdin.take().unwrap().write_all(&run.stdout).unwrap();
    let said = check.wait_with_output().unwrap();
    assert!(
        said.status.success(),
        "{}{}",
        String::from_utf8_lossy(&said.stdout),
        String::from_utf8_lossy(&said.stderr)
    );
    let seen: BTreeMap<String, u64> = serde_json::from_slice(&said.stdout).unwrap();
    for class in ["4007", "3002", "1007"] {
        assert!(seen.contains_key(class), "no class {class} in {seen:?}");
    }
}

#[test]
fn ecs_uses_no_field_that_ecs_does_not_have() {
    let (world, _) = recorded();
    let fields = std::fs::read_to_string("tests/oracles/ecs-9.4.txt").unwrap();
    let fields: BTreeMap<&str, Vec<&str>> = fields
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let mut words = line.split(' ');
            let name = words.next().unwrap();
            let allowed = words.nth(1).unwrap_or_default();
            (name, allowed.split('|').filter(|w| !w.is_empty()).collect())
        })
        .collect();
    let run = exported(&world, &["--format", "ecs"]);
    let mut seen = 0;
    for event in parse(&run.out()) {
        for (name, value) in flat("", &event) {
            if name.starts_with("portcullis.") {
                continue;
            }
            let allowed = fields.get(name.as_str());
            let allowed = allowed.unwrap_or_else(|| panic!("ECS has no field `{name}`"));
            let fits = allowed.is_empty() || allowed.contains(&value.as_str().unwrap_or_default());
            assert!(fits, "{name}: {value} is none of {allowed:?}");
            seen += 1;
        }
    }
    assert!(seen > 50, "only {seen} values");
}

fn flat(at: &str, value: &Value) -> Vec<(String, Value)> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| {
                let dot = if at.is_empty() { "" } else { "." };
                flat(&format!("{at}{dot}{name}"), value)
            })
            .collect(),
        Value::Array(all) => all.iter().flat_map(|value| flat(at, value)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            vec![(at.to_owned(), value.clone())]
        }
    }
}

#[test]
fn an_html_page_shows_the_screen_and_runs_nothing() {
    let world = world();
    let mut terminal = world.terminal("ana", &["-tt", "db1"]);
    terminal.type_in("echo '<script>alert(1)</script>'$((41+1))\n");
    terminal.see("</script>42");
    terminal.type_in("exit\n");
    terminal.end();
    world.only_session();
    let page = exported(&world, &["--format", "html"]).out();
    assert!(page.contains("&lt;script&gt;alert(1)"), "{page}");
    assert!(!page.contains("<script"), "{page}");
    assert!(page.contains("default-src 'none'"), "{page}");
}

#[test]
fn what_cannot_be_exported_is_said() {
    let (world, _) = recorded();
    world.ssh_with("ana", &["db1", "true"], b"").ok();
    world.ended_sessions(2);
    world
        .ssh("olga", &["bastion", "export", "--format", "asciicast-v2"])
        .refused(2, "holds one session and these are 2");
    world
        .ssh(
            "olga",
            &["bastion", "export", "last", "--format", "asciicast-v2"],
        )
        .refused(2, "no terminal to play");
    world
        .ssh("olga", &["bastion", "export", "--format", "pdf"])
        .refused(2, "asciicast-v2");
    world
        .ssh("olga", &["bastion", "export", "--output", "/tmp/x"])
        .refused(2, "-");
    world
        .ssh("olga", &["bastion", "export", "--ticket", "NONE-1"])
        .refused(1, "0 sessions");
}

/// More than waits anywhere between the recording and a client that does not read.
const LARGE: usize = 10_000_000;

/// An export that is in the middle, for nobody reads it: what takes the right away, and what is said.
#[test]
fn an_export_ends_in_the_middle_when_its_right_is_withdrawn() {
    let mut world = World::new()
        .user(User::named("olga").in_group("auditors"))
        .user(User::named("kim").in_group("auditors"))
        .start();
    let mut terminal = world.terminal("ana", &["-tt", "db1"]);
    terminal.type_in(&format!(
        "head -c {LARGE} /dev/zero | tr '\\0' x; echo \"so:$((6*7))\"\n"
    ));
    terminal.see("so:42").type_in("exit\n");
    terminal.end();
    let id = world.only_session()["id"].as_str().unwrap().to_owned();
    world.ssh_with("ana", &["db1", "true"], b"").ok();
    let sessions = world.ended_sessions(2);
    let mut ids = sessions.iter().filter_map(|one| one["id"].as_str());
    let small = ids.find(|one| *one != id).unwrap();
    let take = |user: &str| {
        let mut client = world.open(user, &["bastion", "export", &id, "--format", "jsonl"]);
        let mut out = client.stdout();
        let mut first = [0; 1];
        out.read_exact(&mut first).unwrap();
        (client, out)
    };
    let revoke = ["ca", "revoke", "--key-id", "olga", "--reason", "left"];
    let forbids = "forbid (principal, action == Action::\"export\", resource);\n";
    for (user, says) in [("olga", "does not hold any more"), ("kim", "not allowed")] {
        let (mut client, mut out) = take(user);
        match user {
            "olga" => drop(world.verb(&revoke).ok()),
            _ => crate::policy::replace(&world, "policies/extra.cedar", forbids),
        }
        wait::until("the right to be gone", || {
            let run = world.ssh(user, &["bastion", "export", small]);
            (run.code != 0).then_some(())
        });
        // Who uses a right is asked again once a second: only now is it read on.
        wait::hold(std::time::Duration::from_secs(3));
        let mut rest = Vec::new();
        out.read_to_end(&mut rest).unwrap();
        let mut said = String::new();
        let mut errors = client.0.stderr.take().unwrap();
        errors.read_to_string(&mut said).unwrap();
        assert!(said.contains(says), "{user}: {said}");
        assert!(!said.contains("SHA-256"), "{user}: {said}");
        assert_ne!(client.end(), Some(0), "{user}: {said}");
        let got = rest.len();
        assert!(got < LARGE, "{user} has all of it: {got} bytes");
    }
    world.stop_bastion();
    let exports = world.node_events();
    let of_kim = exports
        .iter()
        .filter(|event| event["kind"] == "export" && event["who"]["subject"] == "kim");
    let outcomes: Vec<_> = of_kim.map(|event| event["outcome"].as_str()).collect();
    assert_eq!(outcomes[0], Some("unknown"), "{outcomes:?}");
    assert!(outcomes.contains(&Some("denied")), "{outcomes:?}");
}

/// A program of the venv that `tests/run needs` makes from PyPI.
fn oracle(name: &str) -> PathBuf {
    let path = PathBuf::from("target/tools/oracles/bin").join(name);
    assert!(
        path.exists(),
        "no {}: run `tests/run needs`",
        path.display()
    );
    path
}

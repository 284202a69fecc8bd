//! `report` and `review`: what an auditor asks of a quarter, through the real ssh.

use crate::wait;
use crate::world::{REASON, Run, TICKET, User, World};
use serde_json::Value;
use std::fs;
use std::process::Command;

/// Ana was here with a ticket, Ben without one; Mal was refused; Eve audits.
fn world() -> World {
    let world = World::new()
        .user(User::named("ben").without_reason().words(&["-O", "extension:reason@portcullis=look <b>&\u{202e}"]))
        .user(User::named("eve").in_group("auditors"))
        .user(User::named("mal").of_foreign_ca())
        .target("name = \"idle1\"\naddress = \"127.0.0.1:1\"\nlogins = [\"nobody\"]\nhost = { ca = \"../hosts_ca.pub\" }\n")
        .start();
    world.ssh("ana", &["db1", "true"]).ok();
    world.ssh("mal", &["db1", "true"]);
    world.ssh("ana", &["nobody@db1", "true"]);
    world.ended_sessions(1);
    world
}

fn json(run: &Run) -> Value {
    serde_json::from_slice(&run.stdout).unwrap()
}

fn rows<'a>(report: &'a Value, section: &str) -> &'a Vec<Value> {
    report["sections"][section]["rows"].as_array().unwrap()
}

#[test]
fn a_report_answers_what_an_auditor_asks() {
    let world = world();
    let id = world.only_session()["id"].as_str().unwrap().to_owned();
    world.ssh("eve", &["bastion", "transcript", &id]).ok();
    let words = ["bastion", "report", "--since", "1h", "--format", "json"];
    let report = json(&world.ssh("eve", &words).ok());
    let access = &report["accesses"][0];
    for (name, value) in [
        ("identity", "ana"),
        ("target", "db1"),
        ("login", &world.login),
        ("ran", "exec"),
        ("door", "jump"),
        ("outcome", "success"),
        ("ended", "target_exit"),
        ("reason", REASON),
        ("ticket", TICKET),
        ("reason_source", "certificate"),
        ("reviews", "0"),
    ] {
        assert_eq!(access[name], value, "{name}: {access}");
    }
    assert_eq!(report["sessions"], 1);
    assert_eq!(report["sections"]["without_ticket"]["total"], 0);
    let refused = rows(&report, "refused");
    let said = |kind: &str, who: &str| {
        refused
            .iter()
            .any(|row| row["what"] == kind && row["who"].as_str().unwrap().contains(who))
    };
    assert!(said("auth.fail", "mal"), "{refused:?}");
    assert!(said("access.deny", "ana"), "{refused:?}");
    let unused = rows(&report, "unused");
    assert!(
        unused.iter().any(|row| row["right"] == "nobody@idle1"),
        "{unused:?}"
    );
    let used = format!("{}@db1", world.login);
    assert!(
        unused.iter().all(|row| row["right"] != used.as_str()),
        "{unused:?}"
    );
    let looks = rows(&report, "looks");
    assert!(
        looks
            .iter()
            .any(|row| row["who"] == "eve" && row["how"] == "transcript"),
        "{looks:?}"
    );
    assert_eq!(report["sections"]["unreviewed"]["total"], 1);
    assert_eq!(rows(&report, "longest").len(), 1);

    // About somebody else it says nothing of Ana.
    let words = ["bastion", "report", "--identity", "ben", "--format", "json"];
    let report = json(&world.ssh("eve", &words).ok());
    assert_eq!(report["sessions"], 0);
    assert!(rows(&report, "refused").is_empty());
    assert!(report["sections"]["unused"].is_null());
}

#[test]
fn only_who_may_reports_and_signs_off() {
    let mut world = world();
    let id = world.only_session()["id"].as_str().unwrap().to_owned();
    world
        .ssh("ana", &["bastion", "report"])
        .refused(3, "not allowed");
    let review = ["bastion", "review", &id, "--note", "mine", "is", "fine"];
    world.ssh("ana", &review).refused(1, "no session");
    let none = ["bastion", "review", &id];
    world.ssh("eve", &none).refused(2, "--note");
    let long = "x".repeat(1025);
    world
        .ssh("eve", &["bastion", "review", &id, "--note", &long])
        .refused(2, "at most 1024 bytes");
    world
        .ssh("eve", &["bastion", "report", "-o", "/tmp/x.html"])
        .refused(2, "unexpected argument");
    world.stop_bastion();
    let events: Vec<Value> = world.node_events();
    let reviews: Vec<_> = events.iter().filter(|e| e["kind"] == "review").collect();
    assert_eq!(reviews.len(), 1);
    assert_eq!(reviews[0]["outcome"], "denied");
    assert!(!events.iter().any(|e| e["kind"] == "export"));
}

#[test]
fn who_signed_off_stands_in_the_record_and_wherever_the_session_is_shown() {
    let mut world = world();
    let id = world.only_session()["id"].as_str().unwrap().to_owned();
    world.verb(&["sessions", "--unreviewed"]).ok();
    let note = [
        "bastion", "review", &id, "--note", "all", "as", "the", "ticket", "says",
    ];
    world.ssh("eve", &note).ok();
    let shown = |world: &World| {
        let shown = world.verb(&["sessions", "show", &id]).ok().out();
        shown
            .contains("by eve, ")
            .then_some(shown.contains("all as the ticket says"))
    };
    assert!(wait::until("the review in the index", || shown(&world)));
    world
        .ssh("eve", &["bastion", "review", "last", "--note", "again"])
        .ok();
    let twice = |world: &World| {
        let run = world.verb(&["sessions", "show", &id, "--json"]).ok();
        (json(&run)["reviews"].as_array().unwrap().len() == 2).then_some(())
    };
    wait::until("the second review", || twice(&world));
    world
        .verb(&["sessions", "--unreviewed"])
        .refused(1, "no sessions");
    let report = json(&world.verb(&["report", "--json"]).ok());
    assert_eq!(report["accesses"][0]["reviews"], "2");
    let reviews = rows(&report, "reviews");
    assert_eq!(reviews[0]["note"], "all as the ticket says");
    assert_eq!(reviews[0]["by"], "eve");
    assert_eq!(report["sections"]["unreviewed"]["total"], 0);
    // The index is a view: it is made again from the recordings.
    world.stop_bastion();
    for name in ["portcullis.db", "portcullis.db-wal", "portcullis.db-shm"] {
        drop(fs::remove_file(
            world.path(&format!("bastion/state/{name}")),
        ));
    }
    assert_eq!(shown(&world), Some(true));
    world.verb(&["index", "--rebuild"]).ok();
    assert_eq!(shown(&world), Some(true));
}

#[test]
fn a_page_and_a_table_are_safe_and_the_same_again() {
    let world = world();
    world.ssh("ben", &["db1", "true"]).ok();
    world.ended_sessions(2);
    let mut date = Command::new("date");
    let until = Run::of(date.args(["-u", "+%FT%T.%NZ"]).output().unwrap()).out();
    let until = until.trim().to_owned();
    let fixed = ["--since", "2020-01-01", "--until", &until];
    let take = |name: &str| {
        let path = world.text_path(name);
        let mut words = vec!["report", "-o", &path];
        words.extend(fixed);
        world.verb(&words).ok();
        fs::read_to_string(world.path(name)).unwrap()
    };
    let page = take("quarter.html");
    assert!(page.contains("look &#60;b&#62;&#38;\\u{202e}"), "{page}");
    assert!(page.ends_with("</html>\n"));
    assert!(page.contains("@page") && page.contains("default-src 'none'"));
    for foreign in [
        "<script", "<img", "<link", "src=", "url(", "http:", "https:", "\u{202e}", "<b>",
    ] {
        assert!(!page.contains(foreign), "{foreign} in {page}");
    }
    // The same again is the same, but for when it was made.
    let without = |page: &str| -> Vec<String> {
        let lines = page.lines().filter(|line| !line.starts_with("<dt>made"));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(without(&take("again.html")), without(&page));
    assert_eq!(take("a.csv"), take("b.csv"));
    let script = "import csv,sys\nrows=list(csv.DictReader(open(sys.argv[1],newline='')))\n\
        assert len(rows)==2, rows\nassert all(None not in r and None not in r.values() for r in rows)\n\
        assert not any(c[:1] in ('=','+','-','@') for r in rows for c in r.values())\n\
        print(rows[0]['reason'])";
    let mut python = Command::new("python3");
    python.args(["-c", script]).arg(world.path("a.csv"));
    let said = Run::of(python.output().unwrap()).ok().out();
    assert_eq!(said, "look <b>&\\u{202e}\n");
    let json: Value = serde_json::from_str(&take("a.json")).unwrap();
    assert_eq!(json["accesses"].as_array().unwrap().len(), 2);
    // What it does not know to write is said, and nothing is made.
    let odd = world.text_path("a.pdf");
    world
        .verb(&["report", "-o", &odd])
        .refused(2, "html, csv, json");
    assert!(!world.path("a.pdf").exists());
}

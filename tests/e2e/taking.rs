//! `export` into a directory, read with `sha256sum` and Python's csv: what an auditor takes home.

use crate::wait;
use crate::world::{Run, User, World, parse, portcullis};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Two sessions of Ana, one with a terminal; and a refused login.
fn world() -> World {
    let world = World::new()
        .user(User::named("eve").in_group("auditors"))
        .user(User::named("mal").of_foreign_ca())
        .start();
    let mut terminal = world.terminal("ana", &["-tt", "db1"]);
    terminal.type_in("printf 'bad: \\377 end\\n'; exit 3\n");
    terminal.see("end");
    terminal.end();
    world.ended_sessions(1);
    world.ssh("ana", &["db1", "echo one; exit 4"]);
    world.ssh("mal", &["db1", "true"]);
    world.ended_sessions(2);
    world
}

fn export(world: &World, dir: &str, words: &[&str]) -> Run {
    let dir = world.text_path(dir);
    let mut all = vec!["export"];
    all.extend(words);
    all.extend(["-o", &dir]);
    world.verb(&all)
}

/// Name and content of every file.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(dir).unwrap();
    let read = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().unwrap();
        (name, fs::read(entry.path()).unwrap())
    };
    entries.map(|entry| read(entry.unwrap())).collect()
}

fn is_vouched_for(dir: &Path) {
    let mut check = Command::new("sha256sum");
    check.args(["--quiet", "--strict", "-c", "SHA256SUMS"]);
    let checked = check.current_dir(dir).output().unwrap();
    assert!(checked.status.success(), "{checked:?}");
}

#[test]
fn a_directory_has_a_file_each_and_a_list_that_vouches_for_them() {
    let mut world = world();
    let run = export(&world, "taken/jsonl", &["--format", "jsonl"]).ok();
    let dir = world.path("taken/jsonl");
    is_vouched_for(&dir);
    let sessions = world.sessions();
    let taken = files(&dir);
    assert_eq!(taken.len(), 3, "{:?}", taken.keys());
    for session in &sessions {
        let id = session["id"].as_str().unwrap();
        let events = world.verb(&["events", id]).ok();
        assert_eq!(taken[&format!("{id}.jsonl")], events.stdout);
    }
    // The same again gives the same, and so does an export without a running bastion.
    export(&world, "taken/jsonl", &["--format", "jsonl"]).ok();
    assert_eq!(files(&dir), taken);
    // A changed file is found.
    let victim = format!("{}.jsonl", sessions[0]["id"].as_str().unwrap());
    fs::write(dir.join(&victim), "forged").unwrap();
    let mut check = Command::new("sha256sum");
    check.args(["-c", "SHA256SUMS"]).current_dir(&dir);
    assert!(!check.output().unwrap().status.success());
    world.stop_bastion();
    export(&world, "taken/again", &["--format", "jsonl"]).ok();
    assert_eq!(files(&world.path("taken/again")), taken);
    // What the record says of it is what the list says.
    let list = String::from_utf8(taken["SHA256SUMS"].clone()).unwrap();
    let lines: String = list
        .split_inclusive('\n')
        .filter(|l| !l.starts_with('#'))
        .collect();
    let sum = ring::digest::digest(&ring::digest::SHA256, lines.as_bytes());
    let sum: String = sum.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    assert!(run.stderr.contains(&sum), "{}", run.stderr);
    let events: Vec<Value> = world.node_events();
    let told = |outcome: &str| {
        let exports = events.iter().filter(|e| e["kind"] == "export");
        exports.filter(|e| e["outcome"] == outcome).count()
    };
    assert_eq!((told("unknown"), told("success")), (3, 3));
    let done = events
        .iter()
        .find(|e| e["kind"] == "export" && e["outcome"] == "success");
    assert_eq!(done.unwrap()["sha256"], sum.as_str());
}

#[test]
fn each_format_makes_its_files() {
    let world = world();
    for (format, names) in [
        ("csv", &["events.csv"][..]),
        ("ocsf", &["events.ocsf.jsonl"]),
        ("ecs", &["events.ecs.jsonl"]),
    ] {
        export(&world, format, &["--format", format]).ok();
        let dir = world.path(format);
        is_vouched_for(&dir);
        let mut taken = files(&dir);
        taken.remove("SHA256SUMS").unwrap();
        assert!(taken.keys().eq(names.iter().copied()), "{:?}", taken.keys());
    }
    // Of two sessions one had a terminal: the other has no cast, and that is said.
    let run = export(&world, "casts", &["--format", "asciicast-v2"]).ok();
    assert!(
        run.stderr.contains("1 sessions have no terminal"),
        "{run:?}"
    );
    assert!(run.stderr.contains("1 bytes are no UTF-8"), "{run:?}");
    let taken = files(&world.path("casts"));
    assert_eq!(taken.len(), 2);
    let html = export(&world, "pages", &["--format", "html"]).ok();
    assert_eq!(files(&world.path("pages")).len(), 3, "{html:?}");
    is_vouched_for(&world.path("pages"));
    // A named session is one file.
    let cast = world.text_path("one.csv");
    world
        .verb(&["export", "last", "--format", "csv", "-o", &cast])
        .ok();
    let stream = world.verb(&["export", "last", "--format", "csv"]).ok();
    assert_eq!(fs::read(cast).unwrap(), stream.stdout);
}

#[test]
fn a_directory_that_is_not_ours_is_refused_and_nothing_in_it_touched() {
    let world = world();
    let dir = world.path("home2");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("thesis.odt"), "years").unwrap();
    export(&world, "home2", &[]).refused(2, "thesis.odt");
    assert_eq!(files(&dir).len(), 1);
    export(&world, "home2/thesis.odt", &[]).refused(2, "cannot use the directory");
    assert_eq!(fs::read(dir.join("thesis.odt")).unwrap(), b"years");
    export(&world, "csv", &["--format", "csv"]).ok();
    export(&world, "csv", &["--format", "ecs"]).refused(2, "another export");
    // A link is not followed, and a directory is no file.
    std::os::unix::fs::symlink(dir.join("thesis.odt"), world.path("link")).unwrap();
    let link = world.text_path("link");
    world
        .verb(&["export", "last", "-o", &link])
        .refused(2, "is no file");
    // Over ssh there is no place to write to but standard output.
    for place in ["/tmp/x", "x"] {
        world
            .ssh("eve", &["bastion", "export", "-o", place])
            .refused(2, "-");
    }
}

#[test]
fn the_nodes_own_events_go_along_for_those_who_may() {
    let world = world();
    export(&world, "taken", &["--node", "--format", "csv"]).ok();
    let mut python = Command::new("python3");
    let script = "import csv,sys,collections\n\
        rows=list(csv.DictReader(open(sys.argv[1], newline='')))\n\
        print(' '.join(sorted({r['kind'] for r in rows})))\n\
        assert all(None not in r and None not in r.values() for r in rows)";
    python
        .args(["-c", script])
        .arg(world.path("taken/events.csv"));
    let kinds = Run::of(python.output().unwrap()).ok().out();
    for kind in [
        "session.start",
        "node.start",
        "auth.fail",
        "auth.accept",
        "verb",
    ] {
        assert!(
            kinds.split(' ').any(|k| k.trim() == kind),
            "no {kind} in {kinds}"
        );
    }
    // Over ssh as well, for auditors; a time that is over has none of it.
    let run = world.ssh("eve", &["bastion", "export", "--node"]).ok();
    assert!(parse(&run.out()).iter().any(|e| e["kind"] == "auth.fail"));
    let words = ["bastion", "export", "--node", "--until", "2020-01-01"];
    world.ssh("eve", &words).refused(1, "0 sessions");
    world
        .ssh("ana", &["bastion", "export", "--node"])
        .refused(3, "not allowed");
    world
        .ssh("eve", &["bastion", "export", "--node", "--identity", "ana"])
        .refused(2, "cannot be used with");
}

/// The chunks of a session.
fn chunks(world: &World, id: &str) -> PathBuf {
    let root = world.path("bastion/state/recordings");
    let mut find = Command::new("find");
    let found = find.arg(root).args(["-name", id]).output().unwrap();
    PathBuf::from(String::from_utf8(found.stdout).unwrap().trim())
}

#[test]
fn what_cannot_be_read_is_skipped_and_said_and_the_rest_goes_out() {
    let mut world = world();
    let ids: Vec<String> = world
        .sessions()
        .iter()
        .map(|s| s["id"].as_str().unwrap().to_owned())
        .collect();
    world.stop_bastion();
    // One is of a newer version, and one is damaged.
    let newer = chunks(&world, &ids[0]).join("000000.jsonl.zst");
    let line = "{\"v\":2,\"anything\":[]}\n";
    fs::write(&newer, zstd::encode_all(line.as_bytes(), 1).unwrap()).unwrap();
    let damaged = chunks(&world, &ids[1]).join("000000.jsonl.zst");
    let mut bytes = fs::read(&damaged).unwrap();
    let length = bytes.len();
    bytes.truncate(length - 40);
    fs::write(&damaged, bytes).unwrap();
    let run = export(&world, "taken", &["--format", "csv"]);
    assert_eq!(run.code, 1, "{run:?}");
    for said in [
        format!("recording {} is skipped", ids[0]),
        "version 2".to_owned(),
        format!("damaged recording {}", ids[1]),
        "NOT everything".to_owned(),
    ] {
        assert!(run.stderr.contains(&said), "no `{said}` in {}", run.stderr);
    }
    is_vouched_for(&world.path("taken"));
    // A recording that is gone costs itself.
    fs::remove_dir_all(chunks(&world, &ids[0])).unwrap();
    let run = export(&world, "more", &["--format", "csv"]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stderr.contains("there is no recording"), "{run:?}");
}

#[test]
fn a_reader_who_has_had_enough_is_no_fault() {
    let world = world();
    let id = world.sessions()[0]["id"].as_str().unwrap().to_owned();
    world.ssh("ana", &["db1", "head -c 2000000 /dev/zero | tr '\\0' x"]);
    world.ended_sessions(3);
    for words in [
        &["events", "last"][..],
        &["export"],
        &["export", "--format", "ecs"],
        &["sessions", "--json"],
        &["transcript", &id],
        &["completions", "bash"],
        &["man"],
    ] {
        // Closed before the first byte: the surest way to be too early.
        let mut verb = portcullis(&["--config", world.config_file().to_str().unwrap()]);
        let mut child = verb
            .args(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let done = child.wait_with_output().unwrap();
        assert_eq!(done.status.code(), Some(141), "{words:?}: {done:?}");
        assert!(done.stderr.is_empty(), "{words:?}: {done:?}");
    }
}

#[test]
fn a_kind_that_does_not_exist_is_said_with_those_that_are_like_it() {
    let world = world();
    let run = world.verb(&["events", "last", "--kind", "exce"]);
    let run = run.refused(2, "`exce` is no kind of event");
    assert!(run.stderr.contains("exec"), "{run:?}");
    world
        .verb(&["events", "last", "--kind", "chanel.*"])
        .refused(2, "channel.open");
    // One that exists and is not there.
    world
        .verb(&["events", "last", "--kind", "git"])
        .refused(1, "no event of these kinds");
    world.verb(&["events", "last", "--kind", "channel.*"]).ok();
}

#[test]
fn a_full_disk_leaves_no_half_file_and_says_what_to_do() {
    let world = world();
    world.ssh("ana", &["db1", "head -c 3000000 /dev/urandom | base64"]);
    world.ended_sessions(3);
    let disk = world.path("small");
    fs::create_dir(&disk).unwrap();
    let mut mount = Command::new("mount");
    mount
        .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
        .arg(&disk);
    let mounted = mount.output().unwrap();
    assert!(
        mounted.status.success(),
        "a small disk needs root: run the tests as root, or under `unshare -rm`: {mounted:?}"
    );
    let run = export(&world, "small/taken", &[]);
    let taken = files(&disk.join("taken"));
    let file = world.text_path("small/one.jsonl");
    let one = world.verb(&["export", "last", "-o", &file]);
    let after: Vec<_> = files_only(&disk);
    let unmounted = Command::new("umount").arg("-l").arg(&disk).status();
    assert!(unmounted.unwrap().success());
    assert_eq!(run.code, 4, "{run:?}");
    for said in ["No space left", "the unfinished file is removed", "again"] {
        assert!(run.stderr.contains(said), "no `{said}`: {}", run.stderr);
    }
    assert!(!taken.contains_key("SHA256SUMS"), "{:?}", taken.keys());
    assert!(
        taken.keys().all(|name| !name.starts_with('.')),
        "{:?}",
        taken.keys()
    );
    assert_eq!(one.code, 4, "{one:?}");
    assert_eq!(after, Vec::<String>::new());
    // The bastion was told, and lives.
    wait::until("a working bastion", || {
        (world.ssh("ana", &["db1", "true"]).code == 0).then_some(())
    });
}

fn files_only(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.path().is_file());
    files
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect()
}

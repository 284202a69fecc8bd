//! Who ran that, when, and what did they see: found over the real ssh, and the moment replayed.

use crate::wait;
use crate::world::{User, World, event};
use serde_json::Value;

/// What a search over ssh finds, newest first.
fn hits(world: &World, user: &str, words: &[&str]) -> Vec<Value> {
    let mut all = vec!["bastion", "search", "--json"];
    all.extend(words);
    let run = world.ssh(user, &all);
    // 1 is the answer "nothing found".
    assert!([0, 1].contains(&run.code), "{run:?}");
    serde_json::from_slice(&run.stdout).unwrap()
}

/// Waits for so many.
fn found(world: &World, user: &str, words: &[&str], count: usize) -> Vec<Value> {
    wait::until(&format!("{count} of {words:?}"), || {
        let hits = hits(world, user, words);
        (hits.len() == count).then_some(hits)
    })
}

fn texts(hits: &[Value]) -> Vec<&str> {
    hits.iter()
        .map(|hit| hit["text"].as_str().unwrap())
        .collect()
}

#[test]
fn commands_files_and_screens_are_found_by_those_who_may() {
    let mut world = World::new()
        .user(User::named("ben"))
        .user(User::named("eve").in_group("auditors"))
        .start();
    let mut shell = world.terminal("ana", &["db1", "-t", "PS1='READY> ' bash --norc -i"]);
    shell.see("READY> ");
    shell
        .type_in("echo nee''dle-$((40+2))\r")
        .see("needle-42")
        .see("READY> ");
    // While it runs: what was typed is found, and what is on the screen is told to come.
    let typed = found(&world, "ana", &["--in", "commands", "nee''dle"], 1);
    assert_eq!(typed[0]["confidence"], "high", "{typed:?}");
    let early = world.ssh("ana", &["bastion", "search", "needle-42"]);
    assert_eq!(early.code, 1, "{early:?}");
    assert!(early.stderr.contains("when they end"), "{early:?}");
    shell.type_in("exit\r").end();
    let failed = world.ssh("ben", &["db1", "echo needle-43; exit 3"]);
    assert_eq!(failed.code, 3);
    world.ended_sessions(2);

    // Each their own, the auditor everybody's.
    assert_eq!(found(&world, "eve", &["needle-4"], 3).len(), 3);
    let hits_of_ana = found(&world, "ana", &["needle-4"], 1);
    assert_eq!(texts(&hits_of_ana), ["needle-42"]);
    let of_ben = found(&world, "ben", &["needle-4"], 2);
    assert!(
        of_ben.iter().all(|hit| hit["identity"] == "ben"),
        "{of_ben:?}"
    );
    assert_eq!(
        hits(&world, "ana", &["--identity", "ben", "needle-4"]).len(),
        0
    );
    let exits = found(&world, "eve", &["--exit", "3", "needle"], 1);
    assert_eq!(exits[0]["text"], "echo needle-43; exit 3");
    assert_eq!(hits(&world, "eve", &["--exit", "4", "needle"]).len(), 0);
    assert_eq!(
        found(
            &world,
            "eve",
            &["needle", "--target", "db1", "--limit", "1"],
            1
        )
        .len(),
        1
    );

    what_is_printed_can_be_typed(&world);
    whatever_is_typed_is_looked_for(&world);

    world.stop_bastion();
    let searched = world.node_events();
    let searched = event(&searched, "search");
    assert_eq!(searched["who"]["subject"], "ana", "{searched}");
    assert_eq!(searched["words"], "nee''dle");
}

fn what_is_printed_can_be_typed(world: &World) {
    let run = world
        .ssh("ana", &["bastion", "search", "--in", "screen", "needle-42"])
        .ok();
    let line = run.out();
    let line = line.lines().last().unwrap().trim();
    assert!(line.starts_with("replay "), "{line}");
    let mut replay = world.terminal("ana", &["-t", "bastion", line]);
    replay.see("needle-42").type_in("q");
    assert!(replay.end().success());
}

/// As it stands, and as nothing else.
fn whatever_is_typed_is_looked_for(world: &World) {
    for words in [
        "'; --",
        "\"",
        "*",
        "NEAR(a b)",
        "a OR b",
        "|",
        "-v",
        "%",
        "--",
        "x'y\"z",
    ] {
        let run = world.ssh("eve", &["bastion", "search", "--", words]);
        assert!([0, 1, 2].contains(&run.code), "{words}: {run:?}");
        assert!(!run.stderr.contains("database"), "{words}: {run:?}");
    }
    let long = "x".repeat(100_000);
    let refused = world.ssh("eve", &["bastion", "search", &long]);
    refused.refused(2, "at most 512 bytes");
    world
        .ssh("eve", &["bastion", "search"])
        .refused(2, "write the words");
}

#[test]
fn files_are_found_by_name_and_by_hash() {
    let world = World::new().start();
    let file = world.text_path("the-report.txt");
    std::fs::write(&file, "quarterly\n").unwrap();
    let to = format!("db1:{}", world.text_path("there-it-is.txt"));
    for words in [&[][..], &["-O"]] {
        let all: Vec<&str> = words.iter().copied().chain([file.as_str(), &to]).collect();
        world.client("scp", "ana", &all, b"").ok();
    }
    world.ended_sessions(2);
    let by_name = found(&world, "ana", &["--in", "files", "it-is.txt"], 2);
    let text = by_name[0]["text"].as_str().unwrap();
    let hash = text
        .split("sha256 ")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap();
    assert_eq!(hash.len(), 64, "{text}");
    assert_eq!(found(&world, "ana", &["--in", "files", hash], 2).len(), 2);
}

#[test]
fn a_killed_bastion_loses_and_doubles_nothing_that_is_searched() {
    let mut world = World::new().start();
    for n in 0..3 {
        let line = format!("echo before-the-kill-{n}");
        world.ssh("ana", &["db1", &line]).ok();
    }
    let mut shell = world.terminal("ana", &["db1", "-t", "PS1='READY> ' bash --norc -i"]);
    shell.see("READY> ");
    for n in 3..6 {
        let line = format!("echo before-the-kill-{n}\r");
        shell.type_in(&line).see("READY> ");
    }
    // Commands are found beside the path, a moment after the screen shows them.
    wait::until("the commands in the journal", || {
        let sessions = world.sessions();
        let open = sessions.iter().find(|session| session["active"] == true)?;
        // Asked for, since it may have no chunk on the disk yet.
        let id = open["id"].as_str().unwrap();
        let run = world.verb(&["events", id, "--kind", "command"]);
        let commands = run.stdout.iter().filter(|byte| **byte == b'\n');
        (commands.count() >= 3).then_some(())
    });
    world.kill_bastion();
    shell.end();
    world.start_bastion();
    world.ended_sessions(4);
    let live = found(&world, "ana", &["--in", "commands", "before-the-kill"], 6);
    let screens = wait::until("the screens", || {
        let all = hits(&world, "ana", &["--in", "screen", "before-the-kill"]);
        (all.len() >= 6).then_some(all)
    });
    world.stop_bastion();
    // The same from recordings alone.
    world.verb(&["index", "--rebuild"]).ok();
    let again = |within: &str| -> Vec<Value> {
        let run = world.verb(&["search", "--json", "--in", within, "before-the-kill"]);
        serde_json::from_slice(&run.ok().stdout).unwrap()
    };
    assert_eq!(again("commands"), live);
    assert_eq!(again("screen"), screens);
}

#[test]
fn screens_are_not_found_where_they_are_switched_off() {
    let mut world = World::new().start();
    world
        .ssh("ana", &["db1", "echo on-the-$((1+1))-screen"])
        .ok();
    world.only_session();
    found(&world, "ana", &["on-the-2-screen"], 1);
    world.stop_bastion();
    let file = world.config_file();
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("[index]"), "{text}");
    let text = text.replace("[index]", "[index]\nscreen = false");
    std::fs::write(&file, text).unwrap();
    world.start_bastion();
    found(&world, "ana", &["on-the-2-screen"], 0);
    let commands = found(&world, "ana", &["on-the-"], 1);
    assert_eq!(commands[0]["in"], "commands");
}

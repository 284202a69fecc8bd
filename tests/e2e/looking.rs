//! Recordings on people's terminals, on the node and over ssh, while sessions run and after.

use crate::terminal::Terminal;
use crate::wait;
use crate::world::{User, World};
use rustix::process::{Pid, Signal, kill_process};

/// Runs a line of shell on a terminal; `$P` is the program with its configuration.
fn shell(world: &World, line: &str) -> Terminal {
    let program = env!("CARGO_BIN_EXE_portcullis");
    let config = world.config_file();
    let line = format!(
        "P='{program} --config {}'; {line}",
        config.to_str().unwrap()
    );
    Terminal::new("sh", &["-c".to_owned(), line])
}

/// The modes of a terminal that a person can type on: what `stty -a` says after the verb.
#[track_caller]
fn assert_cooked(terminal: &Terminal) {
    let after = terminal.screen.rsplit("status ").next().unwrap();
    let modes: Vec<&str> = after.split_whitespace().collect();
    for mode in ["icanon", "echo", "isig", "opost"] {
        assert!(modes.contains(&mode), "no {mode} in:\n{}", terminal.screen);
    }
    let left = terminal.screen.rfind("\x1b[?1049l");
    assert!(left.is_some(), "{}", terminal.screen);
    assert!(
        left > terminal.screen.rfind("\x1b[?1049h") && left < terminal.screen.rfind("status "),
        "the screen is not given back:\n{}",
        terminal.screen
    );
}

#[test]
fn the_nodes_terminal_is_as_before_however_a_replay_ends() {
    let mut world = World::new().start();
    let mut session = world.terminal("ana", &["db1"]);
    session.type_in("echo \"so:$((6*7))\"\r").see("so:42");
    session.type_in("exit\r").end();
    world.only_session();
    let line =
        "sh -c \"echo pid \\$\\$ end; exec $P replay last --speed 64\"; echo status $?; stty -a";
    // With the bastion running, and on its state alone.
    for running in [true, false] {
        if !running {
            world.stop_bastion();
        }
        for (ending, status) in [
            (Ending::Key("q"), 0),
            (Ending::Key("\x03"), 0),
            (Ending::Signal(Signal::TERM), 143),
            (Ending::Signal(Signal::HUP), 129),
            (Ending::Signal(Signal::INT), 130),
        ] {
            let mut terminal = shell(&world, line);
            terminal.see("so:42").see("end 0:0");
            match ending {
                Ending::Key(key) => drop(terminal.type_in(key)),
                Ending::Signal(signal) => {
                    let pid = terminal.screen.split_whitespace().nth(1).unwrap();
                    let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
                    kill_process(pid, signal).unwrap();
                }
            }
            terminal.see(&format!("status {status}"));
            terminal.end();
            assert_cooked(&terminal);
        }
    }
}

enum Ending {
    Key(&'static str),
    Signal(Signal),
}

#[test]
fn a_replay_follows_the_size_of_its_window() {
    let world = World::new().start();
    let mut session = world.terminal("ana", &["db1"]);
    session.type_in("echo \"so:$((6*7))\"\r").see("so:42");
    session.type_in("exit\r").end();
    world.only_session();
    let mut here = shell(&world, "$P replay last --speed 64");
    let mut there = world.terminal("ana", &["-t", "bastion", "replay last --speed 64"]);
    for terminal in [&mut here, &mut there] {
        terminal.see("so:42").see("end 0:0");
        terminal.resize(60, 10).see("clipped: 80x24 shown as 60x8");
        terminal.type_in("q");
        assert!(terminal.end().success());
        assert!(terminal.screen.contains("\x1b[?1049l"));
    }
}

#[test]
fn one_jumps_to_a_command_a_text_and_a_time() {
    let world = World::new().start();
    let mut session = world.terminal("ana", &["db1", "-t", "PS1='READY> ' bash --norc -i"]);
    // A command is what is typed at a prompt that stands there.
    session.see("READY> ");
    session
        .type_in("echo \"one-$((1+1))\"\r")
        .see("one-2")
        .see("READY> ");
    session
        .type_in("echo \"two-$((2+2))\"\r")
        .see("two-4")
        .see("READY> ");
    session.type_in("exit\r").end();
    world.only_session();
    let mut here = shell(&world, "$P replay last --speed 0.125");
    let mut there = world.terminal("ana", &["-t", "bastion", "replay last --speed 0.125"]);
    for terminal in [&mut here, &mut there] {
        terminal.see("playing").type_in(" ").see("aused");
        terminal.type_in("?").see("any key closes").type_in("x");
        // What stood there already is not drawn again: letters of `echo` may be of the help.
        terminal
            .type_in("l")
            .see("one-$((1+1))")
            .see("two-$((2+2))");
        // What one filters for is what is left, and what was shown before it is on the screen.
        terminal.type_in("two\r").see("one-2");
        terminal.type_in("/TWO-4\r").see("was not shown");
        terminal.type_in("/two-4\r").see("two-4");
        terminal.type_in("t").see("time: ").type_in("0\r");
        terminal.type_in("q");
        assert!(terminal.end().success(), "{}", terminal.screen);
    }
}

#[test]
fn who_watches_is_asked_again_and_sent_away() {
    let world = World::new()
        .user(User::named("eve").in_group("auditors"))
        .user(User::named("kim").in_group("auditors"))
        .start();
    let mut session = world.terminal("ana", &["db1"]);
    session.type_in("echo \"one-$((1+1))\"\r").see("one-2");
    let mut eve = world.terminal("eve", &["-t", "bastion", "replay last --follow"]);
    eve.see("one-2").see("live");
    let mut kim = world.terminal("kim", &["-t", "bastion", "replay last --follow"]);
    kim.see("one-2").see("live");
    let revoke = ["ca", "revoke", "--key-id", "eve", "--reason", "left"];
    world.verb(&revoke).ok();
    eve.see("does not hold any more");
    assert_eq!(eve.end().code(), Some(254), "{}", eve.screen);
    let forbids = "forbid (principal, action == Action::\"replay\", resource);\n";
    crate::policy::replace(&world, "policies/extra.cedar", forbids);
    kim.see("`replay` is not allowed for you");
    assert_eq!(kim.end().code(), Some(3), "{}", kim.screen);
    session.type_in("exit\r").end();
}

#[test]
fn a_running_session_is_followed_until_it_ends() {
    let world = World::new().start();
    let mut session = world.terminal("ana", &["db1"]);
    session.type_in("echo \"one-$((1+1))\"\r").see("one-2");
    let mut here = shell(&world, "$P replay last --follow; echo status $?");
    let mut there = world.terminal("ana", &["-t", "bastion", "replay last --follow"]);
    for terminal in [&mut here, &mut there] {
        terminal.see("one-2").see("live");
    }
    let clock = portcullis::clock::Clock::system();
    let mut lags = Vec::new();
    for n in 0..20_u8 {
        // Only what differs from the picture before is drawn: nothing of a word is in the one before.
        // In no prompt, whatever the machine is called.
        let letter = char::from(b'A' + n);
        let word = letter.to_string().repeat(8);
        session.type_in(&format!("printf '{letter}%.0s' 1 2 3 4 5 6 7 8; echo\r"));
        session.see(&word);
        let shown = clock.monotonic();
        there.see(&word);
        lags.push(clock.monotonic().saturating_sub(shown));
        here.see(&word);
    }
    lags.sort();
    // 200 ms are the aim; a machine with many tests on it gets patience.
    assert!(lags[10] < std::time::Duration::from_secs(1), "{lags:?}");
    // Away from what happens now, and back to it.
    there.type_in("\x1b[H").see("playing");
    there.type_in("\x1b[F").see("live");
    session.type_in("exit\r").end();
    assert!(there.end().success(), "{}", there.screen);
    here.see("status 0").end();
    for terminal in [&here, &there] {
        assert!(terminal.screen.contains("\x1b[?1049l"));
    }
}

#[test]
fn ended_and_running_sessions_are_read_while_others_run() {
    let world = World::new().start();
    let mut first = world.terminal("ana", &["db1"]);
    first.type_in("echo \"one: $((6 * 7))\"\r").see("one: 42");
    let mut second = world.terminal("ana", &["db1"]);
    second.type_in("echo \"two: $((6 * 7))\"\r").see("two: 42");
    let runs = world.sessions();
    let ids: Vec<&str> = runs.iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 2, "{runs:?}");
    // What is on the person's screen is in the recording already; it is read where it stands.
    for id in &ids {
        let read = world.ssh("ana", &["bastion", "transcript", id]).ok();
        assert!(read.out().contains(": 42"), "{}", read.out());
        let listed = world.verb(&["sessions", "show", id]).ok().out();
        assert!(listed.contains("active"), "{listed}");
    }
    second.type_in("exit\r").end();
    let ended = world.only_session();
    let id = ended["id"].as_str().unwrap();
    let lines = world.ssh("ana", &["bastion", "events", id]).ok().out();
    assert_eq!(lines, world.lines(id), "whole, while the first one runs");
    assert!(lines.contains("session.end"));
    first.type_in("exit\r").end();
    world.ended_sessions(2);
}

#[test]
fn a_narrow_terminal_gets_a_table_that_fits_and_names_that_work() {
    let world = World::new().start();
    world.ssh("ana", &["db1", "echo so"]).ok();
    let session = world.only_session();
    let id = session["id"].as_str().unwrap();
    let part = id.rsplit('-').next().unwrap();
    let mut narrow = shell(&world, "stty cols 60; $P sessions; echo done");
    narrow.see("done");
    let rows: Vec<&str> = narrow.screen.lines().collect();
    let fits = rows.iter().all(|row| row.trim_end().chars().count() <= 60);
    assert!(fits, "{}", narrow.screen);
    let named = narrow.screen.contains(part) && !narrow.screen.contains(id);
    assert!(named, "{}", narrow.screen);
    assert!(world.verb(&["events", part]).ok().out().contains(id));
    let wide = world.verb(&["sessions"]).ok().out();
    assert!(wide.contains(id), "whole where nobody measures: {wide}");
}

#[test]
fn times_are_in_the_zone_of_whoever_looks() {
    let world = World::new().start();
    world.ssh("ana", &["db1", "echo so"]).ok();
    world.only_session();
    let mut here = shell(&world, "TZ=Asia/Kolkata $P sessions; echo done");
    here.see("+05:30").see("done");
    let mut there = world.client_with(
        "ssh",
        "ana",
        &["-o", "SendEnv=TZ", "bastion", "sessions"],
        &[("TZ", "Asia/Kolkata")],
    );
    there = there.ok();
    assert!(there.out().contains("+05:30"), "{}", there.out());
}

#[test]
fn nothing_found_is_said_and_is_the_answer_one() {
    let world = World::new().start();
    let none = world.verb(&["sessions", "--identity", "nobody"]);
    assert_eq!((none.code, none.out().as_str()), (1, ""), "{none:?}");
    assert!(none.stderr.contains("no sessions"), "{}", none.stderr);
    let none = world.ssh("ana", &["bastion", "sessions", "--json"]);
    assert_eq!((none.code, none.out().as_str()), (1, "[]\n"), "{none:?}");
    for verb in ["events", "transcript", "sessions show"] {
        let words: Vec<&str> = verb.split(' ').chain(["last"]).collect();
        let none = world.verb(&words);
        assert_eq!(none.code, 1, "{none:?}");
        assert!(none.stderr.starts_with("portcullis: "), "{}", none.stderr);
    }
}

#[test]
fn a_rebuilt_index_says_what_the_live_one_said() {
    let mut world = World::new().start();
    world.ssh_with("ana", &["db1", "cat; exit 3"], b"in\n");
    let mut terminal = world.terminal("ana", &["db1"]);
    terminal.type_in("echo \"so:$((6*7))\"\r").see("so:42");
    world.kill_bastion();
    terminal.end();
    world.start_bastion();
    let live = world.ended_sessions(2);
    world.stop_bastion();
    for database in ["portcullis.db", "portcullis.db-wal", "portcullis.db-shm"] {
        std::fs::remove_file(world.path("bastion/state").join(database)).ok();
    }
    let made = world.verb(&["index", "--rebuild"]).ok();
    assert!(made.stderr.contains("2 rows"), "{}", made.stderr);
    let rebuilt = wait::until("the rebuilt index", || {
        let mut rows = world.sessions();
        rows.sort_by_key(|row| row["start"].to_string());
        (!rows.is_empty()).then_some(rows)
    });
    assert_eq!(rebuilt, live);
}

#[test]
fn a_recording_that_lost_its_end_is_told_as_damaged() {
    let world = World::new().start();
    let mut terminal = world.terminal("ana", &["-tt", "db1"]);
    terminal.type_in("echo =$((6*7))\n");
    terminal.see("=42");
    let running = world.sessions();
    let id = running[0]["id"].as_str().unwrap();
    // Who looks at a running session has what it did so far cut off as a chunk.
    world.verb(&["transcript", id]).ok();
    terminal.type_in("exit\n");
    terminal.end();
    let ended = world.only_session();
    for verb in ["show", "transcript", "events", "export"] {
        world.verb(&look(verb, id)).ok();
    }
    let day = ended["start"].as_str().unwrap()[..10].replace('-', "/");
    let dir = world.path("bastion/state/recordings").join(day).join(id);
    let mut chunks: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    chunks.sort();
    assert!(chunks.len() > 1, "{chunks:?}");
    std::fs::remove_file(chunks.last().unwrap()).unwrap();
    for verb in ["show", "transcript", "events", "export"] {
        let run = world.verb(&look(verb, id));
        // What could be exported is: the answer to "is that all?" is no.
        let code = if verb == "export" { 1 } else { 4 };
        assert_eq!(run.code, code, "{verb}: {}", run.stderr);
        let said = run.out() + &run.stderr;
        assert!(said.contains("the rest is missing"), "{verb}: {said}");
    }
}

fn look<'a>(verb: &'a str, id: &'a str) -> Vec<&'a str> {
    match verb {
        "show" => vec!["sessions", "show", id],
        _ => vec![verb, id],
    }
}

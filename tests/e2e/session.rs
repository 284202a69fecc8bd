//! What goes through a session: streams, statuses, terminals, many channels.

use crate::world::{World, event};
use rustix::process::Signal;
use std::fmt::Write as _;
use std::io::{Read, Write};

#[test]
fn a_command_has_its_streams_and_its_status() {
    let world = World::new().start();
    let run = world.ssh_with("ana", &["db1", "cat; echo oops >&2; exit 3"], b"from here");
    assert_eq!(run.code, 3, "{run:?}");
    assert_eq!(run.stdout, b"from here");
    assert!(run.stderr.contains("oops\n"));

    let run = world
        .ssh_with("ana", &["db1", "head -c 1"], &vec![b'x'; 3 << 20])
        .ok();
    assert_eq!(run.stdout, b"x", "input that nobody reads is no fault");
    let run = world.ssh("ana", &["db1", "kill -TERM $$"]);
    assert_eq!(run.code, 255, "an exit signal is 255 with OpenSSH: {run:?}");
    let last = world.ended_sessions(3).pop().unwrap();
    let events = world.events(last["id"].as_str().unwrap());
    assert_eq!(event(&events, "channel.close")["exit_signal"], "TERM");
}

#[test]
fn much_goes_both_ways_at_once_and_arrives_whole() {
    let world = World::new().start();
    let sent: Vec<u8> = (0..24_u32 << 20)
        .map(|n| (n ^ (n >> 9)).to_le_bytes()[0])
        .collect();
    let name = format!("{}@db1", world.login);
    for words in [&["db1", "cat"][..], &["-l", &name, "bastion", "cat"][..]] {
        let run = world.ssh_with("ana", words, &sent).ok();
        assert!(
            run.stdout == sent,
            "{} of {} bytes",
            run.stdout.len(),
            sent.len()
        );
    }
}

#[test]
fn a_terminal_is_a_terminal() {
    let world = World::new().start();
    let mut terminal = world.terminal("ana", &["db1"]);
    terminal
        .type_in("stty size; echo \"so: $((6 * 7))\"\r")
        .see("24 80")
        .see("so: 42");
    terminal
        .resize(132, 50)
        .type_in("stty size\r")
        .see("50 132");
    terminal.type_in("exit 5\r");
    assert_eq!(terminal.end().code(), Some(5), "{}", terminal.screen);

    let id = world.only_session()["id"].as_str().unwrap().to_owned();
    let events = world.events(&id);
    let resize = event(&events, "resize").to_string();
    assert!(resize.contains("132") && resize.contains("50"), "{resize}");
    let pty = event(&events, "pty").to_string();
    assert!(pty.contains("xterm"), "{pty}");
}

#[test]
fn a_command_on_a_terminal_is_recorded_like_a_shell() {
    let world = World::new().start();
    let run = world
        .ssh("ana", &["-tt", "db1", "test -t 1 && echo terminal"])
        .ok();
    assert!(run.out().contains("terminal"));
    let id = world.only_session()["id"].as_str().unwrap().to_owned();
    let events = world.events(&id);
    assert_eq!(event(&events, "exec")["outcome"], "success");
    assert!(
        event(&events, "output")["data"]
            .as_str()
            .unwrap()
            .contains("terminal")
    );
}

#[test]
fn people_are_told_that_they_are_recorded() {
    let world = World::new().start();
    let run = world.ssh("ana", &["db1", "true"]).ok();
    assert!(
        run.stderr.to_lowercase().contains("record"),
        "{}",
        run.stderr
    );
}

#[test]
fn many_channels_share_a_connection() {
    let world = World::new().start();
    let socket = world.path("mux");
    let socket = format!("ControlPath={}", socket.display());
    let mut master = world.terminal("ana", &["-M", "-o", &socket, "db1"]);
    master.type_in("echo \"so: $((6 * 7))\"\r").see("so: 42");
    std::thread::scope(|scope| {
        for number in 0..10 {
            let (world, socket) = (&world, &socket);
            scope.spawn(move || {
                let mut command = String::new();
                write!(command, "cat >/dev/null; echo {number}; exit {number}").unwrap();
                let run = world.ssh_with("ana", &["-o", socket, "db1", &command], &[0; 100_000]);
                assert_eq!(run.code, number, "{run:?}");
                assert_eq!(run.out(), format!("{number}\n"));
            });
        }
    });
    master.type_in("exit\r");
    assert!(master.end().success(), "{}", master.screen);
    let session = world.only_session();
    assert_eq!(session["channels"], 11, "{session}");
    let id = session["id"].as_str().unwrap();
    assert_eq!(
        world
            .events(id)
            .iter()
            .filter(|e| e["kind"] == "channel.close")
            .count(),
        11
    );
}

#[test]
fn quick_commands_never_lose_their_status() {
    let world = World::new().start();
    let socket = format!("ControlPath={}", world.path("mux").display());
    let mut master = world.terminal("ana", &["-M", "-o", &socket, "db1"]);
    master.type_in("echo \"so: $((6 * 7))\"\r").see("so: 42");
    // More than a connection may have open at once: closed ones do not count.
    for _ in 0..70 {
        let run = world.ssh("ana", &["-o", &socket, "db1", "exit 7"]);
        assert_eq!(run.code, 7, "{run:?}");
    }
    master.type_in("exit\r");
    master.end();
}

#[test]
fn forwarding_is_refused_politely() {
    let world = World::new().start();
    let run = world.ssh("ana", &["-W", "192.0.2.7:1", "db1"]);
    assert_eq!(run.code, 255, "{run:?}");
    let no_forward = "portcullis: `forward-local` to 192.0.2.7 port 1";
    assert!(run.stderr.contains(no_forward), "{run:?}");
    let run = world
        .ssh(
            "ana",
            &["-A", "-R", "0:127.0.0.1:1", "db1", "echo still here"],
        )
        .ok();
    assert_eq!(run.out(), "still here\n");
    let no_listener = "portcullis: `forward-remote` to localhost port 0";
    assert!(run.stderr.contains(no_listener), "{run:?}");

    let raw = world.raw_at_db1("ana", Default::default());
    let channel = raw.channel().unwrap();
    raw.runtime.block_on(async {
        let x11 = channel.request_x11(true, false, "MIT-MAGIC-COOKIE-1", "00", 0);
        x11.await.unwrap();
        channel.agent_forward(true).await.unwrap();
        channel.exec(true, "echo still here").await.unwrap();
    });
    let said = raw.hear(channel);
    assert_eq!(said.out, b"still here\n");
    // Whether an agent may be forwarded is known when the session opens; then it is said.
    assert_eq!(said.no, 1, "{said:?}");
    let told = String::from_utf8_lossy(&said.err).into_owned();
    for what in ["X11 forwarding is not", "your agent is not forwarded"] {
        assert!(told.contains(what), "{told}");
    }
    drop(raw);
    let last = world.ended_sessions(3).pop().unwrap();
    let events = world.events(last["id"].as_str().unwrap());
    let notice = event(&events, "notice").to_string();
    assert!(notice.contains("not available"), "{notice}");
}

#[test]
fn a_session_says_which_algorithms_it_has() {
    let world = World::new().start();
    let name = format!("{}@db1", world.login);
    let sealed = ["-v", "-o", "Ciphers=aes256-gcm@openssh.com"];
    let plain = [
        "-v",
        "-c",
        "aes256-ctr",
        "-m",
        "hmac-sha2-512-etm@openssh.com",
    ];
    for (number, door, options) in [
        (1, &["db1", "true"][..], &sealed[..]),
        (2, &["-l", &name, "bastion", "true"], &plain),
    ] {
        let run = world.ssh("ana", &[options, door].concat()).ok();
        // Of a jump the second exchange is the session's.
        let said = |what: &str| {
            let mut lines = run.stderr.lines().rev();
            let line = lines.find(|line| line.contains(what)).unwrap();
            line.split(what).nth(1).unwrap().trim().to_owned()
        };
        let session = world.ended_sessions(number).pop().unwrap();
        let events = world.events(session["id"].as_str().unwrap());
        let found = &event(&events, "session.start")["negotiated"];
        assert_eq!(found["kex"], said("kex: algorithm:"), "{found}");
        assert_eq!(
            found["host_key"],
            said("kex: host key algorithm:"),
            "{found}"
        );
        let sent = said("kex: client->server cipher:");
        let sent: Vec<&str> = sent.split_whitespace().collect();
        assert_eq!(found["cipher"], sent[0], "{found}");
        let mac = sent[2].trim_matches(['<', '>']);
        assert_eq!(found["mac"], mac, "{found}");
    }
}

#[test]
fn each_direction_ends_on_its_own() {
    let world = World::new().start();
    let run = world.ssh_with("ana", &["db1", "cat; echo after"], b"in ");
    assert_eq!(run.ok().out(), "in after\n");

    // The target's output ends first; input goes on.
    let got = world.path("got");
    let command = format!("exec >&- 2>&-; cat > {}; exit 4", got.display());
    let mut client = world.open("ana", &["-vv", "db1", &command]);
    client.says("rcvd eof");
    let mut stdin = client.stdin();
    stdin.write_all(b"late").unwrap();
    drop(stdin);
    client.end();
    crate::wait::until("the late input", || {
        (std::fs::read(&got).ok()? == b"late").then_some(())
    });
}

#[test]
fn variables_go_on_as_far_as_the_settings_say() {
    let world = World::new().start();
    let set = "SetEnv=LC_NAME=abc HIDDEN=xyz";
    let command = "echo [$LC_NAME] [$HIDDEN]";
    let run = world.ssh("ana", &["-o", set, "db1", command]).ok();
    assert_eq!(run.out(), "[abc] []\n");
    let session = world.only_session();
    let events = world.events(session["id"].as_str().unwrap());
    let accepted = |name: &str| {
        let mut env = events.iter().filter(|event| event["kind"] == "env");
        env.find(|event| event["name"] == name).unwrap()["accepted"].clone()
    };
    assert_eq!(accepted("LC_NAME"), true);
    assert_eq!(accepted("HIDDEN"), false);
}

#[test]
fn the_ways_to_call_ssh_work() {
    let world = World::new().start();
    let run = world.ssh_with("ana", &["-T", "db1"], b"tty; echo typed\n");
    assert!(run.out().contains("not a tty\ntyped\n"), "{run:?}");
    let run = world.ssh_with("ana", &["-n", "db1", "cat; echo end"], b"never read");
    assert_eq!(run.ok().out(), "end\n");
    // Without a terminal of its own, -tt asks for one of 0 x 0.
    let run = world.ssh("ana", &["-tt", "db1", "stty size"]).ok();
    assert!(run.out().contains("0 0"), "{run:?}");
    world.ended_sessions(3);

    let mut idle = world.open("ana", &["-N", "-v", "db1"]);
    idle.says("Entering interactive session");
    drop(idle);
    assert_eq!(world.sessions().len(), 3, "no channel, no session");
}

#[test]
fn one_person_has_several_sessions() {
    let world = World::new().start();
    let mut first = world.terminal("ana", &["db1"]);
    let mut second = world.terminal("ana", &["db1"]);
    for terminal in [&mut first, &mut second] {
        terminal.type_in("echo \"so: $((6 * 7))\"\r").see("so: 42");
    }
    let run = world.verb(&["--json", "sessions", "--active"]).ok();
    let active: Vec<serde_json::Value> = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(active.len(), 2, "{active:?}");
    assert_ne!(active[0]["id"], active[1]["id"]);
    for terminal in [&mut first, &mut second] {
        terminal.type_in("exit\r");
        assert!(terminal.end().success(), "{}", terminal.screen);
    }
    world.ended_sessions(2);
}

#[test]
fn a_target_that_gives_no_terminal_says_so() {
    let world = World::new().sshd("PermitTTY no").start();
    let run = world.ssh("ana", &["-tt", "db1", "tty"]);
    assert_eq!(run.code, 254, "{run:?}");
    let shown = run.out() + &run.stderr;
    assert!(
        shown.contains("portcullis: the target gave no terminal"),
        "{shown}"
    );
    assert!(shown.contains("ssh -T"), "{shown}");
    world.ssh("ana", &["db1", "true"]).ok();
    let events = world.events(world.ended_sessions(2)[0]["id"].as_str().unwrap());
    assert_eq!(event(&events, "target.fail")["code"], "target_refused");
    event(&events, "channel.close");
}

#[test]
fn a_subsystem_that_the_target_has_not_is_refused() {
    let world = World::new().start();
    let run = world.ssh("ana", &["-s", "db1", "no-such-thing"]);
    assert_eq!(run.code, 255, "{run:?}");
    assert!(run.stderr.contains("subsystem request failed"), "{run:?}");
    world.ssh("ana", &["db1", "true"]).ok();
}

#[test]
fn a_signal_is_recorded_and_a_break_is_refused() {
    let world = World::new().start();
    let raw = world.raw_at_db1("ana", Default::default());
    let channel = raw.channel().unwrap();
    raw.runtime.block_on(async {
        channel.exec(true, "cat").await.unwrap();
        channel.signal(russh::Sig::TERM).await.unwrap();
        channel.eof().await.unwrap();
    });
    raw.hear(channel);
    drop(raw);
    let events = world.events(world.only_session()["id"].as_str().unwrap());
    assert_eq!(event(&events, "signal")["signal"], "TERM");

    let mut terminal = world.terminal("ana", &["db1"]);
    terminal.type_in("echo \"so: $((6 * 7))\"\r").see("so: 42");
    terminal
        .type_in("\r~B")
        .type_in("echo \"so: $((6 * 8))\"\r")
        .see("so: 48");
    terminal.type_in("exit\r");
    assert!(terminal.end().success(), "{}", terminal.screen);
}

#[test]
fn who_does_nothing_or_stays_too_long_is_told_and_goes() {
    for (setting, reason, says) in [
        ("session.idle", "idle", "was idle for too long"),
        (
            "session.max_duration",
            "max_duration",
            "as long as a session may",
        ),
    ] {
        let world = World::new().set(setting, "4s").start();
        let mut terminal = world.terminal("ana", &["db1"]);
        terminal.see("portcullis: ").see(says);
        assert_eq!(terminal.end().code(), Some(254), "{}", terminal.screen);
        assert_eq!(world.only_session()["end_reason"], reason);
    }
}

#[test]
fn a_client_that_answers_nothing_any_more_is_gone() {
    let world = World::new().set("session.keepalive", "1s").start();
    let name = format!("{}@db1", world.login);
    let mut client = world.open("ana", &["-l", &name, "bastion", "echo so; sleep 600"]);
    client.stdout().read_exact(&mut [0; 3]).unwrap();
    client.signal(Signal::STOP);
    assert_eq!(world.only_session()["end_reason"], "network");
}

#[test]
fn what_a_client_that_is_gone_did_not_get_is_told_with_its_size_and_hash() {
    let world = World::new().start();
    // The client takes a little and goes; the command writes on.
    let config = world.words("ana", &["db1", "yes | head -c 3000000"]);
    let script = format!(
        "timeout 20 ssh {} | head -c 10 >/dev/null",
        config
            .join(" ")
            .replace("yes | head -c 3000000", "'yes | head -c 3000000'")
    );
    let status = std::process::Command::new("sh")
        .args(["-c", &script])
        .status();
    assert!(status.unwrap().success());
    let session = world.only_session();
    let events = world.events(session["id"].as_str().unwrap());
    let sum = event(&events, "stream");
    assert_eq!(sum["direction"], "output", "{sum}");
    let bytes = sum["bytes"].as_u64().unwrap();
    assert!(bytes >= 1024, "{sum}");
    let close = event(&events, "channel.close");
    assert_eq!(close["output_bytes"], bytes, "{close}");
}

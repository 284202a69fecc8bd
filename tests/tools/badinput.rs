//! What no tool sends: through both doors, and what is recorded of it.

use crate::tool::{self, DOORS, fed, openssh, tool};
use crate::wait;
use crate::world::{World, event};
use serde_json::Value;
use std::process::Command;

/// What rude.py does -> whether the connection lives on; `any` where paramiko itself may give up.
const CASES: [(&str, &str); 18] = [
    ("a channel that never was", "open"),
    ("data after eof", "open"),
    ("data after close", "open"),
    ("a window beyond 2^32", "open"),
    ("windows and packets of 0 and 2^32-1", "any"),
    ("data beyond the window", "closed"),
    ("requests that are cut", "closed"),
    ("a string that says it is 4 GiB", "closed"),
    ("requests that nobody knows", "open"),
    ("sizes of 2^32-1", "open"),
    ("a terminal whose modes are cut", "closed"),
    ("a variable that is no text", "closed"),
    ("a command of 4 GiB", "closed"),
    ("more than the request", "closed"),
    ("a forward that is cut", "closed"),
    ("channels that clients do not open", "open"),
    ("a channel that is cut", "closed"),
    ("answers that nobody asked for", "closed"),
];

#[test]
fn a_client_that_breaks_the_rules_hurts_nobody_else() {
    let mut world = World::new().start();
    world.ssh("ana", &["db1", "true"]).ok();
    for door in DOORS {
        let mut rude = tool("timeout", "coreutils", 120);
        rude.args([
            "-k",
            "5",
            "110",
            "/usr/bin/python3",
            "-W",
            "ignore",
            "tests/tools/rude.py",
        ]);
        rude.arg(world.port.to_string()).arg(world.path("ana/id"));
        rude.arg(world.path("ana/id-cert.pub"))
            .args([&world.login, door.word()]);
        let run = fed(&mut rude, b"");
        let missing = run.stderr.contains("No module named");
        assert!(!missing, "no paramiko: apt-get install python3-paramiko");
        let run = run.ok();
        for (case, state) in CASES {
            let line = run
                .out()
                .lines()
                .find(|line| line.starts_with(case))
                .map(str::to_owned);
            let line = line.unwrap_or_else(|| panic!("no `{case}`: {run:?}"));
            assert!(state == "any" || line.ends_with(state), "{door:?}: {line}");
        }
        assert_eq!(run.out().lines().count(), CASES.len());
        world.ssh("ana", &["db1", "true"]).ok();
    }
    // What went on was a session like others, with its end, and the end says why.
    let count = 2 * CASES.len() + 3;
    assert_eq!(world.ended_sessions(count).len(), count);
    let streams = world.streams();
    let told = |what: &str| streams.values().filter(|text| text.contains(what)).count();
    assert!(told("the peer ignored the window it was given") >= 2);
    for text in streams.values() {
        assert!(!text.contains('\u{1b}'));
    }
    assert!(!world.log().contains("panicked"), "{}", world.log());
    assert!(
        !world.log().contains('\u{1b}'),
        "a peer writes into the log: {}",
        world.log()
    );
    wait::until("nobody to be left", || {
        let status = world.verb(&["--json", "status"]).ok();
        let status: Value = serde_json::from_slice(&status.stdout).unwrap();
        (status["connections"] == 0 && status["sessions"] == 0).then_some(())
    });
    world.stop_bastion();
    let events = world.node_events();
    let broken = events
        .iter()
        .filter(|event| event["code"] == "protocol")
        .count();
    let closed = CASES.iter().filter(|(_, state)| *state == "closed").count();
    assert!(broken >= 2 * closed, "{broken} of {}", 2 * closed);
}

/// A variable that is no text is more than the SSH library reads: the connection ends before there is
/// a session, and that is an event too.
#[test]
fn what_breaks_the_rules_before_a_session_is_an_event() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let mut world = tool::start();
    for door in DOORS {
        let words = ["-o", "SendEnv=LC_NAME", &door.db1(&world), "true"];
        let mut ssh = openssh(&world, "ssh", &words);
        let run = fed(ssh.env("LC_NAME", OsStr::from_bytes(b"\xff")), b"");
        assert_eq!(run.code, 255, "{door:?} {run:?}");
    }
    assert_eq!(world.sessions().len(), 0);
    world.stop_bastion();
    let events = world.node_events();
    let told: Vec<&Value> = events
        .iter()
        .filter(|event| event["code"] == "protocol")
        .collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told.iter().all(|event| event["who"]["subject"] == "ana"),
        "{told:?}"
    );
}

#[test]
fn terminals_of_any_size() {
    let world = World::new().start();
    let raw = world.raw_at_db1("ana", Default::default());
    for (columns, rows) in [(u32::MAX, u32::MAX), (0, 0), (u32::MAX, 1), (1, 70_000)] {
        let channel = raw.channel().unwrap();
        raw.runtime.block_on(async {
            let pty = channel.request_pty(false, "xterm", columns, rows, u32::MAX, u32::MAX, &[]);
            pty.await.unwrap();
            channel
                .exec(true, "sleep 0.2; stty size; echo \"so\"")
                .await
                .unwrap();
            channel.window_change(rows, columns, 0, 0).await.unwrap();
        });
        let said = raw.hear(channel);
        assert!(
            String::from_utf8_lossy(&said.out).contains("so\r\n"),
            "{said:?}"
        );
    }
    drop(raw);
    let session = world.only_session();
    assert_eq!(session["channels"], 4);
    assert!(!world.log().contains("panicked"), "{}", world.log());
    let resident =
        std::fs::read_to_string(format!("/proc/{}/status", world.bastion_pid())).unwrap();
    let peak = resident
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    let peak: u64 = peak.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(peak < 200 * 1024, "{peak} KiB");
    world.ssh("ana", &["db1", "transcript", "last"]);
    world
        .verb(&["transcript", session["id"].as_str().unwrap()])
        .ok();
}

fn last_events(world: &World, count: usize) -> Vec<Value> {
    let last = world.ended_sessions(count).pop().unwrap();
    world.events(last["id"].as_str().unwrap())
}

/// sftp with lengths of 2^32-1, in the packet and inside of it: told, and the target's own affair.
#[test]
fn sftp_of_any_length() {
    let world = tool::start();
    let init = b"\0\0\0\x05\x01\0\0\0\x03";
    let open =
        |length: [u8; 4]| [&b"\0\0\0\x15\x03\0\0\0\x01"[..], &length, b"/etc/hosts\0\0"].concat();
    let mut count = 0;
    for door in DOORS {
        for bad in [
            b"\xff\xff\xff\xff\x03\0\0\0\x01".to_vec(),
            open([0xff; 4]),
            b"\0\0\0\0".to_vec(),
            b"\0\0\0\x01\x03".to_vec(),
            [&b"\0\x03\xff\xff\x06"[..], &[0; 5000]].concat(),
        ] {
            let words = ["-s", &door.db1(&world), "sftp"];
            let input = [&init[..], &bad].concat();
            let run = fed(&mut openssh(&world, "ssh", &words), &input);
            // What the target makes of it is its own affair.
            assert_ne!(run.code, 254, "{run:?}");
            count += 1;
            let events = last_events(&world, count);
            event(&events, "sftp.error");
        }
    }
    assert!(!world.log().contains("panicked"), "{}", world.log());
}

/// scp records that lead elsewhere: the target refuses them, and what was asked is recorded.
#[test]
fn scp_records_that_lead_elsewhere() {
    let world = tool::start();
    let dir = world.path("inside");
    std::fs::create_dir(&dir).unwrap();
    let command = format!("scp -r -t {}", dir.display());
    let mut count = 0;
    for door in DOORS {
        for bad in [
            &b"C0644 3 ../outside\nabc\0"[..],
            b"D0755 0 ..\nC0644 3 outside\nabc\0",
            b"C0644 18446744073709551615 x\n",
            b"C0644 3 a\x1b[31m/../b\nabc\0",
        ] {
            let run = fed(
                &mut openssh(&world, "ssh", &[&door.db1(&world), &command]),
                bad,
            );
            assert_ne!(run.code, 254, "{run:?}");
            count += 1;
            let events = last_events(&world, count);
            event(&events, "exec");
            let told = events.iter().filter(|event| {
                let kind = event["kind"].as_str().unwrap();
                kind == "scp.error" || (kind.starts_with("scp.") && event["outcome"] != "success")
            });
            assert!(told.count() > 0, "{bad:?}: {events:?}");
        }
    }
    assert!(!world.path("outside").exists());
    assert!(!world.log().contains("panicked"), "{}", world.log());
}

/// Arguments with line ends are one argument, and stay one.
#[test]
fn rsync_and_git_arguments_with_line_ends() {
    let world = tool::start();
    let repository = world.path("new\nline.git");
    let odd = repository.to_str().unwrap();
    let made = Command::new("git")
        .args(["init", "-q", "--bare", odd])
        .status();
    assert!(made.unwrap().success());
    for (number, door) in (0..).zip(DOORS) {
        let host = door.db1(&world);
        let ls = format!("git-upload-pack '{odd}'");
        let run = fed(&mut openssh(&world, "ssh", &[&host, &ls]), b"0000").ok();
        assert!(run.out().contains("capabilities"), "{run:?}");
        let events = last_events(&world, 2 * number + 1);
        assert_eq!(event(&events, "git")["repository"]["data"], odd);
        let command = format!("rsync --server --sender -e.LsfxCIvu --log-format='a\nb' . '{odd}'");
        fed(
            &mut openssh(&world, "ssh", &[&host, &command]),
            b"\x1f\0\0\0\xff\xff\xff\xff",
        );
        let events = last_events(&world, 2 * number + 2);
        let rsync = event(&events, "rsync");
        assert_eq!(rsync["paths"][0]["data"], odd, "{rsync}");
        assert!(rsync["options"].to_string().contains("a\\nb"), "{rsync}");
    }
    let lines = world.verb(&["sessions", "show", "last"]);
    assert!(lines.out().lines().count() < 200, "{}", lines.out());
}

//! OpenSSH's own client with what it has: ways to call it, multiplexing, escapes, keys that change,
//! algorithms that are limited.

use crate::tool::{self, DOORS, Door, ME, done, fed, noise, openssh, through_both, tool};
use crate::wait;
use crate::world::{World, event, free_port};
use std::fs;
use std::process::{Command, Stdio};

#[test]
fn each_way_to_call_it() {
    let world = tool::start();
    through_both(&world, |door, host| {
        let run = fed(
            &mut openssh(&world, "ssh", &["-T", host]),
            b"tty; echo typed\n",
        );
        assert!(run.out().contains("not a tty\ntyped\n"), "{door:?} {run:?}");
        let run = fed(
            &mut openssh(&world, "ssh", &["-n", host, "cat; echo end"]),
            b"never read",
        );
        assert_eq!(run.ok().out(), "end\n");
        let run = done(&mut openssh(
            &world,
            "ssh",
            &["-tt", host, "tty; stty size"],
        ));
        assert!(run.out().contains("/dev/pts/"), "{door:?} {run:?}");
        let mut terminal = world.terminal(ME, &["-t", host, "tty; stty size"]);
        terminal.see("/dev/pts/").see("24 80");
        assert!(terminal.end().success(), "{}", terminal.screen);
        let mut terminal = world.terminal(ME, &[host]);
        terminal
            .type_in("echo \"so: $((6 * 7))\"; exit 9\r")
            .see("so: 42");
        assert_eq!(terminal.end().code(), Some(9), "{}", terminal.screen);

        let log = world.text_path(&format!("log-{}", door.word()));
        let run = done(&mut openssh(
            &world,
            "ssh",
            &["-v", "-E", &log, host, "echo out; echo err >&2"],
        ));
        // The notice stays where people look, and so does what the jump's own `ssh` says.
        assert_eq!(run.out(), "out\n", "{door:?}");
        assert!(run.stderr.contains("err\n"), "{door:?} {run:?}");
        let quiet = !run.stderr.contains("Exit status");
        assert!(quiet, "{door:?} {run:?}");
        assert!(fs::read_to_string(&log).unwrap().contains("Exit status 0"));

        // A sign of life each second, and one that is missed ends it.
        let alive = ["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=1"];
        let run = done(&mut openssh(
            &world,
            "ssh",
            &[&alive[..], &[host, "sleep 4; echo alive"]].concat(),
        ));
        assert_eq!(run.out(), "alive\n");

        let run = done(&mut openssh(
            &world,
            "ssh",
            &["-v", "-C", host, "echo plain"],
        ));
        assert_eq!(run.out(), "plain\n");
        let declined = run.stderr.matches("compression: none").count();
        let exchanges = if door == Door::Jump { 1 } else { 0 };
        assert!(declined >= 2 + exchanges, "{door:?} {}", run.stderr);
    });
}

/// `-f` gives the prompt back while the command goes on; `-N` opens nothing.
#[test]
fn in_the_background() {
    let world = tool::start();
    through_both(&world, |door, host| {
        let pipe = world.path(&format!("pipe-{}", door.word()));
        done(tool("mkfifo", "coreutils", 10).arg(&pipe));
        let heard = world.path(&format!("heard-{}", door.word()));
        let command = format!("cat {} > {}", pipe.display(), heard.display());
        let mut ssh = openssh(&world, "ssh", &["-f", host, &command]);
        assert!(
            ssh.stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .unwrap()
                .success()
        );
        // Only now does the command get what it waits for.
        fs::write(&pipe, "later").unwrap();
        wait::until("the command in the background", || {
            (fs::read(&heard).ok()? == b"later").then_some(())
        });

        let socket = world.text_path(&format!("mux-{}", door.word()));
        let with = |words: &[&str]| openssh(&world, "ssh", &[&["-S", &socket], words].concat());
        let mut master = with(&["-f", "-N", "-M", host]);
        assert!(
            master
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .unwrap()
                .success()
        );
        std::thread::scope(|scope| {
            for number in 0..10_u8 {
                let with = &with;
                scope.spawn(move || {
                    let command = format!("cat | wc -c; exit {number}");
                    let run = fed(&mut with(&[host, &command]), &noise(number.into(), 200_000));
                    assert_eq!(
                        (run.code, run.out().trim()),
                        (number.into(), "200000"),
                        "{run:?}"
                    );
                });
            }
        });
        assert!(
            done(&mut with(&["-O", "check", host]))
                .stderr
                .contains("Master running")
        );
        done(&mut with(&["-O", "exit", host]));
    });
    let sessions = world.ended_sessions(4);
    let ten = sessions.iter().filter(|session| session["channels"] == 10);
    assert_eq!(ten.count(), 2, "{sessions:?}");
}

#[test]
fn through_another_jump_host_and_a_proxy_command() {
    let mut world = tool::start();
    // A jump host of somebody else, which trusts our user CA.
    let port = free_port();
    let users = world.text_path("bastion/keys/user_ca.pub");
    let trusts = format!("TrustedUserCAKeys {users}\nAllowTcpForwarding yes");
    world.another_sshd("hop", port, &["-n", "hop"], &trusts);
    let lines = format!(
        "Host hop\n  HostName 127.0.0.1\n  Port {port}\n  StrictHostKeyChecking no\nHost *\n"
    );
    tool::configure(&world, ME, &lines);
    let world = &world;
    let proxy = format!(
        "ProxyCommand=ssh -F {} -W %h:%p bastion",
        world.text_path(&format!("{ME}/config"))
    );
    let around = proxy.replace("bastion", "hop");
    let by_name = Door::Name.db1(world);
    for words in [
        &["-J", "hop,bastion", "db1"][..],
        &["-J", "hop", &by_name],
        &["-o", "ProxyJump=none", "-o", &proxy, "db1"],
        &["-o", &around, &by_name],
    ] {
        let run = fed(
            &mut openssh(world, "ssh", &[words, &["cat"]].concat()),
            &noise(1, 100_000),
        );
        assert!(run.ok().stdout == noise(1, 100_000), "{words:?}");
    }
}

#[test]
fn escape_characters() {
    let world = tool::start();
    through_both(&world, |_, host| {
        let mut terminal = world.terminal(ME, &["-o", "EnableEscapeCommandline=yes", host]);
        terminal.type_in("echo \"so: $((6 * 7))\"\r").see("so: 42");
        terminal.type_in("\r~?").see("Supported escape sequences");
        terminal
            .type_in("\r~#")
            .see("The following connections are open");
        // New keys in the middle, by hand.
        terminal
            .type_in("\r~R")
            .type_in("echo \"so: $((6 * 8))\"\r")
            .see("so: 48");
        terminal
            .type_in("\r~C")
            .see("ssh> ")
            .type_in("?\r")
            .see("Commands:");
        terminal.type_in("\r~~echo one\r").see("~echo");
        terminal.type_in("\r~.");
        assert_eq!(terminal.end().code(), Some(255), "{}", terminal.screen);
    });
    assert_eq!(world.ended_sessions(2).len(), 2);
}

/// Each megabyte, and each ten seconds, while bytes move both ways.
#[test]
fn new_keys_during_transfers() {
    let world = tool::start();
    through_both(&world, |door, host| {
        let sent = noise(7, 24 << 20);
        let words = ["-v", "-o", "RekeyLimit=1M", host, "cat"];
        let run = fed(&mut openssh(&world, "ssh", &words), &sent);
        let exchanges = run.stderr.matches("SSH2_MSG_KEXINIT sent").count();
        assert!(
            run.stdout == sent,
            "{door:?}: {} bytes\n{}",
            run.stdout.len(),
            run.stderr
        );
        assert!(exchanges > 10, "{door:?}: {exchanges} exchanges");

        let some = noise(8, 500_000);
        let words = [
            "-v",
            "-o",
            "RekeyLimit=default 10",
            host,
            "for n in $(seq 24); do head -c 200000 /dev/zero; sleep 0.5; done; cat",
        ];
        let run = fed(&mut openssh(&world, "ssh", &words), &some);
        let exchanges = run.stderr.matches("SSH2_MSG_KEXINIT sent").count();
        assert!(run.stdout.ends_with(&some) && run.stdout.len() == 24 * 200_000 + some.len());
        assert!(
            exchanges >= 2 + usize::from(door == Door::Jump),
            "{door:?}: {exchanges} exchanges"
        );
    });
}

#[test]
fn a_scan_shows_the_stable_key() {
    let world = tool::start();
    let mut scan = tool("ssh-keyscan", "openssh-client", 30);
    scan.args(["-p", &world.port.to_string(), "127.0.0.1"]);
    let key = fs::read_to_string(world.path("bastion/keys/host_ed25519.pub")).unwrap();
    let key: Vec<&str> = key.split(' ').take(2).collect();
    assert!(done(&mut scan).out().contains(&key.join(" ")), "{scan:?}");
}

/// Whether this `ssh` has it: `ssh -Q kex`.
fn has(what: &str, name: &str) -> bool {
    let asked = Command::new("ssh").args(["-Q", what]).output().unwrap();
    String::from_utf8_lossy(&asked.stdout)
        .lines()
        .any(|line| line == name)
}

#[test]
fn algorithms_that_are_limited() {
    let world = tool::start();
    let sent = noise(3, 300_000);
    let with = |lines: &str, user: &str, host: &str| {
        tool::configure(&world, user, lines);
        let mut ssh = tool("ssh", "openssh-client", 60);
        ssh.args(world.words(user, &[host, "cat"]));
        fed(&mut ssh, &sent)
    };
    const ML_KEM: &str = "mlkem768x25519-sha256";
    let mut works = vec![
        ("Ciphers aes128-gcm@openssh.com", "cipher"),
        ("Ciphers aes256-gcm@openssh.com", "cipher"),
        ("Ciphers chacha20-poly1305@openssh.com", "cipher"),
        (
            "Ciphers aes256-ctr\nMACs hmac-sha2-256-etm@openssh.com",
            "mac",
        ),
        (
            "Ciphers aes256-ctr\nMACs hmac-sha2-512-etm@openssh.com",
            "mac",
        ),
        ("KexAlgorithms curve25519-sha256", "kex"),
        ("KexAlgorithms curve25519-sha256@libssh.org", "kex"),
    ];
    if has("kex", ML_KEM) {
        works.push(("KexAlgorithms mlkem768x25519-sha256", "kex"));
    }
    let mut count = 0;
    for (lines, what) in works {
        for door in DOORS {
            let run = with(lines, "limited", &door.db1(&world)).ok();
            assert!(run.stdout == sent, "{lines} {door:?}");
            count += 1;
            let session = world.ended_sessions(count).pop().unwrap();
            let events = world.events(session["id"].as_str().unwrap());
            let agreed = &event(&events, "session.start")["negotiated"][what];
            assert_eq!(
                agreed.as_str(),
                lines.split(' ').next_back(),
                "{lines} {door:?}"
            );
        }
    }
    for (lines, says) in [
        (
            "KexAlgorithms diffie-hellman-group14-sha256",
            "no matching key exchange method",
        ),
        ("Ciphers aes128-cbc", "no matching cipher"),
        ("Ciphers aes128-ctr\nMACs hmac-sha1", "no matching cipher"),
        ("Ciphers aes256-ctr\nMACs hmac-sha2-256", "no matching MAC"),
    ] {
        for door in DOORS {
            let run = with(lines, "limited", &door.db1(&world));
            assert_eq!(run.code, 255, "{lines} {door:?} {run:?}");
            assert!(run.stderr.contains(says), "{lines} {door:?} {run:?}");
        }
    }
}

/// OpenSSH 9.9 has it, Debian 12's 9.2 has not: a client that offers nothing else.
#[test]
fn only_ml_kem() {
    let world = World::new().start();
    let config = russh::client::Config {
        preferred: russh::Preferred {
            kex: vec![russh::kex::MLKEM768X25519_SHA256].into(),
            ..Default::default()
        },
        ..Default::default()
    };
    let raw = world.raw_at_db1("ana", config);
    let channel = raw.channel().unwrap();
    raw.runtime
        .block_on(async { channel.exec(true, "echo so").await.unwrap() });
    assert_eq!(raw.hear(channel).out, b"so\n");
    drop(raw);
    let events = world.events(world.only_session()["id"].as_str().unwrap());
    let agreed = &event(&events, "session.start")["negotiated"]["kex"];
    assert_eq!(agreed, "mlkem768x25519-sha256");
}

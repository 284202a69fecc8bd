//! Clients that are not OpenSSH: with a certificate where they can, with a sentence where they cannot.

use crate::tool::{DOORS, Door, done, fed, noise, noise_file, same, size, timed, tool};
use crate::world::{Run, World};
use std::fs;
use std::process::Command;

fn python(world: &World, program: &str, script: &str, door: Door, mib: usize) -> Command {
    let mut python = tool("timeout", "coreutils", 300);
    python.args([
        "-k",
        "5",
        "290",
        program,
        "-W",
        "ignore",
        script,
        door.word(),
    ]);
    python.arg(world.port.to_string()).arg(world.path("ana/id"));
    python
        .arg(world.path("ana/id-cert.pub"))
        .args([&world.login, &mib.to_string()]);
    python
}

#[test]
fn paramiko() {
    let world = World::new().start();
    let mib = size(8, 50);
    for door in DOORS {
        let mut run = python(
            &world,
            "/usr/bin/python3",
            "tests/tools/by_paramiko.py",
            door,
            mib,
        );
        let run = timed(&format!("paramiko, {door:?}"), mib * 5, || {
            fed(&mut run, b"")
        });
        let missing = run.stderr.contains("No module named");
        assert!(!missing, "no paramiko: apt-get install python3-paramiko");
        assert_eq!(run.ok().out(), "all of it\n");
    }
    assert_eq!(world.ended_sessions(2).len(), 2);
}

#[test]
fn asyncssh() {
    let world = World::new().start();
    let mib = size(8, 50);
    let program = "target/tools/oracles/bin/python";
    let there = fs::exists(program).unwrap();
    assert!(there, "no {program}: run `tests/run needs`");
    for door in DOORS {
        let mut run = python(&world, program, "tests/tools/by_asyncssh.py", door, mib);
        run.arg(world.path("ana/known_hosts"));
        let run = timed(&format!("asyncssh, {door:?}"), mib * 5, || done(&mut run));
        assert_eq!(run.out(), "all of it\n");
    }
    assert_eq!(world.ended_sessions(2).len(), 2);
}

/// PuTTY's own kind of key file, which can hold a certificate since 0.78.
fn putty_key(world: &World, certificate: bool) -> String {
    let key = world.text_path(if certificate { "with.ppk" } else { "plain.ppk" });
    let mut make = tool("puttygen", "putty-tools", 20);
    make.arg(world.path("ana/id"))
        .args(["-O", "private", "-o", &key]);
    if certificate {
        make.arg("--certificate").arg(world.path("ana/id-cert.pub"));
    }
    // Its settings and what it knows of hosts: nothing of the tester's own.
    done(make.env("HOME", world.path("home")));
    key
}

/// `plink`'s and `pscp`'s words up to the host.
fn putty(world: &World, program: &str, key: &str, door: Door) -> Command {
    let host_key = fs::read_to_string(world.path("bastion/keys/host_ed25519.pub")).unwrap();
    let host_key = host_key.split(' ').nth(1).unwrap().to_owned();
    let mut command = tool(program, "putty-tools", 300);
    command.args(["-batch", "-i", key, "-hostkey", &host_key]);
    command.env("HOME", world.path("home"));
    match door {
        Door::Name => command.args(["-P", &world.port.to_string()]),
        Door::Jump => command.args([
            "-proxycmd",
            &format!(
                "plink -batch -i {key} -hostkey {host_key} -P {} -nc %host:%port {}@127.0.0.1",
                world.port, world.login
            ),
        ]),
    };
    command
}

fn putty_place(world: &World, door: Door) -> String {
    match door {
        Door::Name => format!("{}%db1@127.0.0.1", world.login),
        Door::Jump => format!("{}@db1", world.login),
    }
}

#[test]
fn plink_and_pscp() {
    let world = World::new().start();
    let key = putty_key(&world, true);
    let mib = size(8, 50);
    let from = world.path("from");
    noise_file(&from, mib);
    for door in DOORS {
        let place = putty_place(&world, door);
        let plink = |words: &[&str], input: &[u8]| -> Run {
            let mut plink = putty(&world, "plink", &key, door);
            fed(
                plink
                    .args(&words[..words.len() - 1])
                    .arg(&place)
                    .arg(words[words.len() - 1]),
                input,
            )
        };
        let run = plink(&["cat; echo oops >&2; exit 3"], b"fed");
        assert_eq!((run.code, run.out().as_str()), (3, "fed"), "{run:?}");
        assert!(run.stderr.contains("oops\n"), "{run:?}");
        let run = plink(&["-t", "tty; stty size"], b"").ok();
        assert!(run.out().contains("/dev/pts/"), "{run:?}");
        let sent = noise(5, mib << 20);
        let run = timed(&format!("plink cat, {door:?}"), mib, || {
            plink(&["cat"], &sent).ok()
        });
        assert!(run.stdout == sent, "{}", run.stdout.len());
        for mode in ["-sftp", "-scp"] {
            let there = world.path(&format!("{}{mode}", door.word()));
            let back = world.path(&format!("{}{mode}-back", door.word()));
            let remote = format!("{place}:{}", there.display());
            done(
                putty(&world, "pscp", &key, door)
                    .args(["-q", mode])
                    .arg(&from)
                    .arg(&remote),
            );
            same(&from, &there);
            done(
                putty(&world, "pscp", &key, door)
                    .args(["-q", mode])
                    .arg(&remote)
                    .arg(&back),
            );
            same(&from, &back);
        }
        let batch = world.path("batch");
        fs::write(
            &batch,
            format!(
                "mkdir {0}\ncd {0}\nput {1}\nls\n",
                world.path(&format!("{}-dir", door.word())).display(),
                from.display()
            ),
        )
        .unwrap();
        done(
            putty(&world, "psftp", &key, door)
                .arg("-b")
                .arg(&batch)
                .arg(&place),
        );
        same(&from, &world.path(&format!("{}-dir/from", door.word())));
    }
}

const SAYS: &str = "a certificate does";

/// A key without its certificate is refused, with the sentence that says what opens this door.
#[test]
fn who_has_no_certificate_or_cannot_use_one_is_told_so() {
    let world = World::new().start();
    let plain = putty_key(&world, false);
    let place = putty_place(&world, Door::Name);
    let run = fed(
        putty(&world, "plink", &plain, Door::Name).args([&place, "true"]),
        b"",
    );
    assert_ne!(run.code, 0);
    assert!(run.stderr.contains(SAYS), "{run:?}");

    // Dropbear's client knows no certificates at all.
    let key = world.text_path("dropbear");
    let mut convert = tool("dropbearconvert", "dropbear-bin", 20);
    done(
        convert
            .args(["openssh", "dropbear"])
            .arg(world.path("ana/id"))
            .arg(&key),
    );
    for _ in 0..2 {
        let mut dbclient = tool("dbclient", "dropbear-bin", 30);
        dbclient.env("HOME", world.path("home"));
        dbclient.args(["-y", "-i", &key, "-p", &world.port.to_string()]);
        let run = fed(
            dbclient.args([&format!("{}%db1@127.0.0.1", world.login), "true"]),
            b"",
        );
        assert_ne!(run.code, 0);
        let says = "your client (Dropbear) cannot use a certificate";
        assert!(run.stderr.contains(says), "{run:?}");
    }
}

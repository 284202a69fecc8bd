//! A target that breaks the rules: the person gets an answer, the recording an end, and everybody else
//! their sessions.

use crate::tool::{self, DOORS, Door, fed, openssh};
use crate::wait;
use crate::world::{World, free_port};
use serde_json::Value;
use std::fs;
use std::process::{Child, Command, Stdio};

struct Rude {
    world: World,
    child: Child,
}

/// As many as rude_target.py has odd windows.
const WINDOWS: usize = 5;

impl Rude {
    fn start() -> Self {
        let world = World::new().start();
        for key in ["rude_host", "appliance"] {
            world.keygen(&["-q", "-t", "ed25519", "-N", "", "-f", &world.text_path(key)]);
        }
        let host = crate::world::fingerprint(&world.text_path("rude_host.pub"));
        let ports: Vec<u16> = (0..WINDOWS).map(|_| free_port()).collect();
        let mut targets = String::new();
        for (number, port) in ports.iter().enumerate() {
            targets += &format!(
                "[[target]]\nname = \"rude{number}\"\naddress = \"127.0.0.1:{port}\"\nlogins = [\"{}\"]\n\
                 host = {{ keys = [\"{host}\"] }}\nauth = {{ key = \"../appliance\" }}\n",
                world.login
            );
        }
        world.add_targets(&targets);
        tool::configure(&world, tool::ME, "");
        let said = fs::File::create(world.path("rude.out")).unwrap();
        let errors = fs::File::create(world.path("rude.err")).unwrap();
        let child = Command::new("/usr/bin/python3")
            .args(["-W", "ignore", "tests/tools/rude_target.py"])
            .arg(world.path("rude_host"))
            .args(ports.iter().map(u16::to_string))
            .stdin(Stdio::null())
            .stdout(said)
            .stderr(errors)
            .spawn()
            .unwrap();
        let rude = Self { world, child };
        wait::until("the rude target", || {
            let errors = fs::read_to_string(rude.world.path("rude.err")).unwrap();
            let missing = errors.contains("No module named");
            assert!(!missing, "no paramiko: apt-get install python3-paramiko");
            rude.said().contains("ready").then_some(())
        });
        rude
    }

    fn said(&self) -> String {
        fs::read_to_string(self.world.path("rude.out")).unwrap()
    }

    fn ask(&self, door: Door, number: usize, case: &str) -> crate::world::Run {
        let host = door.to(&self.world, &format!("rude{number}"));
        fed(&mut openssh(&self.world, "ssh", &[&host, case]), b"typed")
    }
}

impl Drop for Rude {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// What it does -> the statuses with which `ssh` may end.
const CASES: [(&str, &[i32]); 16] = [
    ("plain", &[5]),
    ("a channel that never was", &[5, 254]),
    ("beyond the window", &[5]),
    ("a window beyond 2^32", &[5, 254]),
    ("data after eof", &[5]),
    ("data after close", &[255, 254]),
    ("extended data of a kind that nobody knows", &[5]),
    ("statuses", &[5, 255, 3]),
    ("requests that nobody knows", &[5]),
    ("channels of its own", &[5]),
    ("a channel whose kind is no text", &[254]),
    ("a string that says it is 4 GiB", &[254]),
    ("a request that is cut", &[254]),
    ("answers that nobody asked for", &[5, 254]),
    ("no status", &[255]),
    ("nothing more", &[254]),
];

#[test]
fn a_target_that_breaks_the_rules_hurts_nobody_else() {
    let rude = Rude::start();
    let world = &rude.world;
    let mut broken = 0;
    for door in DOORS {
        for (case, ends) in CASES {
            let run = rude.ask(door, 0, case);
            assert!(ends.contains(&run.code), "{door:?} {case}: {run:?}");
            assert!(!run.stderr.contains('\u{1b}'), "{door:?} {case}: {run:?}");
            let own = case == "beyond the window" || run.stdout == b"so\n" || run.code != 5;
            assert!(
                own,
                "what is of no channel is nobody's output: {door:?} {case}: {run:?}"
            );
            if run.code == 254 {
                broken += 1;
                let says = run.stderr.contains("portcullis: ");
                assert!(says, "{door:?} {case}: {run:?}");
            }
        }
    }
    world.ssh("ana", &["db1", "true"]).ok();
    let count = 2 * CASES.len() + 1;
    let sessions = world.ended_sessions(count);
    assert_eq!(sessions.len(), count);
    let streams = world.streams();
    let with = |what: &str| streams.values().filter(|text| text.contains(what)).count();
    assert!(
        broken > 0 && with("\"kind\":\"target.fail\"") >= broken,
        "{broken}"
    );
    assert!(with("target_opened_channel") >= 2);
    assert!(!rude.said().contains("opened"), "{}", rude.said());
    let log = world.log();
    assert!(
        !log.contains("panicked") && !log.contains('\u{1b}'),
        "{log}"
    );
    for text in streams.values() {
        assert!(!text.contains('\u{1b}'));
    }
    wait::until("nobody to be left", || {
        let status = world.verb(&["--json", "status"]).ok();
        let status: Value = serde_json::from_slice(&status.stdout).unwrap();
        (status["connections"] == 0 && status["sessions"] == 0).then_some(())
    });
}

/// Windows and packet sizes of 0 and 2^32-1: what cannot be sent ends with the client.
#[test]
fn a_target_with_odd_windows() {
    let rude = Rude::start();
    for door in DOORS {
        for number in 1..WINDOWS {
            let run = rude.ask(door, number, "plain");
            assert!([5, 254].contains(&run.code), "{door:?} {number}: {run:?}");
        }
    }
    rude.world.ssh("ana", &["db1", "true"]).ok();
    assert_eq!(
        rude.world.ended_sessions(2 * (WINDOWS - 1) + 1).len(),
        2 * (WINDOWS - 1) + 1
    );
    assert!(
        !rude.world.log().contains("panicked"),
        "{}",
        rude.world.log()
    );
}

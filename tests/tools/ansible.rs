//! ansible-core of PyPI, with the generated ssh_config and its own way to multiplex.

use crate::tool::{self, DOORS, Door, done, noise, same, size, timed};
use crate::world::World;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const HOSTS: usize = 20;

/// Twenty targets, which are one sshd under twenty names.
fn fleet() -> World {
    let world = World::new().start();
    let mut text = String::new();
    for number in 1..=HOSTS {
        write!(
            text,
            "[[target]]\nname = \"node{number}\"\naddress = \"127.0.0.1:{}\"\nlogins = [\"{}\"]\n\
             host = {{ ca = \"../hosts_ca.pub\" }}\n",
            world.target_port, world.login
        )
        .unwrap();
    }
    world.add_targets(&text);
    tool::configure(&world, tool::ME, "");
    fs::write(world.path("from"), noise(1, 200_000)).unwrap();
    fs::write(
        world.path("template.j2"),
        "{{ 6 * 7 }} on {{ inventory_hostname }}\n",
    )
    .unwrap();
    world
}

/// A program of the venv that `tests/run needs` makes from PyPI.
fn installed(name: &str) -> PathBuf {
    let path = fs::canonicalize("target/tools/oracles/bin")
        .unwrap()
        .join(name);
    assert!(
        path.exists(),
        "no {}: run `tests/run needs`",
        path.display()
    );
    path
}

/// `ssh_args` is Ansible's own default, with the configuration before it.
fn ansible(world: &World, program: &str, door: Door, hosts: usize, pipelining: bool) -> Command {
    let mut inventory = String::new();
    for number in 1..=hosts {
        let node = format!("node{number}");
        let host = match door {
            Door::Jump => format!("ansible_host={node}"),
            Door::Name => format!("ansible_host=bastion ansible_user={}%{node}", world.login),
        };
        writeln!(inventory, "{node}-{} {host}", door.word()).unwrap();
    }
    let file = world.path(&format!("{}-{hosts}.ini", door.word()));
    fs::write(&file, inventory).unwrap();
    let mut command = tool::tool("timeout", "coreutils", 300);
    command
        .args(["-k", "5", "290"])
        .arg(installed(program))
        .arg("-i")
        .arg(file);
    let config = world.text_path(&format!("{}/config", tool::ME));
    let words = format!("-F {config} -C -o ControlMaster=auto -o ControlPersist=5s");
    command.env("ANSIBLE_SSH_ARGS", words);
    command.env("ANSIBLE_SSH_CONTROL_PATH_DIR", world.path("cp"));
    command.env("ANSIBLE_PIPELINING", if pipelining { "1" } else { "0" });
    command
        .env("ANSIBLE_FORKS", "20")
        .env("HOME", world.path("home"));
    command
        .env("ANSIBLE_LOCALHOST_WARNING", "0")
        .env("ANSIBLE_NOCOLOR", "1");
    command
}

#[test]
fn a_playbook_with_and_without_pipelining() {
    let world = fleet();
    let hosts = size(2, HOSTS);
    let work = format!("work={}", world.dir.path().display());
    // Python starts a hundred times here: by day one way a door, the full sizes take both.
    let ways = [
        (Door::Jump, true),
        (Door::Name, false),
        (Door::Jump, false),
        (Door::Name, true),
    ];
    for (door, pipelining) in ways.into_iter().take(size(2, 4)) {
        let what = format!("ansible-playbook, {hosts} hosts, {door:?}, pipelining {pipelining}");
        let mut play = ansible(&world, "ansible-playbook", door, hosts, pipelining);
        let run = timed(&what, 0, || {
            done(play.args(["-e", &work, "tests/tools/play.yml"]))
        });
        let fine = run.out().matches("unreachable=0    failed=0").count();
        assert_eq!(fine, hosts, "{}", run.out());
        for number in 1..=hosts {
            let place = world.path(&format!("node{number}-{}", door.word()));
            same(&world.path("from"), &place.join("copy"));
            same(&world.path("from"), &place.join("fetched"));
            let made = fs::read_to_string(place.join("template")).unwrap();
            assert_eq!(made, format!("42 on node{number}-{}\n", door.word()));
            fs::remove_dir_all(place).unwrap();
        }
    }
}

#[test]
fn twenty_hosts_at_once() {
    let world = fleet();
    for door in DOORS {
        let mut all = ansible(&world, "ansible", door, HOSTS, true);
        let run = timed(&format!("ansible, 20 forks, {door:?}"), 0, || {
            done(all.args(["all", "-m", "raw", "-a", "echo so"]))
        });
        assert_eq!(
            run.out().matches("CHANGED | rc=0").count(),
            HOSTS,
            "{}",
            run.out()
        );
    }
    let sessions = world.ended_sessions(2 * HOSTS);
    for number in 1..=HOSTS {
        let node = format!("node{number}");
        let of = sessions
            .iter()
            .filter(|session| session["target"] == node.as_str());
        assert_eq!(of.count(), 2, "{node}");
    }
}

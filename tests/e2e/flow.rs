//! A slow side slows the other: nothing waits for ever, nothing grows, nothing stays behind.

use crate::wait;
use crate::world::{Client, World};
use ring::digest::{Context, Digest, SHA256};
use rustix::process::Signal;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

const MIB: u64 = 1024 * 1024;
/// How long somebody does nothing.
const STALL: Duration = Duration::from_secs(10);
/// A stalled connection may cost this much.
const STALL_MIB: u64 = 32;

/// Writes that many MiB, no two alike, and says their SHA-256.
fn send(to: impl Write, mib: u64) -> Digest {
    send_while_taken(to, mib).expect("all is taken")
}

/// The same; nothing if the other end goes before.
fn send_while_taken(mut to: impl Write, mib: u64) -> Option<Digest> {
    let mut sum = Context::new(&SHA256);
    let mut block: Vec<u8> = (0..MIB).map(|n| (n ^ (n >> 7)).to_le_bytes()[0]).collect();
    for number in 0..mib {
        block[..8].copy_from_slice(&number.to_le_bytes());
        sum.update(&block);
        to.write_all(&block).ok()?;
    }
    Some(sum.finish())
}

/// Reads to the end.
fn receive(mut from: impl Read) -> (u64, Digest) {
    let mut sum = Context::new(&SHA256);
    let mut bytes = 0;
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let n = from.read(&mut buffer).unwrap();
        if n == 0 {
            return (bytes, sum.finish());
        }
        sum.update(&buffer[..n]);
        bytes += n as u64;
    }
}

fn hex(sum: &Digest) -> String {
    sum.as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Through `cat` and back, both ways at once.
fn there_and_back(client: &mut Client, mib: u64) {
    let (stdin, stdout) = (client.stdin(), client.stdout());
    let sent = std::thread::spawn(move || send(stdin, mib));
    let (bytes, received) = receive(stdout);
    let sent = sent.join().unwrap();
    assert_eq!(bytes, mib * MIB);
    assert_eq!(hex(&sent), hex(&received));
    assert_eq!(client.end(), Some(0));
}

fn much_both_ways(door: &[&str], what: &str) {
    let world = World::new().start();
    let before = world.at_rest();
    let base = world.start_measuring();
    there_and_back(&mut world.open("ana", &[door, &["cat"]].concat()), 300);
    world.grown_at_most(base, STALL_MIB, what);
    world.is_at_rest_again(before);
}

#[test]
fn much_goes_both_ways_at_once_through_the_jump() {
    much_both_ways(&["db1"], "300 MiB both ways, jump");
}

#[test]
fn much_goes_both_ways_at_once_through_the_name() {
    let name = format!("{}@db1", crate::world::login_name());
    much_both_ways(&["-l", &name, "bastion"], "300 MiB both ways, name");
}

#[test]
fn new_keys_in_the_middle_lose_no_byte() {
    let world = World::new().start();
    let before = world.at_rest();
    let name = format!("{}@db1", world.login);
    for door in [&["db1"][..], &["-l", &name, "bastion"]] {
        let words = [&["-o", "RekeyLimit=1M"][..], door, &["cat"]].concat();
        there_and_back(&mut world.open("ana", &words), 24);
    }
    world.is_at_rest_again(before);
}

#[test]
fn a_reader_that_sleeps_costs_little_and_can_be_killed() {
    let world = World::new().start();
    let before = world.at_rest();
    let base = world.start_measuring();
    let name = format!("{}@db1", world.login);
    for door in [&["db1"][..], &["-l", &name, "bastion"]] {
        let words = [door, &["head -c 2G /dev/zero"]].concat();
        let mut client = world.open("ana", &words);
        let mut stdout = client.stdout();
        stdout.read_exact(&mut [0; 1000]).unwrap();
        wait::hold(STALL);
        world.grown_at_most(base, STALL_MIB, "a reader that sleeps");
        // It goes on where it stopped.
        let mut block = vec![1; 1 << 20];
        for _ in 0..64 {
            stdout.read_exact(&mut block).unwrap();
            assert!(block.iter().all(|byte| *byte == 0));
        }
        client.signal(Signal::KILL);
        drop(client);
        world.is_at_rest_again(before);
    }
}

#[test]
fn a_target_that_sleeps_before_it_reads_gets_everything() {
    let world = World::new().start();
    let before = world.at_rest();
    let base = world.start_measuring();
    let go = world.path("go");
    let command = format!(
        "go={}; while [ -d \"${{go%/*}}\" ] && [ ! -e \"$go\" ]; do sleep 0.1; done; sha256sum",
        go.display()
    );
    let mut client = world.open("ana", &["db1", &command]);
    let stdin = client.stdin();
    let sent = std::thread::spawn(move || send(stdin, 1024));
    wait::hold(STALL);
    world.grown_at_most(base, STALL_MIB, "a target that sleeps, 1 GiB waits");
    fs::write(&go, "").unwrap();
    let mut said = String::new();
    client.stdout().read_to_string(&mut said).unwrap();
    assert_eq!(said, format!("{}  -\n", hex(&sent.join().unwrap())));
    world.grown_at_most(base, STALL_MIB, "a target that slept, 1 GiB");
    drop(client);
    world.is_at_rest_again(before);
}

#[test]
fn a_client_killed_while_its_target_sleeps_leaves_nothing() {
    let world = World::new().start();
    let before = world.at_rest();
    let name = format!("{}@db1", world.login);
    for door in [&["db1"][..], &["-l", &name, "bastion"]] {
        let started = world.path("started");
        let command = format!("touch {}; exec sleep 600", started.display());
        let mut client = world.open("ana", &[door, &[&command]].concat());
        let mut stdin = client.stdin();
        let writing = std::thread::spawn(move || while stdin.write_all(&[0; 65536]).is_ok() {});
        wait::until("the command at the target", || {
            fs::remove_file(&started).ok()
        });
        wait::hold(Duration::from_secs(2));
        client.signal(Signal::KILL);
        writing.join().unwrap();
        drop(client);
        world.is_at_rest_again(before);
    }
}

#[test]
fn a_client_killed_while_much_goes_both_ways_leaves_nothing() {
    let world = World::new().start();
    let before = world.at_rest();
    let name = format!("{}@db1", world.login);
    for door in [&["db1"][..], &["-l", &name, "bastion"]] {
        let mut client = world.open("ana", &[door, &["cat"]].concat());
        let (mut stdin, mut stdout) = (client.stdin(), client.stdout());
        let writing = std::thread::spawn(move || while stdin.write_all(&[7; 65536]).is_ok() {});
        stdout.read_exact(&mut vec![0; 8 << 20]).unwrap();
        client.signal(Signal::KILL);
        writing.join().unwrap();
        drop((client, stdout));
        world.is_at_rest_again(before);
    }
}

#[test]
fn a_stalled_channel_does_not_stall_its_siblings() {
    let world = World::new().start();
    let before = world.at_rest();
    let base = world.start_measuring();
    let socket = format!("ControlPath={}", world.path("mux").display());
    let mut master = world.open("ana", &["-M", "-N", "-v", "-o", &socket, "db1"]);
    master.says("Entering interactive session");
    let mut stalled = world.open("ana", &["-o", &socket, "db1", "head -c 2G /dev/zero"]);
    let mut stdout = stalled.stdout();
    stdout.read_exact(&mut [0; 1000]).unwrap();
    for _ in 0..3 {
        there_and_back(&mut world.open("ana", &["-o", &socket, "db1", "cat"]), 32);
        let run = world.ssh("ana", &["-o", &socket, "db1", "exit 7"]);
        assert_eq!(run.code, 7, "{run:?}");
    }
    world.grown_at_most(base, STALL_MIB, "a stalled channel beside a busy one");
    master.signal(Signal::KILL);
    drop((master, stalled, stdout));
    world.is_at_rest_again(before);
}

/// An upload of so many MiB whose target waits for `go` before it reads.
fn stalled_upload(world: &World, go: &Path, mib: u64) -> (Client, JoinHandle<Option<Digest>>) {
    let name = format!("{}@db1", world.login);
    let command = format!(
        "go={}; while [ -d \"${{go%/*}}\" ] && [ ! -e \"$go\" ]; do sleep 0.1; done; sha256sum",
        go.display()
    );
    let mut client = world.open("ana", &["-l", &name, "bastion", &command]);
    let stdin = client.stdin();
    (
        client,
        std::thread::spawn(move || send_while_taken(stdin, mib)),
    )
}

fn waiting(world: &World) -> u64 {
    world.status()["waiting_bytes"].as_u64().unwrap()
}

#[test]
fn many_who_stall_hold_what_the_node_may_hold_and_others_go_on() {
    let world = World::new().set("limits.memory", "32MiB").start();
    let before = world.at_rest();
    let base = world.start_measuring();
    let go = world.path("go");
    let mut stalled = Vec::new();
    wait::until("a crowd", || {
        if stalled.len() < 12 {
            stalled.push(stalled_upload(&world, &go, 16));
        }
        (waiting(&world) > 16 * MIB).then_some(())
    });
    // They alone would be given 40 MiB.
    stalled.extend((0..8).map(|_| stalled_upload(&world, &go, 16)));
    for _ in 0..2 {
        there_and_back(&mut world.open("ana", &["db1", "cat"]), 16);
        assert_eq!(world.ssh("ana", &["db1", "exit 7"]).code, 7);
    }
    let held = waiting(&world);
    assert!((16 * MIB..32 * MIB).contains(&held), "{held} bytes wait");
    let kib = held / 1024;
    world.grown_at_most(
        base,
        3 * 32,
        &format!("{} who stall with {kib} KiB", stalled.len()),
    );
    assert_eq!(world.refused("memory_exceeded"), 0);
    fs::write(&go, "").unwrap();
    for (mut client, sent) in stalled {
        let mut said = String::new();
        client.stdout().read_to_string(&mut said).unwrap();
        let sent = sent.join().unwrap().expect("all was taken");
        assert_eq!(said, format!("{}  -\n", hex(&sent)));
    }
    world.is_at_rest_again(before);
    assert_eq!(waiting(&world), 0, "what was handed on does not count");
}

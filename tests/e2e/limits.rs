//! What strangers and friends may use up: each limit is flooded, counted, and leaves a place for
//! somebody good.

use crate::wait;
use crate::world::{User, World};
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::time::Duration;

impl World {
    /// From one of loopback's many addresses: another source network each.
    fn connect_from(&self, last: u8) -> TcpStream {
        let from = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, last), 0);
        let to = SocketAddrV4::new(Ipv4Addr::LOCALHOST, self.port);
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&socket, &from).unwrap();
        connect(&socket, &to).unwrap();
        TcpStream::from(socket)
    }

    /// Opens so many; those that the bastion greeted are held.
    fn flood(&self, last: u8, count: usize) -> Vec<TcpStream> {
        let streams = (0..count).map(|_| self.connect_from(last));
        streams.filter(greeted).collect()
    }
}

fn greeted(stream: &TcpStream) -> bool {
    let mut stream = stream;
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    // A connection that was turned away is closed or reset.
    stream.read(&mut [0; 16]).is_ok_and(|n| n > 0)
}

#[test]
fn strangers_do_not_take_the_places_of_others() {
    let mut world = World::new()
        .set("limits.unauthenticated", 40)
        .set("limits.unauthenticated_per_source", 8)
        .start();
    let one_network = world.flood(2, 100);
    assert_eq!(one_network.len(), 8);
    assert_eq!(world.refused("refused_source"), 92);
    world.ssh("ana", &["db1", "true"]).ok();

    let many: Vec<_> = (3..23).flat_map(|last| world.flood(last, 8)).collect();
    assert_eq!(many.len(), 32, "40 in all");
    assert_eq!(world.refused("refused_total"), 128);
    assert_eq!(world.ssh("ana", &["db1", "true"]).code, 255);
    drop((one_network, many));
    wait::until("free places", || {
        (world.status()["unauthenticated"] == 0).then_some(())
    });
    world.ssh("ana", &["db1", "true"]).ok();

    world.stop_bastion();
    let events = world.node_events();
    let strangers = events.iter().filter(|event| event["code"] == "stranger");
    let turned_away = strangers
        .clone()
        .filter(|event| event.to_string().contains("turned away"));
    assert!(turned_away.count() > 0);
    // Two kinds, so many a minute each; this test may see two turns of it on a slow machine.
    assert!(strangers.count() <= 120, "a flood must not fill the disk");
}

#[test]
fn who_does_not_log_in_makes_room() {
    let mut world = World::new()
        .set("limits.unauthenticated", 4)
        .set("limits.login_grace", "3s")
        .start();
    let silent = world.flood(1, 4);
    assert_eq!(silent.len(), 4);
    wait::until("a place for somebody good", || {
        (world.ssh("ana", &["db1", "true"]).code == 0).then_some(())
    });
    // The good one may have been late as well, on a slow machine.
    assert!(world.refused("grace_expired") >= 4);
    drop(silent);
    world.stop_bastion();
    let events = world.node_events();
    let late = |event: &&serde_json::Value| event.to_string().contains("login grace time");
    assert!(events.iter().any(|event| late(&event)));
}

#[test]
fn a_connection_has_so_many_attempts() {
    let world = World::new()
        .set("limits.attempts", 3)
        .user(User::named("mallory").with_principals(""))
        .start();
    let home = world.path("mallory");
    let mut raw = world.raw(Default::default());
    let tried = (0..50)
        .take_while(|_| {
            assert!(!raw.log_in(&home, "root@db1"));
            !raw.handle.is_closed()
        })
        .count();
    assert!(tried < 5, "{tried}");
    assert!(world.refused("logins_refused") >= 3);
    world.ssh("ana", &["db1", "true"]).ok();
}

#[test]
fn a_connection_offers_so_many_keys() {
    let mut world = World::new()
        .set("limits.offers", 4)
        .user(User::named("mallory").without_certificate())
        .start();
    // Public halves alone: they are offered and cannot sign, so they are no attempts.
    let mut words = Vec::new();
    for number in 0..12 {
        let name = format!("offer{number}");
        world.add_user(&User::named(&name).without_certificate());
        let public = world.path(&name).join("id.pub");
        let alone = world.path(&format!("{name}.pub"));
        std::fs::copy(public, &alone).unwrap();
        words.extend(["-i".to_owned(), alone.to_str().unwrap().to_owned()]);
    }
    let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
    words.extend(["bastion", "sessions"]);
    assert_eq!(world.ssh("mallory", &words).code, 255);
    assert!(world.refused("offers_exceeded") > 0);
    world.ssh("ana", &["db1", "true"]).ok();
    world.stop_bastion();
    let events = world.node_events();
    assert!(
        events
            .iter()
            .any(|event| event["code"] == "too_many_offers")
    );
}

#[test]
fn a_connection_has_so_many_channels() {
    let world = World::new().set("limits.channels", 5).start();
    let raw = world.raw_at_db1("ana", Default::default());
    let open: Vec<_> = (0..100).filter_map(|_| raw.channel()).collect();
    assert_eq!(open.len(), 5);
    assert_eq!(world.refused("channels_exceeded"), 95);
    world.ssh("ana", &["db1", "true"]).ok();
    drop(open);
    drop(raw);
}

#[test]
fn a_channel_has_so_many_variables() {
    let world = World::new().set("limits.env", 8).start();
    let names: Vec<_> = (0..20).map(|number| format!("LC_{number}=x")).collect();
    let set = format!("SetEnv={}", names.join(" "));
    let command = "env | grep -c ^LC_[0-9]";
    let run = world.ssh("ana", &["-o", &set, "db1", command]).ok();
    // The client may have sent its own language first.
    let arrived: u64 = run.out().trim().parse().unwrap();
    assert!((1..=8).contains(&arrived), "{arrived}");
    assert!(world.refused("env_refused") >= 12);
    world.ssh("ana", &["db1", "true"]).ok();
}

#[test]
fn one_person_has_so_many_connections_and_leaves_room_for_others() {
    let world = World::new()
        .user(User::named("ben"))
        .set("limits.connections_per_person", 1)
        .start();
    let name = format!("{}@db1", world.login);
    let mut client = world.open("ana", &["-l", &name, "bastion", "echo so; sleep 600"]);
    client.stdout().read_exact(&mut [0; 3]).unwrap();
    let refused = world.ssh("ana", &["-l", &name, "bastion", "true"]);
    assert_eq!(refused.code, 255, "{refused:?}");
    assert_eq!(world.refused("person_exceeded"), 1);
    world.ssh("ben", &["-l", &name, "bastion", "true"]).ok();
    // What goes through a connection that stands needs no place of its own.
    drop(client);
    wait::until("a place inside", || {
        (world.status()["connections"] == 0).then_some(())
    });
    world.ssh("ana", &["db1", "true"]).ok();
}

#[test]
fn so_many_are_inside() {
    let world = World::new().set("limits.connections", 2).start();
    let name = format!("{}@db1", world.login);
    let words = ["-l", &name, "bastion", "echo so; sleep 600"];
    let inside: Vec<_> = (0..2)
        .map(|_| {
            let mut client = world.open("ana", &words);
            client.stdout().read_exact(&mut [0; 3]).unwrap();
            client
        })
        .collect();
    assert_eq!(
        world.ssh("ana", &["-l", &name, "bastion", "true"]).code,
        255
    );
    assert_eq!(world.refused("connections_exceeded"), 1);
    drop(inside);
    wait::until("a place inside", || {
        (world.status()["connections"] == 0).then_some(())
    });
    world.ssh("ana", &["-l", &name, "bastion", "true"]).ok();
}

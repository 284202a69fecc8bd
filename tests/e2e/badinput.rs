//! Strangers at the port.

use crate::world::World;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

#[test]
fn garbage_is_shown_the_door_and_others_go_on() {
    let world = World::new().start();
    let banner = vec![b'A'; 1 << 20];
    let texts: [&[u8]; 7] = [
        b"",
        b"\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"SSH-1.5-old\r\n",
        b"SSH-2.0-x\r\n\xff\xff\xff\xff\xff\xff\xff\xff",
        b"SSH-2.0-x\r\n\x00\x00\x00\x0c\x0a\x14",
        &banner,
    ];
    for text in texts {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, world.port)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        // The bastion may hang up in the middle, as it should.
        stream.write_all(text).ok();
        stream.shutdown(std::net::Shutdown::Write).ok();
        let mut answer = Vec::new();
        stream.take(1 << 16).read_to_end(&mut answer).ok();
        assert!(answer.len() < 1 << 16);
    }
    world.ssh("ana", &["db1", "true"]).ok();
    assert!(!world.log().contains("panicked"), "{}", world.log());
}

#[test]
fn names_that_are_no_names_are_refused() {
    let world = World::new().start();
    for name in [
        "@",
        "%",
        "@db1",
        "root@",
        "root@@db1@",
        "a%b%c",
        "login@",
        "root@db1 ",
        "\u{1b}[31m@db1",
    ] {
        let run = world.ssh("ana", &["-l", name, "bastion", "true"]);
        assert_ne!(run.code, 0, "{name}: {run:?}");
        assert!(
            !run.stderr.contains('\u{1b}'),
            "{name}: control codes came back"
        );
    }
    world.ssh("ana", &["db1", "true"]).ok();
}

#[test]
fn a_target_that_is_down_is_said_to_be_down() {
    let closed = "name = \"db2\"\naddress = \"127.0.0.1:1\"\nlogins = [\"root\"]\n\
                  host = { ca = \"../hosts_ca.pub\" }\n";
    let world = World::new()
        .user(crate::world::User::named("ben").with_principals("root"))
        .target(closed)
        .start();
    let run = world
        .ssh("ben", &["-J", "bastion", "root@db2", "true"])
        .refused(254, "db2");
    assert!(run.stderr.contains("ref: "), "{}", run.stderr);
}

#[test]
fn a_target_with_another_key_is_not_trusted() {
    let world = World::new().start();
    let config = world.config_file();
    let text = std::fs::read_to_string(&config).unwrap();
    // The target's certificate is now of a CA that nobody named.
    std::fs::write(
        &config,
        text.replace("../hosts_ca.pub", "../foreign_ca.pub"),
    )
    .unwrap();
    let mut world = world;
    world.stop_bastion();
    world.start_bastion();
    let run = world.ssh("ana", &["db1", "true"]).refused(254, "SHA256:");
    assert!(!run.out().contains("in"));
    assert!(
        !world.target_log().contains("Accepted"),
        "{}",
        world.target_log()
    );
}

#[test]
fn a_port_scan_leaves_nothing_but_a_note() {
    let mut world = World::new().start();
    let before = world.at_rest();
    for _ in 0..200 {
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, world.port)).unwrap());
    }
    let mut halves = Vec::new();
    for half in [
        &b"SSH-2.0-x"[..],
        b"SSH-2.0-x\r\n\x00\x00\x01\x00\x0a\x14half",
    ] {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, world.port)).unwrap();
        stream.write_all(half).unwrap();
        halves.push(stream);
    }
    world.ssh("ana", &["db1", "true"]).ok();
    drop(halves);
    world.is_at_rest_again(before);
    world.stop_bastion();
    let events = world.node_events();
    assert!(events.iter().any(|event| event["code"] == "stranger"));
}

#[test]
fn thousands_of_variables_and_channels_meet_their_limits() {
    let mut world = World::new().start();
    let before = world.at_rest();
    let raw = world.raw_at_db1("ana", Default::default());
    let channel = raw.channel().unwrap();
    raw.runtime.block_on(async {
        for number in 0..4096 {
            let name = format!("LC_{number}");
            channel.set_env(false, name, "x").await.unwrap();
        }
        channel.exec(true, "env | grep -c ^LC_[0-9]").await.unwrap();
    });
    let said = raw.hear(channel);
    assert_eq!(said.out, b"128\n", "{said:?}");
    assert_eq!(world.refused("env_refused"), 4096 - 128);

    let open: Vec<_> = (0..10_000).filter_map(|_| raw.channel()).collect();
    assert_eq!(open.len(), 64);
    world.ssh("ana", &["db1", "true"]).ok();
    drop(open);
    drop(raw);
    world.is_at_rest_again(before);
    world.stop_bastion();
    let events = world.node_events();
    for code in ["too_many_env", "too_many_channels"] {
        let told = events.iter().filter(|event| event["code"] == code).count();
        assert_eq!(told, 1, "{code}");
    }
}

#[test]
fn windows_of_any_size_and_bytes_after_the_end_are_survived() {
    let world = World::new().start();
    let before = world.at_rest();
    for (window, packet) in [(u32::MAX, u32::MAX), (1, 1), (0, 0), (u32::MAX, 0)] {
        let config = russh::client::Config {
            window_size: window,
            maximum_packet_size: packet,
            ..Default::default()
        };
        let raw = world.raw_at_db1("ana", config);
        let Some(channel) = raw.channel() else {
            continue;
        };
        let id = channel.id();
        raw.runtime.block_on(async {
            channel.exec(true, "cat").await.unwrap();
            channel.data_bytes(&b"abc"[..]).await.unwrap();
            channel.eof().await.unwrap();
            // Beyond its own end, in whatever way russh still lets it out.
            raw.handle.data(id, b"late".to_vec()).await.ok();
            channel.extended_data_bytes(7, &b"late"[..]).await.ok();
        });
        if window > 1 && packet > 1 {
            let said = raw.hear(channel);
            assert!(said.out.starts_with(b"abc"), "{said:?}");
        } else {
            raw.runtime.block_on(channel.close()).ok();
        }
        let after_close = raw.handle.data(id, b"later".to_vec());
        raw.runtime.block_on(after_close).ok();
        drop(raw);
        world.ssh("ana", &["db1", "true"]).ok();
    }
    world.is_at_rest_again(before);
}

#[test]
fn a_target_that_breaks_off_is_told_about() {
    let world = World::new().start();
    let before = world.at_rest();
    // The command's parent is the target's sshd for this very connection.
    let run = world
        .ssh("ana", &["db1", "echo so; kill -9 $PPID"])
        .refused(254, "`db1` broke the connection off");
    assert!(run.stderr.contains("ref: "), "{}", run.stderr);
    let last = world.ended_sessions(2).pop().unwrap();
    let events = world.events(last["id"].as_str().unwrap());
    assert_eq!(crate::world::event(&events, "target.fail")["code"], "lost");
    world.is_at_rest_again(before);
}

#[test]
fn a_target_that_says_nothing_is_given_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let target = format!(
        "name = \"db2\"\naddress = \"{address}\"\nlogins = [\"{}\"]\n\
         host = {{ ca = \"../hosts_ca.pub\" }}\n",
        crate::world::login_name()
    );
    let world = World::new()
        .set("session.dial_timeout", "2s")
        .target(&target)
        .start();
    let before = world.at_rest();
    let name = format!("{}@db2", world.login);
    let run = world
        .ssh("ana", &["-J", "bastion", &name, "true"])
        .refused(254, "did not answer within 2 s");
    assert!(run.stderr.contains("ref: "), "{}", run.stderr);
    let last = world.ended_sessions(2).pop().unwrap();
    let events = world.events(last["id"].as_str().unwrap());
    assert_eq!(
        crate::world::event(&events, "target.fail")["code"],
        "timeout"
    );
    world.is_at_rest_again(before);
    world.ssh("ana", &["db1", "true"]).ok();
}

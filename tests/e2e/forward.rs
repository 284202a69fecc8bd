//! Forwards: `-L`, `-D`, `-R`, unix sockets both ways, through both doors, by the real `ssh` and sshd.

use crate::wait;
use crate::world::{Client, Run, User, World, event, free_port};
use ring::digest;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;

/// Listens on loopback, as a service of the target does; says back what it hears, to its end.
fn echo() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut reader = stream.try_clone().unwrap();
                std::io::copy(&mut reader, &mut &stream).ok();
                stream.shutdown(Shutdown::Write).ok();
            });
        }
    });
    port
}

fn echo_at(path: &Path) {
    let listener = UnixListener::bind(path).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = stream.try_clone().unwrap();
            std::io::copy(&mut reader, &mut &stream).ok();
            stream.shutdown(Shutdown::Write).ok();
        }
    });
}

/// Sends, ends, and hears everything that comes back.
fn ask(port: u16, text: &[u8]) -> Vec<u8> {
    // `ssh` says that it listens right before it does.
    let connect = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok();
    let mut stream = wait::until("somebody who listens", connect);
    // Who refuses closes at once: that is an answer, too.
    stream.write_all(text).ok();
    stream.shutdown(Shutdown::Write).ok();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).ok();
    heard
}

fn sha256(bytes: &[u8]) -> String {
    let sum = digest::digest(&digest::SHA256, bytes);
    sum.as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

impl World {
    /// `ssh -N` with a forward, once it has set it up.
    fn forwarding(&self, user: &str, words: &[&str]) -> Client {
        let fixed = ["-v", "-N", "-o", "ExitOnForwardFailure=yes"];
        let mut client = self.open(user, &[&fixed, words].concat());
        // A jump's own ssh speaks here, too: only words of the forward count.
        client.says(match words.contains(&"-R") {
            true => "remote forward success",
            false => "Local forwarding listening on",
        });
        client
    }

    /// Events of that kind in the one session, once the client is gone.
    fn of_kind(&self, kind: &str) -> Vec<Value> {
        let id = self.only_session()["id"].as_str().unwrap().to_owned();
        let mut events = self.events(&id);
        events.retain(|event| event["kind"] == kind);
        events
    }

    fn name_door(&self) -> String {
        format!("{}@db1", self.login)
    }
}

fn end(mut client: Client) -> Run {
    client.signal(Signal::TERM);
    let mut stderr = String::new();
    client
        .0
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    let code = client.end().unwrap_or(-1);
    let stdout = Vec::new();
    Run {
        code,
        stdout,
        stderr,
    }
}

#[test]
fn a_forward_reaches_the_targets_own_loopback_through_both_doors() {
    let world = World::new().start();
    let service = echo();
    let name = world.name_door();
    for (number, door) in [&["db1"][..], &["-l", &name, "bastion"]]
        .into_iter()
        .enumerate()
    {
        let local = free_port();
        let spec = format!("127.0.0.1:{local}:localhost:{service}");
        let client = world.forwarding("ana", &[&["-L", &spec], door].concat());
        assert_eq!(
            ask(local, b"a secret of the service"),
            b"a secret of the service"
        );
        end(client);
        let sessions = world.ended_sessions(number + 1);
        let id = sessions.last().unwrap()["id"].as_str().unwrap();
        let lines = world.lines(id);
        assert!(!lines.contains("a secret"), "content is not kept");
        let events = world.events(id);
        let opened = event(&events, "forward.open");
        assert_eq!(opened["direction"], "local");
        assert_eq!(opened["to"], json!({"host": "localhost", "port": service}));
        assert_eq!(opened["from"]["host"], "127.0.0.1");
        assert_eq!(opened["opaque"], false);
        let by = &opened["decision"]["policies"][0];
        assert_eq!(by, "portcullis.cedar#forward-within-the-target");
        let closed = event(&events, "forward.close");
        let sum = json!({"bytes": 23, "sha256": sha256(b"a secret of the service")});
        assert_eq!((&closed["input"], &closed["output"]), (&sum, &sum));
        assert_eq!(closed["channel"], opened["channel"]);
        assert!(
            ["user", "target"].contains(&closed["ended"].as_str().unwrap()),
            "{closed}"
        );
        let totals = &event(&events, "session.end")["totals"];
        assert_eq!(totals["input_bytes"], 23);
    }
    // The login at the target may forward only where a forward goes through it.
    world.ssh("ana", &["db1", "true"]).ok();
}

#[test]
fn a_forward_elsewhere_is_refused_with_a_sentence_and_an_event() {
    let world = World::new().start();
    let local = free_port();
    let spec = format!("127.0.0.1:{local}:192.0.2.7:80");
    let client = world.forwarding("ana", &["-L", &spec, "db1"]);
    assert_eq!(ask(local, b"x"), b"");
    let run = end(client);
    let text = "administratively prohibited: portcullis: `forward-local` to 192.0.2.7 port 80";
    assert!(run.stderr.contains(text), "{}", run.stderr);
    let denied = world.of_kind("forward.deny");
    assert_eq!(denied.len(), 1, "{denied:?}");
    assert_eq!(denied[0]["outcome"], "denied");
    assert_eq!(denied[0]["to"], json!({"host": "192.0.2.7", "port": 80}));
    assert!(
        run.stderr.contains(denied[0]["sid"].as_str().unwrap()),
        "{}",
        run.stderr
    );
}

/// Remote forwards and SSH that nobody can read, which are off as shipped.
const REMOTE: &str = "permit (principal, action == Action::\"forward-remote\", resource);";

#[test]
fn a_remote_forward_is_off_as_shipped_and_says_so() {
    let world = World::new().start();
    let run = world.ssh("ana", &["-R", "0:127.0.0.1:1", "db1", "echo still here"]);
    let run = run.ok();
    assert_eq!(run.out(), "still here\n");
    let text = "portcullis: `forward-remote` to localhost port 0 through `db1`";
    assert!(run.stderr.contains(text), "{}", run.stderr);
    let denied = world.of_kind("forward.deny");
    assert_eq!(denied[0]["direction"], "remote");
    assert_eq!(denied[0]["to"], json!({"host": "localhost", "port": 0}));
}

#[test]
fn the_target_listens_for_the_user_and_stops_when_told() {
    let world = World::new().policy(REMOTE).start();
    let service = echo();
    let name = world.name_door();
    for (number, door) in [&["db1"][..], &["-l", &name, "bastion"]]
        .into_iter()
        .enumerate()
    {
        let control = world.text_path(&format!("mux{number}"));
        let spec = format!("0:127.0.0.1:{service}");
        let master = ["-M", "-S", &control, "-R", &spec];
        let client = world.forwarding("ana", &[&master, door].concat());
        let chosen = listening_at(&world, number);
        assert_eq!(ask(chosen, b"to the laptop"), b"to the laptop");
        let also = ask(chosen, &[7; 300_000]);
        assert_eq!(also, [7; 300_000]);
        let cancel = ["-S", &control, "-O", "cancel", "-R", &spec];
        world.ssh("ana", &[&cancel, door].concat()).ok();
        wait::until("the listener to be gone", || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, chosen)).err()
        });
        end(client);
        let sessions = world.ended_sessions(number + 1);
        let events = world.events(sessions.last().unwrap()["id"].as_str().unwrap());
        let at = json!({"host": "localhost", "port": chosen});
        let listened = event(&events, "forward.listen");
        assert_eq!(listened["port"], chosen);
        assert_eq!(listened["at"], json!({"host": "localhost", "port": 0}));
        let opened = event(&events, "forward.open");
        assert_eq!(
            (&opened["direction"], &opened["to"]),
            (&json!("remote"), &at)
        );
        assert_eq!(opened["from"]["host"], "127.0.0.1");
        let closed = event(&events, "forward.close");
        let sum = json!({"bytes": 13, "sha256": sha256(b"to the laptop")});
        assert_eq!((&closed["input"], &closed["output"]), (&sum, &sum));
        let cancelled = event(&events, "forward.cancel");
        assert_eq!(
            (&cancelled["at"], &cancelled["ended"]),
            (&at, &json!("user"))
        );
        assert!(events.iter().all(|event| event["kind"] != "alert"));
    }
}

/// The port that the target chose, of the session that runs as the `number`th.
fn listening_at(world: &World, number: usize) -> u16 {
    wait::until("a listener", || {
        let running = world.sessions();
        let mut running: Vec<_> = running.iter().filter(|one| one["active"] == true).collect();
        running.sort_by_key(|one| one["start"].to_string());
        let id = running.last()?["id"].as_str()?.to_owned();
        let listened = world.verb(&["events", &id, "--kind", "forward.listen"]);
        let listened = crate::world::parse(&listened.out());
        assert!(number < 10);
        u16::try_from(listened.first()?["port"].as_u64()?).ok()
    })
}

#[test]
fn unix_sockets_are_forwarded_both_ways() {
    let world = World::new().policy(REMOTE).start();
    let (there, here) = (world.path("there.sock"), world.path("here.sock"));
    echo_at(&there);
    let ask_at = |path: &Path| {
        let mut stream = wait::until("a socket", || UnixStream::connect(path).ok());
        stream.write_all(b"by socket").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut heard = String::new();
        stream.read_to_string(&mut heard).unwrap();
        heard
    };
    let spec = format!("{}:{}", here.display(), there.display());
    let client = world.forwarding("ana", &["-L", &spec, "db1"]);
    assert_eq!(ask_at(&here), "by socket");
    end(client);
    let opened = world.of_kind("forward.open");
    assert_eq!(opened[0]["to"], json!({"socket": there.to_str().unwrap()}));
    assert!(opened[0].get("from").is_none());
    assert_eq!(world.of_kind("forward.close")[0]["output"]["bytes"], 9);

    let away = world.path("away.sock");
    let spec = format!("{}:{}", away.display(), there.display());
    let client = world.forwarding("ana", &["-R", &spec, "db1"]);
    assert_eq!(ask_at(&away), "by socket");
    end(client);
    let last = world.ended_sessions(2).pop().unwrap();
    let events = world.events(last["id"].as_str().unwrap());
    let opened = event(&events, "forward.open");
    assert_eq!(opened["direction"], "remote");
    assert_eq!(opened["to"], json!({"socket": away.to_str().unwrap()}));
    assert_eq!(event(&events, "forward.cancel")["ended"], "user");
}

#[test]
fn a_certificate_that_does_not_permit_it_forwards_nothing() {
    let bare = User::named("ben").words(&["-O", "no-port-forwarding"]);
    let world = World::new().user(bare).policy(REMOTE).start();
    let spec = format!("127.0.0.1:{}:localhost:{}", free_port(), echo());
    let local: u16 = spec.split(':').nth(1).unwrap().parse().unwrap();
    let client = world.forwarding("ben", &["-L", &spec, "db1"]);
    assert_eq!(ask(local, b"x"), b"");
    let run = end(client);
    assert!(
        run.stderr.contains("no permit-port-forwarding"),
        "{}",
        run.stderr
    );
    assert_eq!(world.of_kind("forward.deny").len(), 1);
    let run = world
        .ssh("ben", &["-R", "0:127.0.0.1:1", "db1", "true"])
        .ok();
    assert!(
        run.stderr.contains("no permit-port-forwarding"),
        "{}",
        run.stderr
    );
    assert!(
        !world.target_log().contains("forward"),
        "{}",
        world.target_log()
    );
}

#[test]
fn a_right_that_is_withdrawn_ends_its_forwards_and_nothing_else() {
    let world = World::new().policy(REMOTE).start();
    let (service, local) = (echo(), free_port());
    let spec = format!("127.0.0.1:{local}:localhost:{service}");
    let back = format!("0:127.0.0.1:{service}");
    let mut client = world.open(
        "ana",
        &["-v", "-L", &spec, "-R", &back, "db1", "echo ready >&2; cat"],
    );
    client.says("ready");
    let chosen = listening_at(&world, 0);
    let mut open = TcpStream::connect((Ipv4Addr::LOCALHOST, local)).unwrap();
    let mut heard = [0; 2];
    open.write_all(b"in").unwrap();
    open.read_exact(&mut heard).unwrap();
    let policy = world.path("bastion/policies/none.cedar");
    let none = "forbid (principal, action in [Action::\"forward-local\", \
                Action::\"forward-remote\"], resource);";
    std::fs::write(policy, none).unwrap();
    let mut rest = Vec::new();
    open.read_to_end(&mut rest).ok();
    wait::until("the listener to be gone", || {
        TcpStream::connect((Ipv4Addr::LOCALHOST, chosen)).err()
    });
    // The session itself goes on.
    let (mut stdin, mut stdout) = (client.stdin(), client.stdout());
    stdin.write_all(b"still here\n").unwrap();
    let mut line = [0; 11];
    stdout.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"still here\n");
    drop(stdin);
    assert_eq!(client.end(), Some(0));
    let closed = world.of_kind("forward.close");
    assert_eq!(closed[0]["ended"], "policy", "{closed:?}");
    assert_eq!(world.of_kind("forward.cancel")[0]["ended"], "policy");
    let shown = world.verb(&["sessions", "show", "last"]).ok().out();
    let mut notable = shown.lines().filter(|line| line.starts_with("notable"));
    assert!(
        notable.all(|line| line.contains("forward ") && line.contains(", ended by policy")),
        "{shown}"
    );
    let to = format!("notable    forward to localhost:{service} closed: 2 bytes in, 2 out");
    assert!(shown.contains(&to), "{shown}");
}

/// Answers each connection with these bytes, and ends.
fn service(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut asked = [0; 4096];
            if matches!(stream.read(&mut asked), Ok(1..)) {
                stream.write_all(answer).ok();
            }
        }
    });
    port
}

#[test]
fn a_dynamic_forward_serves_socks() {
    let world = World::new().start();
    let web = service(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nwithin");
    let socks = free_port();
    let client = world.forwarding("ana", &["-D", &format!("127.0.0.1:{socks}"), "db1"]);
    let proxy = format!("127.0.0.1:{socks}");
    let fetch = |url: String| {
        let curl = ["-s", "--max-time", "30", "--socks5-hostname", &proxy, &url];
        let curl = std::process::Command::new("curl").args(curl).output();
        Run::of(curl.expect("no curl: apt-get install curl"))
    };
    assert_eq!(
        fetch(format!("http://localhost:{web}/")).ok().out(),
        "within"
    );
    assert_ne!(fetch("http://192.0.2.7/".to_owned()).code, 0);
    end(client);
    let closed = world.of_kind("forward.close");
    assert_eq!(closed[0]["guess"], json!({"protocol": "http"}));
    let denied = world.of_kind("forward.deny");
    assert_eq!(denied[0]["to"], json!({"host": "192.0.2.7", "port": 80}));
}

/// SSH to `port` of this machine, as if it were db1.
fn ssh_at(world: &World, user: &str, port: u16) -> Run {
    let port = port.to_string();
    let fixed = ["-o", "ProxyJump=none", "-o", "HostKeyAlias=db1"];
    let rest = [
        "-o",
        "HostName=127.0.0.1",
        "-p",
        &port,
        "db1",
        "echo inside",
    ];
    world.ssh(user, &[&fixed[..], &rest].concat())
}

#[test]
fn ssh_to_a_target_inside_a_forward_is_a_jump_with_a_certificate() {
    let world = World::new()
        .user(User::named("mallory").without_certificate())
        .start();
    let local = free_port();
    // The target's own sshd, by its loopback.
    let spec = format!("127.0.0.1:{local}:localhost:{}", world.target_port);
    let name = world.name_door();
    let client = world.forwarding("ana", &["-L", &spec, "-l", &name, "bastion"]);
    wait::until("the forward", || {
        TcpStream::connect((Ipv4Addr::LOCALHOST, local)).ok()
    });
    let run = ssh_at(&world, "mallory", local);
    assert_eq!(run.code, 255, "{run:?}");
    assert_eq!(ssh_at(&world, "ana", local).ok().out(), "inside\n");
    end(client);
    let sessions = world.ended_sessions(1);
    let inner = sessions.last().unwrap();
    assert_eq!(
        (&inner["door"], &inner["target"]),
        (&json!("jump"), &json!("db1"))
    );
    let events = world.events(inner["id"].as_str().unwrap());
    assert_eq!(event(&events, "exec")["command"]["data"], "echo inside");
    assert!(
        sessions.iter().all(|one| one["channels"] == 1),
        "no forward: {sessions:?}"
    );
}

const OPAQUE: &str = "permit (principal, action == Action::\"forward-ssh\", resource);";

#[test]
fn ssh_to_no_target_is_refused_or_opaque_and_ssh_elsewhere_is_an_alert() {
    // Nothing of this machine listens there.
    let place = "127.0.0.9:22";
    let world = World::new().start();
    let run = world.ssh("ana", &["-W", place, "db1"]);
    assert_eq!(run.code, 255, "{run:?}");
    assert!(
        run.stderr.contains("`forward-ssh` to 127.0.0.9 port 22"),
        "{run:?}"
    );
    assert_eq!(
        world.of_kind("forward.deny")[0]["decision"]["action"],
        "forward-ssh"
    );
    let hidden = service(b"SSH-2.0-hidden\r\n");
    let run = world.ssh_with(
        "ana",
        &["-W", &format!("localhost:{hidden}"), "db1"],
        b"SSH-2.0-x\r\n",
    );
    assert_eq!(run.out(), "SSH-2.0-hidden\r\n", "a guess is no permission");
    let last = world.ended_sessions(2).pop().unwrap();
    let events = world.events(last["id"].as_str().unwrap());
    assert_eq!(event(&events, "alert")["note"]["code"], "ssh_in_forward");
    let closed = event(&events, "forward.close");
    assert_eq!(
        (&closed["guess"]["protocol"], &closed["opaque"]),
        (&json!("ssh"), &json!(true))
    );

    let world = World::new().policy(OPAQUE).start();
    let run = world.ssh("ana", &["-W", place, "db1"]);
    assert!(
        run.stderr.contains("did not connect to 127.0.0.9 port 22"),
        "{run:?}"
    );
    let opened = &world.of_kind("forward.open")[0];
    assert_eq!(
        (&opened["opaque"], &opened["outcome"]),
        (&json!(true), &json!("success"))
    );
    assert_eq!(world.of_kind("forward.close")[0]["ended"], "refused");
}

#[test]
fn much_goes_both_ways_through_a_forward_and_its_sums_are_right() {
    let world = World::new().start();
    let local = free_port();
    let spec = format!("127.0.0.1:{local}:localhost:{}", echo());
    let name = world.name_door();
    let client = world.forwarding("ana", &["-L", &spec, "-l", &name, "bastion"]);
    let base = world.start_measuring();
    let stream = wait::until("the forward", || {
        TcpStream::connect((Ipv4Addr::LOCALHOST, local)).ok()
    });
    let block: Vec<u8> = (0..1_000_000_u32)
        .map(|n| n.to_le_bytes()[n as usize % 4])
        .collect();
    let mut writer = stream.try_clone().unwrap();
    let sent = block.clone();
    let writing = thread::spawn(move || {
        for _ in 0..200 {
            writer.write_all(&sent).unwrap();
        }
        writer.shutdown(Shutdown::Write).unwrap();
    });
    // Nobody reads for a while: that costs no memory.
    wait::hold(std::time::Duration::from_secs(2));
    world.grown_at_most(base, 32, "a forward that is not read");
    let (mut reader, mut heard) = (stream, digest::Context::new(&digest::SHA256));
    let (mut buffer, mut total) = (vec![0; 65536], 0);
    while let n @ 1.. = reader.read(&mut buffer).unwrap() {
        heard.update(&buffer[..n]);
        total += n;
    }
    writing.join().unwrap();
    assert_eq!(total, 200_000_000);
    let mut expected = digest::Context::new(&digest::SHA256);
    (0..200).for_each(|_| expected.update(&block));
    let hex = |sum: digest::Context| {
        let sum = sum.finish();
        sum.as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let expected = hex(expected);
    assert_eq!(hex(heard), expected);
    end(client);
    let sum = json!({"bytes": 200_000_000, "sha256": expected});
    let closed = &world.of_kind("forward.close")[0];
    assert_eq!((&closed["input"], &closed["output"]), (&sum, &sum));
}

#[test]
fn a_thousand_forwards_are_refused_past_the_limit_and_the_rest_goes_on() {
    let world = World::new().start();
    let service = u32::from(echo());
    let raw = world.raw_at_db1("ana", Default::default());
    let opened = raw.runtime.block_on(async {
        let opening = (0..1000).map(|n| {
            raw.handle
                .channel_open_direct_tcpip("localhost", service, "127.0.0.1", n)
        });
        futures_util::future::join_all(opening).await
    });
    let good = opened.iter().filter(|one| one.is_ok()).count();
    assert!((1..=64).contains(&good), "{good}");
    drop(opened);
    drop(raw);
    world.ended_sessions(1);
    assert!(world.refused("channels_exceeded") > 900);
    world.ssh("ana", &["db1", "true"]).ok();
}

#[test]
fn listeners_past_the_limit_are_refused_and_the_rest_goes_on() {
    let world = World::new().policy(REMOTE).start();
    let raw = world.raw_at_db1("ana", Default::default());
    let opened = raw.runtime.block_on(async {
        let mut opened = Vec::new();
        for _ in 0..20 {
            opened.push(raw.handle.tcpip_forward("localhost", 0).await.is_ok());
        }
        opened
    });
    assert_eq!(opened, [vec![true; 16], vec![false; 4]].concat());
    let channel = raw.channel().unwrap();
    let asked = channel.exec(true, "echo still here");
    raw.runtime.block_on(asked).unwrap();
    let said = raw.hear(channel);
    assert_eq!(said.out, b"still here\n");
    let told = String::from_utf8_lossy(&said.err).into_owned();
    assert!(told.contains("16 listeners are open"), "{told}");
    drop(raw);
    assert_eq!(world.of_kind("forward.listen").len(), 16);
}

#[test]
fn what_is_no_place_is_refused_and_an_event() {
    let mut world = World::new().policy(REMOTE).start();
    let raw = world.raw_at_db1("ana", Default::default());
    let long = format!("/{}", "x".repeat(4096));
    raw.runtime.block_on(async {
        for (host, port) in [
            ("localhost", 65536),
            ("localhost", 0),
            ("localhost", u32::MAX),
            ("", 80),
            ("local\nhost", 80),
            ("\x1b]0;x\x07", 80),
            (&long, 80),
        ] {
            let asked = raw
                .handle
                .channel_open_direct_tcpip(host, port, "\x1b[31m", 1 << 20);
            assert!(asked.await.is_err(), "{host}:{port}");
        }
        for path in ["", "relative", "/a/../b", &long] {
            let asked = raw.handle.channel_open_direct_streamlocal(path);
            assert!(asked.await.is_err(), "{path}");
            assert!(
                raw.handle.streamlocal_forward(path).await.is_err(),
                "{path}"
            );
        }
        assert!(raw.handle.tcpip_forward("localhost", 65536).await.is_err());
        assert!(raw.handle.tcpip_forward("a b", 0).await.is_err());
        assert!(
            raw.handle
                .cancel_tcpip_forward("localhost", 1)
                .await
                .is_err()
        );
    });
    let channel = raw.channel().unwrap();
    let asked = channel.exec(true, "echo still here");
    raw.runtime.block_on(asked).unwrap();
    let said = raw.hear(channel);
    assert_eq!(said.out, b"still here\n");
    let told = String::from_utf8_lossy(&said.err).into_owned();
    assert!(told.contains("a listener is not possible"), "{told}");
    drop(raw);
    world.ended_sessions(1);
    world.stop_bastion();
    let events = world.node_events();
    let refused = |event: &&Value| event["code"] == "malformed_forward";
    assert_eq!(events.iter().filter(refused).count(), 11);
}

#[test]
fn what_passed_through_a_forward_before_a_crash_is_counted_and_hashed() {
    let mut world = World::new().start();
    let local = free_port();
    let spec = format!("127.0.0.1:{local}:localhost:{}", echo());
    let client = world.forwarding("ana", &["-L", &spec, "db1"]);
    let mut stream = wait::until("the forward", || {
        TcpStream::connect((Ipv4Addr::LOCALHOST, local)).ok()
    });
    let mut writer = stream.try_clone().unwrap();
    let sent = vec![5; 3 << 20];
    let writing = thread::spawn(move || writer.write_all(&sent).unwrap());
    let mut heard = vec![0; 3 << 20];
    stream.read_exact(&mut heard).unwrap();
    writing.join().unwrap();
    world.kill_bastion();
    drop((client, stream));
    world.start_bastion();
    let session = world.only_session();
    assert_eq!(session["end_reason"], "node_crash");
    let events = world.events(session["id"].as_str().unwrap());
    let is_mark =
        |event: &&Value| event["kind"] == "stream.progress" && event["direction"] == "output";
    let output = events.iter().rfind(is_mark).unwrap();
    assert_eq!(output["bytes"], 3 << 20);
    assert_eq!(output["sha256"], sha256(&heard));
}

#[test]
fn a_client_that_is_killed_with_forwards_open_leaves_nothing() {
    let world = World::new().policy(REMOTE).start();
    let before = world.at_rest();
    let (service, local) = (echo(), free_port());
    let spec = format!("127.0.0.1:{local}:localhost:{service}");
    let back = format!("0:127.0.0.1:{service}");
    let client = world.forwarding("ana", &["-L", &spec, "-R", &back, "db1"]);
    let chosen = listening_at(&world, 0);
    let mut open = Vec::new();
    for port in [local, chosen] {
        let connect = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok();
        let mut stream = wait::until("the forward", connect);
        let mut heard = [0; 2];
        stream.write_all(b"in").unwrap();
        stream.read_exact(&mut heard).unwrap();
        open.push(stream);
    }
    client.signal(Signal::KILL);
    drop(client);
    world.is_at_rest_again(before);
    drop(open);
}

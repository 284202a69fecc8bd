//! To the target: who it is, and as whom we come.

use crate::world::{User, World, event, fingerprint, free_port};
use std::process::Command;

/// `[[target]]` at a port of this machine, with further lines.
fn target(world: &World, name: &str, port: u16, lines: &str) -> String {
    format!(
        "[[target]]\nname = \"{name}\"\naddress = \"127.0.0.1:{port}\"\nlogins = [\"{}\"]\n{lines}\n",
        world.login
    )
}

fn open(world: &World, name: &str, command: &str) -> crate::world::Run {
    let login = format!("{}@{name}", world.login);
    world.ssh("ana", &["-l", &login, "bastion", command])
}

/// What sshd was shown, in the words of `ssh-keygen -L`.
fn shown_certificate(world: &World, run: &crate::world::Run) -> String {
    let line = run.out();
    let certificate = line.strip_prefix("publickey ").unwrap_or(&line);
    let path = world.text_path("seen-cert.pub");
    std::fs::write(&path, certificate).unwrap();
    let told = Command::new("ssh-keygen")
        .args(["-L", "-f", &path])
        .output();
    String::from_utf8(told.unwrap().stdout).unwrap()
}

#[test]
fn a_session_certificate_is_good_for_one_session_from_one_place() {
    let world = World::new().start();
    let host = "host = { ca = \"../hosts_ca.pub\" }";
    let elsewhere = format!("{host}\nsource_address = [\"192.0.2.1\", \"2001:db8::1\"]");
    let listed = format!("{host}\nsource_address = [\"192.0.2.1\", \"127.0.0.1\"]");
    let off = format!("{host}\nsource_address = \"off\"");
    let port = world.target_port;
    world.add_targets(
        &[
            target(&world, "elsewhere", port, &elsewhere),
            target(&world, "listed", port, &listed),
            target(&world, "off", port, &off),
        ]
        .concat(),
    );
    let ask = "cat $SSH_USER_AUTH";
    let first = open(&world, "db1", ask).ok();
    let told = shown_certificate(&world, &first);
    let session = world.only_session()["id"].as_str().unwrap().to_owned();
    for part in [
        &format!("Key ID: \"portcullis:ana:{session}:INC-42\""),
        "source-address 127.0.0.1\n",
        "Extensions: (none)",
        &format!("Principals: \n                {}\n", world.login),
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    // One minute back for a slow clock, two minutes on.
    let valid = told.lines().find(|line| line.contains("Valid:")).unwrap();
    let times: Vec<chrono::NaiveDateTime> = valid
        .split(' ')
        .filter_map(|word| word.parse().ok())
        .collect();
    assert_eq!((times[1] - times[0]).num_seconds(), 180, "{valid}");

    // A terminal needs permit-pty; every channel has a key of its own.
    let login = format!("{}@db1", world.login);
    let second = world
        .ssh("ana", &["-tt", "-l", &login, "bastion", ask])
        .ok();
    let terminal = shown_certificate(&world, &second);
    assert!(terminal.contains("permit-pty"), "{terminal}");
    let key = |told: &str| {
        let line = told
            .lines()
            .find(|line| line.contains("Public key:"))
            .unwrap();
        line.to_owned()
    };
    assert_ne!(key(&told), key(&terminal));

    let told = shown_certificate(&world, &open(&world, "off", ask).ok());
    assert!(told.contains("Critical Options: (none)"), "{told}");
    let told = shown_certificate(&world, &open(&world, "listed", ask).ok());
    assert!(
        told.contains("source-address 192.0.2.1,127.0.0.1\n"),
        "{told}"
    );
    open(&world, "elsewhere", "echo in").refused(254, "does not accept the bastion's login");
    let log = world.target_log();
    assert!(log.contains("not from a permitted"), "{log}");
}

/// How a host can be verified, written into the world as `host = ...`.
struct Writer<'a> {
    world: &'a World,
    key: String,
    ca: String,
    foreign: String,
    right: String,
    wrong: String,
    place: String,
}

impl<'a> Writer<'a> {
    fn new(world: &'a World) -> Self {
        let read = |name: &str| std::fs::read_to_string(world.path(name)).unwrap();
        Self {
            world,
            key: read("target_host.pub"),
            ca: read("hosts_ca.pub"),
            foreign: read("foreign_ca.pub"),
            right: fingerprint(&world.text_path("target_host.pub")),
            wrong: fingerprint(&world.text_path("foreign_ca.pub")),
            place: format!("[127.0.0.1]:{}", world.target_port),
        }
    }

    fn list(&self, name: &str, text: &str) -> String {
        std::fs::write(self.world.path(name), text).unwrap();
        format!("host = {{ known_hosts = \"../{name}\" }}")
    }
}

fn good_hosts(world: &World) -> Vec<(&'static str, String)> {
    let by = Writer::new(world);
    let (key, ca, place, foreign) = (&by.key, &by.ca, &by.place, &by.foreign);
    let hashed = by.list("hashed", &format!("{place} {key}"));
    world.keygen(&["-q", "-H", "-f", &world.text_path("hashed")]);
    let pinned = format!("host = {{ keys = [\"{}\", \"{}\"] }}", by.wrong, by.right);
    let known = format!("# ours\n\nother {foreign}{place} {key}");
    let authority = format!("@cert-authority {place} {ca}");
    vec![
        ("pinned", pinned),
        ("known", by.list("known", &known)),
        ("hashed", hashed),
        ("authority", by.list("authority", &authority)),
        (
            "pattern",
            by.list("pattern", &format!("[127.0.0.?]:* {key}")),
        ),
    ]
}

/// Target, port, how it is verified, what the person reads.
fn bad_hosts(world: &World, stale: u16, other: u16) -> Vec<(&'static str, u16, String, String)> {
    let by = Writer::new(world);
    let (key, ca, place, foreign) = (&by.key, &by.ca, &by.place, &by.foreign);
    let port = world.target_port;
    let none = "none is configured";
    let pinned = format!("host = {{ keys = [\"{}\"] }}", by.wrong);
    let of_ca = |name: &str| format!("host = {{ ca = \"../{name}.pub\" }}");
    let lists = [
        ("another", format!("{place} {foreign}"), by.wrong.as_str()),
        ("noport", format!("127.0.0.1 {key}"), none),
        ("negated", format!("!{place},![negated]:*,* {key}"), none),
        (
            "revoked",
            format!("@revoked * {key}{place} {key}"),
            "revoked",
        ),
        (
            "revokedca",
            format!("@revoked * {ca}@cert-authority {place} {ca}"),
            "revoked",
        ),
    ];
    let mut all = vec![
        ("none", port, String::new(), none.to_owned()),
        ("wrong", port, pinned, by.wrong.clone()),
        (
            "foreignca",
            port,
            of_ca("foreign_ca"),
            "signed by another CA".to_owned(),
        ),
        ("stale", stale, of_ca("hosts_ca"), "expired".to_owned()),
        (
            "other",
            other,
            of_ca("hosts_ca"),
            "does not name".to_owned(),
        ),
    ];
    for (name, text, says) in lists {
        all.push((name, port, by.list(name, &text), says.to_owned()));
    }
    all
}

#[test]
fn a_host_is_verified_by_what_is_configured_or_not_at_all() {
    let mut world = World::new().start();
    let (stale, other) = (free_port(), free_port());
    world.another_sshd("stale", stale, &["-n", "stale", "-V", "-2h:-1h"], "");
    world.another_sshd("other", other, &["-n", "somebody-else"], "");
    let port = world.target_port;
    let right = fingerprint(&world.text_path("target_host.pub"));
    let good = good_hosts(&world);
    let bad = bad_hosts(&world, stale, other);
    let mut text = String::new();
    for (name, lines) in &good {
        text += &target(&world, name, port, lines);
    }
    for (name, port, lines, _) in &bad {
        text += &target(&world, name, *port, lines);
    }
    world.add_targets(&text);
    for (name, at, _, says) in &bad {
        let run = open(&world, name, "echo in").refused(254, says);
        assert!(!run.out().contains("in"), "{name}");
        if *at == port {
            assert!(run.stderr.contains(&right), "{name}: {}", run.stderr);
        }
        assert!(run.stderr.contains("hint: "), "{name}: {}", run.stderr);
    }
    for log in ["target.log", "stale.log", "other.log"] {
        let log = std::fs::read_to_string(world.path(log)).unwrap();
        assert!(!log.contains("Accepted"), "{log}");
    }
    for (name, _) in &good {
        assert_eq!(open(&world, name, "echo in").ok().out(), "in\n", "{name}");
    }
    // A list that is gone is said, and opens nothing.
    std::fs::remove_file(world.path("known")).unwrap();
    open(&world, "known", "true").refused(254, "known");
}

#[test]
fn an_appliance_is_opened_by_a_key_and_a_name_by_any_of_its_addresses() {
    let mut world = World::new().user(User::named("ben")).start();
    let port = free_port();
    let key = world.text_path("appliance");
    world.keygen(&["-q", "-t", "ed25519", "-N", "", "-f", &key]);
    let authorized = format!("AuthorizedKeysFile {key}.pub\nTrustedUserCAKeys none");
    world.another_sshd("old", port, &["-n", "old"], &authorized);
    let host = "host = { ca = \"../hosts_ca.pub\" }";
    let auth = format!("{host}\nauth = {{ key = \"../appliance\" }}");
    // sshd listens on 127.0.0.1 only; `localhost` is ::1 as well.
    let named = format!("127.0.0.1:{}", world.target_port);
    let local = target(
        &world,
        "local",
        world.target_port,
        "host = { keys = [\"KEY\"] }",
    )
    .replace(&named, &format!("localhost:{}", world.target_port))
    .replace("KEY", &fingerprint(&world.text_path("target_host.pub")));
    let without = target(&world, "without", port, host);
    world.add_targets(&[target(&world, "old", port, &auth), without, local].concat());
    assert_eq!(open(&world, "old", "echo in").ok().out(), "in\n");
    let session = world.only_session();
    let events = world.events(session["id"].as_str().unwrap());
    let auth = event(&events, "target.auth");
    assert_eq!(auth["method"], "key");
    assert!(auth.get("key_id").is_none(), "{auth}");
    assert_eq!(open(&world, "local", "echo in").ok().out(), "in\n");
    open(&world, "without", "echo in").refused(254, "does not name");
    // A key that others can read does not open anything.
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();
    open(&world, "old", "echo in").refused(254, "chmod 600");
}

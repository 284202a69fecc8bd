//! What `ssh-config` prints, appended to a configuration that knows nothing, and the tools of every day.

use crate::world::{User, World};
use std::fs;

/// A home whose `ssh` has a key with a certificate and no known host, and then our lines.
fn fresh_home(world: &World, lines: &str) {
    let home = world.path("fresh");
    fs::create_dir_all(&home).unwrap();
    // Without a line break at the end, as editors leave it.
    let own = format!(
        "BatchMode yes\nUser {}\nIdentityFile {}\nIdentitiesOnly yes\nIdentityAgent none\n\
         UserKnownHostsFile {}\nGlobalKnownHostsFile none\n# the end",
        world.login,
        world.path("ana/id").display(),
        home.join("known_hosts").display(),
    );
    fs::write(home.join("config"), own + lines).unwrap();
}

#[test]
fn appended_once_every_tool_works_with_strict_host_keys() {
    let fleet = "match = \"*.prod.example.com\"\nhost = { ca = \"../hosts_ca.pub\" }\n";
    let world = World::new().target(fleet).start();
    let lines = world.ssh("ana", &["bastion", "ssh-config"]).ok().out();
    fresh_home(&world, &lines);
    assert_eq!(
        lines,
        world.verb(&["ssh-config"]).ok().out(),
        "the same on the node"
    );
    let hosts: Vec<&str> = lines
        .lines()
        .filter(|line| line.starts_with("Host "))
        .collect();
    assert_eq!(hosts, ["Host bastion", "Host db1 *.prod.example.com"]);

    let login = &world.login;
    let at = format!("{login}@db1@bastion");
    let percent = format!("{login}%db1@bastion");
    for words in [&["db1"][..], &["-J", "bastion", "db1"], &[&at], &[&percent]] {
        let mut all = words.to_vec();
        all.push("echo inside");
        assert_eq!(world.ssh("fresh", &all).ok().out(), "inside\n", "{words:?}");
    }
    fs::write(world.path("file"), "one\ntwo\n").unwrap();
    let from = world.path("file").display().to_string();
    for (number, host) in ["db1", &at, &percent].into_iter().enumerate() {
        let to = world.path(&format!("copy{number}")).display().to_string();
        let remote = format!("{host}:{to}");
        world
            .client("scp", "fresh", &["-q", &from, &remote], b"")
            .ok();
        assert_eq!(fs::read(&to).unwrap(), b"one\ntwo\n", "{host}");
        let batch = format!("put {from} {to}.sftp\n");
        world
            .client("sftp", "fresh", &["-q", "-b", "-", host], batch.as_bytes())
            .ok();
        assert_eq!(
            fs::read(format!("{to}.sftp")).unwrap(),
            b"one\ntwo\n",
            "{host}"
        );
    }
    for host in ["db1", &percent] {
        let to = world
            .path(&format!("synced-{}", host.len()))
            .display()
            .to_string();
        let remote = format!("{host}:{to}");
        world
            .run_over_ssh("rsync", "fresh", &["-a", &from, &remote])
            .ok();
        assert_eq!(fs::read(&to).unwrap(), b"one\ntwo\n", "{host}");
        let repository = world
            .path(&format!("repo-{}", host.len()))
            .display()
            .to_string();
        world
            .ssh("fresh", &[host, "git", "init", "-q", "--bare", &repository])
            .ok();
        let remote = format!("{host}:{repository}");
        world
            .run_over_ssh("git", "fresh", &["ls-remote", &remote])
            .ok();
    }
}

#[test]
fn known_hosts_lines_serve_clients_that_run_no_command() {
    let world = World::new().start();
    let lines = world
        .ssh("ana", &["bastion", "ssh-config", "--known-hosts"])
        .ok()
        .out();
    fs::write(world.path("lines"), &lines).unwrap();
    let known = format!("UserKnownHostsFile={}", world.path("lines").display());
    world.ssh("ana", &["-o", &known, "db1", "true"]).ok();
    // A client that knows no host certificates finds the one stable key.
    let plain = "HostKeyAlgorithms=ssh-ed25519";
    world
        .ssh("ana", &["-o", &known, "-o", plain, "db1", "true"])
        .ok();
    let nothing = format!("UserKnownHostsFile={}", world.path("nothing").display());
    let run = world.ssh("ana", &["-o", &nothing, "db1", "true"]);
    assert!(
        run.stderr.contains("Host key verification failed"),
        "{run:?}"
    );
    let json = world.ssh("ana", &["bastion", "ssh-config", "--json"]).ok();
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["known_hosts"].as_str().unwrap(), lines.trim_end());
}

#[test]
fn nobody_learns_names_of_targets_that_are_not_theirs() {
    let hidden = "name = \"db2\"\naddress = \"127.0.0.1:1\"\nlogins = [\"nobody-else\"]\n\
                  host = { keys = [\"SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"] }\n";
    let world = World::new()
        .user(User::named("else").with_principals("nobody-else"))
        .target(hidden)
        .start();
    let of_ana = world.ssh("ana", &["bastion", "ssh-config"]).ok().out();
    let of_else = world.ssh("else", &["bastion", "ssh-config"]).ok().out();
    assert!(of_ana.contains("Host db1\n") && of_else.contains("Host db2\n"));
}

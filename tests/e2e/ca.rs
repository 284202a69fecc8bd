//! Certificates and revocations, as operators and administrators make them.

use crate::wait;
use crate::world::{User, World, event, fingerprint};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;

fn key(world: &World, name: &str) -> String {
    let key = world.text_path(name);
    world.keygen(&["-q", "-t", "ed25519", "-N", "", "-f", &key]);
    format!("{key}.pub")
}

#[test]
fn what_is_issued_opens_the_door_and_says_why() {
    let mut world = World::new()
        .user(User::named("ben").without_certificate())
        .start();
    let public = world.text_path("ben/id.pub");
    let login = world.login.clone();
    let issue = |words: &[&str]| {
        let mut all = vec!["ca", "issue", "--identity", "ben", "--principal", &login];
        all.extend(words);
        world.verb(&all)
    };
    let long = issue(&["--reason", "x", "--for", "9h", &public]);
    assert_eq!(long.code, 2, "{long:?}");
    assert!(long.stderr.contains("at most 8h"), "{long:?}");
    assert_eq!(issue(&["--reason", "x", "/nowhere/id.pub"]).code, 2);
    assert_eq!(
        issue(&["--reason", "x", "--ticket", "a b", &public]).code,
        2
    );
    assert_eq!(world.ssh("ben", &["db1", "true"]).code, 255);

    issue(&["--reason", "rotate logs", "--ticket", "INC-7", &public]).ok();
    world.ssh("ben", &["db1", "true"]).ok();
    let session = world.only_session();
    assert_eq!(session["justification"], "rotate logs");
    assert_eq!(session["ticket"], "INC-7");
    let told = issue(&["--reason", "x", &public, "-"]).ok().out();
    assert!(
        told.starts_with("ssh-ed25519-cert-v01@openssh.com "),
        "{told}"
    );
    let certificate = world.text_path("ben/id-cert.pub");
    let shown = world.verb(&["ca", "show", &certificate]).ok().out();
    assert!(
        shown.contains("key id: ben") && shown.contains("INC-7"),
        "{shown}"
    );
    let json = world
        .verb(&["ca", "show", "--json", &certificate])
        .ok()
        .out();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["key_id"][0], "ben");

    world.stop_bastion();
    // With no bastion running, too.
    let run = world.verb(&[
        "ca",
        "issue",
        "--identity",
        "eva",
        "--principal",
        "root",
        "--reason",
        "late",
        &public,
    ]);
    run.ok();
    let events = world.node_events();
    let issued: Vec<_> = events
        .iter()
        .filter(|e| e["kind"] == "cert.issue")
        .collect();
    assert_eq!(issued.len(), 3, "{issued:?}");
    assert!(
        issued[0]["who"]["name"]
            .as_str()
            .unwrap()
            .starts_with("os:")
    );
    assert_eq!(issued[0]["why"]["ticket"], "INC-7");
    assert_eq!(issued[0]["why"]["justification"], "rotate logs");
    assert_eq!(issued[0]["fingerprint"], *world.fingerprint("ben"));
}

fn refuses_what_names_nothing(revoke: &dyn Fn(&[&str]) -> crate::world::Run) {
    // A serial number alone says nothing: every CA counts for itself.
    for bad in [
        &["--serial", "4242"][..],
        &["--serial", "4242", "--ca", "nobody"],
        &["--serial", "1", "--ca", "user_ca", "--key-id", "x"],
        &["--identity", "not an identity"],
        &[],
    ] {
        assert_eq!(revoke(bad).code, 2, "{bad:?}");
    }
}

#[test]
fn a_revocation_that_cannot_be_recorded_is_in_force_and_says_so() {
    let world = World::new().user(User::named("ben")).start();
    // The bastion runs, and nobody on the node can tell it.
    std::fs::remove_file(world.path("bastion/state/control.sock")).unwrap();
    let revoke = world.verb(&["ca", "revoke", "--identity", "ben", "--reason", "lost"]);
    assert_eq!(revoke.code, 4, "{revoke:?}");
    let says = "is revoked (number 2 of revoked.krl), which is in force, but not recorded";
    assert!(revoke.stderr.contains(says), "{revoke:?}");
    wait::until("ben to be revoked", || {
        (world.ssh("ben", &["db1", "true"]).code == 255).then_some(())
    });
    world.ssh("ana", &["db1", "true"]).ok();
}

#[test]
fn each_way_to_revoke_is_in_force_at_once() {
    let ways = ["serial", "keyid", "identity", "key"];
    let mut builder = World::new().user(User::named("root-admin").in_group("admins"));
    for way in ways {
        builder = builder.user(User::named(way));
    }
    let mut world = builder.start();
    world.certify(&User::named("serial").words(&["-z", "4242"]));
    let refused = |name: &str| {
        wait::until(&format!("`{name}` to be revoked"), || {
            (world.ssh(name, &["bastion", "sessions"]).code == 255).then_some(())
        });
    };
    let krl = world.text_path("bastion/keys/revoked.krl");
    let why = ["--reason", "lost", "laptop"];
    let revoke = |words: &[&str]| {
        let words = [&["ca", "revoke"], words, &why].concat();
        world.verb(&words)
    };
    refuses_what_names_nothing(&revoke);
    revoke(&["--serial", "4242", "--ca", "user_ca"]).ok();
    refused("serial");
    revoke(&["--identity", "identity"]).ok();
    refused("identity");
    // An administrator over ssh, whose key comes through the pipe; nobody else, and no path.
    let ask = |user: &str, words: &[&str], input: &[u8]| {
        let words = [&["bastion", "ca", "revoke"], words, &why].concat();
        world.ssh_with(user, &words, input)
    };
    assert_eq!(ask("ana", &["--key-id", "keyid"], b"").code, 3);
    ask("root-admin", &["--key-id", "keyid"], b"").ok();
    refused("keyid");
    let public = std::fs::read(world.path("key/id.pub")).unwrap();
    assert_eq!(ask("root-admin", &["--key", "/etc/hostname"], b"").code, 2);
    ask("root-admin", &["--key", "-"], &public).ok();
    refused("key");
    world.ssh("ana", &["db1", "true"]).ok();

    let listed = world
        .ssh("root-admin", &["bastion", "ca", "krl"])
        .ok()
        .out();
    for part in [
        "serial 4242 of CA",
        "key id `keyid`",
        "key id `identity`",
        "number 5",
    ] {
        assert!(listed.contains(part), "{part}: {listed}");
    }
    assert_eq!(world.ssh("ana", &["bastion", "ca", "krl"]).code, 3);
    assert_ne!(world.ssh("root-admin", &["bastion", "ca", "issue"]).code, 0);
    // What we write, ssh-keygen reads.
    world.keygen(&["-Q", "-l", "-f", &krl]);

    world.ended_sessions(1);
    world.stop_bastion();
    let events = world.node_events();
    let revoked: Vec<_> = events
        .iter()
        .filter(|e| e["kind"] == "cert.revoke")
        .collect();
    assert_eq!(revoked.len(), 4, "{revoked:?}");
    assert!(
        revoked[0]["who"]["name"]
            .as_str()
            .unwrap()
            .starts_with("os:")
    );
    assert_eq!(revoked[2]["who"]["subject"], "root-admin");
    assert_eq!(revoked[2]["reason"], "lost laptop");
}

#[test]
fn keys_in_an_agent_sign_as_keys_in_files_do() {
    let mut world = World::new()
        .user(User::named("ben").without_certificate())
        .start();
    world.move_keys_to_agent();
    let public = world.text_path("ben/id.pub");
    let login = world.login.clone();
    let words = ["--principal", &login, "--reason", "x", "--for", "1h"];
    let words = [
        &["ca", "issue", "--identity", "ben"],
        &words[..],
        &[&public],
    ]
    .concat();
    world.verb(&words).ok();
    // A host certificate for the jump, a user certificate for the target: both from the agent.
    world.ssh("ben", &["db1", "true"]).ok();
    let name = format!("{login}@db1");
    world.ssh("ana", &["-l", &name, "bastion", "true"]).ok();
    assert!(!world.path("bastion/keys/target_ca").exists());
    world.ended_sessions(2);
    let events = world.events(world.ended_sessions(2)[0]["id"].as_str().unwrap());
    assert_eq!(event(&events, "target.auth")["method"], "certificate");
}

#[test]
fn keys_that_cannot_be_used_are_named_with_what_to_do() {
    let mut world = World::new().start();
    world.stop_bastion();
    for name in ["host_ca", "target_ca", "host_ed25519"] {
        let path = world.path("bastion/keys").join(name);
        let good = std::fs::read(&path).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        let run = world.verb(&["serve"]);
        assert_eq!(run.code, 2, "{run:?}");
        let chmod = format!("chmod 600 {}", path.display());
        assert!(run.stderr.contains(&chmod), "{run:?}");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();

        std::fs::write(&path, "no key at all").unwrap();
        let run = world.verb(&["serve"]);
        assert_eq!(run.code, 2, "{run:?}");
        assert!(run.stderr.contains(path.to_str().unwrap()), "{run:?}");
        std::fs::remove_file(&path).unwrap();
        let run = world.verb(&["serve"]);
        assert_eq!(run.code, 2, "{run:?}");
        assert!(run.stderr.contains(path.to_str().unwrap()), "{run:?}");
        std::fs::write(&path, good).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    }
    let other = key(&world, "elsewhere");
    world.move_keys_to_agent();
    world.stop_bastion();
    // A key that the agent does not hold.
    let path = world.config_file();
    let config = std::fs::read_to_string(&path).unwrap();
    let held = fingerprint(&world.text_path("bastion/keys/target_ca.pub"));
    let config = config.replace(&held, &fingerprint(&other));
    std::fs::write(&path, config).unwrap();
    let run = world.verb(&["serve"]);
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.stderr.contains("ssh-add"), "{run:?}");
}

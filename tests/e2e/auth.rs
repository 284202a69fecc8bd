//! Who comes in: refusals first.

use crate::wait;
use crate::world::{User, World, event};
use serde_json::Value;

const TO_A_CERTIFICATE: &str = "portcullis ca issue";

fn failures(events: &[Value]) -> Vec<&Value> {
    let failed = events.iter().filter(|event| event["kind"] == "auth.fail");
    // The fixture knocks at the port until it opens.
    failed.filter(|event| event["who"]["name"] != "").collect()
}

/// Who, and what `auth.fail` says of them; none: the SSH library hides their certificate.
fn nobodies() -> [(User, Option<&'static str>); 10] {
    [
        (User::named("foreign").of_foreign_ca(), Some("unknown_ca")),
        (
            User::named("nobody").with_principals(""),
            Some("no_principal"),
        ),
        (User::named("long").valid("-1m:+30d"), Some("lifetime")),
        (
            User::named("elsewhere").words(&["-O", "source-address=192.0.2.0/24,2001:db8::/32"]),
            Some("wrong_source"),
        ),
        (
            User::named("strange").words(&["-O", "critical:verify-me@example.com=1"]),
            Some("unknown_option"),
        ),
        (
            User::named("touch").words(&["-O", "verify-required"]),
            Some("verify_required"),
        ),
        (User::named("host").words(&["-h"]), None),
        (User::named("plain").without_certificate(), None),
        (User::named("late").valid("-2h:-1h"), None),
        (User::named("early").valid("+1h:+2h"), None),
    ]
}

#[test]
fn what_proves_nobody_does_not_come_in() {
    let table = nobodies();
    let names = [
        "foreign",
        "nobody",
        "long",
        "elsewhere",
        "strange",
        "touch",
        "host",
        "plain",
        "late",
        "early",
    ];
    let mut builder = World::new();
    for (user, _) in &table {
        builder = builder.user(user.clone());
    }
    let mut world = builder.start();
    for name in names {
        let run = world.ssh(name, &["db1", "true"]);
        assert_eq!(run.code, 255, "{name}: {run:?}");
        let run = world.ssh(name, &["bastion", "sessions"]);
        assert_eq!(run.code, 255, "{name}: {run:?}");
        assert!(run.stderr.contains(TO_A_CERTIFICATE), "{name}: {run:?}");
    }
    world.ssh("ana", &["db1", "true"]).ok();
    world.ended_sessions(1);
    let keys = names.map(|name| world.fingerprint(name));
    world.stop_bastion();

    let events = world.node_events();
    let failures = failures(&events);
    for ((name, key), (_, code)) in names.iter().zip(&keys).zip(&table) {
        let found = failures.iter().find(|event| match code {
            Some(code) => event["code"] == *code && event["who"]["certificate"]["key_id"] == *name,
            None => event["code"] == "no_certificate" && event["keys"][0] == **key,
        });
        let event = found.unwrap_or_else(|| panic!("no auth.fail of `{name}`: {failures:?}"));
        if code.is_some() {
            assert_eq!(event["who"]["certificate"]["fingerprint"], **key, "{event}");
        }
        assert_eq!(event["who"]["name"], world.login, "{event}");
        assert_eq!(event["who"]["source"]["ip"], "127.0.0.1", "{event}");
        assert_eq!(event["outcome"], "failure", "{event}");
    }
    // A key that is shown before its certificate is no refused login.
    let ana = |event: &&&Value| event["who"]["certificate"]["key_id"] == "ana";
    assert_eq!(failures.iter().filter(ana).count(), 0);
    assert_eq!(failures.len(), 2 * names.len(), "{failures:?}");
    assert!(!world.target_log().contains("foreign"));
}

#[test]
fn who_has_no_certificate_reads_how_to_get_one() {
    let mut world = World::new()
        .user(User::named("plain").without_certificate())
        .set("notice.certificate", "run `get-certificate` on your laptop")
        .start();
    let hint = "get-certificate";
    // In batch mode `ssh` shows only what is said before anything is known of the person: so it is
    // said from the second time on, and to nobody who comes in.
    assert!(
        !world
            .ssh("ana", &["bastion", "sessions"])
            .stderr
            .contains(hint)
    );
    let first = world.ssh("plain", &["bastion"]);
    assert_eq!(first.code, 255);
    assert!(!first.stderr.contains(hint), "{}", first.stderr);
    let batch = world.ssh("plain", &["bastion"]);
    assert_eq!(batch.code, 255);
    assert!(batch.stderr.contains(hint), "{}", batch.stderr);

    // A client that may talk is told why, once.
    for methods in [
        "keyboard-interactive",
        "publickey,keyboard-interactive,password",
    ] {
        let methods = format!("PreferredAuthentications={methods}");
        let talk = ["-o", "BatchMode=no", "-o", &methods, "bastion"];
        let run = world.ssh("plain", &talk);
        assert_eq!(run.code, 255);
        assert!(
            run.stderr.contains("Permission denied (publickey)"),
            "{}",
            run.stderr
        );
        assert_eq!(run.stderr.matches("ref: ").count(), 1, "{}", run.stderr);
        // Once in the banner, once in the answer.
        assert_eq!(run.stderr.matches(hint).count(), 2, "{}", run.stderr);
    }

    // A name that nobody comes in with is answered in every mode, with and without a certificate.
    for user in ["plain", "ana"] {
        for name in ["login", "root@"] {
            let run = world
                .ssh(user, &["-l", name, "bastion"])
                .refused(255, "ref: ");
            assert!(run.stderr.contains("Received disconnect"), "{}", run.stderr);
        }
    }
    world.ssh("ana", &["bastion", "sessions"]);
    assert!(
        !world
            .ssh("ana", &["bastion", "sessions"])
            .stderr
            .contains(hint)
    );
    world.stop_bastion();
    let events = world.node_events();
    let failures = failures(&events);
    // Four that showed a key, four that asked for what is not given.
    assert_eq!(failures.len(), 8, "{failures:?}");
    let named = |name: &str| failures.iter().filter(|e| e["who"]["name"] == name).count();
    assert_eq!((named("login"), named("root@")), (2, 2), "{failures:?}");
}

#[test]
fn an_expired_certificate_is_told_with_whose_it_was() {
    let mut world = World::new()
        .user(User::named("ben").valid("-1m:+8s"))
        .start();
    world.ssh("ben", &["db1", "true"]).ok();
    wait::until("the certificate to expire", || {
        let run = world.ssh("ben", &["bastion", "sessions"]);
        (run.code == 255).then_some(())
    });
    let key = world.fingerprint("ben");
    world.stop_bastion();
    let events = world.node_events();
    let failures = failures(&events);
    let event = failures.last().unwrap();
    assert_eq!(event["code"], "expired", "{event}");
    assert_eq!(event["who"]["name"], world.login, "{event}");
    assert_eq!(event["who"]["certificate"]["key_id"], "ben", "{event}");
    assert_eq!(event["who"]["certificate"]["fingerprint"], *key, "{event}");
    assert_eq!(event["who"]["source"]["ip"], "127.0.0.1", "{event}");
}

#[test]
fn a_certificate_that_forbids_a_terminal_gets_none() {
    let world = World::new()
        .user(User::named("ben").words(&["-O", "no-pty"]))
        .start();
    world.ssh("ben", &["db1", "true"]).ok();
    let run = world.ssh_with("ben", &["-tt", "db1", "tty"], b"");
    assert!(!run.out().contains("/dev/pts"), "{run:?}");
}

#[test]
fn a_forced_command_is_the_only_command() {
    let user = User::named("ben").words(&["-O", "force-command=echo forced"]);
    let world = World::new().user(user).start();
    let run = world.ssh("ben", &["db1", "echo free"]);
    assert!(!run.out().contains("free"), "{run:?}");
}

#[test]
fn an_accepted_login_is_an_event_with_its_certificate() {
    let mut world = World::new().start();
    world.ssh("ana", &["db1", "true"]).ok();
    world.ended_sessions(1);
    world.stop_bastion();
    let events = world.node_events();
    let accepted = event(&events, "auth.accept");
    assert_eq!(accepted["who"]["subject"], "ana");
    assert_eq!(accepted["who"]["certificate"]["serial"], 7);
    assert_eq!(accepted["outcome"], "success");
}

#[test]
fn the_notice_is_shown_and_its_hash_is_in_the_recording() {
    let text = "Recorded by Example Corp, security@example.com.";
    let world = World::new().set("notice.text", text).start();
    let run = world.ssh("ana", &["db1", "true"]).ok();
    assert!(run.stderr.contains(text), "{}", run.stderr);
    let session = world.only_session();
    let events = world.events(session["id"].as_str().unwrap());
    let sum = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    let hash: String = sum.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(event(&events, "session.start")["notice"], hash);
}

/// A forwarded agent in other hands: the key is good, the place is not.
#[test]
fn a_login_from_the_address_of_a_target_is_refused_and_an_alert() {
    let db2 = "name = \"db2\"\naddress = \"127.0.0.2:1\"\nlogins = [\"nobody\"]\n";
    let mut world = World::new()
        .user(User::named("plain").without_certificate())
        .target(db2)
        .start();
    let from = ["-b", "127.0.0.2", "-o", "BatchMode=no"];
    let words = [&from[..], &["bastion", "sessions"]].concat();
    let run = world.ssh("ana", &words);
    let run = run.refused(255, "logins from 127.0.0.2 are refused");
    assert!(run.stderr.contains("from your own machine"), "{run:?}");
    // Whose address it is, only the operator learns.
    assert!(!run.stderr.contains("db2"), "{run:?}");
    // A jump comes from there as well.
    assert_eq!(
        world
            .ssh(
                "ana",
                &[
                    "-o",
                    "ProxyCommand=ssh -F PATH -b 127.0.0.2 -W %h:%p bastion"
                        .replace("PATH", &world.text_path("ana/config"))
                        .as_str(),
                    "db1",
                    "true"
                ]
            )
            .code,
        255
    );
    // Who has no good certificate is a stranger as everywhere.
    assert_eq!(
        world.ssh("plain", &["-b", "127.0.0.2", "bastion"]).code,
        255
    );
    // This machine is no target, though db1 is on it.
    world.ssh("ana", &["-b", "127.0.0.1", "db1", "true"]).ok();
    world
        .ssh("ana", &["-b", "127.0.0.3", "bastion", "sessions"])
        .ok();

    let path = world.config_file();
    let config = std::fs::read_to_string(&path).unwrap();
    let allowed = config.replace("[identity]\n", "[identity]\nfrom_targets = \"allow\"\n");
    assert_ne!(config, allowed);
    std::fs::write(&path, allowed).unwrap();
    wait::until("the setting is in force", || {
        let run = world.ssh("ana", &["-b", "127.0.0.2", "bastion", "sessions"]);
        (run.code == 0).then_some(())
    });
    world.stop_bastion();

    let events = world.node_events();
    let is_alert = |event: &&Value| event["note"]["code"] == "login_from_target";
    let alerts: Vec<&Value> = events.iter().filter(is_alert).collect();
    assert!(!alerts.is_empty());
    for alert in alerts {
        assert_eq!(alert["severity"], "high", "{alert}");
        assert_eq!(alert["who"]["subject"], "ana", "{alert}");
        assert_eq!(alert["who"]["source"]["ip"], "127.0.0.2", "{alert}");
        assert_eq!(alert["where"]["target"], "db2", "{alert}");
    }
    let refused = failures(&events);
    assert!(
        refused.iter().any(|event| event["code"] == "from_target"
            && event["who"]["certificate"]["key_id"] == "ana")
    );
}

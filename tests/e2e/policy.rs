//! Policies of a running bastion: changed, broken, failing, asked.

use crate::wait;
use crate::world::{User, World, changes, event};
use portcullis::clock::Clock;
use std::fs;
use std::process::Command;
use std::time::UNIX_EPOCH;

/// Written beside it and renamed, as editors do.
pub(crate) fn replace(world: &World, name: &str, text: &str) {
    let path = world.path("bastion").join(name);
    let beside = path.with_file_name(".being-written");
    fs::write(&beside, text).unwrap();
    fs::rename(&beside, &path).unwrap();
}

pub(crate) fn wait_for_log(world: &World, text: &str) {
    wait::until(&format!("`{text}` in the log"), || {
        world.log().contains(text).then_some(())
    });
}

#[test]
fn a_changed_policy_holds_for_running_sessions_and_a_broken_one_changes_nothing() {
    let mut world = World::new().start();
    let mut terminal = world.terminal("ana", &["db1"]);
    terminal.type_in("echo \"so: $((6 * 7))\"\r").see("so: 42");

    let broken = "// a comment\npermit (principal, action, resource) when { resource.colour };\n";
    replace(&world, "policies/extra.cedar", broken);
    wait_for_log(&world, "extra.cedar:2: ");
    world.ssh("ana", &["db1", "true"]).ok();
    terminal
        .type_in("echo \"still: $((6 * 7))\"\r")
        .see("still: 42");

    // Commands stay allowed: the shell ends all the same.
    let forbid = "@id(\"no-shell\")\nforbid (principal == Person::\"ana\", action == Action::\"shell\", resource);\n";
    replace(&world, "policies/extra.cedar", forbid);
    terminal.see("your rights have changed");
    assert_eq!(terminal.end().code(), Some(254), "{}", terminal.screen);
    world.ssh("ana", &["db1", "true"]).ok();
    let sessions = world.ended_sessions(3);
    assert!(
        sessions
            .iter()
            .any(|session| session["end_reason"] == "policy"),
        "{sessions:?}"
    );

    world.stop_bastion();
    let events = world.node_events();
    let began = event(&events, "policy.change");
    assert_eq!(began["difference"], "in force at start");
    let changes = changes(&events, "policy.change");
    assert_eq!(changes[0]["sha256"], began["sha256"]);
    assert_eq!(changes.len(), 2, "{changes:?}");
    assert_eq!(changes[0]["outcome"], "failure");
    assert!(
        changes[0]["difference"]
            .as_str()
            .unwrap()
            .contains("extra.cedar:2: ")
    );
    assert_eq!(changes[1]["outcome"], "success");
    assert_eq!(changes[1]["difference"], "+ extra.cedar#no-shell");
    assert_ne!(changes[0]["sha256"], changes[1]["sha256"]);
}

#[test]
fn a_session_says_which_policy_opened_it() {
    let world = World::new().start();
    world.ssh("ana", &["db1", "true"]).ok();
    let session = world.only_session();
    let events = world.events(session["id"].as_str().unwrap());
    let start = event(&events, "session.start");
    assert_eq!(
        start["decision"]["policies"][0],
        "portcullis.cedar#open-own-logins"
    );
    assert_eq!(start["policy_set"].as_str().unwrap().len(), 64);
}

#[test]
fn a_policy_that_fails_denies_and_the_decision_says_so() {
    let world = World::new().start();
    let failing = "@id(\"late\")\nforbid (principal, action == Action::\"exec\", resource)\n\
                   when { context.now + 9223372036854775807 > 0 };\n";
    replace(&world, "policies/extra.cedar", failing);
    wait_for_log(&world, "+ extra.cedar#late");
    world.ssh("ana", &["db1", "true"]).refused(254, "exec");
    let session = world.only_session();
    let lines = world.lines(session["id"].as_str().unwrap());
    assert!(
        lines.contains("extra.cedar#late") && lines.contains("overflow"),
        "{lines}"
    );
    assert!(!lines.contains("\"kind\":\"exec\",\"channel\":0,\"outcome\":\"success\""));
}

/// As docs/recording-format.md 3.8 says it, by other hands.
#[test]
fn the_hash_of_the_policies_is_that_of_their_files() {
    let world = World::new().start();
    world.ssh("ana", &["db1", "true"]).ok();
    let session = world.only_session();
    let events = world.events(session["id"].as_str().unwrap());
    let dir = world.text_path("bastion/policies");
    let script = "import hashlib, pathlib, struct, sys\n\
                  d = pathlib.Path(sys.argv[1]); h = hashlib.sha256()\n\
                  for f in sorted(d.glob('*.cedar')) + list(d.glob('*.cedarschema')):\n\
                  \tfor part in (f.name.encode(), f.read_bytes()):\n\
                  \t\th.update(struct.pack('<Q', len(part)) + part)\n\
                  print(h.hexdigest())";
    let python = Command::new("python3").args(["-c", script, &dir]).output();
    let sum = String::from_utf8(python.unwrap().stdout).unwrap();
    assert_eq!(event(&events, "session.start")["policy_set"], sum.trim());
}

#[test]
fn a_policy_that_looks_at_the_clock_ends_what_runs_when_its_time_has_come() {
    let world = World::new().start();
    let mut terminal = world.terminal("ana", &["db1"]);
    terminal.type_in("echo \"so: $((6 * 7))\"\r").see("so: 42");
    let now = Clock::system().now().duration_since(UNIX_EPOCH).unwrap();
    let closes = now.as_secs() + 6;
    let text = format!(
        "@id(\"closing\")\n\
         forbid (principal, action, resource is Account) when {{ context.now > {closes} }};\n"
    );
    replace(&world, "policies/extra.cedar", &text);
    wait_for_log(&world, "+ extra.cedar#closing");
    terminal.see("your rights have changed");
    assert_eq!(terminal.end().code(), Some(254), "{}", terminal.screen);
    assert_eq!(world.only_session()["end_reason"], "policy");
}

#[test]
fn groups_come_from_the_mapping_file_too_for_running_sessions_as_well() {
    let world = World::new().user(User::named("ben")).start();
    let mut terminal = world.terminal("ben", &["db1"]);
    terminal.type_in("echo \"so: $((6 * 7))\"\r").see("so: 42");
    fs::write(world.path("bastion/groups.toml"), "ben = [\"auditors\"]\n").unwrap();
    let text = fs::read_to_string(world.config_file()).unwrap();
    let text = text.replace("[identity]\n", "[identity]\ngroups = \"groups.toml\"\n");
    replace(&world, "portcullis.toml", &text);
    terminal.see("your rights have changed");
    assert_eq!(terminal.end().code(), Some(254), "{}", terminal.screen);
    let denied = world.ssh("ben", &["db1", "true"]);
    assert!([254, 255].contains(&denied.code), "{denied:?}");
    world.ssh("ana", &["db1", "true"]).ok();
}

#[test]
fn policies_are_checked_tested_and_explained_on_the_node_and_by_admins() {
    let world = World::new()
        .user(User::named("kim").in_group("admins"))
        .start();
    assert!(
        world
            .verb(&["policy", "check"])
            .ok()
            .out()
            .contains("the policies are good")
    );
    assert!(
        world
            .verb(&["policy", "test"])
            .ok()
            .out()
            .contains("examples, 0 failed")
    );

    let login = world.login.clone();
    let mut ask = vec![
        "policy",
        "explain",
        "--identity",
        "ana",
        "--target",
        "db1",
        "--login",
        &login,
        "--action",
        "shell",
    ];
    let explained = world.verb(&ask).ok();
    assert!(
        explained
            .out()
            .contains("decided by portcullis.cedar#open-own-logins"),
        "{explained:?}"
    );
    let mut over_ssh = vec!["bastion"];
    over_ssh.extend(&ask);
    assert_eq!(world.ssh("kim", &over_ssh).ok().out(), explained.out());
    assert_eq!(world.ssh("ana", &over_ssh).code, 3);

    ask.extend(["--group", "auditors", "--json"]);
    let denied = world.verb(&ask);
    assert_eq!(denied.code, 1, "{denied:?}");
    let denied: serde_json::Value = serde_json::from_slice(&denied.stdout).unwrap();
    assert_eq!(denied["allowed"], false);
    assert_eq!(
        denied["policies"][0]["id"],
        "portcullis.cedar#auditors-open-nothing"
    );
}

#[test]
fn what_nothing_permits_is_explained_and_what_is_missing_is_asked_for() {
    let world = World::new().start();
    let elsewhere = world.verb(&[
        "policy",
        "explain",
        "--identity",
        "ana",
        "--target",
        "db1",
        "--login",
        "nobody",
        "--action",
        "shell",
    ]);
    assert_eq!(elsewhere.code, 1);
    assert!(
        elsewhere.out().contains("no policy permits it"),
        "{elsewhere:?}"
    );
    let missing = world.verb(&[
        "policy",
        "explain",
        "--identity",
        "ana",
        "--action",
        "shell",
    ]);
    missing.refused(2, "add --target and --login");
}

#[test]
fn an_example_that_fails_and_a_policy_that_is_wrong_are_named() {
    let world = World::new().start();
    let wrong = "[[example]]\nsays = \"ana is not let in\"\nidentity = \"ana\"\naction = \"use\"\nexpect = \"deny\"\n";
    replace(&world, "policies/mine.toml", wrong);
    let failed = world
        .verb(&["policy", "test"])
        .refused(1, "mine.toml:1: `ana is not let in`");
    assert!(failed.out().contains("1 failed"), "{failed:?}");
    replace(&world, "policies/extra.cedar", "permit (");
    world
        .verb(&["policy", "check"])
        .refused(1, "extra.cedar:1: ");
    world
        .verb(&["policy", "test"])
        .refused(2, "extra.cedar:1: ");
}

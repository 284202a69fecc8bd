//! The configuration: refused with what would be right, and changed while the bastion runs.

use crate::policy::{replace, wait_for_log};
use crate::world::{World, changes, portcullis};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn serve(dir: &Path) -> (i32, String) {
    let config = dir.join("portcullis.toml");
    let mut serve = portcullis(&["--config", config.to_str().unwrap(), "serve"]);
    let output = serve.env_remove("SSH_AUTH_SOCK").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    (
        output.status.code().unwrap(),
        said.replace(dir.to_str().unwrap(), "DIR"),
    )
}

#[test]
fn a_wrong_configuration_is_refused_with_file_line_and_what_would_be_right() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("bastion");
    let made = portcullis(&["init", dir.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(made.status.success());
    let template = fs::read_to_string(dir.join("portcullis.toml")).unwrap();
    let replaced = |from: &str, to: &str| {
        assert!(template.contains(from), "{from}");
        template.replacen(from, to, 1)
    };
    let line = |text: &str, of: &str| text.lines().position(|line| line.contains(of)).unwrap() + 1;
    let table = [
        (
            replaced("ssh = \"127.0.0.1:2222\"", "ssh = \"127.0.0.1\""),
            "ssh = ",
            "`ssh` is an IP address with its port, as \"0.0.0.0:22\" or \"[::]:22\", not `127.0.0.1`",
        ),
        (
            replaced("[state]", "[state]\ndri = \"state\""),
            "dri",
            "unknown field `dri`, expected `dir`",
        ),
        (
            replaced("[session]", "[session]\nidle = 60"),
            "idle = 60",
            "`idle` is a time with its unit, as \"90s\", \"10m\" or \"8h\", not 60",
        ),
        (
            replaced("\"keys/revoked.krl\"", "\"keys/gone.krl\""),
            "gone.krl",
            "`identity.revoked` names DIR/keys/gone.krl, which cannot be used: No such file or \
             directory (os error 2); paths are relative to DIR",
        ),
        (
            replaced("target = \"keys/target_ca\"", ""),
            "[ca]",
            "`[ca] target` is missing: target = \"keys/target_ca\", or \"agent:SHA256:...\"",
        ),
        (
            replaced("\"keys/host_ca\"", "\"agent:SHA256:abc\""),
            "agent:SHA256:abc",
            "`ca.host` is in an ssh-agent, but SSH_AUTH_SOCK is not set",
        ),
        (
            format!("{template}\n[[target]]\nname = \"db1\"\nhost = {{ ca = \"a\", keys = [] }}\n"),
            "keys = [] }",
            "`host` is one of { ca = \"FILE\" }, { known_hosts = \"FILE\" } or { keys = \
             [\"SHA256:...\"] }",
        ),
    ];
    for (text, at, says) in &table {
        fs::write(dir.join("portcullis.toml"), text).unwrap();
        let line = line(text, at);
        let expected = format!(
            "portcullis: the configuration is not good\nDIR/portcullis.toml:{line}: {says}\n"
        );
        assert_eq!(serve(&dir), (2, expected));
    }

    fs::write(dir.join("portcullis.toml"), &template).unwrap();
    let key = dir.join("keys/host_ed25519");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let (code, said) = serve(&dir);
    assert_eq!(code, 2);
    assert!(
        said.contains("run `chmod 600 DIR/keys/host_ed25519`"),
        "{said}"
    );
}

#[test]
fn targets_change_while_it_runs_and_a_broken_edit_changes_nothing() {
    let mut world = World::new().start();
    let user = format!("{}@db2", world.login);
    let to_db2 = ["-l", &user, "bastion", "true"];
    assert_ne!(world.ssh("ana", &to_db2).code, 0);

    fs::create_dir(world.path("bastion/targets.d")).unwrap();
    let text = fs::read_to_string(world.config_file()).unwrap();
    replace(
        &world,
        "portcullis.toml",
        &format!("include = [\"targets.d/*.toml\"]\n{text}"),
    );
    wait_for_log(&world, "+ include");

    let target = format!(
        "[[target]]\nname = \"db2\"\naddress = \"127.0.0.1:{}\"\nlogins = [\"{}\"]\n\
         host = {{ ca = \"../hosts_ca.pub\" }}\n",
        world.target_port, world.login
    );
    replace(&world, "targets.d/more.toml", &target);
    wait_for_log(&world, "+ target.db2.name");
    world.ssh("ana", &to_db2).ok();

    replace(
        &world,
        "targets.d/more.toml",
        &format!("{target}port = 22\n"),
    );
    wait_for_log(&world, "more.toml:6: unknown field `port`");
    world.ssh("ana", &to_db2).ok();

    let mut terminal = world.terminal("ana", &["-t", "-l", &user, "bastion"]);
    terminal.type_in("echo \"so: $((6 * 7))\"\r").see("so: 42");
    fs::remove_file(world.path("bastion/targets.d/more.toml")).unwrap();
    terminal.see("your rights have changed");
    assert_eq!(terminal.end().code(), Some(254), "{}", terminal.screen);
    assert_ne!(world.ssh("ana", &to_db2).code, 0);
    world.ssh("ana", &["db1", "true"]).ok();

    world.stop_bastion();
    let events = world.node_events();
    let changes: Vec<_> = changes(&events, "config.change")
        .into_iter()
        .map(|event| {
            let difference = event["difference"].as_str().unwrap();
            (event["outcome"].as_str().unwrap(), difference)
        })
        .collect();
    assert_eq!(changes.len(), 4, "{changes:?}");
    assert_eq!(
        changes[0],
        ("success", "+ include = [\"targets.d/*.toml\"]")
    );
    assert!(
        changes[1].1.contains("+ target.db2.logins = "),
        "{changes:?}"
    );
    assert_eq!(changes[2].0, "failure");
    assert!(
        changes[2].1.contains("more.toml:6: unknown field `port`"),
        "{changes:?}"
    );
    assert!(
        changes[3].1.contains("- target.db2.name = \"db2\""),
        "{changes:?}"
    );
}

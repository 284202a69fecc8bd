//! `doctor` finds what is wrong, and `target-setup` mends a target.

use crate::wait;
use crate::world::World;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// What is wrong, but for what belongs to the machine that runs the tests.
fn findings(world: &World) -> Vec<(String, String, String)> {
    let run = world.verb(&["doctor", "--json"]);
    let all: Vec<Value> = serde_json::from_slice(&run.stdout).unwrap();
    let found: Vec<_> = all.iter().filter(|one| one["level"] == "finding").collect();
    assert_eq!(run.code, i32::from(!found.is_empty()), "{run:?}");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    found
        .into_iter()
        .filter(|one| !["clock", "disk"].contains(&one["area"].as_str().unwrap()))
        .map(|one| (text(&one["area"]), text(&one["says"]), text(&one["do"])))
        .collect()
}

#[track_caller]
fn finds(world: &World, area: &str, says: &str, to_do: &str) {
    let found = findings(world);
    assert!(
        found
            .iter()
            .any(|(a, s, d)| a == area && s.contains(says) && d.contains(to_do)),
        "no `{says}` / `{to_do}` among {found:#?}"
    );
}

#[test]
fn a_good_installation_is_fine() {
    let mut world = World::new().start();
    assert_eq!(findings(&world), []);
    let text = world.verb(&["doctor"]).out();
    assert!(text.contains("db1: host verified by ca"), "{text}");
    assert!(text.contains("runs, 0 connections, 0 sessions"), "{text}");
    world.stop_bastion();
    let text = world.verb(&["doctor"]).out();
    assert!(text.contains("it does not run here"), "{text}");
}

#[test]
fn each_thing_that_is_wrong_is_found_with_what_to_do() {
    let world = World::new()
        .target(
            "name = \"down\"\naddress = \"127.0.0.1:1\"\nlogins = [\"root\"]\nhost = { keys = [] }",
        )
        .start();
    finds(
        &world,
        "targets",
        "down: cannot connect",
        "the target or the way to it is down",
    );

    let path = |name: &str| world.path("bastion").join(name);
    let mode = |name: &str, mode| {
        fs::set_permissions(path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("state", 0o755);
    finds(
        &world,
        "state",
        "can be read by others (mode 0755)",
        "chmod 700 ",
    );
    mode("state", 0o700);

    let krl = fs::read(path("keys/revoked.krl")).unwrap();
    fs::write(path("keys/revoked.krl"), "no list").unwrap();
    finds(&world, "revocations", "revoked.krl", "put the list back");
    fs::write(path("keys/revoked.krl"), krl).unwrap();

    fs::write(path("policies/extra.cedar"), "permit (").unwrap();
    finds(&world, "policies", "extra.cedar:1: ", "mend it");
    let forbid = "forbid (principal, action == Action::\"use\", resource);\n";
    fs::write(path("policies/extra.cedar"), forbid).unwrap();
    finds(
        &world,
        "policies",
        "`everybody may use the console`",
        "mend the policy",
    );
    fs::remove_file(path("policies/extra.cedar")).unwrap();

    let config = fs::read_to_string(world.config_file()).unwrap();
    let open = format!("ssh = [\"127.0.0.1:{}\", \"0.0.0.0:2200\"]", world.port);
    let line = format!("ssh = \"127.0.0.1:{}\"", world.port);
    assert!(config.contains(&line), "{config}");
    fs::write(world.config_file(), config.replace(&line, &open)).unwrap();
    finds(&world, "keys", "private half of a user CA", "move ");
    fs::write(world.config_file(), &config).unwrap();

    mode("keys/target_ca", 0o640);
    finds(&world, "configuration", "mode 0640", "mend it");
    mode("keys/target_ca", 0o600);
}

/// An sshd with a directory of its own, as a target is before anybody has set it up.
struct Sshd {
    config: PathBuf,
    child: Child,
}

impl Sshd {
    fn start(world: &World, port: u16) -> Self {
        let dir = world.path("etc-ssh");
        fs::create_dir(&dir).unwrap();
        let config = dir.join("sshd_config");
        let key = world.path("target_host");
        let key = key.display();
        let text = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {key}\nHostCertificate {key}-cert.pub\n\
             AuthorizedKeysFile none\nPasswordAuthentication no\nUsePAM no\nPidFile none\n\
             KbdInteractiveAuthentication no\nStrictModes no\nPermitRootLogin yes\n\
             SetEnv HOME={}\nLogLevel VERBOSE\n",
            world.path("home").display()
        );
        fs::write(&config, text).unwrap();
        let log = fs::File::create(world.path("etc-ssh.log")).unwrap();
        let mut sshd = Command::new("/usr/sbin/sshd");
        sshd.args(["-D", "-e", "-f"]).arg(&config);
        sshd.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = sshd
            .spawn()
            .expect("no sshd: apt-get install openssh-server");
        let up = || std::net::TcpStream::connect(("127.0.0.1", port)).ok();
        wait::until("the second sshd", up);
        Self { config, child }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn run(script: &Path, config: &Path, reload: &str) -> std::process::Output {
    let mut shell = Command::new("sh");
    shell
        .arg(script)
        .env("SSHD_CONFIG", config)
        .env("RELOAD", reload);
    shell.output().unwrap()
}

#[test]
fn the_script_of_target_setup_makes_a_target_accept_the_bastion() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let login = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    let target = format!(
        "name = \"db9\"\naddress = \"127.0.0.1:{port}\"\nlogins = [\"{}\"]\n\
         host = {{ ca = \"../hosts_ca.pub\" }}",
        login.trim()
    );
    let world = World::new().target(&target).start();
    let sshd = Sshd::start(&world, port);
    finds(&world, "targets", "db9", "target-setup");

    let lines = world.verb(&["target-setup", "--lines", "db9"]).ok().out();
    assert!(
        lines.contains("PerSourcePenaltyExemptList 127.0.0.1"),
        "{lines}"
    );
    let script = world.path("setup.sh");
    fs::write(&script, world.verb(&["target-setup", "db9"]).ok().out()).unwrap();
    let reload = format!("kill -HUP {}", sshd.child.id());
    let set = run(&script, &sshd.config, &reload);
    assert!(set.status.success(), "{set:?}");
    let user = format!("{}@db9", world.login);
    wait::until("a login at db9", || {
        let run = world.ssh("ana", &["-l", &user, "bastion", "echo inside"]);
        (run.out() == "inside\n").then_some(())
    });
    assert_eq!(findings(&world), []);

    // Again: nothing changes.
    let dir = sshd.config.parent().unwrap();
    let texts = || {
        let names = [
            "sshd_config",
            "sshd_config.d/00-portcullis.conf",
            "portcullis_target_ca.pub",
        ];
        names.map(|name| fs::read_to_string(dir.join(name)).unwrap())
    };
    let once = texts();
    assert!(run(&script, &sshd.config, "true").status.success());
    assert_eq!(texts(), once);
    assert!(once[1].contains("MaxStartups 200:30:500"), "{once:?}");

    // Whoever trusts another CA already trusts both afterwards.
    let other = dir.join("other_ca.pub");
    let other_key = fs::read_to_string(world.path("foreign_ca.pub")).unwrap();
    fs::write(&other, &other_key).unwrap();
    let text = format!("TrustedUserCAKeys {}\n{}", other.display(), once[0]);
    fs::write(&sshd.config, text).unwrap();
    assert!(run(&script, &sshd.config, "true").status.success());
    let both = fs::read_to_string(&other).unwrap();
    assert!(
        both.starts_with(&other_key) && both.lines().count() == 2,
        "{both}"
    );

    // What sshd does not take is left alone.
    let wrong = "NoSuchSetting yes\n";
    fs::write(&sshd.config, wrong).unwrap();
    let refused = run(&script, &sshd.config, "true");
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert_eq!(fs::read_to_string(&sshd.config).unwrap(), wrong);
}

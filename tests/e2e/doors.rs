//! The three doors, and what is behind none of them.

use crate::agent::Agent;
use crate::terminal::Terminal;
use crate::wait;
use crate::world::{Run, User, World, free_port};
use std::fs;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

#[test]
fn the_jump_and_the_name_lead_to_the_same_session() {
    let world = World::new().start();
    let login = world.login.clone();
    let at = format!("{login}@db1");
    let percent = format!("{login}%db1");

    let run = world
        .ssh("ana", &["-J", "bastion", &at, "echo through"])
        .ok();
    assert_eq!(run.out(), "through\n");
    world
        .ssh("ana", &["-l", &at, "bastion", "echo through"])
        .ok();
    world
        .ssh("ana", &["-l", &percent, "bastion", "echo through"])
        .ok();

    let sessions = world.ended_sessions(3);
    let doors: Vec<_> = sessions
        .iter()
        .map(|session| session["door"].as_str().unwrap())
        .collect();
    assert_eq!(doors, ["jump", "name", "name"]);
    for session in sessions {
        assert_eq!(session["identity"], "ana");
        assert_eq!(session["target"], "db1");
        assert_eq!(session["login"], login.as_str());
    }
}

#[test]
fn other_spellings_of_a_target_are_the_target() {
    let world = World::new().start();
    // The address of a listed target is that target, too.
    for name in ["DB1", "db1.", "ｄｂ１", "127.0.0.1", "::ffff:127.0.0.1"] {
        let user = format!("{}@{name}", world.login);
        world.ssh("ana", &["-l", &user, "bastion", "true"]).ok();
    }
    let sessions = world.ended_sessions(5);
    assert!(sessions.iter().all(|session| session["target"] == "db1"));
}

#[test]
fn unknown_and_forbidden_targets_answer_alike() {
    let hidden = "name = \"db2\"\naddress = \"127.0.0.1:1\"\nlogins = [\"nobody-else\"]\n\
                  host = { keys = [\"SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"] }\n";
    let world = World::new().target(hidden).start();
    let asked = |name: &str| {
        let user = format!("{}@{name}", world.login);
        let by_name = world.ssh("ana", &["-l", &user, "bastion", "true"]);
        let by_jump = world.ssh("ana", &["-o", "ProxyJump=bastion", &user, "true"]);
        assert_eq!(by_jump.code, 255, "{by_jump:?}");
        let said = by_name.stderr + &by_jump.stderr;
        let lines = said.lines().filter(|line| line.contains("portcullis: "));
        let cut = |line: &str| line.split("ref: ").next().unwrap().replace(name, "NAME");
        (by_name.code, lines.map(cut).collect::<Vec<_>>())
    };
    let unknown = asked("db3");
    assert!(!unknown.1.is_empty());
    assert_eq!(unknown, asked("db2"));
}

#[test]
fn a_login_that_is_not_yours_is_denied_inside() {
    let world = World::new().start();
    let run = world.ssh("ana", &["-J", "bastion", "somebody@db1", "true"]);
    run.refused(254, "somebody");
    assert!(
        !world.target_log().contains("Accepted"),
        "{}",
        world.target_log()
    );
}

#[test]
fn no_other_port_of_a_target_and_no_other_host_is_reached() {
    let world = World::new().start();
    let loopback = format!("127.0.0.1:{}", world.port);
    for place in [
        "db1:8080",
        "127.0.0.2:22",
        "localhost:22",
        "169.254.169.254:80",
        &loopback,
    ] {
        let run = world.ssh("ana", &["-W", place, "bastion"]);
        assert_eq!(run.code, 255, "{place}: {run:?}");
    }
}

#[test]
fn the_bastion_itself_is_nowhere() {
    let world = World::new().start();
    for own in ["localhost:22", "LOCALHOST.:22"] {
        let run = world.ssh("ana", &["-W", own, "bastion"]);
        assert_eq!(run.code, 255, "{run:?}");
        assert!(run.stderr.contains("the bastion itself"), "{own}: {run:?}");
    }
    let user = format!("{}@localhost", world.login);
    world
        .ssh("ana", &["-l", &user, "bastion", "true"])
        .refused(254, "no target `localhost`");
}

#[test]
fn an_inner_user_name_is_never_split() {
    let world = World::new().start();
    for user in [
        format!("{}@db1", world.login),
        format!("{}%db1", world.login),
    ] {
        let run = world.ssh("ana", &["-l", &user, "db1", "true"]);
        assert_eq!(run.code, 255, "{run:?}");
    }
    assert!(
        !world.target_log().contains("Accepted"),
        "{}",
        world.target_log()
    );
}

#[test]
fn a_pattern_is_no_way_around_to_this_machine() {
    // For the resolver these are 127.0.0.1; for a glance they are not.
    let fleets = ["127.*", "2130706433", "0x7f*", "169.254.*"];
    let fleet = |pattern| format!("match = \"{pattern}\"\nhost = {{ ca = \"../hosts_ca.pub\" }}\n");
    let builder = fleets
        .into_iter()
        .fold(World::new(), |world, pattern| world.target(&fleet(pattern)));
    let world = builder
        .policy("permit (principal, action, resource is Account);")
        .start();
    for name in ["127.1", "2130706433", "0x7f000001"] {
        let user = format!("{}@{name}", world.login);
        world
            .ssh("ana", &["-l", &user, "bastion", "true"])
            .refused(254, "an address that this bastion does not connect to");
    }
    for name in ["127.0.0.2", "169.254.169.254", "[::1]"] {
        let user = format!("{}@{name}", world.login);
        world
            .ssh("ana", &["-l", &user, "bastion", "true"])
            .refused(254, "no target");
    }
}

#[test]
fn a_second_user_behind_a_forward_gets_nothing_without_a_certificate() {
    // Who comes through somebody's `-L` does not have the originator of `-J` and `-W`.
    let world = World::new()
        .user(User::named("mallory").without_certificate())
        .start();
    let (port, _tunnel) = tunnel(&world);
    let run = world.ssh("mallory", &through(port));
    assert_eq!(run.code, 255, "{run:?}");
    assert!(!run.out().contains("inside"));
    let nobody = another_account(port);
    assert_eq!(nobody.code, 255, "{nobody:?}");
    assert!(!nobody.out().contains("inside"), "{nobody:?}");
    assert!(nobody.stderr.contains("Permission denied"), "{nobody:?}");
    assert!(
        !world.target_log().contains("Accepted"),
        "{}",
        world.target_log()
    );
}

/// Ana's `-L` to the target, and where it listens.
fn tunnel(world: &World) -> (u16, Terminal) {
    let local = free_port();
    let forward = format!("{local}:db1:22");
    let mut tunnel = world.terminal("ana", &["-v", "-N", "-L", &forward, "bastion"]);
    tunnel.see("Local forwarding listening");
    (local, tunnel)
}

/// The words of a client that connects to somebody's `-L` on its own machine.
fn through(port: u16) -> [&'static str; 9] {
    let port: &'static str = port.to_string().leak();
    [
        "-oProxyJump=none",
        "-oHostKeyAlias=db1",
        "-oHostName=127.0.0.1",
        "-oConnectTimeout=30",
        "-p",
        port,
        "-T",
        "db1",
        "echo inside",
    ]
}

/// The same as another account of the machine, which can read no file of the person's.
fn another_account(port: u16) -> Run {
    let mut command = match rustix::process::geteuid().is_root() {
        true => Command::new("setpriv"),
        false => {
            let mut sudo = Command::new("sudo");
            sudo.args(["-n", "setpriv"]);
            sudo
        }
    };
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "ssh"]);
    command.args(["-Fnone", "-oStrictHostKeyChecking=no", "-oBatchMode=yes"]);
    command.args(["-oUserKnownHostsFile=/dev/null", "-T", "-p"]);
    command.args([&port.to_string(), "root@127.0.0.1", "echo inside"]);
    let output = command.stdin(Stdio::null()).output();
    Run::of(output.expect("setpriv of util-linux, as root or with sudo"))
}

#[test]
fn a_second_user_with_the_port_of_a_jump_gets_nothing_either() {
    // Anybody may come from port 65535 of their own machine, and a forward passes that on.
    let world = World::new()
        .user(User::named("mallory").without_certificate())
        .start();
    let (local, _tunnel) = tunnel(&world);
    let disguise = Disguise::before(local);
    let words = |user: &str| world.ssh(user, &through(disguise.port));
    let run = words("mallory");
    assert_eq!(run.code, 255, "{run:?}");
    assert!(!run.out().contains("inside"), "{run:?}");
    assert!(run.stderr.contains("Permission denied"), "{run:?}");
    assert_eq!(
        words("ana").ok().out(),
        "inside\n",
        "with a certificate it is a door"
    );
}

/// Passes one connection after the other on, from 127.0.0.1 port 65535.
struct Disguise {
    port: u16,
    _runtime: tokio::runtime::Runtime,
}

impl Disguise {
    fn before(to: u16) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let port = listener.local_addr().unwrap().port();
        runtime.spawn(async move {
            loop {
                let (mut came, _) = listener.accept().await.unwrap();
                let from = tokio::net::TcpSocket::new_v4().unwrap();
                from.set_reuseaddr(true).unwrap();
                from.bind("127.0.0.1:65535".parse().unwrap()).unwrap();
                let to = format!("127.0.0.1:{to}").parse().unwrap();
                let mut gone = from.connect(to).await.unwrap();
                // Reset, so that the port is free for the next at once.
                gone.set_zero_linger().unwrap();
                tokio::io::copy_bidirectional(&mut came, &mut gone)
                    .await
                    .ok();
            }
        });
        Self {
            port,
            _runtime: runtime,
        }
    }
}

#[test]
fn policy_can_demand_a_certificate_inside_the_jump() {
    let bare = [
        "-o",
        "PubkeyAuthentication=no",
        "-J",
        "bastion",
        "db1",
        "true",
    ];
    World::new().start().ssh("ana", &bare).ok();
    let world = World::new()
        .policy(
            "forbid (principal, action, resource is Account)\n\
             when { context.door == \"jump\" && !context.certificateInside };",
        )
        .start();
    let run = world.ssh("ana", &bare);
    assert_eq!(run.code, 255, "{run:?}");
    assert!(
        !world.target_log().contains("Accepted"),
        "{}",
        world.target_log()
    );
    world.ssh("ana", &["-J", "bastion", "db1", "true"]).ok();
    let by_name = format!("{}@db1", world.login);
    world.ssh("ana", &["-l", &by_name, "bastion", "true"]).ok();
}

#[test]
fn a_jump_asks_the_key_for_no_second_signature() {
    let world = World::new().start();
    let agent = Agent::of(&world, "ana", "token");
    world.ssh("token", &["bastion", "sessions", "--json"]);
    let once = agent.signatures();
    assert!(once > 0);
    for words in [&["-J", "bastion", "db1", "true"][..], &["db1", "true"]] {
        let before = agent.signatures();
        world.ssh("token", words).ok();
        assert_eq!(agent.signatures() - before, once, "{words:?}");
    }
    let before = agent.signatures();
    let proxy = format!(
        "ProxyCommand=ssh -F {} -W %h:%p bastion",
        world.path("token/config").display()
    );
    world
        .ssh(
            "token",
            &["-o", "ProxyJump=none", "-o", &proxy, "db1", "true"],
        )
        .ok();
    assert_eq!(agent.signatures() - before, once);
}

#[test]
fn a_jump_through_another_jump_host_works() {
    let world = World::new().start();
    let other = OtherHost::start(&world);
    let jumps = format!("{}@127.0.0.1:{},bastion", world.login, other.port);
    let known = world.path("ana/known_hosts");
    let mut lines = fs::read_to_string(&known).unwrap();
    lines.push_str(&format!("[127.0.0.1]:{} {}\n", other.port, other.key));
    fs::write(&known, lines).unwrap();
    let run = world
        .ssh("ana", &["-J", &jumps, "db1", "echo through both"])
        .ok();
    assert_eq!(run.out(), "through both\n");
    assert_eq!(world.only_session()["door"], "jump");
}

/// A jump host of somebody else: an sshd that trusts our user CA.
struct OtherHost {
    child: Child,
    port: u16,
    key: String,
}

impl OtherHost {
    fn start(world: &World) -> Self {
        let port = free_port();
        let key = world.path("target_host");
        let config = world.path("other_sshd_config");
        let text = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nTrustedUserCAKeys {}\nUsePAM no\n\
             AuthorizedKeysFile none\nStrictModes no\nPidFile none\nPermitRootLogin yes\n",
            key.display(),
            world.path("bastion/keys/user_ca.pub").display(),
        );
        fs::write(&config, text).unwrap();
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(&config)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait::until("the other jump host", || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        let key = fs::read_to_string(key.with_extension("pub")).unwrap();
        Self {
            child,
            port,
            key: key.trim().to_owned(),
        }
    }
}

impl Drop for OtherHost {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

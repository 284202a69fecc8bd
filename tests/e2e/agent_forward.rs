//! `ssh -A`: refusals first, then what an agent is for, then what it is not.

use crate::agent::Agent;
use crate::wait;
use crate::world::{User, World, event, fingerprint, free_port};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

const MAY: &str = "permit (principal, action == Action::\"agent\", resource) \
                   when { resource.listed && principal.principals.contains(resource.login) };";
/// What a program on the target has of it.
const SOCKET: &str = "echo \"socket: ${SSH_AUTH_SOCK:-none}\"";

/// Ana, whose key is in an agent only, at home in `laptop`.
fn world(policy: Option<&str>) -> (World, Agent) {
    let mut builder = World::new();
    if let Some(policy) = policy {
        builder = builder.policy(policy);
    }
    let world = builder.start();
    let agent = Agent::of(&world, "ana", "laptop");
    (world, agent)
}

/// What the bastion itself costs.
fn for_a_login(world: &World, agent: &Agent) -> usize {
    let before = agent.signatures();
    world.ssh("laptop", &["bastion", "sessions"]);
    agent.signatures() - before
}

fn of_kind<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events
        .iter()
        .filter(|event| event["kind"] == kind)
        .collect()
}

/// The events of the session that ended as number `count`.
fn session_events(world: &World, count: usize) -> Vec<Value> {
    let ended = world.ended_sessions(count);
    let id = ended.last().unwrap()["id"].as_str().unwrap();
    world.events(id)
}

#[test]
fn as_shipped_an_agent_is_not_forwarded_and_the_session_goes_on() {
    let (world, agent) = world(None);
    let ask = format!("{SOCKET}; cut -d' ' -f2- \"$SSH_USER_AUTH\" | ssh-keygen -L -f -");
    let once = for_a_login(&world, &agent);
    let before = agent.signatures();
    let run = world.ssh("laptop", &["-A", "db1", &ask]).ok();
    assert!(run.out().contains("socket: none"), "{run:?}");
    assert!(run.out().contains("Extensions: (none)"), "{run:?}");
    assert!(
        run.stderr
            .contains("portcullis: your agent is not forwarded"),
        "{run:?}"
    );
    assert!(run.stderr.contains("not allowed for you"), "{run:?}");
    assert_eq!(agent.signatures(), before + once, "for the bastion only");
    let events = session_events(&world, 1);
    let denied = event(&events, "access.deny");
    assert_eq!(denied["decision"]["action"], "agent", "{denied}");
    assert_eq!(denied["outcome"], "denied");
    assert!(of_kind(&events, "agent.forward").is_empty());
    // Who does not ask reads nothing.
    let run = world.ssh("laptop", &["db1", SOCKET]).ok();
    assert_eq!(run.out(), "socket: none\n");
    assert!(!run.stderr.contains("portcullis: "), "{run:?}");
}

#[test]
fn a_certificate_without_the_extension_and_a_target_that_will_not_are_said() {
    let bare = User::named("bare").words(&["-O", "no-agent-forwarding"]);
    let mut world = World::new().user(bare).policy(MAY).build();
    let port = free_port();
    let host = ["-n", "db2,127.0.0.1"];
    world.another_sshd("db2", port, &host, "AllowAgentForwarding no");
    world.start_bastion();
    world.add_targets(&format!(
        "[[target]]\nname = \"db2\"\naddress = \"127.0.0.1:{port}\"\nlogins = [\"{}\"]\n\
         host = {{ ca = \"../hosts_ca.pub\" }}\n",
        world.login
    ));
    {
        let _agent = Agent::of(&world, "bare", "laptop");
        let run = world.ssh("laptop", &["-A", "db1", SOCKET]).ok();
        assert_eq!(run.out(), "socket: none\n");
        assert!(
            run.stderr.contains("has no `permit-agent-forwarding`"),
            "{run:?}"
        );
        fs::remove_file(world.path("agent.sock")).ok();
        fs::remove_file(world.path("agent-front.sock")).ok();
    }
    let _agent = Agent::of(&world, "ana", "desk");
    let run = world
        .ssh("desk", &["-A", "-J", "bastion", "db2", SOCKET])
        .ok();
    assert_eq!(run.out(), "socket: none\n");
    assert!(run.stderr.contains("`db2` does not take it"), "{run:?}");
    assert!(run.stderr.contains("AllowAgentForwarding no"), "{run:?}");
    let events = session_events(&world, 2);
    assert_eq!(event(&events, "target.fail")["code"], "agent_refused");
}

/// Starts `hostile.py` as the target `bad` and runs a command there.
fn at_a_hostile_target(world: &World, user: &str, words: &[&str], kind: &str) -> String {
    let port = free_port();
    let key = world.text_path(&format!("{kind}_host"));
    world.keygen(&["-q", "-t", "ed25519", "-N", "", "-f", &key]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/hostile.py");
    let python = Command::new("/usr/bin/python3")
        .args(["-W", "ignore", script, &port.to_string(), &key, kind])
        .stdout(Stdio::null())
        .stderr(fs::File::create(world.path("hostile.log")).unwrap())
        .spawn();
    let mut python = python.unwrap();
    wait::until("the hostile target", || {
        assert!(
            python.try_wait().unwrap().is_none(),
            "no paramiko: apt-get install python3-paramiko"
        );
        std::net::TcpStream::connect(("127.0.0.1", port)).ok()
    });
    let name = kind.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    world.add_targets(&format!(
        "[[target]]\nname = \"{name}\"\naddress = \"127.0.0.1:{port}\"\nlogins = [\"{}\"]\n\
         host = {{ keys = [\"{}\"] }}\nauth = {{ key = \"../appliance\" }}\n",
        world.login,
        fingerprint(&format!("{key}.pub")),
    ));
    let at = format!("{}@{name}@bastion", world.login);
    let run = world.ssh(user, &[words, &[&at, "work"]].concat());
    python.kill().unwrap();
    python.wait().unwrap();
    run.ok().out()
}

#[test]
fn what_a_target_opens_unasked_is_refused_and_an_alert() {
    let (world, _agent) = world(Some(MAY));
    world.keygen(&[
        "-q",
        "-t",
        "ed25519",
        "-N",
        "",
        "-f",
        &world.text_path("appliance"),
    ]);
    let unasked: [(&[&str], &str, &str); 4] = [
        (&[], "auth-agent@openssh.com", "auth-agent"),
        (&["-A"], "forwarded-tcpip", "forwarded-tcpip"),
        (&["-A"], "x11", "x11"),
        (&["-A"], "direct-tcpip", "direct-tcpip"),
    ];
    for (count, (words, kind, called)) in unasked.into_iter().enumerate() {
        let said = at_a_hostile_target(&world, "laptop", words, kind);
        assert!(said.starts_with("refused"), "{kind}: {said}");
        let events = session_events(&world, count + 1);
        let alert = event(&events, "alert");
        assert_eq!(alert["severity"], "high", "{alert}");
        let text = alert["note"]["message"].as_str().unwrap();
        assert!(text.contains(called), "{kind}: {text}");
        assert!(of_kind(&events, "agent.open").is_empty());
    }
}

#[test]
fn an_agent_is_there_at_the_target_and_told_about() {
    let (world, _agent) = world(Some(MAY));
    let key = world.fingerprint("ana");
    // What `ssh-add -l` says, through both doors.
    let at = format!("{}@db1@bastion", world.login);
    for host in ["db1", &at] {
        let run = world.ssh("laptop", &["-A", host, "ssh-add -l"]).ok();
        assert!(run.out().contains(&key), "{run:?}");
        assert!(!run.stderr.contains("portcullis: "), "{run:?}");
    }
    let events = session_events(&world, 2);
    assert_eq!(
        event(&events, "agent.forward")["decision"]["action"],
        "agent"
    );
    let order: Vec<&str> = events
        .iter()
        .filter_map(|event| {
            event["kind"]
                .as_str()
                .filter(|kind| kind.starts_with("agent."))
        })
        .collect();
    assert_eq!(
        order,
        [
            "agent.forward",
            "agent.open",
            "agent.list",
            "agent.answer",
            "agent.close"
        ]
    );
    assert_eq!(event(&events, "agent.answer")["answer"], "identities");
    assert_eq!(
        event(&events, "agent.answer")["keys"],
        2,
        "the key and its certificate"
    );
    let close = event(&events, "agent.close");
    assert_eq!(
        (&close["ended"], &close["requests"]),
        (&"target".into(), &1.into())
    );

    // A session certificate has the extension where it is used, and only there.
    let ask = "cut -d' ' -f2- \"$SSH_USER_AUTH\" | ssh-keygen -L -f -";
    let with = world.ssh("laptop", &["-A", "db1", ask]).ok().out();
    assert!(with.contains("permit-agent-forwarding"), "{with}");
    let without = world.ssh("laptop", &["db1", ask]).ok().out();
    assert!(without.contains("Extensions: (none)"), "{without}");
}

#[test]
fn an_agent_signs_at_the_target_and_each_use_is_told() {
    let (world, agent) = world(Some(MAY));
    let key = world.fingerprint("ana");
    let once = for_a_login(&world, &agent);
    let before = agent.signatures();
    let file = world.text_path("message");
    fs::write(&file, "signed at the target\n").unwrap();
    let public = world.text_path("ana/id.pub");
    let only = world.text_path("public.pub");
    fs::copy(&public, &only).unwrap();
    let sign = format!("ssh-keygen -q -Y sign -n git -f {only} {file}");
    world.ssh("laptop", &["-A", "db1", &sign]).ok();
    let check = Command::new("ssh-keygen")
        .args([
            "-Y",
            "check-novalidate",
            "-n",
            "git",
            "-s",
            &format!("{file}.sig"),
        ])
        .stdin(fs::File::open(&file).unwrap())
        .status();
    assert!(check.unwrap().success());
    assert_eq!(
        agent.signatures(),
        before + once + 1,
        "the login, and the message"
    );
    let events = session_events(&world, 1);
    let signed = event(&events, "agent.sign");
    assert_eq!(signed["key"], key.as_str(), "{signed}");
    assert_eq!(signed["signs"]["for"], "message", "{signed}");
    assert_eq!(signed["signs"]["namespace"]["data"], "git", "{signed}");
    let answers = of_kind(&events, "agent.answer");
    let answered = answers.iter().find(|event| event["request"] == "sign");
    assert_eq!(answered.unwrap()["answer"], "signature");
}

#[test]
fn a_login_from_the_target_to_the_next_machine_is_told() {
    let (mut world, _agent) = world(Some(MAY));
    let port = free_port();
    fs::copy(world.path("ana/id.pub"), world.path("ana_keys")).unwrap();
    let keys = format!("AuthorizedKeysFile {}", world.text_path("ana_keys"));
    world.another_sshd("db2", port, &["-n", "db2,127.0.0.1"], &keys);
    let key = world.fingerprint("ana");

    let next = format!(
        "ssh -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
         -p {port} 127.0.0.1 echo there"
    );
    assert_eq!(
        world.ssh("laptop", &["-A", "db1", &next]).ok().out(),
        "there\n"
    );
    let events = session_events(&world, 1);
    let host = fingerprint(&world.text_path("db2_host.pub"));
    let signed = event(&events, "agent.sign");
    assert_eq!(signed["key"], key.as_str(), "{signed}");
    assert_eq!(signed["signs"]["for"], "login", "{signed}");
    assert_eq!(
        signed["signs"]["user"]["data"],
        world.login.as_str(),
        "{signed}"
    );
    assert_eq!(signed["signs"]["host_key"], host.as_str(), "{signed}");
    let bound = event(&events, "agent.bind");
    assert_eq!(
        (&bound["host_key"], &bound["forwarding"]),
        (&host.as_str().into(), &false.into())
    );
    let shown = world.verb(&["sessions", "show", "last"]).ok().out();
    let login = &world.login;
    let told = format!("login as {login} at host key {host}, with key {key}: signed");
    assert!(shown.contains(&told), "{shown}");
    assert!(shown.contains("agent      forwarded, by "), "{shown}");
}

#[test]
fn what_changes_an_agent_never_reaches_it() {
    let (world, _agent) = world(Some(MAY));
    let key = world.text_path("new");
    world.keygen(&["-q", "-t", "ed25519", "-N", "", "-f", &key]);
    for (count, (words, request)) in [
        ("ssh-add -D".to_owned(), "remove-all"),
        (format!("ssh-add {key}"), "add"),
        (format!("ssh-add -t 60 {key}"), "add-constrained"),
        (
            format!("ssh-add -d {}", world.text_path("ana/id.pub")),
            "remove",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let run = world.ssh("laptop", &["-A", "db1", &words]);
        assert_ne!(run.code, 0, "{words}: {run:?}");
        let events = session_events(&world, count + 1);
        let refused = event(&events, "agent.refuse");
        assert_eq!(refused["request"], request, "{refused}");
        assert_eq!(refused["outcome"], "denied", "{refused}");
    }
    let local = Command::new("ssh-add")
        .arg("-l")
        .env("SSH_AUTH_SOCK", world.path("agent.sock"))
        .output();
    let local = String::from_utf8(local.unwrap().stdout).unwrap();
    assert_eq!(local.lines().count(), 2, "as it was: {local}");
    assert!(local.contains(&world.fingerprint("ana")));
}

#[test]
fn garbage_at_the_socket_ends_its_conversation_and_nothing_else() {
    let (world, _agent) = world(Some(MAY));
    let script = include_bytes!("agent_raw.py");
    let run = world
        .ssh_with("laptop", &["-A", "db1", "python3", "-"], script)
        .ok();
    assert_eq!(
        run.out(),
        "pipelined 12 5 12 5 5 5 12\nbytes 12\nlast 12 end\nhuge end\nlong end\nempty end\n\
         http end\nbeside 12\n",
        "{run:?}"
    );
    let events = session_events(&world, 1);
    let closed = of_kind(&events, "agent.close");
    let malformed = closed.iter().filter(|event| event["ended"] == "malformed");
    assert_eq!(malformed.count(), 4, "{closed:?}");
    let refused: Vec<&Value> = of_kind(&events, "agent.refuse");
    let requests: Vec<&str> = refused
        .iter()
        .map(|event| event["request"].as_str().unwrap())
        .collect();
    assert_eq!(requests, ["remove-all", "lock", "extension", "200"]);
    assert_eq!(refused[2]["extension"]["data"], "unknown");
    assert_eq!(of_kind(&events, "agent.open").len(), closed.len());
}

/// Answers a list with the next of `answers`, and all else with a failure.
fn break_the_rules(mut came: UnixStream, answers: &Mutex<impl Iterator<Item = &'static [u8]>>) {
    let mut head = [0; 5];
    while came.read_exact(&mut head).is_ok() {
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        let mut rest = vec![0; usize::try_from(length).unwrap() - 1];
        came.read_exact(&mut rest).unwrap();
        let answer = match head[4] {
            11 => answers.lock().unwrap().next(),
            _ => None,
        };
        // The bastion may have gone at the last one.
        came.write_all(answer.unwrap_or(&[0, 0, 0, 1, 5])).ok();
    }
}

#[test]
fn an_agent_that_breaks_the_rules_ends_its_conversation() {
    let (world, agent) = world(Some(MAY));
    drop(agent);
    // In the place of the agent: it answers a list with too much, then with two answers.
    let front = world.path("agent-front.sock");
    fs::remove_file(&front).unwrap();
    let listener = UnixListener::bind(&front).unwrap();
    let answers: [&[u8]; 4] = [
        // This one is for the `ssh` that forwards it.
        &[0, 0, 0, 1, 5],
        &[0xff, 0xff, 0xff, 0xff, 12],
        &[0, 0, 0, 5, 12, 0, 0, 0, 0, 0, 0, 0, 5, 12, 0, 0, 0, 0],
        &[0, 0, 0, 1, 99],
    ];
    let answers = Arc::new(Mutex::new(answers.into_iter()));
    std::thread::spawn(move || {
        // Each by itself: `ssh` opens the next before it has closed the last.
        for came in listener.incoming() {
            let answers = Arc::clone(&answers);
            std::thread::spawn(move || break_the_rules(came.unwrap(), &answers));
        }
    });
    let script = "for i in 1 2 3; do ssh-add -l >/dev/null 2>&1; echo $?; done";
    let agent = format!("IdentityAgent={}", front.display());
    world.ssh("ana", &["-A", "-o", &agent, "db1", script]).ok();
    let events = session_events(&world, 1);
    let closed = of_kind(&events, "agent.close");
    assert_eq!(closed.len(), 3, "{closed:?}");
    let ends: Vec<&Value> = closed.iter().map(|event| &event["ended"]).collect();
    assert_eq!(ends, ["malformed", "malformed", "target"], "{closed:?}");
    let answers = of_kind(&events, "agent.answer");
    assert_eq!(answers.last().unwrap()["answer"], "unexpected");
    assert_eq!(answers.last().unwrap()["outcome"], "error");
}

/// Asks the agent on twenty connections at once, and says how many were answered.
const MANY: &str = r#"/usr/bin/python3 -c 'if True:
    import os, socket
    held, answered = [], 0
    for _ in range(20):
        agent = socket.socket(socket.AF_UNIX)
        held.append(agent)
        agent.connect(os.environ["SSH_AUTH_SOCK"])
        try:
            agent.sendall(b"\0\0\0\1\x0b")
            answered += len(agent.recv(5)) > 0
        except OSError:
            pass
    print(answered)'"#;

#[test]
fn conversations_past_the_limit_are_refused_and_an_event() {
    let (world, _agent) = world(Some(MAY));
    let run = world.ssh("laptop", &["-A", "db1", MANY]).ok();
    assert_eq!(run.out(), "16\n", "{run:?}");
    let events = session_events(&world, 1);
    let closed = of_kind(&events, "agent.close");
    let refused = closed.iter().filter(|event| event["ended"] == "refused");
    let told = refused.map(|event| event["message"].as_str().unwrap());
    assert_eq!(told.collect::<Vec<_>>(), ["more than 16 at once"; 4]);
}

#[test]
fn a_right_to_an_agent_that_is_taken_away_ends_its_session() {
    let (world, _agent) = world(Some(MAY));
    let mut client = world.open("laptop", &["-A", "db1", "ssh-add -l >&2; exec sleep 60"]);
    client.says("ED25519");
    fs::remove_file(world.path("bastion/policies/more0.cedar")).unwrap();
    assert_eq!(client.end(), Some(254));
    assert_eq!(world.only_session()["end_reason"], "policy");
}

/// `ssh-add -h` says along which hosts a key may be used. The agent is told of each host by the `ssh`
/// that connects to it, and takes the bastion's answer at a jump for the target it answers for.
#[test]
fn keys_for_some_destinations_work_through_the_jump_and_only_there() {
    let (mut world, _agent) = world(Some(MAY));
    let next = world.text_path("next");
    world.keygen(&["-q", "-t", "ed25519", "-N", "", "-f", &next]);
    let keys = format!("AuthorizedKeysFile {next}.pub");
    let (port, other) = (free_port(), free_port());
    world.another_sshd("db2", port, &["-n", "db2"], &keys);
    world.another_sshd("db3", other, &["-n", "db3"], &keys);
    let known = world.text_path("known");
    let mut lines = fs::read_to_string(world.path("ana/known_hosts")).unwrap();
    for (name, port) in [("db2", port), ("db3", other)] {
        let key = fs::read_to_string(world.path(&format!("{name}_host.pub"))).unwrap();
        lines.push_str(&format!("[127.0.0.1]:{port} {key}"));
    }
    fs::write(&known, lines).unwrap();
    let along = format!("db1>[127.0.0.1]:{port}");
    let added = Command::new("ssh-add")
        .args(["-q", "-H", &known, "-h", "db1", "-h", &along, &next])
        .env("SSH_AUTH_SOCK", world.path("agent.sock"))
        .status();
    assert!(added.unwrap().success());

    let to = |port: u16| {
        format!(
            "ssh -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes \
             -o HostKeyAlgorithms=ssh-ed25519 -o LogLevel=ERROR -p {port} 127.0.0.1 echo there"
        )
    };
    let run = world.ssh("laptop", &["-A", "db1", &to(port)]).ok();
    assert_eq!(run.out(), "there\n");
    let elsewhere = world.ssh("laptop", &["-A", "db1", &to(other)]);
    assert_eq!(elsewhere.code, 255, "{elsewhere:?}");
    // By name there is one host on the way, the bastion, and from there nothing was allowed.
    let at = format!("{}@db1@bastion", world.login);
    let by_name = world.ssh("laptop", &["-A", &at, &to(port)]);
    assert_eq!(by_name.code, 255, "{by_name:?}");
}

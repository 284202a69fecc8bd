//! sftp and scp through the bastion, and what the recording says of the files.

use crate::wait;
use crate::world::{World, event};
use serde_json::Value;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

fn content() -> Vec<u8> {
    (0..3_u32 << 20)
        .map(|n| (n * 7 + (n >> 11)).to_le_bytes()[0])
        .collect()
}

/// As an auditor checks it.
fn sha256sum(path: &Path) -> String {
    let sum = Command::new("sha256sum").arg("--").arg(path).output();
    let sum = sum.expect("no sha256sum: apt-get install coreutils").stdout;
    // A name that needs it is escaped, and the line then begins with a backslash.
    let text = String::from_utf8_lossy(&sum)
        .trim_start_matches('\\')
        .to_owned();
    text.split(' ').next().unwrap().to_owned()
}

fn sftp(world: &World, words: &[&str], batch: &str) {
    let words = [&["-b", "-"], words].concat();
    world.client("sftp", "ana", &words, batch.as_bytes()).ok();
}

fn of_kind(events: &[Value], kind: &str) -> Vec<Value> {
    let found = events.iter().filter(|event| event["kind"] == kind);
    found.cloned().collect()
}

fn only_events(world: &World) -> Vec<Value> {
    world.events(world.only_session()["id"].as_str().unwrap())
}

fn name(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn sftp_files_are_told_with_their_hash() {
    let world = World::new().start();
    fs::write(world.path("up"), content()).unwrap();
    let (up, there, back) = (world.path("up"), world.path("there"), world.path("back"));
    let batch = format!(
        "put {} {}\nget {} {}\n",
        up.display(),
        there.display(),
        there.display(),
        back.display()
    );
    sftp(&world, &["db1"], &batch);
    assert!(fs::read(&there).unwrap() == content());
    assert!(fs::read(&back).unwrap() == content());

    let events = only_events(&world);
    assert_eq!(event(&events, "subsystem")["name"], "sftp");
    let sum = event(&events, "stream");
    assert!(sum.to_string().contains("sha256"), "{sum}");
    let files = of_kind(&events, "sftp.file");
    assert_eq!(files.len(), 2, "{files:?}");
    for (file, operation, content) in [(&files[0], "write", "written"), (&files[1], "read", "read")]
    {
        assert_eq!(file["operation"], operation, "{file}");
        assert_eq!(file["path"]["data"], name(&there), "{file}");
        assert_eq!(file["size"], 3 << 20, "{file}");
        assert_eq!(file[content]["bytes"], 3 << 20, "{file}");
        assert_eq!(file[content]["scope"], "whole", "{file}");
        assert_eq!(file[content]["sha256"], sha256sum(&up), "{file}");
        assert_eq!(file["outcome"], "success", "{file}");
        assert_eq!(file["who"]["subject"], "ana", "{file}");
    }
    assert_eq!(of_kind(&events, "sftp.error"), Vec::<Value>::new());
}

/// Names with spaces, newlines and bytes that are no text; through the name door.
#[test]
fn each_of_many_files_is_told_by_name_and_hash() {
    let world = World::new().start();
    let from = world.path("from");
    fs::create_dir_all(from.join("deeper")).unwrap();
    let odd: [&[u8]; 4] = [b"a b", b"new\nline", b"no\xfftext", b"\x1b[31mred"];
    let mut wanted = BTreeSet::new();
    for number in 0..200u8 {
        let name = match odd.get(usize::from(number)) {
            Some(name) => name.to_vec(),
            None => format!("deeper/{number}").into_bytes(),
        };
        let path = from.join(OsStr::from_bytes(&name));
        fs::write(&path, vec![number; usize::from(number) * 300]).unwrap();
        wanted.insert(sha256sum(&path));
    }
    let there = world.path("there");
    let batch = format!(
        "put -r {0} {1}\nget -r {1} {2}\n",
        name(&from),
        name(&there),
        name(&world.path("back"))
    );
    let user = format!("User={}@db1", world.login);
    sftp(&world, &["-o", &user, "bastion"], &batch);

    let session = world.only_session();
    assert_eq!(session["door"], "name");
    let events = world.events(session["id"].as_str().unwrap());
    for (operation, content) in [("write", "written"), ("read", "read")] {
        let mut files = of_kind(&events, "sftp.file");
        files.retain(|file| file["operation"] == operation && file[content]["scope"] == "whole");
        // An empty file is opened, and no byte of it passes.
        let sums: BTreeSet<String> = files
            .iter()
            .map(|file| file[content]["sha256"].as_str().unwrap().to_owned())
            .collect();
        assert!(sums.is_subset(&wanted), "{operation}");
        assert_eq!((files.len(), sums.len()), (199, 199), "{operation}");
        for name in odd.iter().skip(1) {
            let path = [there.as_os_str().as_bytes(), b"/", *name].concat();
            let found = files
                .iter()
                .find(|file| file["path"]["n"] == path.len() && bytes(&file["path"]) == path);
            assert!(found.is_some(), "{operation} {name:?}");
        }
    }
    let lists = of_kind(&events, "sftp.list");
    assert!(
        lists
            .iter()
            .any(|list| list["path"]["data"] == name(&there) && list["entries"] == 7),
        "{lists:?}"
    );
    let made = of_kind(&events, "sftp.operation");
    assert!(
        made.iter()
            .any(|made| made["operation"] == "mkdir" && made["result"] == "ok")
    );
}

fn bytes(text: &Value) -> Vec<u8> {
    use base64::Engine;
    let standard = base64::engine::general_purpose::STANDARD;
    match text["data"].as_str() {
        Some(text) => text.as_bytes().to_vec(),
        None => standard.decode(text["base64"].as_str().unwrap()).unwrap(),
    }
}

#[test]
fn what_is_resumed_is_a_range() {
    let world = World::new().start();
    let (up, there, back) = (world.path("up"), world.path("there"), world.path("back"));
    fs::write(&up, content()).unwrap();
    fs::write(&there, &content()[..1_000_000]).unwrap();
    fs::write(&back, &content()[..2_000_000]).unwrap();
    let batch = format!(
        "reput {} {}\nreget {1} {}\n",
        name(&up),
        name(&there),
        name(&back)
    );
    sftp(&world, &["db1"], &batch);
    assert!(fs::read(&back).unwrap() == content());
    let files = of_kind(&only_events(&world), "sftp.file");
    let rest = world.path("rest");
    for (file, content_name, from) in [
        (&files[0], "written", 1_000_000),
        (&files[1], "read", 2_000_000),
    ] {
        let told = &file[content_name];
        assert_eq!(told["scope"], "range", "{file}");
        assert_eq!(
            (told["from"].as_u64(), told["to"].as_u64()),
            (Some(from), Some(3 << 20)),
            "{file}"
        );
        fs::write(&rest, &content()[usize::try_from(from).unwrap()..]).unwrap();
        assert_eq!(told["sha256"], sha256sum(&rest), "{file}");
    }
}

#[test]
fn changes_by_name_are_told() {
    let world = World::new().start();
    let dir = world.path("work");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("a"), "a").unwrap();
    let batch = format!(
        "cd {}\nmkdir d\nrename a b\nchmod 600 b\nln -s b s\nln b h\ncp b c\nls\n-rm nothing\nrm h\nrmdir d\n",
        name(&dir)
    );
    sftp(&world, &["db1"], &batch);
    assert_eq!(
        fs::metadata(dir.join("b")).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let told: BTreeSet<String> = of_kind(&only_events(&world), "sftp.operation")
        .iter()
        .map(|event| {
            let name = |field: &str| match event[field]["data"].as_str() {
                Some(path) => format!(" {}", path.rsplit('/').next().unwrap()),
                None => String::new(),
            };
            let (path, to) = (name("path"), name("to"));
            format!(
                "{}{path}{to}: {}",
                event["operation"].as_str().unwrap(),
                event["result"].as_str().unwrap()
            )
        })
        .collect();
    for line in [
        "mkdir d: ok",
        "posix-rename a b: ok",
        "setstat b: ok",
        "symlink s b: ok",
        "hardlink b h: ok",
        "copy-data b c: ok",
        "remove nothing: no_such_file",
        "remove h: ok",
        "rmdir d: ok",
    ] {
        assert!(told.contains(line), "no `{line}` in {told:?}");
    }
}

#[test]
fn an_upload_that_is_killed_is_partial() {
    let world = World::new().start();
    let (up, there) = (world.path("up"), world.path("there"));
    fs::write(&up, content()).unwrap();
    let batch = world.path("batch");
    fs::write(&batch, format!("put {} {}\n", name(&up), name(&there))).unwrap();
    let words = world.words("ana", &["-l", "2000", "-b", name(&batch), "db1"]);
    let mut client = Command::new("sftp")
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait::until("the first bytes at the target", || {
        let size = fs::metadata(&there).map_or(0, |there| there.len());
        (size > 100_000).then_some(())
    });
    client.kill().unwrap();
    client.wait().unwrap();
    let events = only_events(&world);
    let file = event(&events, "sftp.file");
    assert_eq!(file["closed"], "channel", "{file}");
    let written = &file["written"];
    assert_eq!(written["scope"], "partial", "{file}");
    let to = usize::try_from(written["to"].as_u64().unwrap()).unwrap();
    assert!(to > 100_000 && to < 3 << 20, "{file}");
    let sent = world.path("sent");
    fs::write(&sent, &content()[..to]).unwrap();
    assert_eq!(written["sha256"], sha256sum(&sent), "{file}");
}

#[test]
fn scp_is_told_in_both_protocols() {
    let world = World::new().start();
    fs::write(world.path("up"), content()).unwrap();
    let up = world.path("up").display().to_string();
    for (mode, name) in [("-s", "by-sftp"), ("-O", "by-scp")] {
        let there = world.path(name);
        let place = format!("db1:{}", there.display());
        world.client("scp", "ana", &[mode, &up, &place], b"").ok();
        assert!(fs::read(&there).unwrap() == content(), "{mode}");
    }
    let sessions = world.ended_sessions(2);
    // scp by SFTP opens without truncating, and cuts off the rest of an older file at the end.
    let kinds = [("sftp.file", "/written"), ("scp.file", "/content")];
    for (session, (kind, told)) in sessions.iter().zip(kinds) {
        let events = world.events(session["id"].as_str().unwrap());
        let file = event(&events, kind);
        let told = file.pointer(told).unwrap();
        assert_eq!(told["scope"], "whole", "{file}");
        assert_eq!(told["to"], 3 << 20, "{file}");
        assert_eq!(told["sha256"], sha256sum(&world.path("up")), "{file}");
    }
}

/// `scp -O -r -p`, both ways, with names that scp itself finds hard.
#[test]
fn the_old_scp_is_told_file_by_file() {
    let world = World::new().start();
    let from = world.path("from");
    fs::create_dir_all(from.join("deeper")).unwrap();
    let odd: [&[u8]; 3] = [b"a b", b"no\xfftext", b"deeper/x"];
    let mut wanted = BTreeSet::new();
    for (name, length) in odd.iter().zip([0, 70_000, 5]) {
        let path = from.join(OsStr::from_bytes(name));
        fs::write(&path, vec![b'x'; length]).unwrap();
        wanted.insert(sha256sum(&path));
    }
    let place = format!("db1:{}", name(&world.path("there")));
    let words = ["-O", "-r", "-p"];
    let (back, gone) = (world.path("back"), world.path("gone"));
    let put = [&words[..], &[name(&from), &place]].concat();
    world.client("scp", "ana", &put, b"").ok();
    let get = [&words[..], &[&place, name(&back)]].concat();
    world.client("scp", "ana", &get, b"").ok();
    let gone = ["-O", "db1:/nowhere/at-all", name(&gone)];
    assert_eq!(world.client("scp", "ana", &gone, b"").code, 1);

    let sessions = world.ended_sessions(3);
    for (session, operation) in sessions.iter().zip(["write", "read"]) {
        let events = world.events(session["id"].as_str().unwrap());
        let files = of_kind(&events, "scp.file");
        let sums: BTreeSet<String> = files
            .iter()
            .map(|file| file["content"]["sha256"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(sums, wanted, "{files:?}");
        for file in &files {
            assert_eq!(file["operation"], operation, "{file}");
            assert_eq!(file["content"]["scope"], "whole", "{file}");
            assert!(file["mtime"].is_u64(), "{file}");
        }
        let deeper = of_kind(&events, "scp.directory");
        assert!(
            deeper
                .iter()
                .any(|one| name_of(&one["path"]).ends_with("/deeper")),
            "{deeper:?}"
        );
        assert!(
            files
                .iter()
                .any(|one| bytes(&one["path"]).ends_with(b"/no\xfftext"))
        );
    }
    let events = world.events(sessions[2]["id"].as_str().unwrap());
    assert_eq!(event(&events, "scp.error")["code"], "told");
}

fn name_of(text: &Value) -> String {
    String::from_utf8(bytes(text)).unwrap()
}

/// What looks like scp and does not speak it is what it is: a command and its bytes.
#[test]
fn a_command_named_scp_that_is_none_is_told_as_a_command() {
    let world = World::new().start();
    let run = world.ssh_with(
        "ana",
        &["db1", "scp() { cat; }; scp -t /tmp"],
        b"C0644 3 x\nabc",
    );
    assert_eq!(run.ok().out(), "C0644 3 x\nabc");
    let events = only_events(&world);
    assert!(
        events
            .iter()
            .all(|event| !event["kind"].as_str().unwrap().starts_with("scp"))
    );
    event(&events, "exec");
}

/// A program that speaks to `ssh` itself, with the world's configuration.
fn over_ssh(world: &World, program: &str) -> Command {
    let mut command = Command::new("timeout");
    command.args(["-k", "5", "60", program]);
    let ssh = format!("ssh {}", world.words("ana", &[]).join(" "));
    command.env("GIT_SSH_COMMAND", &ssh).env("RSYNC_RSH", ssh);
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null");
    command.stdin(Stdio::null());
    command
}

#[track_caller]
fn done(command: &mut Command) {
    let output = command.output().unwrap();
    // 127 is timeout's word for a program that is not there.
    assert_ne!(
        output.status.code(),
        Some(127),
        "{command:?}: apt-get install rsync git"
    );
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

#[test]
fn rsync_works_both_ways_and_is_told() {
    let world = World::new().start();
    let (from, there, back) = (world.path("from"), world.path("there"), world.path("back"));
    fs::create_dir_all(&from).unwrap();
    fs::create_dir_all(&there).unwrap();
    fs::write(there.join("old"), "goes").unwrap();
    for number in 0..50 {
        fs::write(
            from.join(format!("file {number}")),
            vec![b'x'; number * 100],
        )
        .unwrap();
    }
    let place = format!("db1:{}/", name(&there));
    let source = format!("{}/", name(&from));
    done(over_ssh(&world, "rsync").args(["-a", "--delete", &source, &place]));
    done(over_ssh(&world, "rsync").args(["-a", "--checksum", &place, name(&back)]));
    assert_eq!(fs::read(back.join("file 49")).unwrap().len(), 4900);
    assert!(!there.join("old").exists());

    let sessions = world.ended_sessions(2);
    for (session, operation) in sessions.iter().zip(["write", "read"]) {
        let events = world.events(session["id"].as_str().unwrap());
        let rsync = event(&events, "rsync");
        assert_eq!(rsync["operation"], operation, "{rsync}");
        assert_eq!(
            rsync["paths"][0]["data"],
            format!("{}/", name(&there)),
            "{rsync}"
        );
        let deletes = rsync["options"].to_string().contains("--delete");
        assert_eq!(deletes, operation == "write", "{rsync}");
        assert_eq!(of_kind(&events, "stream").len(), 2);
    }
}

#[test]
fn git_works_both_ways_and_is_told() {
    let world = World::new().start();
    let (bare, clone) = (world.path("there.git"), world.path("clone"));
    let place = format!("db1:{}", name(&bare));
    let git = |words: &[&str]| done(over_ssh(&world, "git").args(words));
    git(&["init", "-q", "--bare", "-b", "main", name(&bare)]);
    git(&["clone", "-q", &place, name(&clone)]);
    fs::write(clone.join("big"), content()).unwrap();
    let inside = [
        "-C",
        name(&clone),
        "-c",
        "user.name=ana",
        "-c",
        "user.email=ana@example.com",
    ];
    git(&[&inside[..], &["add", "big"]].concat());
    git(&[&inside[..], &["commit", "-q", "-m", "big"]].concat());
    git(&[&inside[..], &["push", "-q", "origin", "HEAD:main"]].concat());
    git(&["clone", "-q", &place, name(&world.path("again"))]);
    assert!(fs::read(world.path("again/big")).unwrap() == content());

    let sessions = world.ended_sessions(3);
    let told = ["git-upload-pack", "git-receive-pack", "git-upload-pack"];
    for (session, service) in sessions.iter().zip(told) {
        let events = world.events(session["id"].as_str().unwrap());
        let git = event(&events, "git");
        assert_eq!(git["service"], service, "{git}");
        assert_eq!(git["repository"]["data"], name(&bare), "{git}");
    }
}

/// Half of `sftp`, for everybody.
fn half(action: &str) -> String {
    format!(
        "@id(\"no-whole\") forbid (principal, action == Action::\"sftp\", resource);\n\
         @id(\"half\") permit (principal, action == Action::\"{action}\", resource);\n"
    )
}

#[test]
fn a_right_to_read_files_changes_none() {
    let world = World::new().policy(&half("sftp-read")).start();
    let (there, back) = (world.path("there"), world.path("back"));
    fs::write(&there, content()).unwrap();
    let new = world.path("new");
    let batch = format!(
        "-put {there} {new}\n-rm {there}\n-chmod 600 {there}\n-rename {there} {new}\n\
         -mkdir {new}\n-ln {there} {new}\n-cp {there} {new}\nget {there} {back}\nls {there}\n",
        there = name(&there),
        new = name(&new),
        back = name(&back),
    );
    sftp(&world, &["db1"], &batch);
    assert!(fs::read(&back).unwrap() == content());
    assert!(fs::read(&there).unwrap() == content() && !new.exists());
    assert_ne!(
        fs::metadata(&there).unwrap().permissions().mode() & 0o777,
        0o600
    );

    let events = only_events(&world);
    assert_eq!(
        event(&events, "subsystem")["decision"]["action"],
        "sftp-read"
    );
    let denied: BTreeSet<String> = events
        .iter()
        .filter(|event| event["outcome"] == "denied")
        .map(|event| {
            format!(
                "{} {}",
                event["kind"].as_str().unwrap(),
                event["operation"].as_str().unwrap()
            )
        })
        .collect();
    for operation in ["remove", "setstat", "posix-rename", "mkdir", "hardlink"] {
        assert!(
            denied.contains(&format!("sftp.operation {operation}")),
            "{operation}: {denied:?}"
        );
    }
    assert!(denied.contains("sftp.file open"), "{denied:?}");
    let read = of_kind(&events, "sftp.file");
    assert!(
        read.iter().any(|file| file["read"]["scope"] == "whole"),
        "{read:?}"
    );
    assert!(
        !world.target_log().contains("new"),
        "{}",
        world.target_log()
    );
}

#[test]
fn a_right_to_write_files_reads_none() {
    let world = World::new().policy(&half("sftp-write")).start();
    let (up, there, back) = (world.path("up"), world.path("there"), world.path("back"));
    fs::write(&up, content()).unwrap();
    let batch = format!(
        "put {} {}\n-get {1} {}\n-ls /\n",
        name(&up),
        name(&there),
        name(&back)
    );
    sftp(&world, &["db1"], &batch);
    assert!(fs::read(&there).unwrap() == content());
    assert!(fs::read(&back).unwrap_or_default().is_empty());
    let events = only_events(&world);
    let files = of_kind(&events, "sftp.file");
    assert_eq!(files[0]["written"]["scope"], "whole", "{files:?}");
    assert_eq!(files[1]["outcome"], "denied", "{files:?}");
    assert_eq!(event(&events, "sftp.operation")["operation"], "opendir");
}

#[test]
fn half_a_right_to_files_is_no_right_to_commands() {
    let only = "forbid (principal, action in [Action::\"shell\", Action::\"exec\"], resource);\n";
    let world = World::new().policy(&(half("sftp-read") + only)).start();
    world.ssh("ana", &["db1", "true"]).refused(254, "exec");
}

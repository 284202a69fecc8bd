//! scp, sftp, rsync and git: much, many, resumed, and names that are hard.

use crate::tool::{
    self, Door, done, fed, many_files, noise, noise_file, openssh, over_ssh, same, size,
    through_both, timed,
};
use crate::wait;
use crate::world::{World, free_port};
use serde_json::Value;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Stdio;

fn name(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[track_caller]
fn sftp(world: &World, words: &[&str], batch: &str) {
    let words = [&["-b", "-"], words].concat();
    fed(&mut openssh(world, "sftp", &words), batch.as_bytes()).ok();
}

/// All recorded events of one kind, of all sessions that ended.
fn told(world: &World, kind: &str) -> Vec<Value> {
    let all = world.sessions();
    let mut found = Vec::new();
    for session in all {
        let events = world.events(session["id"].as_str().unwrap());
        found.extend(events.into_iter().filter(|event| event["kind"] == kind));
    }
    found
}

fn sha256sum(path: &Path) -> String {
    let run = done(tool::tool("sha256sum", "coreutils", 60).arg("--").arg(path)).out();
    run.split(' ').next().unwrap().to_owned()
}

#[test]
fn a_big_file_by_sftp_and_by_scp_and_each_is_hashed() {
    let world = tool::start();
    let mib = size(64, 1024);
    let from = world.path("from");
    noise_file(&from, mib);
    let sum = sha256sum(&from);
    for door in tool::DOORS {
        let host = &door.db1(&world);
        let (there, back) = (world.path("there"), world.path("back"));
        timed(&format!("sftp put, {door:?}"), mib, || {
            sftp(
                &world,
                &["-R", "64", host],
                &format!("put {} {}\n", name(&from), name(&there)),
            );
        });
        same(&from, &there);
        timed(&format!("sftp get, {door:?}"), mib, || {
            sftp(
                &world,
                &[host],
                &format!("get {} {}\n", name(&there), name(&back)),
            );
        });
        same(&from, &back);
        fs::remove_file(&back).unwrap();
        for mode in ["-s", "-O"] {
            let (place, copy) = (format!("{host}:{}", name(&there)), name(&back));
            timed(&format!("scp {mode} down, {door:?}"), mib, || {
                done(&mut openssh(&world, "scp", &[mode, &place, copy]));
            });
            same(&from, &back);
            fs::remove_file(&there).unwrap();
            timed(&format!("scp {mode} up, {door:?}"), mib, || {
                done(&mut openssh(&world, "scp", &[mode, copy, &place]));
            });
            same(&from, &there);
            fs::remove_file(&back).unwrap();
        }
        fs::remove_file(&there).unwrap();
    }
    world.ended_sessions(12);
    for (kind, count) in [("sftp.file", 8), ("scp.file", 4)] {
        let files = told(&world, kind);
        assert_eq!(files.len(), count, "{files:?}");
        assert!(
            files.iter().all(|file| file.to_string().contains(&sum)),
            "{files:?}"
        );
    }
}

#[test]
fn two_thousand_files_by_sftp_and_by_scp() {
    let world = tool::start();
    let from = world.path("from");
    many_files(&from);
    through_both(&world, |door, host| {
        let dir = world.path(door.word());
        fs::create_dir(&dir).unwrap();
        let (there, back) = (dir.join("there"), dir.join("back"));
        let batch = format!(
            "put -r {0} {1}\nget -r {1} {2}\n",
            name(&from),
            name(&there),
            name(&back)
        );
        sftp(&world, &[host], &batch);
        same(&from, &there);
        same(&from, &back);
        // One protocol a door: sftp spoke the other one just now.
        let mode = if door == Door::Jump { "-O" } else { "-s" };
        let (again, place) = (dir.join("again"), format!("{host}:{}", name(&there)));
        done(&mut openssh(
            &world,
            "scp",
            &[mode, "-rpq", &place, name(&again)],
        ));
        same(&from, &again);
    });
    world.ended_sessions(4);
    assert_eq!(told(&world, "scp.file").len(), 2000);
    assert_eq!(told(&world, "sftp.file").len(), 5 * 2000);
}

/// Spaces, quotes, line ends, bytes that are no text, a leading dash.
const ODD: [&[u8]; 7] = [
    b"a b",
    b"it's \"so\"",
    b"new\nline",
    b"no\xfftext",
    b"-dash",
    b"\x1b[31mred",
    b"star*?[x]$HOME;`id`",
];

#[test]
fn names_that_are_hard() {
    let world = tool::start();
    let from = world.path("from");
    fs::create_dir(&from).unwrap();
    for (number, odd) in ODD.iter().enumerate() {
        fs::write(from.join(OsStr::from_bytes(odd)), noise(1, 1000 + number)).unwrap();
    }
    let wanted: BTreeSet<u64> = (1000..1007).collect();
    through_both(&world, |door, host| {
        let dir = world.path(door.word());
        fs::create_dir(&dir).unwrap();
        let path = |name: &str| dir.join(name);
        sftp(
            &world,
            &[host],
            &format!("put -r {} {}\n", name(&from), name(&path("sftp"))),
        );
        same(&from, &path("sftp"));
        let place = |to: &str| format!("{host}:{}", name(&path(to)));
        done(&mut openssh(
            &world,
            "scp",
            &["-s", "-r", name(&from), &place("scp")],
        ));
        same(&from, &path("scp"));
        // The old protocol has no way to say a line end: OpenSSH's scp sends it as `\^J`.
        done(&mut openssh(
            &world,
            "scp",
            &["-O", "-r", &place("scp"), name(&path("old"))],
        ));
        assert_eq!(fs::read_dir(path("old")).unwrap().count(), ODD.len());
        let source = format!("{}/", name(&from));
        done(over_ssh(&world, "rsync", "rsync").args(["-a", &source, &place("rsync/")]));
        same(&from, &path("rsync"));
        done(over_ssh(&world, "rsync", "rsync").args([
            "-a",
            "-s",
            &place("rsync/"),
            name(&path("again")),
        ]));
        same(&from, &path("again"));
    });
    world.ended_sessions(10);
    let files = told(&world, "sftp.file");
    let sizes: BTreeSet<u64> = files
        .iter()
        .filter_map(|file| file["size"].as_u64())
        .collect();
    assert_eq!(sizes, wanted, "{files:?}");
    assert_eq!(files.len(), 4 * ODD.len());
}

#[test]
fn what_was_cut_off_is_resumed_and_what_is_slow_is_slow() {
    let world = tool::start();
    let from = world.path("from");
    noise_file(&from, 8);
    let half = noise(1, 1 << 20);
    through_both(&world, |door, host| {
        let path = |name: &str| world.path(&format!("{}-{name}", door.word()));
        let (there, back) = (path("there"), path("back"));
        fs::write(&there, &half[..700_000]).unwrap();
        fs::write(&back, &half[..900_000]).unwrap();
        let batch = format!(
            "reput {0} {1}\nreget {1} {2}\n",
            name(&from),
            name(&there),
            name(&back)
        );
        // 40 Mbit/s: over a second for what is left, far from the other limit.
        sftp(&world, &["-l", "40000", host], &batch);
        same(&from, &there);
        same(&from, &back);

        // rsync keeps its part when it is killed, and goes on from there.
        let (part, place) = (path("part"), format!("{host}:{}", name(&path("part"))));
        let mut rsync = over_ssh(&world, "rsync", "rsync");
        rsync.args([
            "--partial",
            "--inplace",
            "--bwlimit=1000",
            name(&from),
            &place,
        ]);
        let mut rsync = rsync.stderr(Stdio::null()).spawn().unwrap();
        wait::until("the first bytes at the target", || {
            (fs::metadata(&part).ok()?.len() > 300_000).then_some(())
        });
        crate::world::signal(&rsync, rustix::process::Signal::TERM);
        rsync.wait().unwrap();
        wait::until("its end at the target", || {
            let all = crate::world::processes_in(&part);
            all.is_empty().then_some(())
        });
        let kept = fs::metadata(&part).unwrap().len();
        assert!(kept > 300_000 && kept < 8 << 20, "{kept}");
        let again = [
            "--partial",
            "--inplace",
            "--append-verify",
            "--stats",
            name(&from),
            &place,
        ];
        let run = done(over_ssh(&world, "rsync", "rsync").args(again));
        let literal = run
            .out()
            .lines()
            .find(|line| line.starts_with("Literal"))
            .unwrap()
            .replace(',', "");
        let literal: u64 = literal.split(' ').nth(2).unwrap().parse().unwrap();
        assert!(
            literal + kept <= (8 << 20) + 100_000,
            "{literal} again, {kept} kept"
        );
        same(&from, &part);
    });
}

#[test]
fn from_one_target_to_another() {
    let port = free_port();
    let db2 = format!(
        "name = \"db2\"\naddress = \"127.0.0.1:{port}\"\nlogins = [\"{}\"]\n\
         host = {{ ca = \"../hosts_ca.pub\" }}\n",
        crate::world::login_name()
    );
    let mut world = World::new().target(&db2).start();
    world.another_sshd("db2", port, &["-n", "db2"], "");
    tool::configure(&world, tool::ME, "");
    let world = &world;
    let from = world.path("from");
    noise_file(&from, 8);
    through_both(world, |door, host| {
        for mode in ["-s", "-O"] {
            let to = world.path(&format!("{}{mode}", door.word()));
            let source = format!("{host}:{}", name(&from));
            let place = format!("{}:{}", door.to(world, "db2"), name(&to));
            done(&mut openssh(world, "scp", &[mode, "-3", &source, &place]));
            same(&from, &to);
        }
    });
    let sessions = world.ended_sessions(8);
    for target in ["db1", "db2"] {
        assert_eq!(
            sessions
                .iter()
                .filter(|session| session["target"] == target)
                .count(),
            4
        );
    }
}

#[test]
fn rsync_of_two_thousand_files() {
    let world = tool::start();
    let from = world.path("from");
    many_files(&from);
    through_both(&world, |door, host| {
        let rsync = |words: &[&str]| done(over_ssh(&world, "rsync", "rsync").args(words));
        let path = |name: &str| world.path(&format!("{}-{name}", door.word()));
        let (mine, there, back) = (path("mine"), path("there"), path("back"));
        done(tool::tool("cp", "coreutils", 60).args(["-a", name(&from), name(&mine)]));
        let (source, place) = (
            format!("{}/", name(&mine)),
            format!("{host}:{}/", name(&there)),
        );
        rsync(&["-a", &source, &place]);
        same(&mine, &there);
        rsync(&["-az", &place, name(&back)]);
        same(&mine, &back);
        // One goes, one comes, one changes without looking so.
        fs::remove_file(mine.join("d3/file 3")).unwrap();
        fs::write(mine.join("new"), "new").unwrap();
        let changed = mine.join("d7/file 7");
        let before = fs::metadata(&changed).unwrap().modified().unwrap();
        fs::write(&changed, noise(99, 7)).unwrap();
        fs::File::options()
            .write(true)
            .open(&changed)
            .unwrap()
            .set_modified(before)
            .unwrap();
        rsync(&["-a", "--delete", "--checksum", &source, &place]);
        same(&mine, &there);
        rsync(&[
            "-a",
            "--delete",
            "--checksum",
            "--partial",
            &place,
            name(&back),
        ]);
        same(&mine, &back);
    });
    let sessions = world.ended_sessions(8);
    assert_eq!(sessions.len(), 8);
    assert_eq!(told(&world, "rsync").len(), 8);
}

#[test]
fn git_clones_fetches_and_pushes_a_big_pack() {
    let world = tool::start();
    let mib = size(24, 100);
    for door in tool::DOORS {
        let path = |name: &str| world.path(&format!("{}-{name}", door.word()));
        let (bare, mine, other) = (path("bare.git"), path("mine"), path("other"));
        let place = format!("{}:{}", door.db1(&world), name(&bare));
        let git = |dir: &Path, words: &[&str]| {
            let mut git = over_ssh(&world, "git", "git");
            git.args([
                "-c",
                "user.name=ana",
                "-c",
                "user.email=ana@example.com",
                "-C",
            ])
            .arg(dir);
            git.env("GIT_CONFIG_GLOBAL", "/dev/null")
                .env("GIT_CONFIG_SYSTEM", "/dev/null");
            done(git.args(words))
        };
        git(
            world.dir.path(),
            &["init", "-q", "--bare", "-b", "main", name(&bare)],
        );
        git(world.dir.path(), &["clone", "-q", &place, name(&mine)]);
        git(world.dir.path(), &["clone", "-q", &place, name(&other)]);
        noise_file(&mine.join("big"), mib);
        git(&mine, &["add", "big"]);
        git(&mine, &["commit", "-q", "-m", "big"]);
        timed(&format!("git push, {door:?}"), mib, || {
            git(&mine, &["push", "-q", "origin", "HEAD:main"])
        });
        timed(&format!("git fetch, {door:?}"), mib, || {
            git(&other, &["fetch", "-q", "origin", "main"])
        });
        git(&other, &["checkout", "-q", "-b", "main", "FETCH_HEAD"]);
        same(&mine.join("big"), &other.join("big"));
        fs::write(other.join("small"), "small").unwrap();
        git(&other, &["add", "small"]);
        git(&other, &["commit", "-q", "-m", "small"]);
        git(&other, &["push", "-q", "origin", "main"]);
        git(&mine, &["pull", "-q", "--ff-only", "origin", "main"]);
        assert_eq!(fs::read(mine.join("small")).unwrap(), b"small");
        git(
            world.dir.path(),
            &["clone", "-q", &place, name(&path("again"))],
        );
        same(&mine.join("big"), &path("again").join("big"));
    }
    world.ended_sessions(14);
    assert_eq!(told(&world, "git").len(), 14);
}

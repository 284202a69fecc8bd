//! A disk that is full, or cannot be written.

use crate::compare::find;
use crate::traffic::Client;
use crate::wait;
use crate::world::{World, portcullis};
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A small disk of its own; unmounted at the end.
struct Disk(PathBuf);

impl Disk {
    fn at(path: PathBuf, options: &str) -> Self {
        fs::create_dir_all(&path).unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(&path);
        let mounted = mount.output().unwrap();
        assert!(
            mounted.status.success(),
            "a small disk needs root: run the tests as root, or under `unshare -rm`; mount says: {}",
            String::from_utf8_lossy(&mounted.stderr)
        );
        Self(path)
    }

    fn fill(&self, but: u64) {
        let mut filler = fs::File::create(self.0.join("filler")).unwrap();
        let piece = [1; 16 * 1024];
        while filler.write_all(&piece).is_ok() {}
        let length = filler.metadata().unwrap().len();
        filler.set_len(length - but).unwrap();
    }

    fn empty(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}

/// New sessions are refused, running ones end with a message when there is no room for the journal,
/// and nothing that anybody saw is missing. Room again: everything goes on, without a restart.
#[test]
fn a_full_disk_is_said_to_everybody() {
    let mut world = World::new().build();
    let disk = Disk::at(world.path("bastion/state"), "size=48m,mode=700");
    world.start_bastion();
    let client = Client::terminal(&world, "running-");
    assert!(client.wait_for(1000), "{}", world.log());
    // What the journal has ready is room for a while; on a slow machine it is not ready at once.
    wait::until("the journal's segment and its two in reserve", || {
        (world.segments_ready() >= 3).then_some(())
    });
    disk.fill(256 * 1024);
    wait::until("a refused session", || {
        let refused = world.ssh("ana", &["db1", "true"]);
        (refused.code != 0 && refused.stderr.contains("disk is full")).then_some(())
    });
    let (seen, _) = client.end();
    let text = String::from_utf8_lossy(&seen);
    let tail = &text[text.len().saturating_sub(600)..];
    assert!(
        tail.contains("portcullis: the bastion cannot record"),
        "{tail}"
    );
    let session = wait::until("the end of the session", || {
        let ended = find(&world.streams(), "running-")?;
        ended.end.is_some().then_some(ended)
    });
    assert_eq!(session.end.as_deref(), Some("recorder"));
    // Its last words are the bastion's own.
    let own = text.rfind("portcullis: the bastion").unwrap();
    let output = &seen[..own];
    let output = &output[..output.len().min(session.output.bytes.len())];
    assert!(session.output.bytes.starts_with(output));
    assert!(
        own <= session.output.bytes.len() + 4,
        "{own} of {}",
        session.output.bytes.len()
    );

    disk.empty();
    wait::until("a session where there is room again", || {
        (world.ssh("ana", &["db1", "true"]).code == 0).then_some(())
    });
    world.stop_bastion();
    let alerts: Vec<_> = world.node_events();
    for code in ["disk_full", "recorder_stopped"] {
        let said = alerts.iter().any(|alert| alert["note"]["code"] == code);
        assert!(said, "no alert {code}\n{}", world.log());
    }
    drop(disk);
}

impl World {
    /// Segments of the journal, the one in use and those in reserve: the header is written last.
    fn segments_ready(&self) -> usize {
        let files = fs::read_dir(self.path("bastion/state/journal")).unwrap();
        let paths = files.map(|file| file.unwrap().path());
        let segments = paths.filter(|path| path.extension().is_some_and(|end| end == "journal"));
        let begun = |path: &PathBuf| {
            let mut head = [0; 8];
            let read = fs::File::open(path).and_then(|mut file| file.read_exact(&mut head));
            read.is_ok() && head != [0; 8]
        };
        segments.filter(begun).count()
    }
}

fn refused_start(world: &World, state: &Path, says: &[&str]) {
    let config = world.config_file();
    let text = fs::read_to_string(&config).unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("dir = \"state\""))
        .unwrap();
    let other = text.replace(line, &format!("dir = \"{}\"", state.display()));
    let file = config.with_file_name("other.toml");
    fs::write(&file, other).unwrap();
    let serve = portcullis(&["--config", file.to_str().unwrap(), "serve"])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&serve.stderr);
    assert!(!serve.status.success(), "it started: {stderr}");
    for word in says {
        assert!(stderr.contains(word), "no `{word}` in: {stderr}");
    }
}

#[test]
fn a_state_directory_that_cannot_be_used_is_said_at_the_start() {
    let world = World::new().start();
    let path = |name: &str| world.path(name);
    let only = Disk::at(path("readonly"), "size=1m,ro");
    let words = [
        "portcullis: ",
        "readonly",
        "Read-only",
        "must be able to write",
    ];
    refused_start(&world, &only.0, &words);
    let full = Disk::at(path("full"), "size=1m");
    let words = ["portcullis: ", "full", "No space left", "free some space"];
    refused_start(&world, &full.0, &words);
    let words = ["portcullis: ", "lock", "already running"];
    refused_start(&world, &path("bastion/state"), &words);
}

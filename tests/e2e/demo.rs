//! The newcomer's first command.

use crate::terminal::Terminal;
use crate::wait;
use crate::world::{portcullis, processes_in, signal};
use rustix::process::Signal;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};

#[test]
fn the_demo_works_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let run = portcullis(&["demo", "--check"])
        .env("TMPDIR", dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&run.stdout);
    assert!(
        run.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&run.stderr)
    );
    for shown in [
        "portcullis init",
        "recorded-42",
        "session.start",
        "It played to its end.",
        "All of it worked.",
    ] {
        assert!(text.contains(shown), "no `{shown}` in:\n{text}");
    }
    assert_nothing_left(dir.path());
}

#[track_caller]
fn assert_nothing_left(dir: &Path) {
    let left: Vec<_> = fs::read_dir(dir).unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
    let running = processes_in(dir);
    assert!(running.is_empty(), "{running:?}");
}

#[test]
fn without_ssh_the_demo_says_what_to_install() {
    let empty = tempfile::tempdir().unwrap();
    let run = portcullis(&["demo", "--check"])
        .env("PATH", empty.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(!run.status.success());
    assert!(
        said.contains("portcullis: ") && said.contains("openssh-client"),
        "{said}"
    );
}

/// A demo in a directory of its own, and what it has said so far.
struct Demo {
    dir: tempfile::TempDir,
    child: Child,
}

impl Demo {
    fn start(words: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("tmp")).unwrap();
        let out = fs::File::create(dir.path().join("out")).unwrap();
        let child = portcullis(words)
            .env("TMPDIR", dir.path().join("tmp"))
            .stdin(Stdio::null())
            .stderr(out.try_clone().unwrap())
            .stdout(out)
            .spawn()
            .unwrap();
        Self { dir, child }
    }

    fn said(&self) -> String {
        fs::read_to_string(self.dir.path().join("out")).unwrap()
    }

    fn see(&mut self, text: &str) {
        wait::until(&format!("`{text}` of the demo"), || {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "ended {ended:?}:\n{}", self.said());
            self.said().contains(text).then_some(())
        });
    }

    /// Ends it by a signal; gives its exit status.
    fn end(&mut self, by: Signal) -> i32 {
        signal(&self.child, by);
        let child = &mut self.child;
        let status = wait::until("the end of the demo", || child.try_wait().unwrap());
        status.code().unwrap_or(-1)
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn each_line_that_the_demo_prints_works_as_it_stands() {
    let mut demo = Demo::start(&["demo"]);
    demo.see("Ctrl-C here ends the demo");
    let said = demo.said();
    let (_, next) = said.split_once("Each line works as it stands:").unwrap();
    let lines: Vec<&str> = next
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .collect();
    assert_eq!(lines.len(), 7, "{next}");
    for line in lines {
        let mut terminal = Terminal::new("sh", &["-c".to_owned(), line.to_owned()]);
        if line.ends_with(" db1") {
            terminal.type_in("echo so-$((6 * 7))\r").see("so-42");
            terminal.type_in("exit\r");
        } else if line.ends_with(" bastion") {
            terminal.see("db1").type_in("\x03");
        } else if line.ends_with("replay last") {
            terminal.see("end ").type_in("q");
        } else if line.ends_with("uname -a") {
            terminal.see("Linux");
        } else {
            terminal.see("ana").see("db1");
        }
        let status = terminal.end();
        assert!(status.success(), "`{line}`: {status}\n{}", terminal.screen);
    }
    assert_eq!(demo.end(Signal::TERM), 0, "{}", demo.said());
    assert_nothing_left(&demo.dir.path().join("tmp"));
}

#[test]
fn a_demo_that_is_interrupted_removes_everything_and_says_so() {
    for by in [Signal::INT, Signal::TERM, Signal::HUP] {
        let mut demo = Demo::start(&["demo", "--check"]);
        demo.see("4. ");
        assert_eq!(demo.end(by), 4, "{}", demo.said());
        assert!(demo.said().contains("ended before"), "{}", demo.said());
        assert_nothing_left(&demo.dir.path().join("tmp"));
    }
}

#[test]
fn a_demo_keeps_the_directory_that_it_was_given_and_takes_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("kept");
    let words = ["demo", "--check", "--dir", place.to_str().unwrap()];
    let run = portcullis(&words).output().unwrap();
    assert!(run.status.success(), "{run:?}");
    assert!(place.join("bastion/state/recordings").is_dir());
    // It is in use now.
    let run = portcullis(&words).output().unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(4), "{said}");
    assert!(said.contains("is not empty"), "{said}");
}

//! Every line of the documents for engineers and analysts, typed as it stands there.

use crate::terminal::Terminal;
use crate::wait;
use crate::world::{Run, User, World};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

const DOCUMENTS: [&str; 2] = [
    include_str!("../../docs/engineer.md"),
    include_str!("../../docs/security.md"),
];
/// What people type. The product's own verbs are those of the operator.
const PROGRAMS: [&str; 6] = ["ssh", "scp", "sftp", "rsync", "git", "portcullis"];

/// Tried by tests of their own.
const ELSEWHERE: [&str; 3] = [
    "portcullis doctor",
    "portcullis ca revoke",
    "portcullis index --rebuild",
];

#[test]
fn every_documented_line_does_what_it_says() {
    let world = World::new()
        .user(User::named("eve").in_group("auditors"))
        .start();
    repository(&world);
    let anas = Desk::new(&world, "ana");
    let eves = Desk::new(&world, "eve");
    world.ssh("ana", &["db1", "echo first"]).ok();
    let session = world.only_session();
    let id = session["id"].as_str().unwrap();

    let recordings = world.path("bastion/state/recordings");
    let day = session["start"].as_str().unwrap()[..10].replace('-', "/");
    let recording = recordings.join(day).join(id);

    // Something to be found.
    let told = world.ssh("ana", &["db1", "echo 'DROP TABLE' /etc/passwd 'rm -rf'"]);
    told.ok();
    wait::until("the screen of that", || {
        let run = world.ssh(
            "ana",
            &["bastion", "search", "--in", "screen", "DROP TABLE"],
        );
        (run.code == 0).then_some(())
    });

    let lines = documented();
    assert!(lines.len() > 20, "only {lines:?}");
    for line in lines {
        // The documents speak of root; whoever runs the tests may be somebody else.
        let typed = line
            .replace("root@", &format!("{}@", world.login))
            .replace("root%", &format!("{}%", world.login))
            .replace("--principal root", &format!("--principal {}", world.login))
            .replace("/srv/repo.git", world.path("repo.git").to_str().unwrap())
            .replace(" ID", &format!(" {id}"))
            .replace(" RECORDING", &format!(" {}", recording.display()));
        // Only auditors take recordings along, report and sign off.
        let of_auditors = ["bastion export", "bastion report", "bastion review"];
        let desk = match of_auditors.iter().any(|verb| typed.contains(verb)) {
            true => &eves,
            false => &anas,
        };
        let on_a_screen = typed == "ssh bastion" || typed.contains(" -t ");
        let code = match on_a_screen {
            true => desk.type_on_a_screen(&typed),
            false => {
                let run = desk.type_in(&typed);
                assert!(!run.stderr.contains("panicked"), "{line}: {run:?}");
                assert_eq!(run.code, 0, "`{line}`: {}\n{}", run.out(), run.stderr);
                Some(0)
            }
        };
        assert_eq!(code, Some(0), "`{line}`");
    }
}

/// Lines of code blocks, and words in the text that are a whole command.
fn documented() -> Vec<String> {
    let mut lines = Vec::new();
    for document in DOCUMENTS {
        let mut text = String::new();
        let mut block = None;
        for line in document.lines() {
            match (line.trim_start().strip_prefix("```"), block) {
                (Some(language), None) => block = Some(language),
                (Some(_), Some(_)) => block = None,
                (None, Some("sh")) => lines.push(line.trim().to_owned()),
                (None, Some(_)) => {}
                (None, None) => text.push_str(&format!("{line} ")),
            }
        }
        for span in text.split('`').skip(1).step_by(2) {
            lines.push(span.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }
    lines.retain(|line| {
        let program = line.split(' ').next().unwrap_or_default();
        // `VERB` and `...` stand for something, `ssh -J` is a part of a line.
        PROGRAMS.contains(&program)
            && line.split(' ').skip(1).any(|word| !word.starts_with('-'))
            && !line.contains("VERB")
            && !line.contains("...")
            && !ELSEWHERE.contains(&line.as_str())
    });
    lines.dedup();
    lines
}

fn repository(world: &World) {
    let made = Command::new("git")
        .args(["init", "-q", "--bare"])
        .arg(world.path("repo.git"))
        .status();
    assert!(made.unwrap().success(), "no git: apt-get install git");
}

/// Where somebody sits: their programs know their configuration, and `portcullis` that of the node.
struct Desk {
    dir: std::path::PathBuf,
}

impl Desk {
    fn new(world: &World, user: &str) -> Self {
        let dir = world.path(&format!("desk-{user}"));
        fs::create_dir_all(dir.join("bin")).unwrap();
        let config = world.path(&format!("{user}/config"));
        for program in ["ssh", "scp", "sftp"] {
            let text = format!("exec /usr/bin/{program} -F {} \"$@\"", config.display());
            script(&dir.join("bin").join(program), &text);
        }
        let node = world.config_file();
        let text = format!(
            "exec {} --config {} \"$@\"",
            env!("CARGO_BIN_EXE_portcullis"),
            node.display()
        );
        script(&dir.join("bin/portcullis"), &text);
        fs::copy(
            world.path(&format!("{user}/id.pub")),
            dir.join("id_ed25519.pub"),
        )
        .unwrap();
        Self { dir }
    }

    fn shell(&self, line: &str) -> String {
        let dir = self.dir.display();
        format!("cd {dir} && PATH={dir}/bin:$PATH && {line}")
    }

    fn type_in(&self, line: &str) -> Run {
        let mut shell = Command::new("timeout");
        shell.args([
            "--foreground",
            "-k",
            "5",
            "60",
            "sh",
            "-c",
            &self.shell(line),
        ]);
        Run::of(shell.stdin(Stdio::null()).output().unwrap())
    }

    /// What opens a picture is left with `q`.
    fn type_on_a_screen(&self, line: &str) -> Option<i32> {
        let mut terminal = Terminal::new("sh", &["-c".to_owned(), self.shell(line)]);
        terminal.see("\u{1b}[?1049h").type_in("q");
        terminal.end().code()
    }
}

fn script(path: &std::path::Path, text: &str) {
    fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

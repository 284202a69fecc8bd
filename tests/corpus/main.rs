//! What is found in recorded terminals (tests/corpus/README.md), scored; and what forged output must
//! not be taken for.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may panic and say how it went"
)]

mod forgery;
mod same;
mod score;

use portcullis::event::{Command, Confidence};
use portcullis::inspect::{At, Found, Inspector};
use score::{Score, score};
use serde::Deserialize;
use std::fs;
use std::path::Path;

/// Paths that were shortened in `expected` after the recording: session, what it says, what was typed.
const PATHS: [(&str, &str, &str); 8] = [
    ("bash-vim", "vim.tiny _x.txt", "vim.tiny /tmp/exp_x.txt"),
    ("bash133-vim", "vim.tiny _x.txt", "vim.tiny /tmp/exp_x.txt"),
    ("fish-vim", "vim.tiny _x.txt", "vim.tiny /tmp/exp_x.txt"),
    ("zsh-vim", "vim.tiny _x.txt", "vim.tiny /tmp/exp_x.txt"),
    ("zshfancy-vim", "vim.tiny _x.txt", "vim.tiny /tmp/exp_x.txt"),
    ("bash-tmux", "--rcfile rc/", "--rcfile /tmp/exp/rc/"),
    ("bash133-tmux", "--rcfile rc/", "--rcfile /tmp/exp/rc/"),
    ("zsh-tmux", "--rcfile rc/", "--rcfile /tmp/exp/rc/"),
];

#[derive(Deserialize)]
struct Session {
    name: String,
    cols: u32,
    rows: u32,
    events: Vec<(f64, String, String)>,
    expected: Vec<Expected>,
    secret: Option<String>,
}

#[derive(Clone, Deserialize)]
struct Expected {
    text: String,
    #[serde(default)]
    optional: bool,
    #[serde(default)]
    also: Vec<String>,
}

/// What happened, as bytes.
#[derive(Clone, Debug, PartialEq)]
enum Happened {
    Typed(Vec<u8>),
    /// Typed and not kept.
    Withheld(u64),
    Shown(Vec<u8>),
    Resized(u32, u32),
}

impl Session {
    fn happened(&self) -> Vec<(At, Happened)> {
        let bytes = |text: &str| text.chars().map(|c| u8::try_from(c).unwrap()).collect();
        let one = |(seconds, kind, text): &(f64, String, String)| {
            let mt = std::time::Duration::from_secs_f64(*seconds).as_nanos();
            let at = At {
                mt: u64::try_from(mt).unwrap(),
                seq: None,
            };
            let happened = match kind.as_str() {
                "i" => Happened::Typed(bytes(text)),
                "o" => Happened::Shown(bytes(text)),
                _ => {
                    let (cols, rows) = text.split_once('x').unwrap();
                    Happened::Resized(cols.parse().unwrap(), rows.parse().unwrap())
                }
            };
            (at, happened)
        };
        self.events.iter().map(one).collect()
    }
}

fn sessions() -> Vec<Session> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/sessions");
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|f| f.unwrap().path())
        .collect();
    files.sort();
    assert_eq!(files.len(), 182);
    let read = |file: &std::path::PathBuf| {
        let mut session: Session = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        for (name, says, typed) in PATHS {
            if session.name == name {
                let mended = session.expected.iter_mut().map(|expected| {
                    let text = expected.text.replace(says, typed);
                    let changed = text != expected.text;
                    expected.text = text;
                    changed
                });
                assert!(mended.fold(false, |any, changed| any | changed), "{name}");
            }
        }
        session
    };
    files.iter().map(read).collect()
}

fn inspect(cols: u32, rows: u32, happened: &[(At, Happened)]) -> Vec<Found> {
    let mut inspector = Inspector::new(cols, rows).unwrap();
    let mut last = At::default();
    for (at, happened) in happened {
        last = *at;
        match happened {
            Happened::Typed(bytes) => inspector.typed(*at, bytes),
            Happened::Withheld(bytes) => inspector.withheld(*at, *bytes),
            Happened::Shown(bytes) => inspector.shown(*at, bytes),
            Happened::Resized(cols, rows) => inspector.resize(*cols, *rows),
        }
    }
    inspector.finish(last);
    inspector.take()
}

fn commands(found: &[Found]) -> Vec<&Command> {
    let mut commands = Vec::new();
    for found in found {
        if let Found::Command(command) = found {
            commands.push(command.as_ref());
        }
    }
    commands
}

#[test]
fn what_was_run_is_found() {
    let mut total = Score::default();
    for session in sessions() {
        let found = inspect(session.cols, session.rows, &session.happened());
        let commands = commands(&found);
        if let Some(secret) = &session.secret {
            let everything = format!("{found:?}");
            assert!(!everything.contains(secret), "{} leaks", session.name);
        }
        let got = commands.iter().flat_map(|command| {
            let is_high = command.confidence == Confidence::High;
            command
                .text
                .lines()
                .map(move |line| (line.to_owned(), is_high))
        });
        let score = score(&session.expected, &got.collect::<Vec<_>>());
        if score.wrong + score.missed > 0 {
            println!("{}: {score:?} {commands:?}", session.name);
        }
        total.add(score);
    }
    println!(
        "F1 {:.2} %, high {:.2} % of {}",
        total.f1(),
        total.high_right(),
        total.high
    );
    assert!(total.f1() >= 99.0, "F1 {:.2} %", total.f1());
    assert!(
        total.high_right() >= 99.0,
        "high {:.2} %",
        total.high_right()
    );
    assert!(total.high >= 380, "most are sure: {}", total.high);
}

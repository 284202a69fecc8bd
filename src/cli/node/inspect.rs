//! `inspect FILE...`: the commands of recordings, derived again. A file is a recording's directory, a
//! chunk, the lines that `events` prints, or a terminal session as JSON (tests/corpus/README.md).

use crate::event::{Command, Shown};
use crate::inspect::{At, Found, Inspector};
use crate::replay::{Problem, Replayed, Step, open_file};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// A terminal session as JSON is read whole.
const SESSION_BYTES_MAX: u64 = 64 * 1024 * 1024; // 64 MiB

#[derive(Clone, Debug, clap::Args)]
pub struct InspectArgs {
    /// Recordings (directories, chunks, `events` output) or terminal sessions as JSON.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Every finding with all its fields, one line each.
    #[arg(long)]
    pub all: bool,
    /// The answer is JSON already; accepted so that every verb takes it.
    #[arg(long)]
    pub json: bool,
}

/// Seconds, `i` typed, `o` shown or `r` resized, and the text.
#[derive(Deserialize)]
struct Session {
    name: String,
    cols: u32,
    rows: u32,
    events: Vec<(f64, String, String)>,
}

/// Prints `{"name": [{"text", "confidence"}, ...], ...}`.
pub fn run(args: &InspectArgs) -> u8 {
    let mut answers = Map::new();
    let mut code = 0;
    for file in &args.files {
        match inspect(file) {
            Ok((name, found)) if args.all => {
                for found in found {
                    print(&all_of(&name, &found));
                }
            }
            Ok((name, found)) => {
                let commands = found.iter().filter_map(|found| match found {
                    Found::Command(command) => Some(short(command)),
                    Found::Secret(_) | Found::Blind(_) | Found::Reveal(_) => None,
                });
                answers.insert(name, commands.collect());
            }
            Err(message) => {
                let file = file.display().to_string();
                complain(&format!("cannot inspect `{}`: {message}", Shown(&file)));
                code = 4;
            }
        }
    }
    if !args.all {
        print(&Value::Object(answers));
    }
    code
}

fn print(value: &Value) {
    let text = crate::event::escape_json(&value.to_string());
    // Nobody is left to tell when standard output is gone.
    drop(writeln!(io::stdout(), "{text}"));
}

fn complain(message: &str) {
    drop(writeln!(io::stderr(), "portcullis: {message}"));
}

fn short(command: &Command) -> Value {
    serde_json::json!({ "text": command.text, "confidence": command.confidence })
}

fn all_of(name: &str, found: &Found) -> Value {
    match found {
        Found::Command(command) => serde_json::json!({ "name": name, "command": command }),
        Found::Secret(secret) => serde_json::json!({ "name": name, "secret": secret }),
        Found::Blind(blind) => serde_json::json!({ "name": name, "blind": blind }),
        Found::Reveal(reveal) => {
            serde_json::json!({ "name": name, "reveal": { "offset": reveal.offset, "n": reveal.text.n } })
        }
    }
}

fn inspect(file: &Path) -> Result<(String, Vec<Found>), String> {
    if let Some(session) = session(file)? {
        return Ok((session.name.clone(), follow(&session)));
    }
    let steps = || open_file(file).map_err(|error| error.to_string());
    let mut replayed = Replayed::default();
    let mut name = None;
    let mut damages = 0_u64;
    for step in steps()? {
        match step.map_err(|error| error.to_string())? {
            Step::Line(line) => {
                name = name.or(Some(line.sid));
                replayed.learn(&line);
            }
            Step::Damage(damage) => {
                // A chunk that stands alone begins in the middle.
                damages += u64::from(!matches!(damage.problem, Problem::Gap { .. }));
                complain(&format!("damaged recording, {damage}"));
            }
        }
    }
    let name = name.ok_or("it holds no recorded event and is no terminal session as JSON")?;
    let mut found = Vec::new();
    for step in steps()? {
        if let Step::Line(line) = step.map_err(|error| error.to_string())? {
            found.extend(replayed.follow(&line));
        }
    }
    found.extend(replayed.finish());
    if damages > 0 {
        complain(&format!(
            "{damages} places of session {name} are damaged: commands may be missing"
        ));
    }
    let found = found.into_iter().map(|derived| derived.found).collect();
    Ok((name.to_string(), found))
}

/// The terminal session in the file, if it is one.
fn session(file: &Path) -> Result<Option<Session>, String> {
    let meta = std::fs::metadata(file).map_err(|error| error.to_string())?;
    if meta.is_dir() || file.extension().is_some_and(|end| end == "zst") {
        return Ok(None);
    }
    let opened = std::fs::File::open(file).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    let mut limited = opened.take(SESSION_BYTES_MAX);
    limited
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    let first = bytes
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let is_line =
        serde_json::from_slice::<Value>(first).is_ok_and(|line| line.get("sid").is_some());
    if is_line {
        return Ok(None);
    }
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| format!("it is neither a recording nor a terminal session: {error}"))
}

fn follow(session: &Session) -> Vec<Found> {
    // Some writers put a byte into each character, so that bytes that are no text survive.
    let is_text = |(_, _, text): &(f64, String, String)| text.chars().any(|c| u32::from(c) > 255);
    let by_character = !session.events.iter().any(is_text);
    let Some(mut inspector) = Inspector::new(session.cols, session.rows) else {
        return Vec::new();
    };
    let mut at = At::default();
    for (seconds, kind, text) in &session.events {
        at.mt = nanoseconds(*seconds);
        let bytes: Vec<u8> = if by_character {
            text.chars().filter_map(|c| u8::try_from(c).ok()).collect()
        } else {
            text.as_bytes().to_vec()
        };
        match kind.as_str() {
            "i" => inspector.typed(at, &bytes),
            "o" => inspector.shown(at, &bytes),
            "r" => {
                let size = text.split_once('x');
                if let Some((Ok(cols), Ok(rows))) = size.map(|(c, r)| (c.parse(), r.parse())) {
                    inspector.resize(cols, rows);
                }
            }
            _ => {}
        }
    }
    inspector.finish(at);
    inspector.take()
}

fn nanoseconds(seconds: f64) -> u64 {
    let time = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default();
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

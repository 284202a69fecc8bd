//! What people run in a terminal is found, and what they type without seeing it is nowhere.

use crate::world::{World, event};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

const SECRET: &str = "Hunter2-secret";
const PROMPT: &str = "READY> ";

/// A shell, what starts it, and what asks for a secret in it.
struct Shell {
    name: &'static str,
    starts: &'static str,
    asks: &'static str,
    /// Its prompt is known from the first line on.
    is_sure: bool,
}

const SHELLS: [Shell; 5] = [
    Shell {
        name: "bash",
        starts: "PS1='READY> ' bash --norc --noprofile -i",
        asks: "read -r -s -p 'Tok''en: ' x",
        is_sure: true,
    },
    Shell {
        name: "dash",
        starts: "PS1='READY> ' dash -i",
        asks: "stty -echo; printf 'Tok''en: '; read x; stty echo",
        is_sure: true,
    },
    Shell {
        name: "zsh",
        starts: "PS1='READY> ' zsh -f -i",
        asks: "read -rs 'x?Tok''en: '",
        is_sure: true,
    },
    Shell {
        name: "fish",
        starts: "fish --no-config -C 'function fish_prompt; echo -n \"READY> \"; end'",
        asks: "read -s -P 'Tok''en: ' x",
        is_sure: true,
    },
    Shell {
        name: "tmux",
        starts: "tmux -L portcullis$$ -f /dev/null new \"PS1='READY> ' bash --norc --noprofile -i\"",
        asks: "read -r -s -p 'Tok''en: ' x",
        is_sure: false,
    },
];

fn drive(world: &World, shell: &Shell) {
    let found = std::process::Command::new("sh")
        .args(["-c", &format!("command -v {}", shell.name)])
        .output()
        .unwrap();
    let name = shell.name;
    assert!(
        found.status.success(),
        "{name} is missing: apt-get install {name}"
    );
    let mut terminal = world.terminal("ana", &["-t", "db1", shell.starts]);
    terminal.see(PROMPT);
    terminal.type_in("echo al''pha\r").see("alpha").see(PROMPT);
    let asks = format!("{}\r", shell.asks);
    terminal.type_in(&asks).see("Token: ");
    terminal.type_in(&format!("{SECRET}\r")).see(PROMPT);
    terminal.type_in("echo ome''ga\r").see("omega").see(PROMPT);
    terminal.type_in("exit\r");
    assert!(terminal.end().success(), "{name}: {}", terminal.screen);
    assert!(
        !terminal.screen.contains(SECRET),
        "{name} shows it, so it proves nothing"
    );
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.is_file() {
            found.push(path);
        }
    }
}

/// In no file, and in no line of a chunk.
fn assert_nowhere(world: &World, secret: &str) {
    let mut found = Vec::new();
    files(&world.path("bastion/state"), &mut found);
    assert!(found.len() > 3, "{found:?}");
    for path in found {
        let bytes = fs::read(&path).unwrap();
        let stands = bytes
            .windows(secret.len())
            .any(|part| part == secret.as_bytes());
        assert!(!stands, "the secret stands in {}", path.display());
    }
    for (stream, lines) in world.streams() {
        assert!(!lines.contains(secret), "the secret stands in {stream}");
    }
}

fn texts<'a>(events: &'a [Value], confidence: &str) -> Vec<&'a str> {
    let commands = events.iter().filter(|event| event["kind"] == "command");
    commands
        .filter(|command| command["confidence"] == confidence)
        .filter_map(|command| command["text"].as_str())
        .collect()
}

#[test]
fn commands_are_events_and_a_secret_is_nowhere() {
    for shell in &SHELLS {
        let world = World::new().start();
        drive(&world, shell);
        let name = shell.name;
        let id = world.only_session()["id"].as_str().unwrap().to_owned();
        let events = world.events(&id);
        let high = texts(&events, "high");
        assert!(high.contains(&"echo ome''ga"), "{name}: {high:?}");
        let medium = texts(&events, "medium");
        let alpha = "echo al''pha";
        let is_there = high.contains(&alpha) || !shell.is_sure && medium.contains(&alpha);
        assert!(is_there, "{name}: {high:?} {medium:?}");
        let secret = event(&events, "command.secret");
        assert_eq!(secret["bytes"], SECRET.len(), "{name}: {secret}");
        let exec = events
            .iter()
            .find(|event| event["sources"][0] == "exec")
            .unwrap();
        assert_eq!(exec["text"], shell.starts, "{name}");
        assert_nowhere(&world, SECRET);

        let recording = recording(&world, &id);
        let again = world.verb(&["inspect", recording.to_str().unwrap()]).ok();
        let again: Value = serde_json::from_slice(&again.stdout).unwrap();
        let live = events.iter().filter(|event| event["kind"] == "command");
        let live: Vec<_> = live.map(|event| event["text"].clone()).collect();
        let later = again[&id].as_array().unwrap();
        let later: Vec<_> = later
            .iter()
            .map(|command| command["text"].clone())
            .collect();
        assert_eq!(live, later, "{name}: live, and derived from the recording");
    }
}

fn recording(world: &World, id: &str) -> PathBuf {
    let mut found = Vec::new();
    files(&world.path("bastion/state/recordings"), &mut found);
    let of_it = |path: &PathBuf| path.parent().is_some_and(|dir| dir.ends_with(id));
    found
        .into_iter()
        .find(of_it)
        .unwrap()
        .parent()
        .unwrap()
        .to_owned()
}

#[test]
fn what_is_typed_is_revealed_kept_or_never_known() {
    for (setting, reveals, keeps) in [
        ("withhold", true, false),
        ("record", false, true),
        ("off", false, false),
    ] {
        let world = World::new().set("recording.typed", setting).start();
        drive(&world, &SHELLS[0]);
        let id = world.only_session()["id"].as_str().unwrap().to_owned();
        let events = world.events(&id);
        assert_eq!(event(&events, "session.start")["typed"], setting);
        let has = |kind: &str, text: &str| {
            let mut of_kind = events.iter().filter(|event| event["kind"] == kind);
            of_kind.any(|event| {
                event["data"]
                    .as_str()
                    .is_some_and(|data| data.contains(text))
            })
        };
        assert_eq!(has("input.reveal", "al''pha"), reveals, "{setting}");
        let typed: String = events
            .iter()
            .filter(|event| event["kind"] == "input")
            .filter_map(|event| event["data"].as_str())
            .collect();
        assert_eq!(typed.contains(SECRET), keeps, "{setting}: {typed:?}");
        let all = [texts(&events, "high"), texts(&events, "medium")].concat();
        assert!(all.contains(&"echo ome''ga"), "{setting}: {all:?}");
        if !keeps {
            assert_nowhere(&world, SECRET);
        }
    }
}

/// More output than can be followed live: the place is marked, and the recording gives every command.
#[test]
fn a_flood_is_marked_and_the_recording_gives_what_was_missed() {
    let world = World::new().start();
    let start = "PS1='READY> ' bash --norc --noprofile -i";
    let mut terminal = world.terminal("ana", &["-t", "db1", start]);
    terminal.see(PROMPT);
    terminal.type_in("echo al''pha\r").see("alpha").see(PROMPT);
    let flood = "yes wa''ter | head -c 5000000; echo fl''ooded";
    terminal.type_in(&format!("{flood}\r")).see("flooded");
    terminal.see(PROMPT);
    terminal.type_in("echo ome''ga\r").see("omega").see(PROMPT);
    terminal.type_in("exit\r").end();
    let session = world.only_session();
    let id = session["id"].as_str().unwrap();
    let lines: Vec<Value> = world
        .lines(id)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let blind = lines
        .iter()
        .find(|line| line["kind"] == "blind" && line["reason"] == "overload");
    assert!(blind.is_some(), "5 MB were followed live: no flood");
    let day = session["start"].as_str().unwrap()[..10].replace('-', "/");
    let dir = world.path("bastion/state/recordings").join(day).join(id);
    let found = world.verb(&["inspect", dir.to_str().unwrap()]).ok().out();
    let found: Value = serde_json::from_str(&found).unwrap();
    let again: Vec<&str> = found
        .as_object()
        .unwrap()
        .values()
        .flat_map(|commands| commands.as_array().unwrap())
        .filter_map(|command| command["text"].as_str())
        .collect();
    for command in ["echo al''pha", flood, "echo ome''ga"] {
        assert!(again.contains(&command), "{command} in {again:?}");
    }
    // Whoever looks afterwards has them all, and no place where some could be missing.
    let shown = world.verb(&["sessions", "show", id, "--json"]).ok().out();
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let told = shown["story"]["commands"].to_string();
    for command in ["echo al''pha", "fl''ooded", "echo ome''ga"] {
        assert!(told.contains(command), "{command} in {told}");
    }
    let blind = shown["story"]["blind"].to_string();
    assert!(!blind.contains("overload"), "{blind}");
    for command in ["al''pha", "fl''ooded", "ome''ga"] {
        crate::wait::until("it is found", || {
            let run = world.verb(&["search", "--in", "commands", "--json", command]);
            (run.code == 0).then_some(())
        });
    }
    // What was found live is right as well: it is among what the recording gives.
    for line in lines.iter().filter(|line| line["kind"] == "command") {
        let text = line["text"].as_str().unwrap();
        assert!(again.contains(&text), "{text} in {again:?}");
    }
}

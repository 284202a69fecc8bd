//! What a session's commands are does not depend on how busy its node was: one script, recorded as
//! by a node that followed it, and as by one that did not keep up.

use super::*;
use base64::Engine;
use portcullis::event::TextOrBytes;
use portcullis::inspect::{At, Found, Inspector};

enum Step {
    Typed(&'static str),
    Shown(String),
    /// Shown while the node did not keep up.
    Missed(String),
    /// Typed then.
    TypedUnseen(&'static str),
}
use Step::{Missed, Shown, Typed, TypedUnseen};

const PROMPT: &str = "READY> ";
const SIZE: (u32, u32) = (80, 24);

fn line(command: &'static str) -> [Step; 3] {
    let (text, _) = command.split_once('\r').unwrap();
    [
        Typed(command),
        Shown(text.to_owned()),
        Shown("\r\n".to_owned()),
    ]
}

fn text(bytes: &TextOrBytes) -> Vec<u8> {
    match (&bytes.data, &bytes.base64) {
        (Some(text), _) => text.clone().into_bytes(),
        (None, bytes) => base64::engine::general_purpose::STANDARD
            .decode(bytes.as_ref().unwrap())
            .unwrap(),
    }
}

/// The recording, and what the node found meanwhile. With `keeps_up` it saw everything.
fn recorded(script: &[Step], keeps_up: bool) -> Tape {
    let mut tape = Tape::new(ANA);
    tape.start().shell(&[]);
    let close = tape.lines.pop().unwrap();
    let mut inspector = Inspector::new(SIZE.0, SIZE.1).unwrap();
    let (mut ms, mut typed, mut missed_from) = (10, 0, None);
    let at = |ms: u64| At {
        mt: ms * 1_000_000,
        seq: None,
    };
    for step in script {
        ms += 10;
        let unseen = !keeps_up && matches!(step, Missed(_) | TypedUnseen(_));
        if unseen {
            missed_from.get_or_insert(ms - 10);
        } else if let Some(from) = missed_from.take() {
            inspector.skip(at(from), at(ms), SIZE);
        }
        match step {
            Typed(text) | TypedUnseen(text) => {
                let n = text.len();
                tape.at(ms, "input", json!({"channel": 0, "withheld": true, "n": n}));
                if !unseen {
                    inspector.typed_before(typed);
                    inspector.typed(at(ms), text.as_bytes());
                }
                typed += n as u64;
            }
            Shown(text) | Missed(text) => {
                let n = text.len();
                tape.at(
                    ms,
                    "output",
                    json!({"channel": 0, "fd": 1, "data": text, "n": n}),
                );
                if !unseen {
                    inspector.shown(at(ms), text.as_bytes());
                }
            }
        }
        tell(&mut tape, ms, inspector.take());
    }
    inspector.finish(at(ms));
    tell(&mut tape, ms, inspector.take());
    let mut fields = close;
    for name in ["v", "sid", "seq", "ts", "mt", "kind"] {
        fields.as_object_mut().unwrap().remove(name);
    }
    tape.at(ms + 10, "channel.close", fields);
    tape
}

fn tell(tape: &mut Tape, ms: u64, found: Vec<Found>) {
    for found in found {
        let (kind, fields) = match found {
            Found::Command(command) => ("command", serde_json::to_value(command)),
            Found::Secret(secret) => ("command.secret", serde_json::to_value(secret)),
            Found::Blind(blind) => ("blind", serde_json::to_value(blind)),
            Found::Reveal(reveal) => {
                assert!(!text(&reveal.text).is_empty());
                ("input.reveal", serde_json::to_value(reveal))
            }
        };
        let mut fields = fields.unwrap();
        merge(&mut fields, json!({"channel": 0}));
        tape.audit(ms, kind, "success", fields);
    }
}

/// A flood in the middle, that the node does not follow, and with it the next prompt.
fn flood() -> Vec<Step> {
    let mut script = vec![Shown(PROMPT.to_owned())];
    script.extend(line("echo alpha\r"));
    script.push(Shown(format!("alpha\r\n{PROMPT}")));
    script.extend(line("yes | head -c 5000000\r"));
    for _ in 0..50 {
        script.push(Missed("y\r\n".repeat(100)));
    }
    // Its echo comes behind the flood, and the prompt is shown meanwhile.
    script.push(Missed(format!("\r\n{PROMPT}")));
    script.extend(line("echo omega\r"));
    script.push(Shown(format!("omega\r\n{PROMPT}")));
    script
}

async fn world(tape: &Tape) -> World {
    World::new(Doorkeeper::default(), &[tape]).await
}

async fn json_of(world: &World, line: &str) -> Value {
    let (code, output, errors) = world.run(line).await;
    assert_eq!(code, 0, "{line}: {output}{errors}");
    serde_json::from_str(&output).unwrap()
}

/// Without the numbers of lines: other lines stand in between.
fn plain(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            for name in ["seq", "from_seq", "to_seq", "uid", "derived"] {
                fields.remove(name);
            }
            fields.values_mut().for_each(|one| *one = plain(one.take()));
        }
        Value::Array(all) => all.iter_mut().for_each(|one| *one = plain(one.take())),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    value
}

/// What each way of looking says of commands.
async fn looks(world: &World) -> Vec<Value> {
    let story = json_of(world, "sessions show last --json").await["story"].take();
    let found = json_of(world, "search --in commands --json echo").await;
    let mut all = vec![
        plain(story["commands"].clone()),
        plain(story["blind"].clone()),
        plain(found),
    ];
    for format in ["csv", "ocsf", "ecs"] {
        let (code, output, errors) = world.run(&format!("export last --format {format}")).await;
        assert_eq!(code, 0, "{errors}");
        let commands: Vec<String> = match format {
            "csv" => {
                let mut rows = csv::Reader::from_reader(output.as_bytes());
                let rows = rows.records().map(Result::unwrap);
                let rows = rows.filter(|row| &row[4] == "command");
                rows.map(|row| {
                    let detail: Value = serde_json::from_str(&row[18]).unwrap();
                    plain(detail)["text"].to_string()
                })
                .collect()
            }
            _ => {
                let events = output.lines().map(|line| {
                    let event: Value = serde_json::from_str(line).unwrap();
                    event
                });
                let kind = |event: &Value| match format {
                    "ocsf" => event["unmapped"]["portcullis"]["kind"] == "command",
                    _ => event["event"]["action"] == "command",
                };
                let commands = events.filter(kind);
                commands
                    .map(|event| {
                        event["process"]["cmd_line"].to_string()
                            + &event["process"]["command_line"].to_string()
                    })
                    .collect()
            }
        };
        assert!(!commands.is_empty(), "no command in {format}: {output}");
        all.push(json!(commands));
    }
    let (_, page, _) = world.run("transcript last --format markdown").await;
    let headings = page.lines().filter(|line| line.starts_with("## "));
    all.push(json!(headings.collect::<Vec<_>>()));
    all
}

#[tokio::test]
async fn a_session_that_was_not_followed_live_has_the_commands_of_one_that_was() {
    let followed = recorded(&flood(), true).ended();
    let missed = recorded(&flood(), false).ended();
    let in_lines = |tape: &Tape, text: &str| {
        let lines = tape.lines.iter().filter(|line| line["kind"] == "command");
        lines.filter(|line| line["text"] == text).count()
    };
    assert_eq!(in_lines(&followed, "echo omega"), 1);
    let blind = |line: &&Value| line["reason"] == "overload";
    assert_eq!(missed.lines.iter().filter(blind).count(), 1);
    let (all, again) = (world(&followed).await, world(&missed).await);
    let (expected, found) = (looks(&all).await, looks(&again).await);
    for (expected, found) in expected.iter().zip(&found) {
        assert_eq!(expected, found);
    }
    assert_eq!(expected[0]["total"], 3, "{expected:#?}");
}

#[tokio::test]
async fn what_is_derived_has_an_id_of_its_own_and_the_recording_stays_as_it_is() {
    let missed = recorded(&flood(), false).ended();
    let world = world(&missed).await;
    let (_, output, _) = world.run("export last --format ocsf").await;
    let mut ids = std::collections::BTreeSet::new();
    let mut derived = 0;
    for line in output.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let uid = event["metadata"]["uid"].as_str().unwrap();
        assert!(ids.insert(uid.to_owned()), "{uid} twice");
        derived += u64::from(event["unmapped"]["portcullis"]["derived"] == true);
    }
    assert_eq!(derived, 3, "{output}");
    let (_, output, _) = world.run("export last").await;
    let expected: Vec<String> = missed
        .bytes()
        .into_iter()
        .map(|line| String::from_utf8(line).unwrap())
        .collect();
    assert_eq!(output.lines().collect::<Vec<_>>(), expected);
}

/// Nobody knows its keys any more: no list looks complete that is not.
#[tokio::test]
async fn where_a_line_was_typed_meanwhile_it_is_said_that_one_may_be_missing() {
    let mut script = flood();
    script.push(Missed("z\r\n".repeat(100) + PROMPT));
    script.push(TypedUnseen("echo hidden\r"));
    script.push(Missed("echo hidden".to_owned()));
    script.push(Missed(format!("\r\nhidden\r\n{PROMPT}")));
    script.extend(line("echo last\r"));
    script.push(Shown(format!("last\r\n{PROMPT}")));
    let missed = recorded(&script, false).ended();
    let world = world(&missed).await;
    let story = json_of(&world, "sessions show last --json").await["story"].take();
    let overloads = story["blind"].to_string().matches("overload").count();
    assert_eq!(overloads, 1, "of two, the one with keys: {story}");
    for text in ["echo alpha", "echo omega"] {
        assert!(story["commands"].to_string().contains(text), "{story}");
    }
}

#[tokio::test]
async fn a_session_that_runs_and_one_whose_keys_are_off_stay_as_they_were_found() {
    let running = recorded(&flood(), false);
    let mut off = recorded(&flood(), false).ended();
    off.lines[0]["typed"] = json!("off");
    for tape in [running, off] {
        let world = world(&tape).await;
        let story = json_of(&world, "sessions show last --json").await["story"].take();
        let reasons = story["blind"].to_string();
        assert!(reasons.contains("overload"), "{story}");
    }
}

impl Tape {
    fn ended(mut self) -> Self {
        self.end();
        self
    }
}

//! The same bytes give the same findings: however they were cut, and whether they were seen live or
//! read from a recording that withheld what was not shown.

use super::{Happened, commands, inspect, sessions};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portcullis::event::{Command, Marks, Span};
use portcullis::inspect::{At, Found};
use std::collections::BTreeMap;

/// Without times: an output frame in a recording begins where its first byte came.
fn texts(found: &[Found]) -> Vec<Command> {
    let plain = |command: &&Command| Command {
        span: Span::default(),
        marks: Marks {
            duration_ms: None,
            ..command.marks.clone()
        },
        ..(*command).clone()
    };
    commands(found).iter().map(plain).collect()
}

/// Output joined until something else happens, or cut into bytes.
fn recut(happened: &[(At, Happened)], joined: bool) -> Vec<(At, Happened)> {
    let mut out: Vec<(At, Happened)> = Vec::new();
    for (at, one) in happened {
        match (one, out.last_mut()) {
            (Happened::Shown(bytes), Some((_, Happened::Shown(before)))) if joined => {
                before.extend_from_slice(bytes);
            }
            (Happened::Shown(bytes), _) if !joined => {
                out.extend(bytes.iter().map(|byte| (*at, Happened::Shown(vec![*byte]))));
            }
            (Happened::Typed(bytes), _) if !joined => {
                out.extend(bytes.iter().map(|byte| (*at, Happened::Typed(vec![*byte]))));
            }
            _ => out.push((*at, one.clone())),
        }
    }
    out
}

#[test]
fn cuts_change_nothing() {
    for session in sessions() {
        let happened = session.happened();
        let whole = inspect(session.cols, session.rows, &happened);
        for joined in [true, false] {
            let again = inspect(session.cols, session.rows, &recut(&happened, joined));
            assert_eq!(texts(&whole), texts(&again), "{} {joined}", session.name);
        }
    }
}

/// What a recording holds: typed bytes only where they were revealed.
fn withheld(happened: &[(At, Happened)], found: &[Found]) -> Vec<(At, Happened)> {
    let mut revealed = BTreeMap::new();
    for found in found {
        if let Found::Reveal(reveal) = found {
            let bytes = match (&reveal.text.data, &reveal.text.base64) {
                (Some(text), _) => text.clone().into_bytes(),
                (None, text) => STANDARD.decode(text.as_ref().unwrap()).unwrap(),
            };
            for (at, byte) in (reveal.offset..).zip(bytes) {
                revealed.insert(at, byte);
            }
        }
    }
    let mut offset = 0;
    let mut out = Vec::new();
    for (at, one) in happened {
        let Happened::Typed(bytes) = one else {
            out.push((*at, one.clone()));
            continue;
        };
        for byte in bytes {
            let kept = revealed.get(&offset);
            out.push(match kept {
                Some(kept) => {
                    assert_eq!(kept, byte, "a reveal says what was typed there");
                    (*at, Happened::Typed(vec![*byte]))
                }
                None => (*at, Happened::Withheld(1)),
            });
            offset += 1;
        }
    }
    out
}

#[test]
fn a_recording_that_withholds_gives_the_same_commands() {
    for session in sessions() {
        let happened = session.happened();
        let live = inspect(session.cols, session.rows, &happened);
        let recorded = withheld(&happened, &live);
        if let Some(secret) = &session.secret {
            let kept: Vec<u8> = recorded
                .iter()
                .flat_map(|(_, one)| match one {
                    Happened::Typed(bytes) => bytes.clone(),
                    Happened::Withheld(_) | Happened::Shown(_) | Happened::Resized(..) => vec![],
                })
                .collect();
            let kept = String::from_utf8_lossy(&kept);
            assert!(!kept.contains(secret.as_str()), "{}", session.name);
        }
        let later = inspect(session.cols, session.rows, &recorded);
        // A line that was not shown is a secret where its text is not kept.
        let mut live = texts(&live);
        live.retain(|command| command.confidence > portcullis::event::Confidence::Low);
        assert_eq!(live, texts(&later), "{}", session.name);
    }
}

//! Looking at recordings: the verbs as somebody behind ssh runs them, on recordings that this test
//! writes itself, line by line, in the published format.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use portcullis::access::{Caller, Denied};
use portcullis::cli::console;
use portcullis::cli::node::index;
use portcullis::cli::recordings::look::{House, Look, Looker, Watching};
use portcullis::cli::recordings::{events, export, play, review, search, sessions, transcript};
use portcullis::clock::Clock;
use portcullis::event::{Audit, Decision, Kind, Outcome};
use portcullis::id::SessionId;
use portcullis::policy::{Action, Resource};
use portcullis::proxy::{Call, Taking, VerbEnd};
use portcullis::replay::{Archive, Problem, Step, What};
use portcullis::sink::{Cut, Index};
use portcullis::store::{Filter, Store};
use serde_json::{Value, json};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

#[path = "look/cast.rs"]
mod cast;
#[path = "look/page.rs"]
mod page;
#[path = "look/search.rs"]
mod searching;
#[path = "look/whole.rs"]
mod whole;

const ANA: &str = "01935f3e-8a7b-7000-8000-0000000000a1";
const BO: &str = "01935f3f-8a7b-7000-8000-0000000000b2";
/// 2026-11-24T00:00:00Z
const START: i64 = 1_795_478_400;

/// What a terminal obeys: titles, clipboard, reports, links, modes, C1, bidi, invisible text.
const ATTACKS: &[&str] = &[
    "\x1b]0;title\x07",
    "\x1b]2;title\x1b\\",
    "\x1b]52;c;cm0gLXJmIC8=\x07",
    "\x1bP$q\"p\x1b\\",
    "\x1bP+q544e\x1b\\",
    "\x1b]8;;http://evil.example/\x07click\x1b]8;;\x07",
    "\x1b[6n\x1b[c\x1b[>c\x1b[21t\x1b[5n\x1b[0x",
    "\x1b]10;?\x07\x1b]4;1;?\x07",
    "\x1b[?1000h\x1b[?1006h\x1b[?2004h\x1b[?1049h\x1b[?1049l",
    "\x1b[8;1;1t\x1b[2J\x1b[1;1H",
    "\x1b_Gf=100;x\x1b\\\x1b^pm\x1b\\\x1bXsos\x1b\\",
    "\u{9b}31m\u{9d}0;c1\u{9c}\u{90}q\u{9c}\u{85}\u{84}",
    "\u{202e}gnp.exe\u{202c}\u{2066}\u{2069}\u{200b}\u{feff}\u{ad}",
    "\x00\x07\x08\x0b\x0c\x0e\x0f\x7f",
    "line\r\n\x1b[A\x1b[2Koverwritten",
    "\u{e0041}\u{e007f}\u{61c}\u{180e}",
];

/// A recording on its way to disk.
struct Tape {
    sid: SessionId,
    lines: Vec<Value>,
}

impl Tape {
    fn new(sid: &str) -> Self {
        Self {
            sid: sid.parse().unwrap(),
            lines: Vec::new(),
        }
    }

    fn at(&mut self, ms: u64, kind: &str, fields: Value) -> &mut Self {
        let ts = chrono::DateTime::from_timestamp(START, 0).unwrap() + Duration::from_millis(ms);
        let mut line = json!({
            "v": 1, "sid": self.sid, "seq": self.lines.len(), "mt": ms * 1_000_000, "kind": kind,
            "ts": ts.to_rfc3339_opts(chrono::SecondsFormat::Nanos, true),
        });
        merge(&mut line, fields);
        self.lines.push(line);
        self
    }

    fn audit(&mut self, ms: u64, kind: &str, outcome: &str, fields: Value) -> &mut Self {
        let who = if self.sid.to_string() == ANA {
            "ana"
        } else {
            "bo"
        };
        let mut all = json!({
            "outcome": outcome,
            "who": {"subject": who, "groups": ["dba"], "mfa": "unknown",
                    "certificate": {"fingerprint": "SHA256:k", "key_id": who, "serial": u64::MAX,
                                    "ca": "SHA256:ca", "not_after": "2026-11-24T08:00:00Z"},
                    "source": {"ip": "192.0.2.7", "port": 50000}},
            "where": {"node": "n1", "target": "db1", "address": "10.0.3.17", "port": 22, "login": "root"},
            "why": {"justification": "disk full", "ticket": "INC-42", "break_glass": false,
                    "source": "certificate"},
        });
        merge(&mut all, fields);
        self.at(ms, kind, all)
    }

    fn start(&mut self) -> &mut Self {
        self.audit(0, "session.start", "success", json!({
            "started_unix_ns": START * 1_000_000_000, "door": "jump", "client_version": "SSH-2.0-OpenSSH_9.2",
            "negotiated": {"kex": "", "cipher": "", "mac": "", "host_key": ""}, "certificate": "x",
            "decision": {"action": "shell", "allowed": true, "policies": ["a.cedar#own"]},
            "policy_set": "00", "typed": "withhold", "content_bytes": 1048576,
            "clock_synchronised": null, "build": "0.1.0", "a_field_of_tomorrow": [1],
        }))
    }

    fn shell(&mut self, outputs: &[&str]) -> &mut Self {
        let allowed = json!({"action": "shell", "allowed": true, "policies": ["a.cedar#own"]});
        self.audit(
            1,
            "channel.open",
            "success",
            json!({"channel": 0, "channel_type": "session"}),
        )
        .audit(
            2,
            "pty",
            "success",
            json!({"channel": 0, "term": "xterm", "cols": 80, "rows": 24}),
        )
        .audit(
            3,
            "shell",
            "success",
            json!({"channel": 0, "decision": allowed}),
        );
        for (n, text) in outputs.iter().enumerate() {
            let at = 10 + 10 * n as u64;
            self.at(at, "input", json!({"channel": 0, "withheld": true, "n": 2}))
                .at(
                    at,
                    "output",
                    json!({"channel": 0, "fd": 1, "data": text, "n": text.len()}),
                );
        }
        self.audit(
            900,
            "channel.close",
            "success",
            json!({"channel": 0, "exit_status": 3, "input_bytes": 7, "output_bytes": 70}),
        )
    }

    fn end(&mut self) -> &mut Self {
        self.audit(1000, "session.end", "success", json!({
            "reason": "target_exit",
            "totals": {"duration_ms": 1000, "channels": 1, "input_bytes": 7, "output_bytes": 70},
        }))
    }

    fn bytes(&self) -> Vec<Vec<u8>> {
        self.lines
            .iter()
            .map(|line| serde_json::to_vec(line).unwrap())
            .collect()
    }

    /// Writes chunks of `a_chunk` lines; gives their directory.
    fn write(&self, state: &Path, a_chunk: usize) -> PathBuf {
        let dir = state
            .join("recordings/2026/11/24")
            .join(self.sid.to_string());
        std::fs::create_dir_all(&dir).unwrap();
        for (number, lines) in self.bytes().chunks(a_chunk).enumerate() {
            let mut text = lines.join(&b'\n');
            text.push(b'\n');
            let chunk = zstd::encode_all(text.as_slice(), 3).unwrap();
            std::fs::write(dir.join(format!("{number:06}.jsonl.zst")), chunk).unwrap();
        }
        dir
    }
}

fn merge(into: &mut Value, from: Value) {
    let Value::Object(from) = from else {
        panic!("not an object")
    };
    into.as_object_mut().unwrap().extend(from);
}

/// Lets everybody see the sessions of one person, and remembers who looked.
#[derive(Default)]
struct Doorkeeper {
    sees: Option<&'static str>,
    looked: Mutex<Vec<Audit>>,
    broken: bool,
}

impl House for Doorkeeper {
    fn may(&self, _: &Caller, action: Action, resource: Resource) -> Result<Decision, Denied> {
        assert!(matches!(
            action,
            Action::View | Action::Replay | Action::Export | Action::Review
        ));
        let Resource::Session {
            owner,
            same_certificate,
        } = resource
        else {
            panic!("not a session")
        };
        assert!(!same_certificate, "an operator has no certificate");
        match self.sees {
            None => Ok(Decision::default()),
            Some(name) if owner.as_ref().is_some_and(|owner| owner.as_str() == name) => {
                Ok(Decision::default())
            }
            Some(_) => Err(Denied::NeedsReason),
        }
    }

    fn append_node(
        &self,
        audit: Audit,
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>> {
        self.looked.lock().unwrap().push(audit);
        let done = if self.broken {
            Err("the disk is full".to_owned())
        } else {
            Ok(())
        };
        Box::pin(async { done })
    }

    fn cut_node(&self) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>> {
        Box::pin(async { Ok(()) })
    }

    fn cut(&self, _: SessionId) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>> {
        Box::pin(async { Ok(()) })
    }

    fn watch(&self, _: SessionId) -> Watching<'_> {
        Box::pin(async { Ok(None) })
    }
}

struct World {
    state: tempfile::TempDir,
    look: Look,
    house: Arc<Doorkeeper>,
}

impl World {
    async fn new(house: Doorkeeper, tapes: &[&Tape]) -> Self {
        let state = tempfile::tempdir().unwrap();
        for tape in tapes {
            tape.write(state.path(), 4);
        }
        let archive = Archive::new(state.path().join("recordings"));
        let store = Store::open(&state.path().join("portcullis.db"))
            .await
            .unwrap();
        store.catch_up(&archive).await.unwrap();
        store.catch_up_told(&archive, true).await.unwrap();
        let house = Arc::new(house);
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(START as u64 + 3600);
        let look = Look {
            archive,
            store,
            clock: Clock::standing_at(now),
            house: house.clone(),
        };
        Self { state, look, house }
    }

    async fn both() -> Self {
        let mut ana = Tape::new(ANA);
        ana.start().shell(&["$ ls\r\nfile\r\n$ "]).end();
        let mut bo = Tape::new(BO);
        bo.start().shell(&["$ "]);
        Self::new(
            Doorkeeper {
                sees: Some("ana"),
                ..Doorkeeper::default()
            },
            &[&ana, &bo],
        )
        .await
    }

    fn by(&self) -> Looker {
        let user = "root".to_owned();
        Looker::new(Caller::Operator { user }, None, None)
    }

    /// Runs a line; gives exit code, output and errors.
    async fn run(&self, line: &str) -> (u8, String, String) {
        self.run_on(line, None).await
    }

    async fn run_on(&self, line: &str, size: Option<(u16, u16)>) -> (u8, String, String) {
        let (mut out, out_end) = tokio::io::duplex(64 * 1024 * 1024);
        let (mut err, err_end) = tokio::io::duplex(64 * 1024 * 1024);
        let mut call = call(
            Box::new(tokio::io::empty()),
            Box::new(out_end),
            Box::new(err_end),
            size,
        );
        let code = self.verb(line, &mut call).await;
        drop(call);
        let (mut output, mut errors) = (String::new(), String::new());
        out.read_to_string(&mut output)
            .await
            .expect("output is UTF-8");
        err.read_to_string(&mut errors)
            .await
            .expect("errors are UTF-8");
        (code, output, errors)
    }

    async fn verb(&self, line: &str, call: &mut Call) -> u8 {
        #[derive(clap::Parser)]
        enum Verb {
            Sessions(sessions::SessionsArgs),
            Events(events::EventsArgs),
            Transcript(transcript::TranscriptArgs),
            Replay(play::ReplayArgs),
            Search(search::SearchArgs),
            Index(index::IndexArgs),
            Export(export::ExportArgs),
            Review(review::ReviewArgs),
        }
        let words = std::iter::once("portcullis").chain(line.split(' '));
        let by = self.by();
        match <Verb as clap::Parser>::try_parse_from(words).unwrap() {
            Verb::Sessions(args) => sessions::run(&args, &self.look, &by, call).await,
            Verb::Events(args) => events::run(&args, &self.look, &by, call).await,
            Verb::Transcript(args) => transcript::run(&args, &self.look, &by, call).await,
            Verb::Replay(args) => {
                // A player lives by real time.
                let look = Look {
                    clock: Clock::system(),
                    ..self.look.clone()
                };
                play::run(&args, &look, &by, call).await
            }
            Verb::Export(args) => export::run(&args, &self.look, &by, call).await,
            Verb::Review(args) => review::run(&args, &self.look, &by, call).await,
            Verb::Search(args) => search::run(&args, &self.look, &by, call).await,
            Verb::Index(args) => {
                let Look { archive, store, .. } = &self.look;
                index::run(&args, archive, store, true, call).await
            }
        }
    }

    fn looked(&self) -> Vec<(Kind, Outcome)> {
        let looked = self.house.looked.lock().unwrap();
        looked
            .iter()
            .map(|audit| (audit.kind.clone(), audit.outcome))
            .collect()
    }
}

fn call(
    input: Box<dyn tokio::io::AsyncRead + Send + Unpin>,
    output: Box<dyn tokio::io::AsyncWrite + Send + Unpin>,
    errors: Box<dyn tokio::io::AsyncWrite + Send + Unpin>,
    size: Option<(u16, u16)>,
) -> Call {
    Call {
        line: String::new(),
        input,
        output,
        errors,
        terminal: size.map(|size| watch::channel(size).1),
        env: vec![("TZ".to_owned(), "Europe/Berlin".to_owned())],
        taking: Taking::Stream,
        reference: ANA.parse().unwrap(),
    }
}

/// Nothing that a terminal obeys, but what is allowed.
fn assert_harmless(text: &str, allowed: &[char]) {
    for c in text.chars().filter(|c| !allowed.contains(c)) {
        let hidden = matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}');
        assert!(!c.is_control() && !hidden, "{c:?} in {text:?}");
    }
}

#[tokio::test]
async fn a_list_shows_what_one_may_see() {
    let world = World::both().await;
    let (code, output, errors) = world.run("sessions").await;
    assert_eq!((code, errors.as_str()), (0, ""));
    assert!(output.contains(ANA) && !output.contains(BO), "{output}");
    for word in [
        "ana",
        "root@db1",
        "INC-42",
        "disk full",
        "target_exit",
        "2026-11-24 01:00:00 +01:00",
    ] {
        assert!(output.contains(word), "{word} in {output}");
    }
    let (_, output, _) = world.run("sessions --json").await;
    let rows: Vec<Value> = serde_json::from_str(&output).unwrap();
    let expected = json!({
        "id": ANA, "identity": "ana", "target": "db1", "login": "root", "door": "jump",
        "start": "2026-11-24T00:00:00.000000000Z", "end": "2026-11-24T00:00:01.000000000Z",
        "active": false, "end_reason": "target_exit", "outcome": "success",
        "justification": "disk full", "ticket": "INC-42", "channels": 1, "input_bytes": 7,
        "output_bytes": 70,
    });
    assert_eq!(
        rows,
        [expected],
        "scripts rely on these fields and no others"
    );
    assert_eq!(world.looked().len(), 2, "each look is an event");
}

#[tokio::test]
async fn filters_find_and_leave_out() {
    let mut ana = Tape::new(ANA);
    ana.start().shell(&[]).end();
    let mut bo = Tape::new(BO);
    bo.start();
    let world = World::new(Doorkeeper::default(), &[&ana, &bo]).await;
    for (line, ids) in [
        ("sessions --json", &[BO, ANA][..]),
        ("sessions --json --limit 1", &[BO]),
        ("sessions --json --identity ana", &[ANA]),
        ("sessions --json --active", &[BO]),
        (
            "sessions --json --target DB1. --login root --ticket INC-42",
            &[BO, ANA],
        ),
        ("sessions --json --target db2", &[]),
        ("sessions --json --since 2026-11-24T00:00:02Z", &[BO]),
        (
            "sessions --json --since 2h --until 2026-11-24T02:00:00",
            &[BO, ANA],
        ),
        ("sessions --json --until 2026-11-24", &[]),
        (
            "sessions --json --since 2026-11-24T01:00 --until 2026-11-24T02:00",
            &[BO, ANA],
        ),
        (
            "sessions --json --since 2026-11-24T01:30 --identity ana",
            &[],
        ),
    ] {
        let (code, output, _) = world.run(line).await;
        let rows: Vec<Value> = serde_json::from_str(&output).unwrap();
        let found: Vec<&str> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
        assert_eq!(found, ids, "{line}");
        assert_eq!(code, u8::from(ids.is_empty()), "{line}");
    }
    assert_eq!(world.run("sessions --since yesterday").await.0, 2);
}

#[tokio::test]
async fn forbidden_and_unknown_sessions_answer_alike_and_nothing_is_shown() {
    let world = World::both().await;
    for verb in ["events", "transcript", "sessions show"] {
        let mut answers = Vec::new();
        for id in [
            BO,
            "01935f3f-8a7b-7000-8000-00000000ffff",
            "b2",
            "xyz",
            "01935f3f",
        ] {
            let (code, output, errors) = world.run(&format!("{verb} {id}")).await;
            assert_eq!((code, output.as_str()), (1, ""), "{verb} {id}");
            answers.push(errors.replace(id, "ID"));
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "{answers:?}");
        assert!(
            answers[0].starts_with("portcullis: no session `ID`"),
            "{answers:?}"
        );
    }
    let denied = world
        .looked()
        .into_iter()
        .filter(|(_, outcome)| *outcome == Outcome::Denied);
    assert_eq!(
        denied.count(),
        9,
        "three verbs, three names of the forbidden one"
    );
}

#[tokio::test]
async fn a_part_that_is_unique_among_what_one_sees_is_enough() {
    let world = World::both().await;
    for id in [ANA, "a1", "0193", "last", "01935F3E", "0000000000a1"] {
        assert_eq!(world.run(&format!("events {id}")).await.0, 0, "{id}");
    }
    let mut ana = Tape::new(ANA);
    ana.start();
    let mut bo = Tape::new(BO);
    bo.start();
    let world = World::new(Doorkeeper::default(), &[&ana, &bo]).await;
    let (code, _, errors) = world.run("events 0193").await;
    assert_eq!(code, 2);
    assert!(errors.contains(ANA) && errors.contains(BO), "{errors}");
}

#[tokio::test]
async fn every_verb_answers_a_forbidden_session_as_one_that_is_not() {
    let world = World::both().await;
    // The recording of bo's is there, in the index and on disk; the others are nowhere.
    let same_day = BO.replace("b2", "b3");
    let another = BO.replace("01935f3f", "01a35f3f");
    for verb in [
        "sessions show {}",
        "sessions show --json {}",
        "events {}",
        "transcript {}",
        "transcript --format html {}",
        "replay {}",
        "replay --follow {}",
        "export {}",
        "export --format asciicast-v3 {}",
        "review {} --note seen",
    ] {
        let size = verb.starts_with("replay").then_some((80, 24));
        let said = async |id: &str| {
            let before = world.looked().len();
            let (code, output, errors) = world.run_on(&verb.replace("{}", id), size).await;
            let said = (code, output.replace(id, "ID"), errors.replace(id, "ID"));
            (said, world.looked().len() - before)
        };
        let (forbidden, recorded) = said(BO).await;
        assert_eq!(forbidden.0, 1, "{verb}: {forbidden:?}");
        assert_eq!(forbidden.1, "", "{verb}");
        assert!(recorded >= 1, "{verb}: that they tried is recorded");
        for id in [&same_day, &another] {
            assert_eq!(said(id).await.0, forbidden, "{verb} {id}");
        }
        // Parts of an id tell nothing either.
        let (part, _) = said(&BO[24..]).await;
        assert_eq!(part, said("0000000000b3").await.0, "{verb}");
    }
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_shown() {
    let mut ana = Tape::new(ANA);
    ana.start().shell(&["secret"]).end();
    let house = Doorkeeper {
        broken: true,
        ..Doorkeeper::default()
    };
    let world = World::new(house, &[&ana]).await;
    for line in [
        "sessions",
        "sessions show last",
        "events last",
        "transcript last",
    ] {
        let (code, output, errors) = world.run(line).await;
        assert_eq!((code, output.as_str()), (4, ""), "{line}");
        assert!(errors.contains("the disk is full"), "{errors}");
    }
    let (code, output, _) = world.run_on("replay last", Some((80, 24))).await;
    assert_eq!((code, output.as_str()), (4, ""));
}

#[tokio::test]
async fn events_are_the_recorded_lines_byte_for_byte() {
    let world = World::both().await;
    let mut ana = Tape::new(ANA);
    ana.start().shell(&["$ ls\r\nfile\r\n$ "]).end();
    let mut whole = ana.bytes().join(&b'\n');
    whole.push(b'\n');
    let (code, output, errors) = world.run(&format!("events {ANA}")).await;
    assert_eq!((code, errors.as_str()), (0, ""));
    assert_eq!(output.as_bytes(), whole);
    let (_, output, _) = world.run("events a1 --kind output channel.*").await;
    let kinds: Vec<Value> = output
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let kinds: Vec<&str> = kinds
        .iter()
        .map(|line| line["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["channel.open", "output", "channel.close"]);
    assert_eq!(world.run("events a1 --kind git").await.0, 1);
    assert_eq!(world.run("events a1 --kind nothing").await.0, 2);
}

#[tokio::test]
async fn show_says_who_why_where_when_and_what() {
    let mut ana = Tape::new(ANA);
    ana.start().shell(&["x"]);
    let no = json!({"action": "exec", "allowed": false, "policies": []});
    let command = json!({"data": "rm -rf /", "n": 8});
    ana.audit(
        950,
        "exec",
        "denied",
        json!({"channel": 1, "command": command, "decision": no}),
    );
    ana.end();
    let world = World::new(Doorkeeper::default(), &[&ana]).await;
    let (code, output, _) = world.run("sessions show last").await;
    assert_eq!(code, 0);
    for line in [
        "session    01935f3e-8a7b-7000-8000-0000000000a1",
        "who        ana (groups dba), certificate `ana` serial 18446744073709551615 of CA SHA256:ca, from 192.0.2.7",
        "why        disk full (ticket INC-42), said by certificate",
        "where      db1 as root at 10.0.3.17:22, through the door `jump` of node n1",
        "when       2026-11-24 01:00:00 +01:00 to 2026-11-24 01:00:01 +01:00 (1s)",
        "ended      target_exit",
        "channel    0  shell, terminal xterm 80x24, exit status 3, 7 in, 70 out",
        "refused    exec `rm -rf /`, no policy allows it",
    ] {
        assert!(output.contains(line), "{line}\nnot in\n{output}");
    }
    let (_, output, _) = world.run("sessions show last --json").await;
    let row: Value = serde_json::from_str(&output).unwrap();
    assert_eq!(row["story"]["channels"]["0"]["close"]["exit_status"], 3);
    assert_eq!(row["why_source"], "certificate");
    assert_eq!(
        (&row["source_ip"], &row["node"]),
        (&json!("192.0.2.7"), &json!("n1"))
    );
}

#[tokio::test]
async fn damage_is_named_and_the_rest_is_read() {
    let mut ana = Tape::new(ANA);
    ana.start()
        .shell(&["one\r\n", "two\r\n", "three\r\n", "four\r\n", "five\r\n"])
        .end();
    let world = World::new(Doorkeeper::default(), &[&ana]).await;
    let dir = ana.write(world.state.path(), 4);
    let mut chunk = std::fs::read(dir.join("000001.jsonl.zst")).unwrap();
    chunk.truncate(20);
    std::fs::write(dir.join("000001.jsonl.zst"), chunk).unwrap();
    std::fs::remove_file(dir.join("000002.jsonl.zst")).unwrap();
    let (code, output, errors) = world.run("events last").await;
    assert_eq!(code, 4);
    assert!(
        errors.contains("chunk 000001: it cannot be read"),
        "{errors}"
    );
    assert!(errors.contains("chunk 000002: it is missing"), "{errors}");
    assert!(output.contains("session.end"));
    let (code, output, _) = world.run("transcript last").await;
    assert_eq!(code, 4);
    assert!(
        output.contains("[portcullis] damage: chunk 000002: it is missing"),
        "{output}"
    );
    assert!(output.contains("are missing"), "{output}");
    let (code, output, _) = world.run("sessions show last").await;
    assert_eq!(code, 4);
    assert!(output.contains("DAMAGED"), "{output}");
}

#[tokio::test]
async fn lines_that_are_too_long_torn_foreign_or_again_are_named() {
    let state = tempfile::tempdir().unwrap();
    let mut ana = Tape::new(ANA);
    ana.start().shell(&[]).end();
    let dir = ana.write(state.path(), 100);
    let mut bo = Tape::new(BO);
    bo.start();
    let mut lines = ana.bytes();
    lines.insert(1, bo.bytes().remove(0));
    lines.insert(1, lines[0].clone());
    lines.insert(1, vec![b'x'; 2 * 1024 * 1024]);
    lines.insert(1, b"not json".to_vec());
    lines.remove(6);
    let mut text = lines.join(&b'\n');
    text.extend(b"\n{\"v\":1");
    std::fs::write(
        dir.join("000000.jsonl.zst"),
        zstd::encode_all(text.as_slice(), 1).unwrap(),
    )
    .unwrap();
    let archive = Archive::new(state.path().join("recordings"));
    let problems: Vec<Problem> = archive
        .events(ANA.parse().unwrap())
        .unwrap()
        .filter_map(|step| match step.unwrap() {
            Step::Damage(damage) => Some(damage.problem),
            Step::Line(_) => None,
        })
        .collect();
    assert!(
        matches!(problems[0], Problem::NotAnEvent { .. }),
        "{problems:?}"
    );
    assert_eq!(problems[1], Problem::TooLong { line: 3 });
    assert_eq!(problems[2], Problem::Disorder { seq: 0 });
    assert_eq!(
        problems[3],
        Problem::Foreign {
            other: BO.parse().unwrap()
        }
    );
    assert_eq!(problems[4], Problem::Gap { from: 2, to: 2 });
    assert!(matches!(problems[5], Problem::Torn { .. }), "{problems:?}");
}

/// JSON Lines are the recorded bytes; what is wrong with them is said beside them.
#[tokio::test]
async fn lines_that_are_missing_or_of_a_newer_version_are_named_beside_the_bytes() {
    let mut ana = Tape::new(ANA);
    ana.start().shell(&["one\r\n", "two\r\n"]).end();
    let world = World::new(Doorkeeper::default(), &[&ana]).await;
    let everything = ana.lines.clone();
    ana.lines.remove(3);
    ana.lines.insert(4, everything[1].clone());
    let dir = ana.write(world.state.path(), 100);
    for number in [1, 2] {
        std::fs::remove_file(dir.join(format!("{number:06}.jsonl.zst"))).unwrap();
    }
    let again = String::from_utf8(ana.bytes().join(&b'\n')).unwrap() + "\n";
    let named = [
        "events 3 to 3 are missing",
        "event 1 comes again or out of order\n",
    ];
    for (line, code) in [("events last", 4), ("export last", 1)] {
        let (found, output, errors) = world.run(line).await;
        assert_eq!((found, output.as_str()), (code, again.as_str()), "{errors}");
        for named in named {
            assert!(errors.contains(named), "no `{named}` in {errors}");
        }
    }
    let (_, _, errors) = world.run("export last --format csv").await;
    assert!(errors.contains("2 damaged places"), "{errors}");
    ana.lines = everything;
    for line in &mut ana.lines {
        line["v"] = json!(2);
    }
    ana.write(world.state.path(), 100);
    let newer = String::from_utf8(ana.bytes().join(&b'\n')).unwrap() + "\n";
    for (line, code) in [("events last", 4), ("export last", 1)] {
        let (found, output, errors) = world.run(line).await;
        assert_eq!((found, output.as_str()), (code, newer.as_str()), "{errors}");
        let said = errors.matches("version 2").count();
        assert_eq!(said, 1, "once: {errors}");
        assert!(!errors.contains("damaged recording"), "{errors}");
    }
}

/// An auditor counts the rows.
#[tokio::test]
async fn a_receipt_counts_what_is_in_the_file() {
    let mut ana = Tape::new(ANA);
    ana.start().shell(&["one\r\n", "two\r\n"]).end();
    let world = World::new(Doorkeeper::default(), &[&ana]).await;
    for (format, beside) in [("jsonl", 0), ("csv", 1), ("ocsf", 0), ("ecs", 0)] {
        let (code, output, errors) = world.run(&format!("export last --format {format}")).await;
        let rows = output.lines().count() - beside;
        let said = format!("1 sessions, {rows} events, ");
        assert!(code == 0 && errors.contains(&said), "`{said}` in {errors}");
        let told = world.looked().pop();
        let Some((Kind::Export(told), _)) = told else {
            panic!("not an export: {told:?}")
        };
        assert_eq!(told.events, rows as u64);
    }
    let audits = ana.lines.iter().filter(|line| line["outcome"].is_string());
    let audits = audits.count();
    assert!(audits < ana.lines.len());
    let (_, output, _) = world.run("export last --format csv").await;
    assert_eq!(output.lines().count(), 1 + audits);
}

#[tokio::test]
async fn a_newer_version_is_refused_with_what_to_do() {
    let mut ana = Tape::new(ANA);
    ana.start().end();
    let world = World::new(Doorkeeper::default(), &[&ana]).await;
    for line in &mut ana.lines {
        line["v"] = json!(2);
    }
    ana.write(world.state.path(), 4);
    let (code, output, errors) = world.run("transcript last").await;
    assert_eq!((code, output.as_str()), (4, ""));
    assert!(
        errors.contains("version 2") && errors.contains("use a newer portcullis"),
        "{errors}"
    );
}

#[tokio::test]
async fn a_transcript_is_what_one_saw() {
    let mut ana = Tape::new(ANA);
    ana.start().shell(&[
        "$ ls\r\nfi",
        "le\r\n$ vi\r\n\x1b[?1049hpage\x1b[?1049l[portcullis] fake\r\n",
    ]);
    ana.at(
        950,
        "output",
        json!({"channel": 1, "fd": 1, "base64": "/wo=", "n": 2}),
    );
    ana.at(
        960,
        "notice",
        json!({"channel": 1, "data": "portcullis: bye\n", "n": 16}),
    )
    .end();
    let world = World::new(Doorkeeper::default(), &[&ana]).await;
    let (code, output, _) = world.run("transcript last").await;
    assert_eq!(code, 0);
    let expected = "[portcullis] channel 0\n[portcullis] shell\n$ ls\nfile\n$ vi\n\
        [portcullis] full-screen program from 0:00:00 to 0:00:00 (0s)\n\\[portcullis] fake\n\
        [portcullis] closed, exit status 3\n[portcullis] channel 1\n\u{fffd}\n[portcullis] notice: portcullis: bye\n";
    assert_eq!(output, expected);
}

/// Two commands on a terminal, each in the midst of what was shown, and said after it.
fn typed_commands() -> Tape {
    let mut ana = Tape::new(ANA);
    ana.start().shell(&[]);
    ana.lines.pop();
    let show = |tape: &mut Tape, ms: u64, text: &str| {
        let fields = json!({"channel": 0, "fd": 1, "data": text, "n": text.len()});
        tape.at(ms, "output", fields);
    };
    let ran = |tape: &mut Tape, ms: u64, from: u64, text: &str| {
        let fields = json!({"channel": 0, "text": text, "lines": 1, "confidence": "high",
            "sources": ["typed"], "from_mt": from * 1_000_000, "to_mt": ms * 1_000_000, "exit_status": 1});
        tape.audit(ms, "command", "success", fields);
    };
    show(&mut ana, 10, "hello\r\n$ ");
    show(&mut ana, 20, "cat <x>\r\n");
    show(
        &mut ana,
        30,
        "\x1b[31mred</pre>\x1b[0m \x1b[1;38;5;196mbold\x1b[0m\r\n```\r\n````` # no\r\n$ ",
    );
    ran(&mut ana, 31, 20, "cat <x>");
    show(&mut ana, 40, "`echo`\r\n\x1b[?1049hsecret\x1b[?1049l$ ");
    ran(&mut ana, 41, 40, "`echo`");
    ana.at(
        42,
        "notice",
        json!({"channel": 0, "data": "\r\nportcullis: 5 minutes left\r\n", "n": 31}),
    );
    ana.end();
    ana
}

#[tokio::test]
async fn markdown_has_commands_as_headings_and_fences_that_hold() {
    let world = World::new(Doorkeeper::default(), &[&typed_commands()]).await;
    let (code, output, errors) = world.run("transcript last --format markdown").await;
    assert_eq!((code, errors.as_str()), (0, ""));
    let body = output.split("- allowed by: ` a.cedar#own `\n\n").last();
    let expected = "*portcullis:* channel 0\n\n*portcullis:* ` shell `\n\n````text\nhello\n````\n\n\
        ## 0:00:00 ` cat <x> `\n\n` exit status 1, confidence high `\n\n\
        ````text\n$ cat <x>\nred</pre> bold\n```\n````\n\n``````text\n````` # no\n``````\n\n\
        ## 0:00:00 `` `echo` ``\n\n` exit status 1, confidence high `\n\n\
        ````text\n$ `echo`\n````\n\n\
        *portcullis:* ` full-screen program from 0:00:00 to 0:00:00 (0s) `\n\n\
        ````text\n$\n````\n\n*portcullis:* ` notice: portcullis: 5 minutes left `\n\n";
    assert_eq!(body, Some(expected));
    let again = world.run("transcript last --format markdown").await.1;
    assert_eq!(again, output, "the same bytes each time");
}

#[tokio::test]
async fn a_page_has_colours_and_nothing_recorded_is_markup() {
    let world = World::new(Doorkeeper::default(), &[&typed_commands()]).await;
    let (code, output, _) = world.run("transcript last --format html").await;
    assert_eq!(code, 0);
    for part in [
        "content=\"default-src 'none'; style-src 'unsafe-inline'\"",
        "<dt>who</dt><dd>ana</dd>",
        "<h2>0:00:00 <code>cat &lt;x&gt;</code></h2>\n<p>exit status 1, confidence high</p>\n<pre>\n$ cat &lt;x&gt;\n",
        "<span style=\"color:#cd3131;\">red&lt;/pre&gt;</span> <span style=\"color:#ff0000;font-weight:bold;\">bold</span>\n",
        "</pre>\n<p class=\"ours\">full-screen program from 0:00:00 to 0:00:00 (0s)</p>\n",
        "<p class=\"ours\">notice: portcullis: 5 minutes left</p>\n",
    ] {
        assert!(output.contains(part), "{part}\nnot in\n{output}");
    }
    assert!(
        !output.contains("secret"),
        "a full-screen program is a note"
    );
    assert_eq!(
        output.matches("<pre>").count(),
        output.matches("</pre>").count()
    );
    // Attacks in what is shown, in a command and in a justification, on a page and in Markdown.
    for attack in ATTACKS.iter().chain(&[
        "</pre><script>alert(1)</script>",
        "'\"><img src=x>",
        "`````\n# x",
    ]) {
        let mut ana = typed_commands();
        for line in &mut ana.lines {
            for (part, name) in [("why", "justification"), ("who", "subject")] {
                if line.get(part).is_some() && name == "justification" {
                    line[part][name] = json!(attack);
                }
            }
            for name in ["data", "text"] {
                if line.get(name).is_some() {
                    line[name] = json!(attack);
                }
            }
        }
        let world = World::new(Doorkeeper::default(), &[&ana]).await;
        for form in ["html", "markdown"] {
            let (code, output, _) = world.run(&format!("transcript last --format {form}")).await;
            assert_eq!(code, 0);
            assert_harmless(&output, &['\n', '\t']);
            let is_page = form == "html";
            assert!(
                !is_page || !output.contains("<script") && !output.contains("<img"),
                "{output}"
            );
            assert!(!output.contains("\n# x"), "{output}");
        }
    }
}

#[tokio::test]
async fn nothing_recorded_is_obeyed_by_a_terminal() {
    for attack in ATTACKS {
        let mut ana = Tape::new(ANA);
        ana.start().shell(&[attack, "after"]);
        let no = json!({"action": "exec", "allowed": false, "policies": [attack]});
        let evil = json!({"data": attack, "n": attack.len()});
        ana.audit(
            950,
            "exec",
            "denied",
            json!({"channel": 0, "command": evil, "decision": no}),
        )
        .audit(
            951,
            "exec",
            "success",
            json!({"channel": 2, "command": evil, "decision": no}),
        )
        .audit(
            952,
            "error",
            "error",
            json!({"code": attack, "message": attack}),
        )
        .at(
            953,
            "output",
            json!({"channel": 2, "fd": 1, "data": attack, "n": attack.len()}),
        )
        .end();
        for line in &mut ana.lines {
            if line.get("why").is_some() {
                line["why"]["justification"] = json!(attack);
                line["where"]["node"] = json!(attack);
            }
        }
        let world = World::new(Doorkeeper::default(), &[&ana]).await;
        for size in [None, Some((80, 24)), Some((0, 0)), Some((1, 1))] {
            for line in [
                "sessions",
                "sessions show last",
                "sessions show last --json",
                "transcript last",
                "transcript last --json",
                "sessions --json",
            ] {
                let (code, output, errors) = world.run_on(line, size).await;
                assert_eq!(code, 0, "{line}: {errors}");
                assert_harmless(&output, &['\n', '\r', '\t']);
                assert_harmless(&errors, &['\n', '\r']);
                if line.ends_with("json") {
                    let lines = serde_json::Deserializer::from_str(&output).into_iter::<Value>();
                    assert!(lines.map(Result::unwrap).count() > 0);
                    assert!(output.contains(&escaped(attack)), "{attack:?} in {output}");
                }
            }
        }
        let (_, output, _) = world.run_on("events last", Some((80, 24))).await;
        assert_harmless(&output, &['\n', '\r', '\t']);
        let (_, _, errors) = world
            .run(&format!("events {}", attack.replace(' ', "")))
            .await;
        assert_harmless(&errors, &['\n']);
        let shown = replayed(&world, (60, 10)).await;
        assert_only_drawing(&shown);
    }
}

/// The start of a text as JSON writes it safely.
fn escaped(text: &str) -> String {
    let first = text.chars().next().unwrap();
    match first.is_ascii_graphic() {
        true => first.to_string(),
        false => format!("\\u{:04x}", first.encode_utf16(&mut [0; 2])[0]),
    }
}

/// Plays to the end and quits.
async fn replayed(world: &World, size: (u16, u16)) -> String {
    let (mut keys, input) = tokio::io::duplex(64);
    let (mut screen, output) = tokio::io::duplex(64 * 1024);
    let mut call = call(
        Box::new(input),
        Box::new(output),
        Box::new(tokio::io::sink()),
        Some(size),
    );
    let play = async {
        let code = world.verb("replay last --speed 64", &mut call).await;
        drop(call);
        code
    };
    let watch = async {
        let mut seen = Vec::new();
        let mut told = false;
        loop {
            let mut part = [0; 4096];
            let n = screen.read(&mut part).await.unwrap();
            if n == 0 {
                return String::from_utf8(seen).unwrap();
            }
            seen.extend_from_slice(&part[..n]);
            // The difference to the picture before is drawn, so "playing" becomes "end".
            if !told && String::from_utf8_lossy(&seen).contains("end") {
                told = true;
                keys.write_all(b"q").await.unwrap();
            }
        }
    };
    let both = async { tokio::join!(play, watch) };
    let (code, seen) = tokio::time::timeout(Duration::from_secs(20), both)
        .await
        .expect("it ends");
    assert_eq!(code, 0);
    seen
}

/// Every ESC begins a command that we draw with; nothing else is a control.
fn assert_only_drawing(text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find('\x1b') {
        assert_harmless(&rest[..at], &[]);
        let after = &rest[at + 1..];
        let fixed = ["[?1049h", "[?1049l", "[?25h", "[?25l", "[2J", "[0m"];
        let length = fixed
            .iter()
            .find(|command| after.starts_with(**command))
            .map(|command| command.len());
        let length = length.unwrap_or_else(|| {
            let end = after
                .find(|c: char| !(c.is_ascii_digit() || "[;".contains(c)))
                .unwrap();
            assert!(
                after.starts_with('[') && matches!(&after[end..=end], "m" | "H"),
                "{:?}",
                &after[..=end]
            );
            end + 1
        });
        rest = &after[length..];
    }
    assert_harmless(rest, &[]);
}

#[tokio::test]
async fn replay_draws_and_restores_the_terminal() {
    let mut ana = Tape::new(ANA);
    ana.start()
        .shell(&["\x1b[31mhello\x1b[0m\r\n", "world"])
        .end();
    let world = World::new(Doorkeeper::default(), &[&ana]).await;
    let seen = replayed(&world, (60, 10)).await;
    assert!(seen.starts_with("\x1b[?1049h"), "{seen:?}");
    assert!(seen.contains("hello") && seen.contains("world"), "{seen:?}");
    assert!(seen.ends_with("\x1b[0m\x1b[?25h\x1b[?1049l"), "{seen:?}");
    assert!(matches!(world.looked()[0].0, Kind::Replay { .. }));
    assert_only_drawing(&seen);
    let (code, output, errors) = world.run("replay last").await;
    assert_eq!((code, output.as_str()), (2, ""));
    assert!(errors.contains("ssh -t"), "{errors}");
}

#[tokio::test]
async fn a_replay_that_is_dropped_restores_the_terminal() {
    let mut ana = Tape::new(ANA);
    ana.start().shell(&["x"]).end();
    let world = World::new(Doorkeeper::default(), &[&ana]).await;
    let (_keys, input) = tokio::io::duplex(64);
    let (mut screen, output) = tokio::io::duplex(64 * 1024);
    let mut call = call(
        Box::new(input),
        Box::new(output),
        Box::new(tokio::io::sink()),
        Some((60, 10)),
    );
    let mut seen = Vec::new();
    {
        let play = world.verb("replay last --speed 0.125", &mut call);
        tokio::pin!(play);
        while !String::from_utf8_lossy(&seen).contains("playing") {
            let mut part = [0; 4096];
            tokio::select! {
                _ = &mut play => panic!("it ended by itself"),
                n = screen.read(&mut part) => seen.extend_from_slice(&part[..n.unwrap()]),
            }
        }
    }
    drop(call);
    screen.read_to_end(&mut seen).await.unwrap();
    assert!(String::from_utf8(seen).unwrap().ends_with("\x1b[?1049l"));
}

struct NoRecorder;

impl Cut for NoRecorder {
    fn cut(&self, _: SessionId) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>> {
        Box::pin(async { Ok(()) })
    }
}

#[tokio::test]
async fn live_and_rebuilt_index_are_equal() {
    let state = tempfile::tempdir().unwrap();
    let archive = Archive::new(state.path().join("recordings"));
    let mut ana = Tape::new(ANA);
    ana.start().shell(&["x", "y"]).end();
    let mut bo = Tape::new(BO);
    bo.start().shell(&["z"]);
    let mut node = Tape::new("01935f3e-8a7b-7000-8000-00000000000f");
    node.at(
        0,
        "node.start",
        json!({"outcome": "success", "build": "x", "started_unix_ns": 0}),
    );
    let live = Store::open(&state.path().join("live.db")).await.unwrap();
    // A queue so short that it must lag, and one that does not.
    for queue in [2, 1024] {
        let (lines, received) = broadcast::channel(queue);
        let sink = Index {
            store: live.clone(),
            recordings: archive.clone(),
            recorder: NoRecorder,
        };
        for tape in [&ana, &bo, &node] {
            tape.write(state.path(), 3);
            for (line, bytes) in tape.lines.iter().zip(tape.bytes()) {
                if line.get("outcome").is_some() {
                    lines.send((tape.sid, bytes.into())).unwrap();
                }
            }
        }
        drop(lines);
        sink.run(received, CancellationToken::new()).await;
        let found = live.sessions(&Filter::default(), None, 10).await.unwrap();
        let rebuilt = Store::open(&state.path().join(format!("{queue}.db")))
            .await
            .unwrap();
        assert_eq!(rebuilt.rebuild(&archive).await.unwrap().rows, 2);
        assert_eq!(
            found,
            rebuilt
                .sessions(&Filter::default(), None, 10)
                .await
                .unwrap()
        );
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].active(), found[1].active()), (true, false));
        assert_eq!(found[1].who.certificates.first().unwrap().serial, u64::MAX);
    }
}

#[tokio::test]
async fn the_index_follows_lines_before_a_chunk_is_written() {
    let state = tempfile::tempdir().unwrap();
    let live = Store::open(&state.path().join("live.db")).await.unwrap();
    let mut ana = Tape::new(ANA);
    ana.start().shell(&["x"]);
    let (lines, received) = broadcast::channel(1024);
    for (line, bytes) in ana.lines.iter().zip(ana.bytes()) {
        if line.get("outcome").is_some() {
            lines.send((ana.sid, bytes.into())).unwrap();
        }
    }
    drop(lines);
    let sink = Index {
        store: live.clone(),
        recordings: Archive::new(state.path().join("recordings")),
        recorder: NoRecorder,
    };
    sink.run(received, CancellationToken::new()).await;
    let row = live.session(ana.sid).await.unwrap().unwrap();
    assert!(row.active());
    assert_eq!((row.channels, row.output_bytes), (1, 70));
}

#[tokio::test]
async fn a_rebuild_drops_what_has_no_recording_and_brings_back_what_has() {
    let mut ana = Tape::new(ANA);
    ana.start().shell(&["x"]).end();
    let mut bo = Tape::new(BO);
    bo.start().shell(&["x"]).end();
    let world = World::new(Doorkeeper::default(), &[&ana, &bo]).await;
    let dir = bo.write(world.state.path(), 4);
    std::fs::remove_dir_all(dir).unwrap();
    world.look.store.forget_session(ana.sid).await.unwrap();
    assert_eq!(
        world.run(&format!("events {ANA}")).await.0,
        0,
        "a whole id needs no index"
    );
    let (code, _, errors) = world.run("index --rebuild").await;
    assert_eq!((code, errors.contains("1 row")), (0, true), "{errors}");
    let rows = world
        .look
        .store
        .sessions(&Filter::default(), None, 10)
        .await
        .unwrap();
    assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [ana.sid]);
}

#[tokio::test]
async fn a_rebuild_keeps_and_names_what_is_there_and_cannot_be_read() {
    let (mut ana, mut bo) = (Tape::new(ANA), Tape::new(BO));
    ana.start().end();
    bo.start().end();
    let world = World::new(Doorkeeper::default(), &[&ana, &bo]).await;
    let listed = world.run("sessions --json").await.1;
    for line in &mut ana.lines {
        line["v"] = json!(2);
    }
    ana.write(world.state.path(), 4);
    let chunk = bo.write(world.state.path(), 4).join("000000.jsonl.zst");
    std::fs::write(chunk, "no zstd").unwrap();
    let (code, _, errors) = world.run("index --rebuild").await;
    assert_eq!((code, errors.contains("0 rows")), (1, true), "{errors}");
    for (id, why) in [(ANA, "version 2"), (BO, "chunk 000000: it cannot be read")] {
        let said = format!("recording {id} cannot be read");
        let line = errors.lines().find(|line| line.contains(&said));
        assert!(line.is_some_and(|line| line.contains(why)), "{errors}");
    }
    assert_eq!(world.run("sessions --json").await.1, listed);
    // The directory of a recording that has just begun.
    let begun = Tape::new("01935f3e-8a7b-7000-8000-0000000000b7");
    begun.write(world.state.path(), 4);
    // As if it were new to the index: it is no node's stream that was read once and for all.
    world.look.store.forget_session(ana.sid).await.unwrap();
    for _ in 0..2 {
        let (code, output, _) = world.run("index --json").await;
        let found: Value = serde_json::from_str(&output).unwrap();
        let unread = found["unread"].as_array().unwrap();
        assert_eq!((code, unread.len()), (1, 1), "{output}");
        assert_eq!(unread[0]["id"], ANA);
    }
}

#[tokio::test]
async fn a_session_without_its_start_does_not_vanish() {
    let mut ana = Tape::new(ANA);
    ana.start().shell(&["x"]).end();
    let world = World::new(Doorkeeper::default(), &[&ana]).await;
    let dir = ana.write(world.state.path(), 1);
    std::fs::remove_file(dir.join("000000.jsonl.zst")).unwrap();
    assert_eq!(
        world
            .look
            .store
            .rebuild(&world.look.archive)
            .await
            .unwrap()
            .rows,
        1
    );
    let row = world.look.store.session(ana.sid).await.unwrap().unwrap();
    assert_eq!(
        (row.door.as_str(), row.target.as_deref()),
        ("unknown", Some("db1"))
    );
    assert!(!row.active());
}

#[tokio::test]
async fn the_console_connects_and_gives_the_terminal_back() {
    let choices = || {
        let login = |name: &str| name.parse().unwrap();
        vec![
            console::Choice {
                target: "db1".to_owned(),
                login: login("root"),
            },
            console::Choice {
                target: "web1".to_owned(),
                login: login("deploy"),
            },
        ]
    };
    for (size, keys, expected) in [
        (Some((20, 5)), &b"web\r"[..], Some("web1")),
        (Some((0, 0)), b"\x1b[B\r", Some("web1")),
        (Some((80, 24)), b"\x03", None),
        (Some((80, 24)), b"", None),
    ] {
        let (mut out, output) = tokio::io::duplex(64 * 1024);
        let mut call = call(
            Box::new(keys),
            Box::new(output),
            Box::new(tokio::io::sink()),
            size,
        );
        let end = console::console(choices(), &mut call).await;
        drop(call);
        let mut seen = String::new();
        out.read_to_string(&mut seen).await.unwrap();
        assert!(seen.ends_with("\x1b[?1049l"), "{seen:?}");
        assert_only_drawing(&seen);
        match (end, expected) {
            (VerbEnd::Connect(chosen), Some(expected)) => assert_eq!(chosen.target, expected),
            (end, expected) => assert_eq!((end, expected), (VerbEnd::Exit(0), None)),
        }
    }
    let mut nowhere = call(
        Box::new(tokio::io::empty()),
        Box::new(tokio::io::sink()),
        Box::new(tokio::io::sink()),
        Some((80, 24)),
    );
    assert_eq!(
        console::console(Vec::new(), &mut nowhere).await,
        VerbEnd::Exit(1)
    );
}

/// tests/golden: what was written once is read for ever.
#[tokio::test]
async fn recordings_of_every_published_version_stay_readable() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for version in 1..=portcullis::event::VERSION {
        let archive = Archive::new(golden.join(format!("v{version}")));
        let ids = archive.sessions().unwrap();
        assert!(ids.len() > 1, "no recordings of version {version}");
        for id in ids {
            for step in archive.events(id).unwrap() {
                match step.unwrap() {
                    Step::Line(line) => {
                        assert!(!matches!(line.what, What::Unknown), "{line:?}");
                    }
                    Step::Damage(damage) => panic!("{id}: {damage}"),
                }
            }
        }
        let mut world = World::new(Doorkeeper::default(), &[]).await;
        world.look.archive = archive;
        let rebuilt = world.look.store.rebuild(&world.look.archive).await.unwrap();
        let read = |name: &str| {
            std::fs::read_to_string(golden.join(format!("v{version}.{name}"))).unwrap()
        };
        let wanted: Vec<Value> = serde_json::from_str(&read("sessions.json")).unwrap();
        assert_eq!(rebuilt.rows, wanted.len() as u64);
        assert_eq!(rebuilt.unread, []);
        let (_, listed, _) = world.run("sessions --json").await;
        let mut rows: Vec<Value> = serde_json::from_str(&listed).unwrap();
        rows.sort_by_key(|row| row["start"].to_string());
        assert_eq!(rows, wanted);
        let mut transcripts = Vec::new();
        for row in &rows {
            let id = row["id"].as_str().unwrap();
            let (code, text, _) = world.run(&format!("transcript {id}")).await;
            assert_eq!(code, 0, "{id}");
            transcripts.push(text);
        }
        let terminal = transcripts
            .iter()
            .rev()
            .find(|text| text.contains("] shell"));
        assert_eq!(*terminal.unwrap(), read("transcript.txt"));
    }
}

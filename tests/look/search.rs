//! Searching recordings that this test writes.

use super::*;
use portcullis::sink::SearchIndex;
use portcullis::store::{Class, Phrase, Search};

/// Tells what a person ran; `ms` is when they sent it off.
fn ran(tape: &mut Tape, ms: u64, text: &str, more: Value) {
    let mut fields = json!({
        "channel": 0, "text": text, "lines": 1, "confidence": "medium", "sources": ["screen"],
        "from_mt": ms * 1_000_000, "to_mt": ms * 1_000_000,
    });
    merge(&mut fields, more);
    tape.audit(ms, "command", "success", fields);
}

fn copied(tape: &mut Tape, ms: u64, path: &str) {
    let text = json!({"data": path, "n": path.len()});
    let content = json!({"bytes": 3, "scope": "whole", "sha256": "abc123", "from": 0, "to": 3});
    tape.audit(
        ms,
        "scp.file",
        "success",
        json!({
            "channel": 2, "operation": "write", "path": text, "mode": "0644", "size": 3,
            "content": content, "result": "ok",
        }),
    );
}

fn tape(sid: &str) -> Tape {
    let mut tape = Tape::new(sid);
    tape.start()
        .shell(&["$ common sight\r\n", "second common sight\r\n"]);
    ran(
        &mut tape,
        910,
        "rm -rf /common",
        json!({"exit_status": 1, "confidence": "high"}),
    );
    copied(&mut tape, 920, "/srv/common.txt");
    let allowed = json!({"action": "forward-local", "allowed": true});
    let forward = json!({
        "channel": 4, "direction": "local", "to": {"host": "common.internal", "port": 5432},
        "decision": allowed, "opaque": false,
    });
    tape.audit(925, "forward.open", "success", forward);
    ran(
        &mut tape,
        930,
        "make common",
        json!({"channel": 5, "sources": ["exec"]}),
    );
    tape.audit(
        940,
        "channel.close",
        "success",
        json!({"channel": 5, "exit_status": 2, "input_bytes": 0, "output_bytes": 0}),
    );
    tape
}

/// Everything with that word, as the index has it.
async fn everything(store: &Store) -> Vec<Value> {
    let search = Search {
        phrase: Phrase::parse("common").unwrap(),
        classes: Class::ALL.to_vec(),
        filter: Filter::default(),
        exit: None,
        confidence: None,
        owners: None,
        limit: 1000,
    };
    let found = store.search(&search, |_| true).await.unwrap();
    let hits = found.hits.iter().map(|hit| {
        json!([
            hit.class,
            hit.session.id,
            hit.seq,
            hit.at.as_millis().to_string(),
            hit.time,
            hit.channel,
            hit.exit,
            hit.confidence,
            hit.text
        ])
    });
    hits.collect()
}

#[tokio::test]
async fn live_and_rebuilt_search_are_equal() {
    let state = tempfile::tempdir().unwrap();
    let archive = Archive::new(state.path().join("recordings"));
    let mut ana = tape(ANA);
    ana.end();
    let bo = tape(BO);
    let mut node = Tape::new("01935f3e-8a7b-7000-8000-00000000000f");
    let fields = json!({"outcome": "success", "build": "x", "started_unix_ns": 0});
    node.at(0, "node.start", fields);
    for tape in [&ana, &bo, &node] {
        tape.write(state.path(), 3);
    }
    // A queue so short that it must lag, one that does not, and nothing heard at all.
    for queue in [2, 1024, 0] {
        let live = Store::open(&state.path().join(format!("live{queue}.db"))).await;
        let live = live.unwrap();
        live.catch_up(&archive).await.unwrap();
        let (lines, received) = broadcast::channel(queue.max(1));
        let sink = SearchIndex {
            store: live.clone(),
            recordings: archive.clone(),
            recorder: NoRecorder,
            screen: true,
            started: chrono::DateTime::UNIX_EPOCH,
        };
        for tape in [&ana, &bo, &node] {
            for (line, bytes) in tape.lines.iter().zip(tape.bytes()) {
                if line.get("outcome").is_some() && queue > 0 {
                    lines.send((tape.sid, bytes.into())).unwrap();
                }
            }
        }
        let stop = CancellationToken::new();
        let mut running = tokio::task::JoinSet::new();
        let stopped = stop.clone();
        running.spawn(async move { sink.run(received, stopped).await });
        let rebuilt = Store::open(&state.path().join(format!("rebuilt{queue}.db"))).await;
        let rebuilt = rebuilt.unwrap();
        rebuilt.rebuild(&archive).await.unwrap();
        rebuilt.rebuild_told(&archive, true).await.unwrap();
        let expected = everything(&rebuilt).await;
        assert_eq!(expected.len(), 2 * (2 + 1 + 1 + 2), "{expected:#?}");
        let equal = tokio::time::timeout(Duration::from_secs(20), async {
            while everything(&live).await != expected {
                tokio::task::yield_now().await;
            }
        });
        if equal.await.is_err() {
            assert_eq!(everything(&live).await, expected, "queue {queue}");
        }
        let progress = live.progress().await.unwrap();
        assert!(!progress[&bo.sid].whole, "it runs");
        stop.cancel();
        running.join_all().await;
        // Nothing runs any more: the rest is read, and nothing twice.
        live.catch_up_told(&archive, true).await.unwrap();
        assert_eq!(everything(&live).await, expected);
        let progress = live.progress().await.unwrap();
        assert!(progress[&ana.sid].whole && progress[&bo.sid].whole);
        assert_eq!(live.catch_up_told(&archive, true).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn screens_can_be_left_out_and_come_back() {
    let mut ana = tape(ANA);
    ana.end();
    let world = World::new(Doorkeeper::default(), &[&ana]).await;
    let Look { store, archive, .. } = &world.look;
    let on_screen = async || {
        world
            .run("search --in screen --json common")
            .await
            .1
            .matches("\"screen\"")
            .count()
    };
    assert_eq!(on_screen().await, 2);
    store.clear_screen().await.unwrap();
    assert_eq!(store.catch_up_told(archive, false).await.unwrap(), 0);
    assert_eq!(on_screen().await, 0);
    assert_eq!(world.run("search common").await.0, 0, "the rest is there");
    assert_eq!(store.catch_up_told(archive, true).await.unwrap(), 1);
    assert_eq!(on_screen().await, 2);
}

#[tokio::test]
async fn others_are_in_no_answer_and_in_no_count() {
    let (mut ana, mut bo) = (tape(ANA), tape(BO));
    ran(&mut bo, 950, "the secret of bo", json!({}));
    ana.end();
    bo.end();
    let keeper = Doorkeeper {
        sees: Some("ana"),
        ..Doorkeeper::default()
    };
    let world = World::new(keeper, &[&ana, &bo]).await;
    let nothing = world.run("search no such words at all").await;
    assert_eq!(
        world.run("search secret of bo").await,
        nothing,
        "as if it were not there"
    );
    assert_eq!(world.run("search --identity bo common").await, nothing);
    assert_eq!((nothing.0, nothing.1.as_str()), (1, ""));
    for line in [
        "search common",
        "search --json common",
        "search --limit 6 common",
    ] {
        let (code, output, errors) = world.run(line).await;
        assert_eq!(code, 0, "{line}: {errors}");
        assert!(
            output.contains("ana") && !output.contains("bo\""),
            "{output}"
        );
        assert!(!output.contains(BO), "{output}");
        assert_eq!(errors, "", "six lines are all that there are");
    }
    let (_, _, errors) = world.run("search --limit 5 common").await;
    assert!(errors.contains("older ones"), "{errors}");
    let (kind, outcome) = world.looked().pop().unwrap();
    assert_eq!(outcome, Outcome::Success);
    let Kind::Search(fact) = kind else {
        panic!("not a search: {kind:?}")
    };
    assert_eq!(fact.words, "common");
    assert_eq!(fact.within, ["commands", "files", "forwards", "screen"]);
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_searched() {
    let mut ana = tape(ANA);
    ana.end();
    let keeper = Doorkeeper {
        broken: true,
        ..Doorkeeper::default()
    };
    let world = World::new(keeper, &[&ana]).await;
    let (code, output, errors) = world.run("search common").await;
    assert_eq!((code, output.as_str()), (4, ""), "{errors}");
}

#[tokio::test]
async fn a_hit_says_who_where_when_what_and_how_to_get_there() {
    let mut ana = tape(ANA);
    ran(
        &mut ana,
        61_500,
        "psql -c 'DROP TABLE users'",
        json!({"exit_status": 0, "confidence": "high"}),
    );
    ana.end();
    let world = World::new(Doorkeeper::default(), &[&ana]).await;
    let (code, output, errors) = world.run("search drop table").await;
    assert_eq!((code, errors.as_str()), (0, ""));
    let expected = format!(
        "2026-11-24 01:01:01 +01:00  ana  root@db1  command (high), exit status 0\n    \
         psql -c 'DROP TABLE users'\n    replay {ANA} --at 1m\n"
    );
    assert_eq!(output, expected);
    let (_, output, _) = world.run("search --json --exit 2 common").await;
    let hits: Value = serde_json::from_str(&output).unwrap();
    assert_eq!(hits.as_array().unwrap().len(), 1);
    assert_eq!(
        hits[0]["text"], "make common",
        "an exec has the status of its channel"
    );
    assert_eq!(hits[0]["in"], "commands");
    assert_eq!(hits[0]["at_ms"], 930);
    let (_, output, _) = world.run("search --in files abc123").await;
    assert!(output.contains("/srv/common.txt"), "by its hash: {output}");
    for line in ["search", "search --limit 0 x", "search --in nowhere x"] {
        let words = line.split(' ');
        let parsed = <search::SearchArgs as clap::Args>::augment_args(clap::Command::new("x"));
        match parsed.try_get_matches_from(words) {
            Ok(_) => assert_eq!(world.run(line).await.0, 2, "{line}"),
            Err(error) => assert!(error.use_stderr(), "{line}"),
        }
    }
}

#[tokio::test]
async fn nothing_indexed_is_obeyed_by_a_terminal() {
    for attack in ATTACKS {
        let mut ana = tape(ANA);
        ran(&mut ana, 950, &format!("common {attack} end"), json!({}));
        copied(&mut ana, 951, &format!("common {attack} end"));
        let sight = format!("common {attack} end\n");
        ana.at(
            952,
            "output",
            json!({"channel": 7, "fd": 1, "data": sight, "n": 9}),
        )
        .end();
        let world = World::new(Doorkeeper::default(), &[&ana]).await;
        for size in [None, Some((80, 24)), Some((1, 1))] {
            for line in ["search common", "search --json common"] {
                let (code, output, errors) = world.run_on(line, size).await;
                assert_eq!(code, 0, "{line}: {errors}");
                assert_harmless(&output, &['\n', '\r']);
                assert_harmless(&errors, &['\n', '\r']);
            }
        }
    }
}

/// Recordings of which one is never read to its end while the test holds it.
struct OneIsLong {
    archive: Archive,
    long: SessionId,
    pieces: Mutex<Option<tokio::sync::mpsc::Receiver<portcullis::store::Piece>>>,
}

type Answer<'a, T> =
    Pin<Box<dyn Future<Output = Result<T, portcullis::store::Unreadable>> + Send + 'a>>;

impl portcullis::store::Recordings for OneIsLong {
    fn streams(&self) -> Answer<'_, Vec<SessionId>> {
        self.archive.streams()
    }

    fn recorded(&self, id: SessionId) -> Answer<'_, portcullis::store::Recorded> {
        self.archive.recorded(id)
    }

    fn reviews(&self, id: SessionId) -> Answer<'_, Option<Vec<portcullis::store::Review>>> {
        self.archive.reviews(id)
    }

    fn told(
        &self,
        id: SessionId,
        screen: bool,
    ) -> Answer<'_, Option<tokio::sync::mpsc::Receiver<portcullis::store::Piece>>> {
        if id == self.long {
            let pieces = self.pieces.lock().unwrap().take();
            return Box::pin(async { Ok(pieces) });
        }
        self.archive.told(id, screen)
    }
}

fn sight(nth: u32) -> portcullis::store::Told {
    portcullis::store::Told::Line(portcullis::store::Line {
        class: Class::Screen,
        seq: 7,
        nth,
        at: Duration::ZERO,
        channel: Some(0),
        is_exec: false,
        exit: None,
        confidence: None,
        text: format!("flood {nth}"),
    })
}

#[tokio::test]
async fn a_long_session_holds_up_no_other() {
    let state = tempfile::tempdir().unwrap();
    let archive = Archive::new(state.path().join("recordings"));
    // The newest is read first: that is the long one.
    let (mut ana, mut bo) = (tape(ANA), tape(BO));
    ana.end();
    bo.end();
    for tape in [&ana, &bo] {
        tape.write(state.path(), 3);
    }
    let store = Store::open(&state.path().join("index.db")).await.unwrap();
    store.catch_up(&archive).await.unwrap();
    let (to, pieces) = tokio::sync::mpsc::channel(1);
    let sink = SearchIndex {
        store: store.clone(),
        recordings: OneIsLong {
            archive,
            long: bo.sid,
            pieces: Mutex::new(Some(pieces)),
        },
        recorder: NoRecorder,
        screen: true,
        started: chrono::DateTime::UNIX_EPOCH,
    };
    let (_lines, received) = broadcast::channel(1024);
    let stop = CancellationToken::new();
    let mut running = tokio::task::JoinSet::new();
    let stopped = stop.clone();
    running.spawn(async move { sink.run(received, stopped).await });
    // It has begun, and goes on giving lines.
    let whole = async |id: SessionId| {
        let progress = store.progress().await.unwrap();
        progress.get(&id).is_some_and(|progress| progress.whole)
    };
    let mut nth = 0;
    let found = tokio::time::timeout(Duration::from_secs(60), async {
        while !whole(ana.sid).await {
            let piece = portcullis::store::Piece::Told(vec![sight(nth)]);
            to.send(piece).await.unwrap();
            nth += portcullis::store::PIECES_MAX;
        }
    });
    found
        .await
        .expect("the other session waits for the long one");
    assert_eq!(everything(&store).await.len(), 6, "all of the other one");
    assert!(!whole(bo.sid).await, "and the long one is not finished");
    let end = portcullis::store::Piece::End {
        ended: true,
        left_out: 3,
    };
    to.send(end).await.unwrap();
    drop(to);
    let finished = tokio::time::timeout(Duration::from_secs(60), async {
        while !whole(bo.sid).await {
            tokio::task::yield_now().await;
        }
    });
    finished.await.expect("the long one is finished in the end");
    stop.cancel();
    running.join_all().await;
    // What was left out is said where it matters.
    let left_out = store.left_out([ana.sid, bo.sid]).await.unwrap();
    assert_eq!(left_out.into_iter().collect::<Vec<_>>(), [(bo.sid, 3)]);
}

#[tokio::test]
async fn that_lines_of_screens_are_not_searched_is_said() {
    let (mut ana, mut bo) = (tape(ANA), tape(BO));
    ana.end();
    bo.end();
    let world = World::new(Doorkeeper::default(), &[&ana, &bo]).await;
    let store = &world.look.store;
    let says = async |line: &str| {
        let (code, output, errors) = world.run(line).await;
        assert_eq!(code, 0, "{line}: {errors}");
        output + &errors
    };
    let show = format!("sessions show {ANA}");
    for line in ["search common", show.as_str()] {
        let said = says(line).await;
        assert!(!said.contains("not in the index"), "{said}");
    }
    let end = portcullis::store::Piece::End {
        ended: true,
        left_out: 12,
    };
    store.put_piece(ana.sid, end, true, false).await.unwrap();
    for line in ["search common", "search --json --in screen common", &show] {
        let said = says(line).await;
        assert!(said.contains("12 lines"), "{line}: {said}");
        assert!(!said.contains(&format!("session {BO} are not")), "{said}");
    }
    let said = says("search --in commands common").await;
    assert!(!said.contains("12 lines"), "of screens alone: {said}");
    let shown = says(&format!("{show} --json")).await;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["screen_lines_not_searched"], 12);
}

#[tokio::test]
async fn any_words_are_only_words() {
    let mut ana = tape(ANA);
    ran(&mut ana, 950, "psql -c \"select '; --\"", json!({}));
    ran(
        &mut ana,
        951,
        "echo 100% _under_ \"quoted\" NEAR(a b) AND* x",
        json!({}),
    );
    ana.end();
    let world = World::new(Doorkeeper::default(), &[&ana]).await;
    for (words, expected) in [
        ("common.internal:5432", 1),
        ("'; --", 1),
        ("100% _under_", 1),
        ("\"quoted\"", 1),
        ("NEAR(a b) AND*", 1),
        ("' OR 1=1 --", 0),
        ("\"", 2),
        ("%", 1),
        ("*", 1),
    ] {
        let (code, output, errors) = world.run(&format!("search --json -- {words}")).await;
        assert_eq!(code, u8::from(expected == 0), "{words}: {errors}");
        let hits: Value = serde_json::from_str(&output).unwrap();
        assert_eq!(hits.as_array().unwrap().len(), expected, "{words}: {hits}");
    }
    let forwards = world.run("search --in forwards common.internal:5432").await;
    assert!(forwards.1.contains("common.internal:5432"), "{forwards:?}");
    // A megabyte is refused in a sentence, whatever it is made of.
    for part in ["x", "'; --", "\u{2764}", "a b "] {
        let words = part.repeat(1024 * 1024 / part.len());
        let (code, output, errors) = world.run(&format!("search -- {words}")).await;
        assert_eq!((code, output.as_str()), (2, ""), "{}", &errors[..200]);
        assert!(errors.len() < 500, "{} bytes are said", errors.len());
    }
}

#[tokio::test]
async fn a_name_with_line_ends_stays_in_its_cell() {
    let mut ana = tape(ANA);
    copied(&mut ana, 951, "/srv/a\r\n\"b\",=c\n\u{2028}d");
    ana.end();
    let world = World::new(Doorkeeper::default(), &[&ana]).await;
    let (code, output, errors) = world.run("export last --format csv").await;
    assert_eq!(code, 0, "{errors}");
    let mut rows = csv::Reader::from_reader(output.as_bytes());
    let rows: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
    let audits = ana.lines.iter().filter(|line| line["outcome"].is_string());
    assert_eq!(rows.len(), audits.count());
    assert_eq!(output.lines().count(), rows.len() + 1, "a row is a line");
    let row = rows.iter().find(|row| row[18].contains("=c")).unwrap();
    let detail: Value = serde_json::from_str(&row[18]).unwrap();
    assert_eq!(detail["path"]["data"], "/srv/a\r\n\"b\",=c\n\u{2028}d");
}

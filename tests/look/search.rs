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

use super::*;
use crate::event::{Confidence, End, Outcome};
use crate::id::SessionId;
use crate::store::{Filter, Person, Reason, Row, Seen, Store};
use chrono::{DateTime, Utc};
use proptest::prelude::*;
use std::time::Duration;

const MIDNIGHT: i64 = 1_795_478_400;

fn time(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(MIDNIGHT + seconds, 0).unwrap()
}

fn id(n: u64) -> SessionId {
    format!("01935f3e-8a7b-7000-8000-{n:012x}").parse().unwrap()
}

fn row(n: u64, identity: &str, target: &str) -> Row {
    Row {
        id: id(n),
        who: Person {
            identity: Some(identity.parse().unwrap()),
            ..Person::default()
        },
        target: Some(target.to_owned()),
        login: Some("root".to_owned()),
        node: None,
        door: "jump".to_owned(),
        start: time(i64::try_from(n).unwrap() * 100),
        end: None,
        outcome: Outcome::Success,
        why: Reason::default(),
        channels: 0,
        input_bytes: 0,
        output_bytes: 0,
        seen: Seen::default(),
        last_seq: 0,
    }
}

fn line(class: Class, seq: u64, text: &str) -> Line {
    Line {
        class,
        seq,
        nth: 0,
        at: Duration::from_secs(seq),
        channel: Some(0),
        is_exec: false,
        exit: None,
        confidence: None,
        text: text.to_owned(),
    }
}

fn command(seq: u64, text: &str) -> Told {
    Told::Line(line(Class::Commands, seq, text))
}

/// A store with a session of ana on db1 (1) and one of bob on db2 (2).
async fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("db")).await.unwrap();
    for (n, identity, target) in [(1, "ana", "db1"), (2, "bob", "db2")] {
        let row = row(n, identity, target);
        store.put_session(&row).await.unwrap();
        let start = Told::Start(Start {
            identity: Some(identity.to_owned()),
            target: Some(target.to_owned()),
            started: row.start,
        });
        store.put_told(id(n), &[start]).await.unwrap();
    }
    (dir, store)
}

fn search(words: &str) -> Search {
    Search {
        phrase: Phrase::parse(words).unwrap(),
        classes: Class::ALL.to_vec(),
        filter: Filter::default(),
        exit: None,
        confidence: None,
        owners: None,
        limit: 50,
    }
}

async fn found(store: &Store, search: &Search) -> Vec<(u64, String)> {
    let found = store.search(search, |_| true).await.unwrap();
    let hits = found.hits.into_iter();
    hits.map(|hit| (hit.seq, hit.text)).collect()
}

async fn texts(store: &Store, search: &Search) -> Vec<String> {
    let found = found(store, search).await;
    found.into_iter().map(|(_, text)| text).collect()
}

#[tokio::test]
async fn what_is_not_there_is_not_found_and_what_is_comes_newest_first() {
    let (_dir, store) = store().await;
    let told = [
        command(1, "rm -rf /srv/old"),
        command(2, "ls -la"),
        Told::Line(line(Class::Files, 3, "write `/srv/old/rm -rf.txt`")),
        Told::Line(line(Class::Screen, 4, "$ RM  -RF /srv/new")),
    ];
    store.put_told(id(1), &told).await.unwrap();
    store
        .put_told(id(2), &[command(1, "rm -rf later")])
        .await
        .unwrap();
    assert!(texts(&store, &search("rm -fr")).await.is_empty());
    let all = [
        "rm -rf later",
        "$ RM  -RF /srv/new",
        "write `/srv/old/rm -rf.txt`",
        "rm -rf /srv/old",
    ];
    assert_eq!(texts(&store, &search("rm -rf")).await, all);
    let mut commands = search("rm -rf");
    commands.classes = vec![Class::Commands];
    assert_eq!(
        texts(&store, &commands).await,
        ["rm -rf later", "rm -rf /srv/old"]
    );
    let mut one = search("rm -rf");
    one.limit = 1;
    let found = store.search(&one, |_| true).await.unwrap();
    assert!(found.more && found.hits.len() == 1);
    assert_eq!(found.hits[0].text, "rm -rf later");
}

#[tokio::test]
async fn an_ended_session_that_is_not_read_yet_is_known() {
    let (_dir, store) = store().await;
    assert!(!store.is_behind().await.unwrap(), "both run");
    let mut ended = row(1, "ana", "db1");
    ended.end = Some((time(500), End::UserExit));
    store.put_session(&ended).await.unwrap();
    assert!(store.is_behind().await.unwrap());
    store.finish_told(id(1), true, 0).await.unwrap();
    assert!(!store.is_behind().await.unwrap());
}

#[tokio::test]
async fn filters_narrow() {
    let (_dir, store) = store().await;
    let mut made = line(Class::Commands, 1, "make all");
    made.exit = Some(2);
    made.confidence = Some(Confidence::Medium);
    store.put_told(id(1), &[Told::Line(made)]).await.unwrap();
    store
        .put_told(id(2), &[command(1, "make some")])
        .await
        .unwrap();
    let narrowed = |change: fn(&mut Search)| {
        let mut search = search("make");
        change(&mut search);
        search
    };
    for (change, expected) in [
        (
            (|search| search.filter.identity = Some("carl".to_owned())) as fn(&mut Search),
            &[][..],
        ),
        (
            |search| search.filter.identity = Some("ana".to_owned()),
            &["make all"],
        ),
        (
            |search| search.filter.target = Some("db2".to_owned()),
            &["make some"],
        ),
        (|search| search.filter.target = Some("ana".to_owned()), &[]),
        (
            |search| search.filter.login = Some("nobody".to_owned()),
            &[],
        ),
        (
            |search| search.filter.ticket = Some("INC-1".to_owned()),
            &[],
        ),
        (
            |search| search.filter.since = Some(time(150)),
            &["make some"],
        ),
        (
            |search| search.filter.until = Some(time(150)),
            &["make all"],
        ),
        (|search| search.filter.until = Some(time(0)), &[]),
        (|search| search.exit = Some(2), &["make all"]),
        (|search| search.exit = Some(0), &[]),
        (
            |search| search.confidence = Some(Confidence::Low),
            &["make all"],
        ),
        (|search| search.confidence = Some(Confidence::High), &[]),
        (|search| search.owners = Some(Vec::new()), &[]),
        (
            |search| search.owners = Some(vec!["bob".to_owned()]),
            &["make some"],
        ),
        (
            |search| search.owners = Some(vec!["bob".to_owned(), "ana".to_owned()]),
            &["make some", "make all"],
        ),
    ] {
        assert_eq!(texts(&store, &narrowed(change)).await, expected);
    }
    // Nothing is asked of sessions that may not be seen.
    let make = search("make");
    let mine = store.search(&make, |row| {
        row.who.identity.as_ref().unwrap().as_str() == "ana"
    });
    let mine = mine.await.unwrap();
    assert_eq!((mine.hits.len(), mine.more), (1, false));
}

#[tokio::test]
async fn few_characters_are_found_as_well() {
    let (_dir, store) = store().await;
    let told = [command(1, "ls | wc"), command(2, "cat x")];
    store.put_told(id(1), &told).await.unwrap();
    for (words, expected) in [
        ("|", &["ls | wc"][..]),
        ("x", &["cat x"]),
        ("ls", &["ls | wc"]),
        ("zz", &[]),
    ] {
        assert_eq!(texts(&store, &search(words)).await, expected, "{words}");
    }
}

#[tokio::test]
async fn a_line_that_comes_twice_is_there_once() {
    let (_dir, store) = store().await;
    let told = [
        command(1, "uptime now"),
        command(2, &"long words ".repeat(2000)),
    ];
    for _ in 0..3 {
        store.put_told(id(1), &told).await.unwrap();
    }
    assert_eq!(found(&store, &search("uptime")).await.len(), 1);
    assert_eq!(found(&store, &search("long words")).await.len(), 1);
    let size = store.told_size().await.unwrap();
    store.put_told(id(1), &told).await.unwrap();
    assert_eq!(store.told_size().await.unwrap().lines, size.lines);
}

#[tokio::test]
async fn an_exec_gets_the_status_of_its_channel_and_a_shell_does_not() {
    let (_dir, store) = store().await;
    let mut exec = line(Class::Commands, 1, "the exec");
    exec.is_exec = true;
    let typed = command(2, "the shell");
    let exits = [0, 7].map(|status| Told::Exit { channel: 0, status });
    store
        .put_told(id(1), &[Told::Line(exec), exits[1].clone()])
        .await
        .unwrap();
    store
        .put_told(id(2), &[typed, exits[1].clone()])
        .await
        .unwrap();
    // A second one cannot change it.
    store.put_told(id(1), &[exits[0].clone()]).await.unwrap();
    let hits = store.search(&search("the "), |_| true).await.unwrap().hits;
    let exits: Vec<_> = hits
        .iter()
        .map(|hit| (hit.text.as_str(), hit.exit))
        .collect();
    assert_eq!(exits, [("the shell", None), ("the exec", Some(7))]);
}

#[tokio::test]
async fn what_is_taken_out_is_not_found_and_can_come_again() {
    let (_dir, store) = store().await;
    let screen = Told::Line(line(Class::Screen, 5, "on the screen"));
    store
        .put_told(id(1), &[command(1, "in the shell"), screen.clone()])
        .await
        .unwrap();
    store
        .put_told(id(2), &[command(1, "in the other")])
        .await
        .unwrap();
    store.clear_screen().await.unwrap();
    assert_eq!(found(&store, &search(" the ")).await.len(), 2);
    store.put_told(id(1), &[screen]).await.unwrap();
    assert_eq!(found(&store, &search(" the ")).await.len(), 3);
    store.forget_told(id(1)).await.unwrap();
    assert_eq!(texts(&store, &search(" the ")).await, ["in the other"]);
    assert!(!store.progress().await.unwrap().contains_key(&id(1)));
    store.clear_told().await.unwrap();
    assert_eq!(store.told_size().await.unwrap().lines, 0);
    assert!(found(&store, &search(" the ")).await.is_empty());
}

#[tokio::test]
async fn many_lines_of_one_moment_keep_their_order() {
    let (_dir, store) = store().await;
    for n in [1, 2] {
        let lines: Vec<Told> = (0..3000)
            .map(|nth| {
                Told::Line(Line {
                    nth,
                    at: Duration::from_secs(100 / n),
                    ..line(Class::Screen, 7, &format!("burst {nth} of {n}"))
                })
            })
            .collect();
        store.put_told(id(n), &lines).await.unwrap();
    }
    assert_eq!(store.told_size().await.unwrap().lines, 6000);
    let mut all = search("burst");
    all.limit = 1000;
    assert_eq!(found(&store, &all).await.len(), 1000);
    assert_eq!(texts(&store, &search("burst 2999 of 1")).await.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever is looked for is looked for as it stands.
    #[test]
    fn any_part_of_a_line_finds_it(
        before in "\\PC{0,12}",
        words in "(\\PC|['\"*;|%_^:(){}-]|NEAR|AND|OR|[ \t]){3,20}",
        after in "\\PC{0,12}",
        others in proptest::collection::vec("\\PC{0,30}", 0..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (_dir, store) = store().await;
            let text = format!("{before}{words}{after}");
            let mut told = vec![command(1, &text)];
            told.extend((2..).zip(&others).map(|(seq, text)| command(seq, text)));
            store.put_told(id(1), &told).await.unwrap();
            match Phrase::parse(&words) {
                Ok(phrase) => {
                    let search = Search { phrase, ..search("x") };
                    let hits = found(&store, &search).await;
                    assert!(hits.iter().any(|(seq, _)| *seq == 1), "{words:?} in {text:?}");
                }
                Err(error) => assert_eq!(error, BadPhrase::Empty),
            }
        });
    }
}

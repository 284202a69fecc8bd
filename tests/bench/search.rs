//! How long a search takes among many commands: `cargo bench --bench search`. A table to read, no
//! verdict. `SEARCH_COMMANDS` says how many (a million without it), `TMPDIR` on which disk.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench measures and tells"
)]

use chrono::{DateTime, Utc};
use portcullis::event::{Confidence, Outcome};
use portcullis::id::SessionId;
use portcullis::store::{
    Class, Filter, Line, Person, Phrase, Reason, Row, Search, Start, Store, Told,
};
use std::time::{Duration, Instant};

const COMMANDS: usize = 1_000_000;
const A_SESSION: usize = 200;
const PEOPLE: usize = 300;
const TARGETS: usize = 1000;
const SEARCHES: usize = 600;
const MIDNIGHT: i64 = 1_735_689_600;

/// Numbers that are the same each time (Steele, Lea and Flood: SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % n as u64).unwrap()
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// Few numbers often, many seldom.
    fn seldom(&mut self) -> usize {
        let most = 1 << self.below(15);
        self.below(most)
    }
}

/// Lines as people write them: those of the corpus, and shapes with names in them.
struct Speech {
    commands: Vec<String>,
    words: Vec<String>,
}

const PLACES: [&str; 12] = [
    "/etc",
    "/var/log",
    "/home/ana",
    "/srv/app",
    "/opt/data",
    "/tmp",
    "/usr/share",
    "/var/lib/postgresql",
    "/etc/nginx/sites-enabled",
    "/var/backups",
    "/root",
    "/etc/systemd/system",
];
const NAMES: [&str; 24] = [
    "nginx",
    "postgres",
    "passwd",
    "sshd_config",
    "access",
    "error",
    "backup",
    "report",
    "deploy",
    "config",
    "kernel",
    "orders",
    "users",
    "index",
    "main",
    "worker",
    "payments",
    "redis",
    "shadow",
    "cron",
    "invoice",
    "haproxy",
    "vault",
    "grafana",
];
const ENDS: [&str; 10] = [
    ".log", ".conf", ".gz", ".sql", ".yml", "", ".py", ".txt", ".json", ".service",
];
const SHAPES: [&str; 28] = [
    "ls -la {p}",
    "cat {p}",
    "tail -n {n} -f {p}",
    "grep -rn '{w}' {p}",
    "sudo systemctl restart {s}",
    "vim {p}",
    "rm -rf {p}",
    "psql -c 'SELECT * FROM {s} WHERE id = {n}'",
    "kubectl -n {s} get pods -o wide",
    "git checkout -b {s}-{n}",
    "docker exec -it {s}-{n} bash",
    "cd {d}",
    "scp {p} {s}{n}:{d}",
    "for i in $(seq {n}); do echo {w} $i; done",
    "find {d} -name '*{e}' -mtime +{n} -delete",
    "journalctl -u {s} --since '{n} minutes ago' | tail",
    "ssh {s}{n}.prod.example.com uptime",
    "DROP TABLE {s}_{n};",
    "chmod {n} {p}",
    "curl -sS https://{s}{n}.example.com/{w}",
    "{c}",
    "{c}",
    "{c}",
    "{w} {w} {p}",
    "echo {w}{n} >> {p}",
    "mysqldump {s}_{n} | gzip > {p}.gz",
    "ps aux | grep {s}",
    "df -h {d}",
];

impl Speech {
    /// From tests/corpus.
    fn learn() -> Self {
        let mut commands = Vec::new();
        for entry in std::fs::read_dir("tests/corpus/sessions").unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            let session: serde_json::Value = serde_json::from_str(&text).unwrap();
            let listed = session["commands"].as_array().cloned().unwrap_or_default();
            commands.extend(listed.iter().filter_map(|one| {
                let text = one["text"].as_str().or_else(|| one.as_str())?;
                Some(text.to_owned())
            }));
        }
        commands.sort();
        let words = commands.iter().flat_map(|line| line.split_whitespace());
        let mut words: Vec<String> = words.map(str::to_owned).collect();
        words.sort();
        words.dedup();
        Self { commands, words }
    }

    fn say(&self, dice: &mut Dice) -> String {
        let (place, name, end) = (*dice.of(&PLACES), *dice.of(&NAMES), *dice.of(&ENDS));
        let number = match dice.below(2) {
            0 => String::new(),
            _ => format!("-{}", dice.seldom()),
        };
        dice.of(&SHAPES)
            .replace("{p}", &format!("{place}/{name}{number}{end}"))
            .replace("{d}", place)
            .replace("{s}", name)
            .replace("{e}", end)
            .replace("{n}", &dice.seldom().to_string())
            .replace("{w}", dice.of::<String>(&self.words))
            .replace("{c}", dice.of::<String>(&self.commands))
    }
}

fn start_of(session: usize) -> DateTime<Utc> {
    let seconds = i64::try_from(session * 20).unwrap();
    DateTime::from_timestamp(MIDNIGHT + seconds, 0).unwrap()
}

fn row(session: usize) -> Row {
    let start = start_of(session);
    let who = format!("person{}", session * 7 % PEOPLE);
    Row {
        id: SessionId::at(start.into()),
        who: Person {
            identity: Some(who.parse().unwrap()),
            ..Person::default()
        },
        target: Some(format!("target{}", session * 13 % TARGETS)),
        login: Some("root".to_owned()),
        node: None,
        door: "jump".to_owned(),
        start,
        end: None,
        outcome: Outcome::Success,
        why: Reason::default(),
        channels: 1,
        input_bytes: 0,
        output_bytes: 0,
        seen: portcullis::store::Seen::default(),
        last_seq: 0,
    }
}

async fn build(store: &Store, speech: &Speech, commands: usize) -> u64 {
    let mut dice = Dice(1);
    let mut text_bytes = 0;
    for session in 0..commands.div_ceil(A_SESSION) {
        let row = row(session);
        store.put_session(&row).await.unwrap();
        let mut told = vec![Told::Start(Start {
            identity: row.who.identity.as_ref().map(ToString::to_string),
            target: row.target.clone(),
            started: row.start,
        })];
        for seq in 0..A_SESSION as u64 {
            let text = speech.say(&mut dice);
            text_bytes += text.len() as u64;
            told.push(Told::Line(Line {
                class: Class::Commands,
                seq,
                nth: 0,
                at: Duration::from_millis(seq * 7_131),
                channel: Some(0),
                is_exec: false,
                exit: Some(0),
                confidence: Some(Confidence::High),
                text,
            }));
        }
        store.put_told(row.id, &told).await.unwrap();
    }
    text_bytes
}

/// What analysts type: words of their own that are often there, parts of what was run, and things
/// that never were.
fn phrase(n: usize, speech: &Speech, dice: &mut Dice) -> String {
    const TYPED: [&str; 12] = [
        "rm -rf",
        "/etc/passwd",
        "DROP TABLE",
        "/etc/shadow",
        "asswd",
        "systemctl restart",
        "mysqldump",
        "docker exec",
        "chmod 777",
        "| grep",
        "SELECT * FROM users",
        "no such thing",
    ];
    let said = speech.say(dice);
    let chars: Vec<char> = said.chars().collect();
    match n % 4 {
        0 => (*dice.of(&TYPED)).to_owned(),
        1 => said,
        2 => {
            let from = dice.below(chars.len());
            let part: String = chars[from..].iter().take(3 + dice.below(12)).collect();
            if part.trim().chars().count() < 3 {
                said
            } else {
                part
            }
        }
        _ => format!(
            "{}/{}-{}.conf",
            dice.of(&PLACES),
            dice.of(&NAMES),
            20_000 + dice.below(9_000)
        ),
    }
}

async fn measure(store: &Store, speech: &Speech, what: &str, narrow: fn(&mut Search, &mut Dice)) {
    let mut dice = Dice(99);
    let mut times = Vec::new();
    let mut found = 0;
    for n in 0..SEARCHES {
        let Ok(phrase) = Phrase::parse(&phrase(n, speech, &mut dice)) else {
            continue;
        };
        let mut search = Search {
            phrase,
            classes: vec![Class::Commands],
            filter: Filter::default(),
            exit: None,
            confidence: None,
            owners: None,
            limit: 50,
        };
        narrow(&mut search, &mut dice);
        let before = Instant::now();
        let hits = store.search(&search, |_| true).await.unwrap().hits;
        times.push((before.elapsed(), search.phrase));
        found += usize::from(!hits.is_empty());
    }
    times.sort_by_key(|(time, _)| *time);
    let at = |share: usize| times[(times.len() - 1) * share / 100].0.as_secs_f64() * 1e3;
    println!(
        "| {what} | {:.1} ms | {:.1} ms | {:.1} ms | {:.1} ms | {found} of {} |",
        at(50),
        at(95),
        at(99),
        at(100),
        times.len()
    );
    if std::env::var_os("SEARCH_SLOWEST").is_some() {
        for (time, phrase) in times.iter().rev().take(12) {
            println!("    {time:?} {phrase:?}");
        }
    }
}

#[tokio::main]
async fn main() {
    let commands = std::env::var("SEARCH_COMMANDS").ok();
    let commands = commands.map_or(COMMANDS, |text| text.parse().unwrap());
    let speech = Speech::learn();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("db");
    let store = Store::open(&file).await.unwrap();
    let before = Instant::now();
    let text_bytes = build(&store, &speech, commands).await;
    let built = before.elapsed();
    store.clone().close().await;
    let size = std::fs::metadata(&file).unwrap().len();
    let each = |bytes: u64| bytes as f64 / commands as f64;
    println!(
        "{commands} commands of {:.1} bytes: {:.1} bytes of database each; built in {built:.0?}, {:.0} a second",
        each(text_bytes),
        each(size),
        commands as f64 / built.as_secs_f64()
    );
    let store = Store::open(&file).await.unwrap();
    println!("| search | p50 | p95 | p99 | longest | found |");
    println!("|---|---|---|---|---|---|");
    measure(&store, &speech, "everybody's", |_, _| {}).await;
    measure(&store, &speech, "one person's", |search, dice| {
        search.owners = Some(vec![format!("person{}", dice.below(PEOPLE))]);
    })
    .await;
    measure(&store, &speech, "one target's", |search, dice| {
        search.filter.target = Some(format!("target{}", dice.below(TARGETS)));
    })
    .await;
    measure(&store, &speech, "of a week", |search, dice| {
        let newest = start_of(dice.below(COMMANDS / A_SESSION));
        search.filter.until = Some(newest);
        search.filter.since = Some(newest - Duration::from_secs(7 * 86_400));
    })
    .await;
}

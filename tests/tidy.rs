//! The walls of the house. One crate has none of its own, so this test is them.
//!
//! `cargo tidy` reads the tree once, in tens of milliseconds, and says with file and line what is
//! out of place. Each rule below has a deliberate offence that it must find: a wall that nobody
//! pushes against may be paper.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Room -> rooms it may import, lowest floor first. To move a wall, change its line and defend it.
#[rustfmt::skip]
const MAY_IMPORT: &[(&str, &str)] = &[
    // words: plain data
    ("id",       ""),
    ("clock",    ""),
    ("event",    "id clock"),
    ("grant",    "id clock event"),
    // rules: pure
    ("identity", "id clock event"),
    ("policy",   "id"),
    ("inspect",  "id event"),
    // hands: disk, network, keys
    ("ca",       "id clock identity"),
    ("record",   "id clock event"),
    ("store",    "id clock event grant"),
    ("sink",     "id clock event inspect record store"),
    ("replay",   "id clock event inspect record store sink"),
    // flows: things happen in order
    ("access",   "id clock event grant identity policy ca record store"),
    ("proxy",    "id clock event grant identity inspect ca record access"),
    // faces: people look in
    ("web",      "id clock event grant identity access proxy record replay store"),
    ("demo",     "id clock event identity ca config replay server"),
    ("cli",      "id clock event identity policy inspect ca record store replay access proxy demo config server"),
    // wiring
    ("config",   "id clock identity policy inspect ca record store sink access proxy web"),
    ("server",   "id clock event grant identity policy inspect ca record store sink replay access proxy web config"),
    ("main",     "cli"),
    ("lib",      "id clock event grant identity policy inspect ca record store sink replay access proxy web demo cli config server"),
];

/// Words a room must not even mention. A path is found in every spelling of `use`.
#[rustfmt::skip]
const MUST_NOT_SEE: &[(&str, &str)] = &[
    ("event",    "tokio russh sqlx std::fs"),
    ("grant",    "tokio async sqlx"),
    ("identity", "tokio async russh sqlx std::fs"),
    ("policy",   "tokio async std::fs std::net std::time russh sqlx"),
    ("inspect",  "tokio async russh std::fs"),
    ("record",   "russh ssh_key cedar_policy sqlx axum"),
    ("store",    "russh axum"),
    ("access",   "russh axum"),
    ("web",      "russh sqlx"),
    ("demo",     "sqlx cedar_policy"),
    ("cli",      "russh sqlx cedar_policy"),
];

/// What a room may say although a word of its list is in it: data without hands.
const BUT_MAY_SEE: &[(&str, &str)] = &[
    ("identity", "russh::keys::ssh_key"), // certificates, and nothing that connects
    ("policy", "std::net::IpAddr"),       // an address is a word, not a socket
];

/// Paths that only one room may say, and why.
const ONLY_IN: &[(&str, &str, &str)] = &[
    ("SystemTime::now", "clock", "take a `Clock`"),
    ("Instant::now", "clock", "take a `Clock`"),
    ("Utc::now", "clock", "take a `Clock`"),
    ("Local::now", "clock", "take a `Clock`"),
    ("Uuid::now_v7", "clock", "it reads the time: take a `Clock`"),
    ("std::env::var", "config", "settings enter through `config`"),
    (
        "std::env::var_os",
        "config",
        "settings enter through `config`",
    ),
    (
        "std::env::vars",
        "config",
        "settings enter through `config`",
    ),
    ("env::var", "config", "settings enter through `config`"),
    ("env::var_os", "config", "settings enter through `config`"),
    ("unbounded_channel", "nowhere", "every queue has a bound"),
];

/// What may lie beside `src`. Dot names are free.
const TOP_LEVEL: &str = "Cargo.toml Cargo.lock README.md LICENSE src keys policies tests docs";

/// Lines of code outside tests. Ours aim at half of it.
const FILE_LINES_MAX: usize = 400;
/// A door is read in one look.
const DOOR_LINES_MAX: usize = 80;

#[test]
fn the_house_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tracked = tracked_files(root);
    let mut faults = check_top_level(tracked.iter().map(String::as_str));

    for name in rust_files(root, "src") {
        let text = fs::read_to_string(root.join(&name)).unwrap();
        faults.extend(check_source(&name, &text));
    }
    for name in &tracked {
        // A file that was deleted and not yet committed, or bytes that are no text.
        let Ok(text) = fs::read_to_string(root.join(name)) else {
            continue;
        };
        faults.extend(check_text(name, &text));
    }
    faults.extend(check_format_hashes(root));
    faults.extend(check_documents(root, &tracked));
    faults.extend(check_reference(root));
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn a_page_of_settings_that_is_behind_is_found() {
    assert_eq!(is_reference("# x\n```toml\na = 1\n```\n", "a = 1\n"), None);
    assert!(is_reference("# x\n```toml\na = 1\n```\n", "a = 2\n").is_some());
}

// ---- rules over one source file ------------------------------------------------------------------

fn check_source(name: &str, text: &str) -> Vec<String> {
    let tokens = tokens(text);
    let code = without_tests(&tokens);
    if is_test_file(name) {
        return Vec::new();
    }
    let file = Source {
        name,
        room: room_of(name),
        paths: paths(&code),
        code,
    };
    let mut faults = file.check_imports();
    faults.extend(file.check_sight());
    faults.extend(file.check_only_in());
    faults.extend(file.check_length());
    if name.ends_with("/mod.rs") {
        faults.extend(file.check_door(text));
    }
    faults
}

struct Source<'a> {
    name: &'a str,
    room: &'a str,
    code: Vec<Token>,
    paths: Vec<Found>,
}

impl Source<'_> {
    fn fault(&self, line: usize, message: String) -> String {
        format!("{}:{line}: {message}", self.name)
    }

    fn check_imports(&self) -> Vec<String> {
        let rooms: BTreeMap<_, _> = MAY_IMPORT.iter().copied().collect();
        let Some(allowed) = rooms.get(self.room) else {
            let message = format!("room `{}` is not in MAY_IMPORT of tests/tidy.rs", self.room);
            return vec![self.fault(1, message)];
        };
        let mut faults = Vec::new();
        for path in &self.paths {
            let words = path.words();
            if words.windows(2).any(|pair| pair == ["super", "super"]) {
                faults.push(self.fault(
                    path.line,
                    "`super::super` climbs over a wall, name the room".to_owned(),
                ));
            }
            let Some(guest) = self.guest(&words, &rooms) else {
                continue;
            };
            let known = rooms.contains_key(guest);
            let welcome = guest == self.room || has_word(allowed, guest);
            if guest == "*" || guest == "self" || guest == "as" {
                let message = "`crate` as a whole hides who is imported, name the room".to_owned();
                faults.push(self.fault(path.line, message));
            } else if !welcome && (known || guest.starts_with(|c: char| c.is_ascii_lowercase())) {
                let message = format!("`{}` must not import `{guest}`", self.room);
                faults.push(self.fault(path.line, message));
            }
        }
        faults
    }

    /// The room that a path leads into, if it leads out of a file at all.
    fn guest<'p>(&self, words: &[&'p str], rooms: &BTreeMap<&str, &str>) -> Option<&'p str> {
        let at_top = self.name.matches('/').count() == 1
            || (self.name.matches('/').count() == 2 && self.name.ends_with("/mod.rs"));
        match words {
            ["crate", guest, ..] => Some(guest),
            ["portcullis", guest, ..] if self.room == "main" => Some(guest),
            // `super` of a room's own file is the crate.
            ["super", guest, ..] if at_top && rooms.contains_key(guest) => Some(guest),
            _ => None,
        }
    }

    fn check_sight(&self) -> Vec<String> {
        let of_room = |table: &'static [(&str, &'static str)]| {
            let mine = table.iter().filter(|(room, _)| *room == self.room);
            mine.flat_map(|(_, words)| words.split(' '))
                .collect::<Vec<_>>()
        };
        let granted = of_room(BUT_MAY_SEE);
        let mut faults = Vec::new();
        for banned in of_room(MUST_NOT_SEE) {
            let wanted: Vec<&str> = banned.split("::").collect();
            for path in &self.paths {
                let words = path.words();
                let excused = granted
                    .iter()
                    .any(|granted| words.starts_with(&granted.split("::").collect::<Vec<_>>()));
                // `use std::*` and `use std as s` would let the rest of the file hide the word.
                let hidden = wanted.len() > 1
                    && words.len() > 1
                    && words[0] == wanted[0]
                    && ["*", "as", "self"].contains(&words[1]);
                if !excused && (hidden || holds(&words, &wanted)) {
                    let message = format!("`{}` must not see `{banned}`", self.room);
                    faults.push(self.fault(path.line, message));
                }
            }
        }
        faults
    }

    fn check_only_in(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (banned, room, instead) in ONLY_IN {
            let wanted: Vec<&str> = banned.split("::").collect();
            for path in self.paths.iter().filter(|_| self.room != *room) {
                if holds(&path.words(), &wanted) {
                    faults.push(self.fault(path.line, format!("`{banned}`: {instead}")));
                }
            }
        }
        for part in self.code.windows(3) {
            let [before, word, after] = [0, 1, 2].map(|at| part[at].text.as_str());
            let attribute = ["[", ","].contains(&before) && word == "path" && after == "=";
            if attribute || (word == "include" && after == "!") {
                let message = format!("`{word}` brings code in past the walls");
                faults.push(self.fault(part[1].line, message));
            }
        }
        faults
    }

    fn check_length(&self) -> Vec<String> {
        let lines: BTreeSet<usize> = self.code.iter().map(|token| token.line).collect();
        if lines.len() <= FILE_LINES_MAX {
            return Vec::new();
        }
        let message = format!("{} lines of code, at most {FILE_LINES_MAX}", lines.len());
        vec![self.fault(1, message)]
    }

    fn check_door(&self, text: &str) -> Vec<String> {
        let mut faults = Vec::new();
        let door: Vec<&str> = text.lines().take_while(|l| l.starts_with("//!")).collect();
        if !door.iter().any(|line| line.contains("Never:")) {
            let message = "the door must say what the room is and `Never:`".to_owned();
            faults.push(self.fault(1, message));
        }
        // A signature in a trait is a word; a body is logic.
        for (at, token) in self.code.iter().enumerate() {
            let rest = self.code[at..].iter().map(|token| token.text.as_str());
            let opens = rest.skip(1).find(|text| *text == "{" || *text == ";");
            if token.text == "fn" && opens == Some("{") {
                let message = "a door has no logic, give it a file".to_owned();
                faults.push(self.fault(token.line, message));
            }
        }
        let lines = text.lines().count();
        if lines > DOOR_LINES_MAX {
            let message = format!("a door of {lines} lines, at most {DOOR_LINES_MAX}");
            faults.push(self.fault(1, message));
        }
        faults
    }
}

fn has_word(list: &str, word: &str) -> bool {
    list.split(' ').any(|each| each == word)
}

fn holds(words: &[&str], wanted: &[&str]) -> bool {
    words.windows(wanted.len()).any(|part| part == wanted)
}

fn room_of(name: &str) -> &str {
    let inside = name.strip_prefix("src/").unwrap_or(name);
    inside.split('/').next().unwrap().trim_end_matches(".rs")
}

fn is_test_file(name: &str) -> bool {
    name.ends_with("/tests.rs") || name.ends_with("_tests.rs") || name.contains("/tests/")
}

// ---- rules over every tracked text ---------------------------------------------------------------

fn check_text(name: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    // Put together here, so that this file does not find itself.
    let pem = format!("-----BEGIN {}PRIVATE {}-----", "", "KEY");
    let pem_tail = format!("PRIVATE {}-----", "KEY");
    let unfinished = [["TO", "DO"].concat(), ["FIX", "ME"].concat()];
    let asleep = format!("thread::{}", "sleep");
    let ignored = format!("#[{}", "ignore");
    let code = name.ends_with(".rs") || name.starts_with("tests/") || name.starts_with("policies/");

    for (at, line) in text.lines().enumerate() {
        let mut fault = |what: &str| faults.push(format!("{name}:{}: {what}", at + 1));
        let begins = line.contains("-----BEGIN ") && line.contains(&pem_tail);
        if begins || line.contains(&pem) {
            fault("a private key; make it in a temporary directory");
        }
        if let Some(host) = registry_hosts().into_iter().find(|h| has_host(line, h)) {
            fault(&format!(
                "`{host}` is a package registry; clients know where theirs is"
            ));
        }
        if name == "Cargo.lock"
            && line.contains("\"registry+")
            && !line.contains("github.com/rust-lang/")
        {
            fault("a package from another registry than everybody's");
        }
        if !code {
            continue;
        }
        if unfinished.iter().any(|word| holds_word(line, word)) {
            fault("unfinished work belongs into an issue");
        }
        if line.contains(&asleep) {
            fault("wait for a condition, never sleep");
        }
        if line.trim_start().starts_with(&ignored) {
            fault("a test that does not run proves nothing");
        }
    }
    faults
}

fn registry_hosts() -> Vec<String> {
    let parts = [
        ("crates", "io"),
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("rubygems", "org"),
        ("proxy.golang", "org"),
        ("deb.debian", "org"),
    ];
    parts.map(|(name, top)| format!("{name}.{top}")).to_vec()
}

/// `host` as a name of its own: `x.host` is one, `host-index` is not.
fn has_host(line: &str, host: &str) -> bool {
    line.match_indices(host).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + host.len()..].chars().next();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '-')
            && !after.is_some_and(|c| c.is_alphanumeric() || c == '-')
    })
}

fn holds_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let part_of = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !part_of(line[..at].chars().next_back()) && !part_of(line[at + word.len()..].chars().next())
    })
}

fn check_top_level<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let tops: BTreeSet<&str> = names.filter_map(|name| name.split('/').next()).collect();
    tops.into_iter()
        .filter(|top| !top.starts_with('.') && !has_word(TOP_LEVEL, top))
        .map(|top| format!("{top}: the top level holds only {TOP_LEVEL}"))
        .collect()
}

/// The document is the contract (A14): whoever changes the words or the renderer reads it again.
/// A line a file, so that two changes of different files do not meet.
fn check_format_hashes(root: &Path) -> Vec<String> {
    let Ok(document) = fs::read_to_string(root.join("docs/recording-format.md")) else {
        return vec!["docs/recording-format.md: it is the contract, and not there".to_owned()];
    };
    let mut names = rust_files(root, "src/event");
    // A door only names what others say.
    names.retain(|name| !is_test_file(name) && !name.ends_with("/mod.rs"));
    names.push("src/record/render.rs".to_owned());
    names
        .iter()
        .filter_map(|name| check_hash_line(&document, name, &fs::read(root.join(name)).ok()?))
        .collect()
}

fn check_hash_line(document: &str, name: &str, bytes: &[u8]) -> Option<String> {
    let line = format!("    format-hash {name}: {}", sha256(bytes));
    let stated = document.lines().any(|each| each == line);
    (!stated).then(|| {
        format!(
            "docs/recording-format.md: `{name}` changed. Read the document again, mend what is no \
             longer so, then write in its last section\n{line}"
        )
    })
}

// ---- rules over documents ------------------------------------------------------------------------

/// The page of settings is what `init` writes.
fn check_reference(root: &Path) -> Option<String> {
    let read = |name: &str| fs::read_to_string(root.join(name)).unwrap_or_default();
    let source = read("src/config/template.rs");
    let (_, rest) = source.split_once("r##\"").unwrap();
    let (template, _) = rest.split_once("\"##").unwrap();
    is_reference(&read("docs/operate/configuration.md"), template)
}

fn is_reference(page: &str, template: &str) -> Option<String> {
    let block = format!("```toml\n{template}```\n");
    (!page.contains(&block)).then(|| {
        "docs/operate/configuration.md: between ```toml and ``` must stand the text of TEMPLATE in \
         src/config/template.rs: copy it there"
            .to_owned()
    })
}

/// What a page points at is there, and each promise names a test that is.
fn check_documents(root: &Path, tracked: &[String]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut tests = BTreeSet::new();
    for name in tracked.iter().filter(|name| name.ends_with(".rs")) {
        let text = fs::read_to_string(root.join(name)).unwrap_or_default();
        tests.extend(functions(&text));
    }
    for name in tracked.iter().filter(|name| name.ends_with(".md")) {
        // A decision tells of its own day.
        if name.starts_with("docs/decisions/") {
            continue;
        }
        let text = fs::read_to_string(root.join(name)).unwrap_or_default();
        faults.extend(check_page(name, &text, tracked));
        if name == "docs/specification.md" {
            faults.extend(check_promises(name, &text, &tests));
        }
    }
    faults
}

fn check_page(name: &str, text: &str, tracked: &[String]) -> Vec<String> {
    let mut faults = Vec::new();
    let under = |path: &str| {
        let path = path.trim_end_matches('/');
        let inside = format!("{path}/");
        tracked
            .iter()
            .any(|each| each == path || each.starts_with(&inside))
    };
    for (at, line) in text.lines().enumerate() {
        for link in line.split("](").skip(1) {
            let link = link.split([')', '#']).next().unwrap();
            let dir = name.rsplit_once('/').map_or("", |(dir, _)| dir);
            if !link.is_empty() && !link.contains("://") && !under(&joined(dir, link)) {
                faults.push(format!(
                    "{name}:{}: the link `{link}` leads nowhere",
                    at + 1
                ));
            }
        }
        let is_part = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
        for word in line.split(|c| !is_part(c)) {
            let word = word.trim_end_matches('.');
            let end = format!("/{word}");
            let ours = ["src/", "tests/", "docs/"];
            let lost = match word.ends_with(".rs") {
                true => !tracked
                    .iter()
                    .any(|each| each == word || each.ends_with(&end)),
                false => ours.iter().any(|top| word.starts_with(top)) && !under(word),
            };
            if lost {
                faults.push(format!("{name}:{}: there is no `{word}`", at + 1));
            }
        }
    }
    faults
}

/// `../a` seen from `docs`.
fn joined(dir: &str, link: &str) -> String {
    let mut parts: Vec<&str> = dir.split('/').filter(|part| !part.is_empty()).collect();
    for part in link.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Rows `| 101 | promise | test |`: a number once, and in the last cell a test by its name, a file
/// of tests, or *pending*.
fn check_promises(name: &str, text: &str, tests: &BTreeSet<String>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut numbers = BTreeSet::new();
    for (at, line) in text.lines().enumerate() {
        let mut fault = |what: String| faults.push(format!("{name}:{}: {what}", at + 1));
        let cells: Vec<&str> = line
            .split(" | ")
            .map(|cell| cell.trim_matches(['|', ' ']))
            .collect();
        let Some(number) = cells.first().and_then(|cell| cell.parse::<u32>().ok()) else {
            continue;
        };
        if !numbers.insert(number) {
            fault(format!("{number} stands twice"));
        }
        let held_by = cells.last().unwrap();
        let named: Vec<&str> = held_by
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|word| word.contains('_'))
            .collect();
        for test in &named {
            if !tests.contains(*test) {
                fault(format!("there is no test `{test}`"));
            }
        }
        let elsewhere = held_by.contains("tests/") || held_by.contains(".rs");
        if named.is_empty() && !elsewhere && !held_by.contains("*pending*") {
            fault(format!("{number} names no test and is not *pending*"));
        }
    }
    faults
}

/// Names of functions, tests among them.
fn functions(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split("fn ").skip(1).filter_map(|rest| {
        let end = rest.find(['(', '<'])?;
        Some(rest[..end].to_owned())
    })
}

fn sha256(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

// ---- reading -------------------------------------------------------------------------------------

#[derive(Clone, Debug)]
struct Token {
    line: usize,
    text: String,
}

/// A path as the compiler sees it: `use a::{b, c::d}` is `a::b` and `a::c::d`.
#[derive(Debug)]
struct Found {
    line: usize,
    parts: Vec<String>,
}

impl Found {
    /// `core` and `alloc` are `std` by another name; `$crate` and `::std` lose their first sign.
    fn words(&self) -> Vec<&str> {
        let mut words: Vec<&str> = self.parts.iter().map(String::as_str).collect();
        if let Some(first @ (&mut "core" | &mut "alloc")) = words.first_mut() {
            *first = "std";
        }
        words
    }
}

/// Identifiers, `::`, and single signs. Comments, strings and characters are left out; a string
/// that is a path (`#[serde(with = "crate::x")]`) is read as one.
fn tokens(text: &str) -> Vec<Token> {
    let bytes: Vec<char> = text.chars().collect();
    let (mut at, mut line, mut found) = (0, 1, Vec::new());
    while at < bytes.len() {
        let (end, kept) = lexeme(&bytes, at);
        let piece: String = bytes[at..end].iter().collect();
        match kept {
            Kept::Whole => found.push(Token {
                line,
                text: piece.clone(),
            }),
            Kept::Path if piece.trim_matches('"').starts_with("crate::") => {
                let inner = tokens(piece.trim_matches('"'));
                found.extend(inner.into_iter().map(|token| Token { line, ..token }));
            }
            Kept::Path | Kept::Nothing => {}
        }
        line += piece.matches('\n').count();
        at = end;
    }
    found
}

enum Kept {
    Whole,
    Path,
    Nothing,
}

fn lexeme(text: &[char], at: usize) -> (usize, Kept) {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let run = |from: usize, keep: &dyn Fn(char) -> bool| {
        from + text[from..].iter().take_while(|c| keep(**c)).count()
    };
    let next = |n: usize| text.get(at + n).copied().unwrap_or(' ');
    match text[at] {
        '/' if next(1) == '/' => (run(at, &|c| c != '\n'), Kept::Nothing),
        '/' if next(1) == '*' => (comment_end(text, at), Kept::Nothing),
        '"' => (string_end(text, at), Kept::Path),
        'r' | 'b' | 'c' if raw_string_end(text, at).is_some() => {
            (raw_string_end(text, at).unwrap(), Kept::Nothing)
        }
        '\'' if next(1) == '\\' => (run(at + 3, &|c| c != '\'') + 1, Kept::Nothing),
        '\'' if next(2) == '\'' => (at + 3, Kept::Nothing),
        ':' if next(1) == ':' => (at + 2, Kept::Whole),
        c if is_word(c) => (run(at, &is_word), Kept::Whole),
        c if c.is_whitespace() => (run(at, &char::is_whitespace), Kept::Nothing),
        _ => (at + 1, Kept::Whole),
    }
}

fn comment_end(text: &[char], at: usize) -> usize {
    let (mut depth, mut now) = (0_usize, at);
    while now < text.len() {
        match (text[now], text.get(now + 1)) {
            ('/', Some('*')) => (depth, now) = (depth + 1, now + 2),
            ('*', Some('/')) => (depth, now) = (depth - 1, now + 2),
            _ => now += 1,
        }
        if depth == 0 {
            break;
        }
    }
    now.min(text.len())
}

fn string_end(text: &[char], at: usize) -> usize {
    let mut now = at + 1;
    while now < text.len() && text[now] != '"' {
        now += if text[now] == '\\' { 2 } else { 1 };
    }
    (now + 1).min(text.len())
}

fn raw_string_end(text: &[char], at: usize) -> Option<usize> {
    let mut now = at;
    let mut raw = false;
    while let Some(c @ ('r' | 'b' | 'c')) = text.get(now) {
        raw |= *c == 'r';
        now += 1;
    }
    if !raw {
        return (text.get(now) == Some(&'"')).then(|| string_end(text, now));
    }
    let hashes = text[now..].iter().take_while(|c| **c == '#').count();
    if text.get(now + hashes) != Some(&'"') {
        return None;
    }
    let close: Vec<char> = std::iter::once('"').chain(vec!['#'; hashes]).collect();
    let body = now + hashes + 1;
    let length = text[body..]
        .windows(close.len())
        .position(|part| part == close);
    Some(length.map_or(text.len(), |length| body + length + close.len()))
}

/// Leaves out what stands under `#[cfg(test)]`: an item to its brace or semicolon, or all of it.
fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let attribute = ["[", "cfg", "(", "test", ")", "]"];
    let is_at = |at: usize, wanted: &[&str]| {
        let part = tokens.get(at..at + wanted.len());
        part.is_some_and(|part| part.iter().zip(wanted).all(|(token, w)| token.text == *w))
    };
    let (mut at, mut kept) = (0, Vec::new());
    while at < tokens.len() {
        if tokens[at].text == "#" && is_at(at + 1, &["!"]) && is_at(at + 2, &attribute) {
            return Vec::new();
        }
        if tokens[at].text == "#" && is_at(at + 1, &attribute) {
            at = item_end(tokens, at + 1 + attribute.len());
            continue;
        }
        kept.push(tokens[at].clone());
        at += 1;
    }
    kept
}

/// The end of the item that starts at `at`: the first `;` or `,` outside of brackets, or the
/// closing brace of its body.
fn item_end(tokens: &[Token], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while at < tokens.len() {
        match tokens[at].text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" if depth == 0 => return at,
            "}" | ")" | "]" => depth -= 1,
            ";" | "," if depth == 0 => return at + 1,
            _ => {}
        }
        if depth == 0 && tokens[at].text == "}" {
            return at + 1;
        }
        at += 1;
    }
    at
}

/// Every path of the code, groups taken apart. A lone word is a path of one part.
fn paths(code: &[Token]) -> Vec<Found> {
    let (mut at, mut found) = (0, Vec::new());
    while at < code.len() {
        let fresh = at == 0 || code[at - 1].text != "::" || !is_name(code, at.wrapping_sub(2));
        if is_name(code, at) && fresh {
            at = path_from(code, at, &[], &mut found);
        } else {
            at += 1;
        }
    }
    found
}

fn is_name(code: &[Token], at: usize) -> bool {
    code.get(at)
        .and_then(|token| token.text.chars().next())
        .is_some_and(|c| c.is_alphabetic() || c == '_')
}

fn path_from(code: &[Token], mut at: usize, before: &[String], found: &mut Vec<Found>) -> usize {
    let sign = |at: usize| code.get(at).map_or("", |token| token.text.as_str());
    let line = code[at].line;
    let mut parts = before.to_vec();
    while at < code.len() {
        if sign(at) == "{" {
            return group_from(code, at + 1, &parts, found);
        }
        if sign(at) != "*" && !is_name(code, at) {
            break;
        }
        parts.push(sign(at).to_owned());
        at += 1;
        if sign(at) == "as" && parts.len() == 1 {
            parts.push("as".to_owned());
        }
        if sign(at) != "::" {
            break;
        }
        at += 1;
    }
    found.push(Found { line, parts });
    at
}

fn group_from(code: &[Token], mut at: usize, before: &[String], found: &mut Vec<Found>) -> usize {
    while at < code.len() && code[at].text != "}" {
        if code[at].text == "*" || code[at].text == "{" || is_name(code, at) {
            at = path_from(code, at, before, found);
            while at < code.len() && code[at].text != "," && code[at].text != "}" {
                at += 1; // ` as name`
            }
        } else {
            at += 1;
        }
    }
    at + 1
}

fn rust_files(root: &Path, dir: &str) -> Vec<String> {
    let mut waiting = vec![root.join(dir)];
    let mut files = Vec::new();
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                let inside = path.strip_prefix(root).unwrap();
                files.push(inside.to_string_lossy().into_owned());
            }
        }
    }
    files.sort();
    files
}

/// What git holds; where there is no git (a source archive) what lies in the known places.
fn tracked_files(root: &Path) -> Vec<String> {
    let listed = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(root)
        .output();
    if let Some(output) = listed.ok().filter(|output| output.status.success()) {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        return text
            .split('\0')
            .filter(|n| !n.is_empty())
            .map(str::to_owned)
            .collect();
    }
    let mut files = rust_files(root, "src");
    files.extend(rust_files(root, "tests"));
    for name in ["Cargo.toml", "Cargo.lock", "README.md"] {
        files.push(name.to_owned());
    }
    files
}

// ---- the walls are pushed against ----------------------------------------------------------------

fn offends(name: &str, code: &str, expected: &str) {
    let faults = check_source(name, code);
    assert!(
        faults.iter().any(|fault| fault.contains(expected)),
        "not found in `{code}`: {expected}; found {faults:?}"
    );
}

fn is_clean(name: &str, code: &str) {
    assert_eq!(check_source(name, code), Vec::<String>::new(), "{code}");
}

#[test]
fn imports_are_seen_in_every_spelling() {
    let wall = "`record` must not import `access`";
    for code in [
        "use crate::access::Permit;",
        "use crate::{id::SessionId, access::{Permit, Door}};",
        "use crate::{\n    event,\n    access as desk,\n};",
        "use {crate::id, crate::access::Permit};",
        "use ::{std::fs}; use crate :: access;",
        "fn f(x: crate::access::Permit) {}",
        "macro_rules! m { () => { $crate::access::f() } }",
        "#[serde(with = \"crate::access::text\")] struct A;",
        "use crate::event::Entry; type A = Vec<crate::access::Permit>;",
    ] {
        offends("src/record/journal.rs", code, wall);
    }
    offends(
        "src/record/mod.rs",
        "//! Never: x\nuse super::access;",
        wall,
    );
    offends(
        "src/id.rs",
        "use super::clock;",
        "`id` must not import `clock`",
    );
    offends("src/record/a.rs", "use crate::*;", "`crate` as a whole");
    offends(
        "src/record/a.rs",
        "use crate as house;",
        "`crate` as a whole",
    );
    offends(
        "src/record/a.rs",
        "use crate::{self as house};",
        "`crate` as a whole",
    );
    offends(
        "src/record/a.rs",
        "use super::super::access;",
        "climbs over a wall",
    );
    offends(
        "src/main.rs",
        "use portcullis::server;",
        "`main` must not import `server`",
    );
    offends("src/cupboard/a.rs", "", "not in MAY_IMPORT");
}

#[test]
fn allowed_imports_are_left_alone() {
    is_clean(
        "src/record/journal.rs",
        "use crate::{clock::Clock, event::{Entry, Kind}};",
    );
    is_clean(
        "src/record/journal.rs",
        "use super::segment; use crate::record::Free;",
    );
    is_clean(
        "src/record/journal.rs",
        "// crate::access\nconst A: &str = \"see crate::access\";",
    );
    is_clean(
        "src/record/journal.rs",
        "#[cfg(test)]\nmod tests { use crate::access::Permit; }",
    );
    is_clean("src/record/tests.rs", "use crate::access::Permit;");
    is_clean("src/main.rs", "fn main() { portcullis::cli::run() }");
    is_clean(
        "src/record/a.rs",
        "fn f(x: &'static str, c: char) -> bool { c == '\"' || c == '\\'' }",
    );
}

#[test]
fn banned_words_are_seen() {
    offends(
        "src/record/a.rs",
        "use russh::keys::ssh_key::SshSig;",
        "must not see `ssh_key`",
    );
    offends(
        "src/event/a.rs",
        "use std::{fs, io};",
        "must not see `std::fs`",
    );
    offends(
        "src/event/a.rs",
        "use std::{io, fs::{self, File}};",
        "must not see `std::fs`",
    );
    offends("src/event/a.rs", "use std::*;", "must not see `std::fs`");
    offends("src/event/a.rs", "use std as s;", "must not see `std::fs`");
    offends(
        "src/event/a.rs",
        "fn f() { ::std::fs::read(p); }",
        "must not see `std::fs`",
    );
    offends(
        "src/policy/a.rs",
        "use core::net::SocketAddr;",
        "must not see `std::net`",
    );
    offends(
        "src/policy/a.rs",
        "async fn decide() {}",
        "must not see `async`",
    );
    offends(
        "src/identity/a.rs",
        "use russh::client;",
        "must not see `russh`",
    );
    offends(
        "src/identity/a.rs",
        "use russh::keys::{ssh_key, agent};",
        "must not see `russh`",
    );
    offends(
        "src/cli/a.rs",
        "fn f(e: sqlx::Error) {}",
        "must not see `sqlx`",
    );

    is_clean(
        "src/identity/a.rs",
        "use russh::keys::ssh_key::{Certificate, PublicKey};",
    );
    is_clean(
        "src/policy/a.rs",
        "fn f(ip: std::net::IpAddr) {} // std::net, tokio",
    );
    is_clean(
        "src/record/a.rs",
        "let my_ssh_key_count = 1; // russh is not ours to know",
    );
    is_clean("src/access/a.rs", "const HINT: &str = \"russh\";");
}

#[test]
fn time_and_environment_have_one_reader() {
    offends(
        "src/proxy/a.rs",
        "let t = std::time::Instant::now();",
        "`Instant::now`",
    );
    offends(
        "src/proxy/a.rs",
        "let t = SystemTime :: now();",
        "`SystemTime::now`",
    );
    offends(
        "src/proxy/a.rs",
        "let id = uuid::Uuid::now_v7();",
        "`Uuid::now_v7`",
    );
    offends(
        "src/cli/a.rs",
        "let p = std::env::var(\"X\");",
        "`std::env::var`",
    );
    offends(
        "src/cli/a.rs",
        "use std::env::{self, var};",
        "`std::env::var`",
    );
    offends(
        "src/cli/a.rs",
        "let p = env::var_os(\"X\");",
        "`env::var_os`",
    );
    offends(
        "src/proxy/a.rs",
        "let (a, b) = mpsc::unbounded_channel();",
        "`unbounded_channel`",
    );
    is_clean("src/clock.rs", "fn f() { Instant::now(); }");
    is_clean("src/config.rs", "fn f() { std::env::var(\"X\"); }");
    is_clean(
        "src/cli/a.rs",
        "fn f() { std::env::current_exe(); env!(\"X\"); }",
    );
}

#[test]
fn code_does_not_come_in_by_the_window() {
    offends(
        "src/id.rs",
        "#[path = \"../x.rs\"] mod x;",
        "past the walls",
    );
    offends("src/id.rs", "mod a; include!(\"x.rs\");", "past the walls");
    is_clean("src/id.rs", "let path = 1;");
}

#[test]
fn long_files_and_bare_doors_are_seen() {
    let long = "let a = 1;\n".repeat(FILE_LINES_MAX + 1);
    offends("src/proxy/a.rs", &long, "lines of code");
    is_clean("src/proxy/a.rs", &"// why\n".repeat(FILE_LINES_MAX + 1));
    let tests = format!("#[cfg(test)]\nmod tests {{\n{long}}}\n");
    is_clean("src/proxy/a.rs", &tests);

    offends("src/proxy/mod.rs", "//! A room.\n", "`Never:`");
    offends(
        "src/proxy/mod.rs",
        "// Never: hidden from the documentation\n",
        "`Never:`",
    );
    offends("src/proxy/mod.rs", "//! Never: x\nfn f() { 1 }", "no logic");
    is_clean("src/proxy/mod.rs", "//! Never: x\ntrait A { fn f(&self); }");
    let wide = format!("//! Never: x\n{}", "\n".repeat(DOOR_LINES_MAX));
    offends("src/proxy/mod.rs", &wide, "a door of");
}

#[test]
fn texts_that_must_not_be_here_are_seen() {
    let found = |name: &str, text: &str| check_text(name, text).join("\n");
    let key = format!("-----BEGIN OPENSSH {} KEY-----", "PRIVATE");
    assert!(found("keys/user_ca", &key).contains("a private key"));
    assert!(found("tests/data/x.pem", &key.replace("OPENSSH ", "")).contains("a private key"));
    assert!(found("docs/a.md", &format!("from index.{}.io", "crates")).contains("registry"));
    assert!(found("tests/run", &format!("https://{}.org/simple", "pypi")).contains("registry"));
    assert!(found("src/a.rs", &format!("// {}DO: later", "TO")).contains("unfinished"));
    assert!(found("tests/a.rs", &format!("    #[{}]", "ignore")).contains("does not run"));
    assert!(
        found("tests/a.rs", &format!("    #[{} = \"slow\"]", "ignore")).contains("does not run")
    );
    assert!(found("tests/a.rs", &format!("std::thread::{}(d);", "sleep")).contains("never sleep"));
    let other = "source = \"registry+https://packages.example.com/index\"";
    assert!(found("Cargo.lock", other).contains("another registry"));

    let ours = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
    assert_eq!(found("Cargo.lock", ours), "");
    assert_eq!(
        found("src/a.rs", "let mastodon = TODOS; // a public key"),
        ""
    );
}

#[test]
fn the_top_level_stays_small() {
    let names = [
        "src/id.rs",
        "README.md",
        ".ci/run",
        "scripts/run.sh",
        "docs/a.md",
    ];
    let faults = check_top_level(names.into_iter());
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].starts_with("scripts: "));
}

#[test]
fn a_stale_format_document_is_seen() {
    let hash = sha256(b"");
    assert!(hash.starts_with("e3b0c442"));
    let stale = |document: &str| check_hash_line(document, "src/a.rs", b"");
    let line = format!("    format-hash src/a.rs: {hash}");
    assert_eq!(stale(&format!("# Format\n{line}\n")), None);
    let fault = stale("    format-hash src/a.rs: 00").unwrap();
    assert!(fault.contains(&line), "{fault}");
    assert!(stale(&line.replace("a.rs", "b.rs")).is_some());
    assert!(stale("# Format\n").is_some());
}

#[test]
fn pages_that_point_nowhere_and_promises_without_a_test_are_seen() {
    let tracked = ["docs/a.md", "src/proxy/relay.rs", "tests/run", "README.md"].map(str::to_owned);
    let page = |text: &str| check_page("docs/a.md", text, &tracked).join("\n");
    for good in [
        "[b](../README.md) [c](a.md#here) [d](https://example.org/x) `proxy/relay.rs` tests/run.",
        "relay.rs, src/proxy/, and tests/run",
    ] {
        assert_eq!(page(good), "");
    }
    assert!(page("[b](b.md)").contains("`b.md` leads nowhere"));
    assert!(page("see proxy/rely.rs").contains("no `proxy/rely.rs`"));
    assert!(page("in tests/nothing/").contains("no `tests/nothing/`"));

    let tests: BTreeSet<String> = functions("#[test]\nfn it_holds() {}").collect();
    let promises = |text: &str| check_promises("s.md", text, &tests).join("\n");
    assert_eq!(
        promises("| 1 | a `b_c` | e2e `it_holds` |\n| 2 | b | *pending* |"),
        ""
    );
    assert_eq!(
        promises("| 3 | b | tests/run |\n| no. | promise | test |"),
        ""
    );
    assert!(promises("| 1 | a | e2e `it_hold` |").contains("no test `it_hold`"));
    assert!(promises("| 1 | a | believe us |").contains("names no test"));
    assert!(promises("| 1 | a | `it_holds` |\n| 1 | b | `it_holds` |").contains("twice"));
}

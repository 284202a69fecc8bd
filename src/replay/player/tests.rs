use super::core::{Player, Settings, Want};
use super::event::{Act, Event};
use super::find::Hits;
use super::frames::{Exact, exact};
use super::keyboard::parse_time;
use crate::replay::keys::Key;
use crate::replay::marks::{Mark, Sort};
use crate::replay::open::Place;
use proptest::prelude::*;
use ratatui::layout::Rect;
use ratatui::style::Style;
use std::time::Duration;

/// Four rows of it are the recording's.
const WINDOW: Rect = Rect::new(0, 0, 60, 6);

fn at(seconds: u64, act: Act) -> Event {
    Event {
        at: Duration::from_secs(seconds),
        place: Place::default(),
        channel: 0,
        act,
    }
}

fn text(seconds: u64, text: &str) -> Event {
    at(seconds, Act::Text(text.to_owned()))
}

fn tape() -> Vec<Event> {
    vec![
        at(0, Act::Open { cols: 20, rows: 4 }),
        at(1, Act::Nothing),
        text(2, "a"),
        text(10, "b"),
        at(20, Act::Nothing),
        text(21, "c"),
        text(100, "d"),
    ]
}

fn mark(seconds: u64, sort: Sort, text: &str) -> Mark {
    Mark {
        at: Duration::from_secs(seconds),
        channel: Some(0),
        sort,
        text: text.to_owned(),
        detail: String::new(),
        is_request: false,
    }
}

/// Plays until the player waits for time or a key.
struct Deck {
    player: Player,
    tape: Vec<Event>,
    read: usize,
    /// The smallest number that was read again.
    restarts: Vec<usize>,
}

impl Deck {
    fn new(change: impl FnOnce(&mut Settings)) -> Self {
        Self::of(tape(), change)
    }

    fn of(mut tape: Vec<Event>, change: impl FnOnce(&mut Settings)) -> Self {
        for (seq, event) in (0..).zip(&mut tape) {
            event.place.seq = seq;
        }
        let mut settings = Settings {
            speed: 1.0,
            max_idle: None,
            at: Duration::ZERO,
            total: Some(Duration::from_secs(100)),
        };
        change(&mut settings);
        let player = Player::new(settings);
        let mut deck = Self {
            player,
            tape,
            read: 0,
            restarts: Vec::new(),
        };
        let marks = vec![
            mark(1, Sort::Command, "ls -l"),
            mark(3, Sort::File, "read /etc/passwd"),
            mark(20, Sort::Command, "rm -rf /"),
            mark(50, Sort::Alert, "alert"),
        ];
        deck.player.know(marks, true);
        deck.settle();
        deck
    }

    fn settle(&mut self) -> Want {
        loop {
            match self.player.want() {
                Want::Event => {
                    let event = self.tape.get(self.read).cloned();
                    self.read += 1;
                    self.player.supply(event);
                }
                Want::Jump(jump) => {
                    if !jump.is_here {
                        self.read = usize::try_from(jump.from.seq).unwrap();
                        self.restarts.push(self.read);
                    }
                    self.player.fly();
                }
                want @ (Want::Wait(_) | Want::Key | Want::Quit) => return want,
            }
        }
    }

    fn press(&mut self, key: Key) -> Want {
        self.player.key(key);
        self.settle()
    }

    fn type_in(&mut self, text: &str) -> Want {
        for c in text.chars() {
            self.press(Key::Char(c));
        }
        self.press(Key::Enter)
    }

    fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds * 10 {
            self.player.pass(Duration::from_millis(100));
            self.settle();
        }
    }

    fn row(&self, window: Rect, y: u16) -> String {
        let (buffer, _) = self.player.draw(window);
        let cells = (0..window.width).filter_map(|x| buffer.cell((x, y)));
        let row: String = cells.map(|cell| cell.symbol().to_owned()).collect();
        row.trim_end().to_owned()
    }

    fn screen(&self) -> String {
        self.row(WINDOW, 0)
    }

    fn status(&self) -> String {
        self.row(WINDOW, 5)
    }

    fn seconds(&self) -> u64 {
        self.player.at().as_secs()
    }
}

#[test]
fn it_plays_as_fast_as_it_was() {
    let mut deck = Deck::new(|_| {});
    assert_eq!(deck.screen(), "");
    deck.pass(3);
    assert_eq!((deck.screen().as_str(), deck.seconds()), ("a", 3));
    deck.pass(7);
    assert_eq!(deck.screen(), "ab");
}

#[test]
fn speed_and_idle_shorten_the_wait() {
    let mut deck = Deck::new(|settings| settings.speed = 10.0);
    deck.pass(1);
    assert_eq!(deck.screen(), "ab");
    let mut deck = Deck::new(|settings| settings.max_idle = Some(Duration::from_secs(1)));
    deck.pass(5);
    assert_eq!(deck.screen(), "abc");
    deck.pass(1);
    assert_eq!((deck.screen().as_str(), deck.seconds()), ("abcd", 100));
}

#[test]
fn a_pause_stands_still_and_a_step_shows_one_more_picture() {
    let mut deck = Deck::new(|_| {});
    assert_eq!(deck.press(Key::Char(' ')), Want::Key);
    deck.pass(50);
    assert_eq!((deck.screen().as_str(), deck.seconds()), ("", 0));
    assert_eq!(deck.press(Key::Char('.')), Want::Key);
    assert_eq!((deck.screen().as_str(), deck.seconds()), ("a", 2));
    deck.press(Key::Char('.'));
    assert_eq!((deck.screen().as_str(), deck.seconds()), ("ab", 10));
}

#[test]
fn arrows_go_both_ways() {
    let mut deck = Deck::new(|settings| settings.at = Duration::from_secs(12));
    assert_eq!((deck.screen().as_str(), deck.seconds()), ("ab", 12));
    deck.press(Key::Left);
    assert_eq!((deck.screen().as_str(), deck.seconds()), ("a", 7));
    deck.press(Key::Right);
    deck.press(Key::Right);
    deck.press(Key::Right);
    assert_eq!((deck.screen().as_str(), deck.seconds()), ("abc", 22));
    deck.press(Key::Home);
    assert_eq!((deck.screen().as_str(), deck.seconds()), ("", 0));
}

#[test]
fn brackets_go_from_command_to_command() {
    let mut deck = Deck::new(|settings| settings.at = Duration::from_secs(5));
    deck.press(Key::Char(']'));
    assert_eq!((deck.screen().as_str(), deck.seconds()), ("ab", 20));
    deck.press(Key::Char('['));
    assert_eq!((deck.screen().as_str(), deck.seconds()), ("", 1));
    deck.press(Key::Char(']'));
    assert_eq!(deck.seconds(), 20);
    deck.press(Key::Char(']'));
    assert!(
        deck.status().contains("no command after this"),
        "{}",
        deck.status()
    );
    assert_eq!(deck.press(Key::End), Want::Key, "the end");
    assert_eq!(deck.screen(), "abcd");
    deck.press(Key::Left);
    assert_eq!(deck.screen(), "abc");
}

#[test]
fn the_list_filters_and_goes_to_what_is_chosen() {
    let mut deck = Deck::new(|settings| settings.at = Duration::from_secs(5));
    deck.press(Key::Char('l'));
    assert_eq!(deck.row(WINDOW, 1), "0:00:01 c ls -l");
    assert_eq!(deck.row(WINDOW, 2), "0:00:03 f read /etc/passwd");
    deck.type_in("RM");
    assert_eq!((deck.screen().as_str(), deck.seconds()), ("ab", 20));
    deck.press(Key::Char('l'));
    deck.press(Key::Up);
    deck.press(Key::Up);
    deck.press(Key::Enter);
    assert_eq!(deck.seconds(), 1);
    for key in [
        Key::Char('x'),
        Key::Char('y'),
        Key::Backspace,
        Key::PageDown,
        Key::End,
    ] {
        deck.press(Key::Char('l'));
        deck.press(key);
        deck.player.draw(Rect::new(0, 0, 1, 1));
        deck.press(Key::Escape);
    }
    deck.press(Key::Char('l'));
    deck.type_in("nothing like it");
    assert_eq!(
        (deck.seconds(), deck.settle()),
        (1, Want::Wait(Duration::from_millis(100)))
    );
}

#[test]
fn a_text_is_looked_for_and_its_hits_are_gone_to() {
    let mut deck = Deck::new(|settings| settings.at = Duration::from_secs(5));
    deck.press(Key::Char('n'));
    assert!(
        deck.status().contains("nothing is looked for"),
        "{}",
        deck.status()
    );
    deck.press(Key::Char('/'));
    deck.press(Key::Char('c'));
    assert!(deck.status().contains("/c_"), "{}", deck.status());
    deck.press(Key::Enter);
    assert_eq!(deck.player.wanted(), Some("c".to_owned()));
    assert_eq!(deck.player.wanted(), None, "once");
    let hits = |seconds: &[u64], done| Hits {
        at: seconds.iter().map(|at| Duration::from_secs(*at)).collect(),
        done,
    };
    deck.player.found(hits(&[2], false));
    deck.settle();
    assert_eq!(deck.seconds(), 5, "that is before");
    deck.player.found(hits(&[10, 21], false));
    deck.settle();
    assert_eq!((deck.screen().as_str(), deck.seconds()), ("ab", 10));
    deck.press(Key::Char('n'));
    assert_eq!(deck.seconds(), 21);
    deck.press(Key::Char('n'));
    assert_eq!(deck.seconds(), 21, "not found yet");
    deck.player.found(hits(&[100], true));
    deck.settle();
    assert_eq!(deck.screen(), "abcd");
    deck.press(Key::Char('n'));
    assert!(
        deck.status().contains("not shown after this"),
        "{}",
        deck.status()
    );
    deck.press(Key::Char('N'));
    assert_eq!(deck.seconds(), 21);
    deck.press(Key::Char('/'));
    deck.type_in("zz");
    assert_eq!(deck.player.wanted(), Some("zz".to_owned()));
    deck.player.found(hits(&[], true));
    assert!(
        deck.status().contains("`zz` was not shown"),
        "{}",
        deck.status()
    );
}

#[test]
fn a_time_is_typed() {
    let mut deck = Deck::new(|_| {});
    deck.press(Key::Char('t'));
    deck.type_in("50%");
    assert_eq!(deck.seconds(), 50);
    deck.type_in("12");
    assert_eq!(deck.seconds(), 12);
    deck.type_in("1:x");
    assert!(deck.status().contains("1m30s"), "{}", deck.status());
    let second = |n| Some(Duration::from_secs(n));
    let total = second(200);
    for (text, time) in [
        ("1m30s", second(90)),
        ("90", second(90)),
        ("1:30", second(90)),
        ("1:00:01", second(3601)),
        ("50%", second(100)),
        ("101%", None),
        ("1:2:3:4", None),
        ("", None),
        ("-1", None),
        ("99999999999999999999", None),
        ("18446744073709551615:9", None),
    ] {
        assert_eq!(parse_time(text, total), time, "{text}");
    }
    assert_eq!(parse_time("50%", None), None);
}

#[test]
fn help_is_there_until_a_key() {
    let mut deck = Deck::new(|settings| settings.at = Duration::from_secs(12));
    deck.press(Key::Char('?'));
    assert!(
        deck.screen().contains("any key closes"),
        "{}",
        deck.screen()
    );
    deck.press(Key::Char('q'));
    assert_eq!(deck.screen(), "ab");
}

#[test]
fn the_time_line_says_where_one_is_and_is_legible_in_a_small_window() {
    let deck = Deck::new(|settings| settings.at = Duration::from_secs(12));
    let small = Rect::new(0, 0, 20, 6);
    assert_eq!(deck.row(small, 4), "cf|-c-----!---------");
    assert_eq!(deck.row(small, 5), "> 0:00:12/0:01:40");
    assert_eq!(deck.row(Rect::new(0, 0, 20, 3), 2), "> 0:00:12/0:01:40");
    assert!(
        deck.status().starts_with(" playing 0:00:12 / 0:01:40"),
        "{}",
        deck.status()
    );
}

/// A recording whose pictures are worth keeping.
fn long_tape() -> Vec<Event> {
    let mut tape = vec![at(0, Act::Open { cols: 20, rows: 4 })];
    let page = "x".repeat(19) + "\r\n";
    for second in 1..=60 {
        let colour = format!("\x1b[{}m", 31 + second % 6);
        let pages = page.repeat(1 << 12);
        tape.push(text(second, &format!("{colour}{pages}{second}:")));
    }
    tape
}

#[test]
fn going_back_reads_from_the_last_picture_that_was_kept() {
    let mut deck = Deck::of(long_tape(), |settings| {
        settings.at = Duration::from_secs(60);
        settings.total = Some(Duration::from_secs(60));
    });
    let straight = |seconds| {
        let deck = Deck::of(long_tape(), |settings| {
            settings.at = Duration::from_secs(seconds)
        });
        deck.player.stage.screens.save().unwrap()
    };
    for seconds in [55, 59, 30, 31, 3] {
        let restarts = deck.restarts.len();
        deck.type_in(&seconds.to_string());
        assert_eq!(deck.seconds(), seconds);
        let shown = deck.player.stage.screens.save().unwrap();
        assert_eq!(
            format!("{shown:?}"),
            format!("{:?}", straight(seconds)),
            "{seconds}"
        );
        let from = deck.restarts.get(restarts).copied();
        let far = from.is_some_and(|from| from + 20 < usize::try_from(seconds).unwrap());
        assert!(!far, "{from:?} for {seconds}");
    }
}

#[test]
fn a_rough_picture_says_so_and_becomes_exact() {
    let tape = long_tape();
    let mut deck = Deck::of(tape, |_| {});
    deck.press(Key::Char(' '));
    deck.player.key(Key::Char('5'));
    deck.player.key(Key::Char('0'));
    deck.player.key(Key::Enter);
    let Want::Jump(jump) = deck.player.want() else {
        panic!("{:?}", deck.player.want());
    };
    let start = Place { chunk: 0, seq: 49 };
    deck.player.fly_roughly(start, vec![deck.tape[0].clone()]);
    deck.read = 49;
    deck.settle();
    assert_eq!((deck.seconds(), jump.to), (50, Duration::from_secs(50)));
    assert!(deck.status().contains("may be wrong"), "{}", deck.status());
    // What a thread beside does.
    let (to, mut from) = tokio::sync::mpsc::channel(100);
    let events = deck.tape.clone().into_iter().map(Ok);
    exact(events, None, start, &to).unwrap();
    drop(to);
    while let Some(exact) = from.blocking_recv() {
        let exact: Exact = exact;
        deck.player.learn(exact);
    }
    deck.settle();
    assert_eq!(deck.seconds(), 50);
    assert!(!deck.status().contains("may be wrong"), "{}", deck.status());
    let straight = Deck::of(long_tape(), |settings| {
        settings.at = Duration::from_secs(50)
    });
    let picture = |deck: &Deck| format!("{:?}", deck.player.stage.screens.save().unwrap());
    assert_eq!(picture(&deck), picture(&straight));
}

proptest! {
    /// A picture that was kept goes on as what it was made from.
    #[test]
    fn a_kept_screen_goes_on_as_it_was(
        before in "(\\x1b\\[[?0-9;]{0,5}[@-~]|\\PC|[\r\n\x08\x0e\x0f]|\\x1b[78cM]){0,60}",
        after in "(\\x1b\\[[?0-9;]{0,5}[@-~]|\\PC|[\r\n\x08]){0,30}",
        cols in 1_u32..30,
        rows in 1_u32..8,
    ) {
        let mut one = crate::replay::screen::Screens::default();
        one.open(0, cols, rows);
        one.feed(0, &before);
        one.feed(1, &before);
        if let Some(saved) = one.save() {
            let mut two = crate::replay::screen::Screens::restore(&saved);
            let picture = |screens: &crate::replay::screen::Screens| format!("{:?}", screens.save());
            prop_assert_eq!(picture(&one), picture(&two));
            for screens in [&mut one, &mut two] {
                screens.feed(1, &after);
                screens.resize(0, cols + 1, rows);
                screens.feed(0, &after);
            }
            prop_assert_eq!(picture(&one), picture(&two));
        }
    }
}

#[test]
fn a_small_window_clips_and_says_so() {
    let deck = Deck::new(|settings| settings.at = Duration::from_secs(12));
    for (cols, rows) in [(20, 5), (1, 1), (3, 2), (500, 200), (200, 3)] {
        let window = Rect::new(0, 0, cols, rows);
        let (buffer, _) = deck.player.draw(window);
        assert_eq!(buffer.area, window);
    }
    let (buffer, _) = deck.player.draw(Rect::new(0, 0, 120, 3));
    let status: String = (0..120)
        .filter_map(|x| buffer.cell((x, 2)).map(|cell| cell.symbol().to_owned()))
        .collect();
    assert!(status.contains("clipped: 20x4 shown as 120x2"), "{status}");
}

#[test]
fn characters_that_a_terminal_obeys_never_become_cells() {
    let attack = "\u{9b}31m\u{202e}evil\u{200b}\u{2066}\u{7f}\u{85}e\u{301}\u{feff}日x";
    let mut deck = Deck::new(|_| {});
    deck.player.stage.apply(text(0, attack));
    let (buffer, _) = deck.player.draw(WINDOW);
    assert_eq!(*buffer.cell((0, 5)).unwrap(), {
        let mut cell = ratatui::buffer::Cell::new(" ");
        cell.set_style(Style::default().add_modifier(ratatui::style::Modifier::REVERSED));
        cell
    });
    for cell in &buffer.content {
        assert!(
            !cell.symbol().chars().any(crate::event::is_dangerous),
            "{:?}",
            cell.symbol()
        );
    }
}

#[test]
fn few_bytes_are_not_much_work() {
    let mut deck = Deck::new(|_| {});
    deck.player
        .stage
        .apply(text(0, &"x\u{1b}[65535b".repeat(2000)));
    deck.player
        .stage
        .apply(at(0, Act::Resize { cols: 0, rows: 0 }));
    deck.player.stage.apply(at(
        0,
        Act::Resize {
            cols: u32::MAX,
            rows: u32::MAX,
        },
    ));
    assert_eq!(deck.player.stage.screens.size(), Some((500, 200)));
}

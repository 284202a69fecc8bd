use super::*;
use proptest::prelude::*;

fn state() -> ConsoleState {
    let choice = |target: &str, login: &str| Choice {
        target: target.to_owned(),
        login: login.parse().unwrap(),
    };
    ConsoleState::new(vec![
        choice("db1", "postgres"),
        choice("db1", "root"),
        choice("db2", "root"),
        choice("web12", "root"),
    ])
}

fn last(bytes: &[u8]) -> Option<Action> {
    feed(&mut state(), bytes).last().copied()
}

#[test]
fn letters_filter_and_enter_connects() {
    assert_eq!(last(b"\r"), Some(Action::Connect(0)));
    assert_eq!(last(b"web\r"), Some(Action::Connect(3)));
    assert_eq!(last(b"root db2\r"), Some(Action::Connect(2)));
    assert_eq!(last(b"ROOT@DB1\r"), Some(Action::Connect(1)));
    assert_eq!(
        last(b"nothing\r"),
        Some(Action::Redraw),
        "there is nothing to connect to"
    );
    assert_eq!(last(b"nothing\x15web\r"), Some(Action::Connect(3)));
    assert_eq!(last(b"webx\x7f\r"), Some(Action::Connect(3)));
}

#[test]
fn arrows_and_numbers_select() {
    assert_eq!(last(b"\x1b[B\x1b[B\x1b[A\r"), Some(Action::Connect(1)));
    assert_eq!(
        last(b"\x1b[B\x1b[B\x1b[B\x1b[B\x1b[B\r"),
        Some(Action::Connect(3))
    );
    assert_eq!(last(b"2\r"), Some(Action::Connect(1)));
    assert_eq!(
        last(b"12\r"),
        Some(Action::Connect(3)),
        "no such number: a name"
    );
}

#[test]
fn there_is_a_way_out() {
    for bytes in [&b"\x03"[..], b"\x04", b"q", b"db\x03"] {
        assert_eq!(last(bytes), Some(Action::Quit), "{bytes:?}");
    }
    let mut state = state();
    assert_eq!(feed(&mut state, b"d\x1b"), [Action::Redraw]);
    let keys = state.keys.settle();
    assert_eq!(
        keys.into_iter().find_map(|key| state.key(key)),
        Some(Action::Quit)
    );
    assert_eq!(
        last(b"dq"),
        Some(Action::Redraw),
        "q is a letter in a filter"
    );
}

#[test]
fn it_fits_any_window() {
    let mut state = state();
    feed(&mut state, b"\x1b[B\x1b[B\x1b[B");
    for (cols, rows) in [(20, 5), (1, 1), (2, 2), (3, 3), (500, 200)] {
        let area = Rect::new(0, 0, cols, rows);
        let (buffer, cursor) = state.draw(area);
        assert_eq!(buffer.area, area);
        let (x, y) = cursor.unwrap();
        assert!(x < cols && y < rows);
    }
    let (buffer, _) = state.draw(Rect::new(0, 0, 20, 5));
    let selected: String = (0..20)
        .filter_map(|x| buffer.cell((x, 1)).map(|cell| cell.symbol().to_owned()))
        .collect();
    assert_eq!(
        selected.trim(),
        "4  root@web12",
        "the page of the selection is shown"
    );
    let (buffer, cursor) = state.draw(Rect::new(0, 0, 0, 0));
    assert!(buffer.content.is_empty() && cursor.is_none());
}

#[test]
fn names_are_shown_and_not_obeyed() {
    let state = ConsoleState::new(vec![Choice {
        target: "db\u{1b}]0;title\u{7}\u{202e}1\u{9b}2J".to_owned(),
        login: "ro\u{202e}ot".parse().unwrap(),
    }]);
    let (buffer, _) = state.draw(Rect::new(0, 0, 80, 5));
    let text: String = buffer.content.iter().map(|cell| cell.symbol()).collect();
    assert!(
        text.contains("db") && !text.chars().any(is_dangerous),
        "{text:?}"
    );
}

proptest! {
    #[test]
    fn no_bytes_break_it(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8), cols in 0_u16..30, rows in 0_u16..8) {
        let mut state = state();
        for chunk in &chunks {
            for action in feed(&mut state, chunk) {
                if let Action::Connect(index) = action {
                    prop_assert!(index < 4);
                }
            }
            prop_assert!(state.filter.chars().count() <= FILTER_CHARS_MAX);
            state.draw(Rect::new(0, 0, cols, rows));
        }
    }
}

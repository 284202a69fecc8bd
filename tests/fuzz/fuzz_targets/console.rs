//! Any bytes typed at the console, in any pieces, on a terminal of any size: no panic, and only
//! choices that are in the list.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::cli::console::{Action, Choice, ConsoleState, feed};
use ratatui::layout::Rect;

fuzz_target!(|typed: (u8, u8, Vec<Vec<u8>>)| {
    let (width, height, pieces) = typed;
    let choices: Vec<Choice> = (0..12)
        .map(|number| Choice {
            target: format!("db{number}"),
            login: "root".parse().expect("a login"),
        })
        .collect();
    let count = choices.len();
    let mut state = ConsoleState::new(choices);
    for piece in pieces {
        for action in feed(&mut state, &piece) {
            if let Action::Connect(index) = action {
                assert!(index < count);
            }
        }
        state.draw(Rect::new(0, 0, width.into(), height.into()));
    }
});

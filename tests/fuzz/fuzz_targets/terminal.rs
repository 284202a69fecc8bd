//! Any keys, any output, in any order: no panic, and the same findings however it was cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::inspect::{At, Found, Inspector};

/// A byte says what comes and how much of it, then that much comes.
fn follow(data: &[u8], by_byte: bool) -> Vec<Found> {
    let mut inspector = Inspector::new(40, 6).unwrap();
    let mut at = At::default();
    let mut rest = data;
    while let [head, tail @ ..] = rest {
        let (piece, after) = tail.split_at(usize::from(head & 0x1f).min(tail.len()));
        rest = after;
        at.mt += 1;
        let size = if by_byte { 1 } else { 64 };
        match head >> 5 {
            0 | 1 | 2 => piece.chunks(size).for_each(|piece| inspector.shown(at, piece)),
            3 | 4 => piece.chunks(size).for_each(|piece| inspector.typed(at, piece)),
            // A line, its echo and its end, so that deep places are reached.
            5 => {
                inspector.typed(at, piece);
                piece.chunks(size).for_each(|piece| inspector.shown(at, piece));
                inspector.typed(at, b"\r");
                inspector.shown(at, b"\r\n\x1b[?2004l\r");
            }
            6 => inspector.shown(at, b"\x1b[?2004h$ "),
            _ => match piece {
                [a, b, ..] => inspector.resize(u32::from(*a), u32::from(*b)),
                [n] => inspector.withheld(at, u64::from(*n)),
                [] => inspector.shown(at, b"\x1b[?1049h"),
            },
        }
    }
    inspector.finish(at);
    inspector.take()
}

fuzz_target!(|data: &[u8]| {
    assert_eq!(follow(data, false), follow(data, true));
});

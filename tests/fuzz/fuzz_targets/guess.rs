//! First bytes of both sides of a stream: no panic, one label however they are cut and whoever comes
//! first, a name that is one, and nothing decided twice.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::inspect::guess::{From, Guess, Label};

/// How the pieces are cut, the length of what the opener says, and both sides one after the other.
fn parts(input: &[u8]) -> Option<(usize, &[u8], &[u8])> {
    let (cut, rest) = input.split_first()?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
    let (opener, answerer) = rest.split_at(length);
    Some((usize::from(*cut).max(1), opener, answerer))
}

fn label(pieces: &[(From, &[u8])]) -> Label {
    let mut guess = Guess::default();
    let mut early = None;
    for (from, piece) in pieces {
        let said = guess.feed(*from, piece).cloned();
        assert!(early.is_none() || early == said);
        early = said;
    }
    let label = guess.finish().clone();
    assert!(early.is_none_or(|early| early == label));
    label
}

fuzz_target!(|input: &[u8]| {
    let Some((cut, opener, answerer)) = parts(input) else {
        return;
    };
    let whole = label(&[(From::Opener, opener), (From::Answerer, answerer)]);
    if let Some(sni) = whole.sni() {
        assert!((1..=253).contains(&sni.len()));
        let plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte);
        assert!(sni.bytes().all(plain));
    }
    let mut first: Vec<(From, &[u8])> = answerer.chunks(cut).map(|p| (From::Answerer, p)).collect();
    first.extend(opener.chunks(cut).map(|p| (From::Opener, p)));
    assert_eq!(label(&first), whole);
});

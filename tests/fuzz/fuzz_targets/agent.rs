//! What a target asks an agent for and what that answers, right and wrong: no panic, nothing goes on
//! but what may, each answer of ours is a whole one, and cuts change nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::inspect::agent::{Bad, Ruled, Said, Talk};

const MAY: [u8; 3] = [11, 13, 27];

/// How the pieces are cut, the length of what the target sends, and both sides one after the other.
fn parts(input: &[u8]) -> Option<(usize, &[u8], &[u8])> {
    let (cut, rest) = input.split_first()?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
    let (requests, answers) = rest.split_at(length);
    Some((usize::from(*cut).max(1), requests, answers))
}

/// A request, then as much of the answers as it takes.
fn told(requests: &[u8], answers: &[u8], cut: usize) -> (Vec<Ruled>, Vec<Said>, Option<Bad>) {
    let mut talk = Talk::default();
    let (mut ruled, mut said) = (Vec::new(), Vec::new());
    let mut answers = answers;
    for piece in requests.chunks(cut) {
        let mut piece = piece;
        loop {
            match talk.request(&mut piece) {
                Ok(Some(one)) => ruled.push(one),
                Ok(None) => break,
                Err(bad) => return (ruled, said, Some(bad)),
            }
            while talk.is_waiting() {
                if answers.is_empty() {
                    return (ruled, said, None);
                }
                let (mut now, _) = answers.split_at(cut.min(answers.len()));
                let before = now.len();
                match talk.answer(&mut now) {
                    Ok(one) => said.extend(one),
                    Err(bad) => return (ruled, said, Some(bad)),
                }
                answers = answers.split_at(before - now.len()).1;
            }
        }
    }
    (ruled, said, None)
}

fuzz_target!(|input: &[u8]| {
    let Some((cut, requests, answers)) = parts(input) else {
        return;
    };
    let whole = told(requests, answers, usize::MAX);
    for one in &whole.0 {
        match one {
            Ruled::Forward { bytes, .. } => assert!(MAY.contains(&bytes[4])),
            Ruled::Refuse { bytes, .. } => assert_eq!(bytes, &[0, 0, 0, 1, 5]),
        }
    }
    for one in &whole.1 {
        let length = u32::from_be_bytes(one.bytes[..4].try_into().unwrap());
        assert_eq!(one.bytes.len(), 4 + length as usize);
    }
    assert_eq!(told(requests, answers, cut), whole);
});

use super::*;
use proptest::prelude::*;

fn packet(kind: u8, fields: &[&[u8]]) -> Vec<u8> {
    let body = [&[kind][..], &fields.concat()].concat();
    let length = u32::try_from(body.len()).unwrap();
    [&length.to_be_bytes()[..], &body].concat()
}

fn s(text: &[u8]) -> Vec<u8> {
    [&n(u32::try_from(text.len()).unwrap())[..], text].concat()
}

fn n(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

fn open(flags: u32) -> Vec<u8> {
    packet(3, &[&n(1), &s(b"/x"), &n(flags), &n(0)])
}

fn extended(name: &[u8]) -> Vec<u8> {
    packet(
        200,
        &[&n(1), &s(name), &s(b"/x"), &s(b"/y"), &n(0), &[0; 40]],
    )
}

/// Each request with whether reading only and writing only hold it.
fn requests() -> Vec<(Vec<u8>, bool, bool)> {
    let handle = |kind: u8| packet(kind, &[&n(1), &s(b"h"), &[0; 16]]);
    let path = |kind: u8| packet(kind, &[&n(1), &s(b"/x"), &s(b"/y"), &n(0)]);
    let attributes = |kind: u8| packet(kind, &[&n(1), &s(b"/x"), &n(0)]);
    vec![
        (open(1), true, false),
        (open(0), true, false),
        (open(2 | 8 | 16), false, true),
        (open(1 | 2), false, false),
        (open(8), false, false),
        (open(1 | 16), false, false),
        (open(2 | 64), false, false),
        (handle(4), true, true),
        (handle(5), true, false),
        (
            packet(6, &[&n(1), &s(b"h"), &[0; 8], &s(b"data")]),
            false,
            true,
        ),
        (path(7), true, true),
        (handle(8), true, true),
        (attributes(9), false, true),
        (handle(10), false, true),
        (path(11), true, false),
        (handle(12), true, false),
        (path(13), false, true),
        (attributes(14), false, true),
        (path(15), false, true),
        (path(16), true, true),
        (path(17), true, true),
        (path(18), false, true),
        (path(19), true, true),
        (path(20), false, true),
        (path(21), false, false),
        (extended(b"posix-rename@openssh.com"), false, true),
        (extended(b"hardlink@openssh.com"), false, true),
        (extended(b"copy-data"), false, false),
        (extended(b"statvfs@openssh.com"), true, true),
        (extended(b"new@example.com"), false, false),
    ]
}

const INIT: [u8; 9] = [0, 0, 0, 5, 1, 0, 0, 0, 6];
const INIT_3: [u8; 9] = [0, 0, 0, 5, 1, 0, 0, 0, 3];

#[test]
fn a_denied_request_is_answered_and_does_not_go_on() {
    for (request, reading, writing) in requests() {
        for (only, held) in [(Only::Reading, reading), (Only::Writing, writing)] {
            let mut guard = Guard::new(only);
            assert_eq!(
                guard.rule(&INIT).forward,
                INIT_3,
                "the version that we read"
            );
            let ruled = guard.rule(&request);
            assert!(!ruled.stop);
            assert_eq!(ruled.forward == request, held, "{only:?} {request:?}");
            assert_eq!(ruled.forward.is_empty(), !held, "{only:?} {request:?}");
            assert_eq!(ruled.found.len(), usize::from(!held));
            assert!(ruled.found.iter().all(|one| one.outcome == Outcome::Denied));
            let status = [&[101][..], &n(1), &n(3)].concat();
            assert_eq!(ruled.answers.get(4..13) == Some(&status), !held);
        }
    }
}

#[test]
fn what_cannot_be_read_goes_nowhere() {
    let mut guard = Guard::new(Only::Reading);
    let ruled = guard.rule(&packet(3, &[&n(1), &n(u32::MAX)]));
    assert!(ruled.stop && ruled.forward.is_empty() && ruled.found.len() == 1);
    let ruled = guard.rule(&open(1));
    assert!(ruled.stop && ruled.forward.is_empty());
}

#[test]
fn our_answers_stand_between_the_targets() {
    let answer = packet(103, &[&n(1), &s(b"some data")]);
    let two = [&answer[..], &answer].concat();
    for cut in 0..two.len() {
        let mut guard = Guard::new(Only::Reading);
        let first = guard.boundary(&two[..cut]).unwrap();
        assert_eq!(first, Some(cut / answer.len() * answer.len()), "{cut}");
        assert_eq!(guard.is_between(), cut % answer.len() == 0);
        let second = guard.boundary(&two[cut..]).unwrap();
        assert_eq!(second, Some(two.len() - cut), "{cut}");
    }
    let mut guard = Guard::new(Only::Reading);
    assert!(guard.boundary(&[0xff; 8]).is_err());
}

proptest! {
    /// However the bytes are cut, what goes on are whole requests that the right holds.
    #[test]
    fn only_what_is_held_goes_on(
        picks in prop::collection::vec(0usize..30, 0..20),
        cut in 1usize..60,
        reading: bool,
    ) {
        let all = requests();
        let only = if reading { Only::Reading } else { Only::Writing };
        let mut guard = Guard::new(only);
        let mut sent = INIT_3.to_vec();
        let mut wanted = INIT_3.to_vec();
        for pick in picks {
            let (request, may_read, may_write) = &all[pick % all.len()];
            sent.extend_from_slice(request);
            if if reading { *may_read } else { *may_write } {
                wanted.extend_from_slice(request);
            }
        }
        let mut went = Vec::new();
        for piece in sent.chunks(cut) {
            went.extend(guard.rule(piece).forward);
        }
        prop_assert_eq!(went, wanted);
    }
}

use super::*;
use crate::event::{Direction, FileClosed, FileUse, Scope, SftpFile, TransferError};
use proptest::prelude::*;

type Line = (Direction, Vec<u8>);

// ---- packets -------------------------------------------------------------------------------------

fn packet(kind: u8, fields: &[&[u8]]) -> Vec<u8> {
    let body = [&[kind][..], &fields.concat()].concat();
    let length = u32::try_from(body.len()).unwrap();
    [&length.to_be_bytes()[..], &body].concat()
}

fn n(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

fn s(text: &[u8]) -> Vec<u8> {
    [&n(u32::try_from(text.len()).unwrap())[..], text].concat()
}

fn status(id: u32, code: u32) -> Line {
    let fields: [&[u8]; 4] = [&n(id), &n(code), &s(b"said"), &s(b"")];
    (Direction::Output, packet(101, &fields))
}

fn gives(id: u32, handle: &[u8]) -> Line {
    (Direction::Output, packet(102, &[&n(id), &s(handle)]))
}

fn data(id: u32, bytes: &[u8]) -> Line {
    (Direction::Output, packet(103, &[&n(id), &s(bytes)]))
}

fn open(id: u32, path: &[u8], flags: u32) -> Line {
    let fields: [&[u8]; 4] = [
        &n(id),
        &s(path),
        &n(flags),
        &[&n(4)[..], &n(0o100_644)].concat(),
    ];
    (Direction::Input, packet(3, &fields))
}

fn on(kind: u8, id: u32, handle: &[u8]) -> Line {
    (Direction::Input, packet(kind, &[&n(id), &s(handle)]))
}

fn close(id: u32, handle: &[u8]) -> Line {
    on(4, id, handle)
}

fn read(id: u32, handle: &[u8], offset: u64, bytes: u32) -> Line {
    let fields: [&[u8]; 4] = [&n(id), &s(handle), &offset.to_be_bytes(), &n(bytes)];
    (Direction::Input, packet(5, &fields))
}

fn write(id: u32, handle: &[u8], offset: u64, bytes: &[u8]) -> Line {
    let fields: [&[u8]; 4] = [&n(id), &s(handle), &offset.to_be_bytes(), &s(bytes)];
    (Direction::Input, packet(6, &fields))
}

fn hello() -> [Line; 2] {
    [
        (Direction::Input, packet(1, &[&n(3)])),
        (
            Direction::Output,
            packet(2, &[&n(3), &s(b"limits@openssh.com"), &s(b"1")]),
        ),
    ]
}

const READ: u32 = 1;
const PUT: u32 = 2 | 8 | 16;

fn play(script: &[Line]) -> (Sftp, Vec<Finding>) {
    let mut sftp = Sftp::new();
    let mut found = Vec::new();
    for (direction, bytes) in hello().iter().chain(script) {
        found.extend(sftp.feed(*direction, bytes));
    }
    (sftp, found)
}

fn told(script: &[Line]) -> Vec<Finding> {
    let (mut sftp, mut found) = play(script);
    found.extend(sftp.finish());
    found
}

fn file(finding: &Finding) -> &SftpFile {
    let Kind::SftpFile(file) = &finding.kind else {
        panic!("{finding:?}");
    };
    file
}

fn trouble(finding: &Finding) -> &TransferError {
    let Kind::SftpError(error) = &finding.kind else {
        panic!("{finding:?}");
    };
    error
}

fn sha256(bytes: &[u8]) -> Option<String> {
    let sum = ring::digest::digest(&ring::digest::SHA256, bytes);
    Some(
        sum.as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
    )
}

// ---- files ---------------------------------------------------------------------------------------

#[test]
fn a_file_that_was_put_is_told_at_its_close() {
    let found = told(&[
        open(1, b"/tmp/x", PUT),
        gives(1, b"h"),
        write(2, b"h", 0, b"hello "),
        write(3, b"h", 6, b"world"),
        status(3, 0),
        status(2, 0),
        close(4, b"h"),
        status(4, 0),
    ]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].outcome, Outcome::Success);
    let file = file(&found[0]);
    assert_eq!(file.operation, FileUse::Write);
    assert_eq!(file.path.data.as_deref(), Some("/tmp/x"));
    assert_eq!(file.mode.as_deref(), Some("0644"));
    let written = file.written.as_ref().unwrap();
    assert_eq!((written.scope, written.bytes), (Scope::Whole, 11));
    assert_eq!(written.sha256, sha256(b"hello world"));
    assert_eq!((file.size, file.closed), (Some(11), FileClosed::Client));
    assert_eq!(file.read, None);
}

#[test]
fn answers_to_reads_may_come_in_any_order_and_short() {
    let found = told(&[
        open(1, b"x", READ),
        gives(1, b"h"),
        read(2, b"h", 0, 4),
        read(3, b"h", 4, 4),
        read(4, b"h", 8, 4),
        data(3, b"4567"),
        data(2, b"01"),
        read(5, b"h", 2, 2),
        status(4, 1),
        data(5, b"23"),
        close(6, b"h"),
        status(6, 0),
    ]);
    let read = file(&found[0]).read.clone().unwrap();
    assert_eq!((read.scope, read.from, read.to), (Scope::Whole, 0, 8));
    assert_eq!(read.sha256, sha256(b"01234567"));
    assert_eq!(file(&found[0]).size, Some(8));
}

#[test]
fn a_part_that_was_read_is_a_range() {
    let script = [
        open(1, b"x", READ),
        gives(1, b"h"),
        read(2, b"h", 100, 4),
        data(2, b"abcd"),
        close(3, b"h"),
        status(3, 0),
    ];
    let found = told(&script);
    let content = file(&found[0]).read.clone().unwrap();
    assert_eq!(
        (content.scope, content.from, content.to),
        (Scope::Range, 100, 104)
    );
    assert_eq!(content.sha256, sha256(b"abcd"));
    let found = told(&script[..4]);
    assert_eq!(file(&found[0]).closed, FileClosed::Channel);
    assert_eq!(file(&found[0]).read.as_ref().unwrap().scope, Scope::Partial);
    assert_eq!(found[0].outcome, Outcome::Unknown);
}

fn set_size(id: u32, size: u64) -> Line {
    let attributes = [&n(1)[..], &size.to_be_bytes()].concat();
    let fields: [&[u8]; 3] = [&n(id), &s(b"h"), &attributes];
    (Direction::Input, packet(10, &fields))
}

/// What is told of a file opened as `x` with these flags, after these lines.
fn after(flags: u32, middle: &[Line]) -> SftpFile {
    let mut script = vec![open(1, b"x", flags), gives(1, b"h")];
    script.extend_from_slice(middle);
    script.extend([close(9, b"h"), status(9, 0)]);
    let (_, found) = play(&script);
    file(found.last().unwrap()).clone()
}

#[test]
fn what_is_not_the_whole_file_is_not_said_to_be() {
    let put = |at, bytes: &[u8]| [write(2, b"h", at, bytes), status(2, 0)];
    let abc = put(0, b"abc");
    let cases = [
        ("resumed", Scope::Range, after(2 | 8, &put(7, b"abc"))),
        ("old content", Scope::Range, after(2, &abc)),
        (
            "hole",
            Scope::Partial,
            after(PUT, &[&abc[..], &put(9, b"x")].concat()),
        ),
        (
            "twice",
            Scope::Partial,
            after(PUT, &[&abc[..], &put(1, b"x")].concat()),
        ),
        (
            "failed",
            Scope::Partial,
            after(PUT, &[write(2, b"h", 0, b"abc"), status(2, 4)]),
        ),
        (
            "cut",
            Scope::Partial,
            after(PUT, &[&abc[..], &[set_size(3, 1), status(3, 0)]].concat()),
        ),
        (
            "two handles",
            Scope::Range,
            after(
                PUT,
                &[&[open(3, b"x", 2), gives(3, b"i")], &abc[..]].concat(),
            ),
        ),
    ];
    for (name, scope, file) in cases {
        let written = file.written.as_ref().unwrap();
        assert_eq!(written.scope, scope, "{name}: {file:?}");
        assert!(written.sha256.is_some(), "{name}");
        assert_eq!(file.result == "failure", name == "failed", "{name}");
    }
    let cut = after(2, &[&abc[..], &[set_size(3, 3), status(3, 0)]].concat());
    assert_eq!(
        cut.written.unwrap().scope,
        Scope::Whole,
        "no old tail is left"
    );
    let written = after(PUT, &[set_size(2, 0), status(2, 0)]).written.unwrap();
    assert_eq!((written.scope, written.sha256), (Scope::Whole, sha256(b"")));
}

#[test]
fn what_did_not_open_is_told() {
    let found = told(&[open(1, b"/etc/shadow", READ), status(1, 3)]);
    let file = file(&found[0]);
    assert_eq!(
        (file.result.as_str(), file.closed),
        ("permission_denied", FileClosed::NotOpened)
    );
    assert_eq!(found[0].outcome, Outcome::Failure);
    let found = told(&[open(1, b"/etc/shadow", READ)]);
    assert_eq!(found[0].outcome, Outcome::Unknown);
}

#[test]
fn a_killed_upload_is_partial() {
    let (_, whole) = write(2, b"h", 0, b"abcdefgh");
    let found = told(&[
        open(1, b"x", PUT),
        gives(1, b"h"),
        (Direction::Input, whole[..whole.len() - 3].to_vec()),
    ]);
    let file = file(&found[0]);
    let written = file.written.as_ref().unwrap();
    assert_eq!((written.scope, written.to), (Scope::Partial, 5));
    assert_eq!(written.sha256, sha256(b"abcde"));
    assert_eq!(file.result, "unanswered");
    assert_eq!(trouble(&found[1]).code, "truncated");
}

#[test]
fn changes_by_name_are_told_with_what_came_of_them() {
    let input = |kind: u8, fields: &[&[u8]]| (Direction::Input, packet(kind, fields));
    let found = told(&[
        input(18, &[&n(1), &s(b"a"), &s(b"b")]),
        input(
            200,
            &[&n(2), &s(b"posix-rename@openssh.com"), &s(b"c"), &s(b"d")],
        ),
        input(20, &[&n(3), &s(b"points-to"), &s(b"link")]),
        input(13, &[&n(4), &s(b"\xff")]),
        input(14, &[&n(5), &s(b"dir"), &n(4), &n(0o40_755)]),
        input(200, &[&n(6), &s(b"new@example.com"), b"\0\0"]),
        input(17, &[&n(7), &s(b"only looked at")]),
        status(2, 0),
        status(1, 4),
        status(3, 0),
        status(4, 0),
        status(5, 0),
        status(6, 8),
        status(7, 2),
        input(15, &[&n(8), &s(b"dir")]),
    ]);
    let short: Vec<String> = found
        .iter()
        .map(|finding| {
            let Kind::SftpOperation(told) = &finding.kind else {
                panic!("{finding:?}");
            };
            let text = |text: &Option<crate::event::TextOrBytes>| match text {
                None => "-".to_owned(),
                Some(text) => text.data.clone().unwrap_or_else(|| "bytes".to_owned()),
            };
            let (path, to) = (text(&told.path), text(&told.to));
            format!("{} {path} {to} {}", told.operation, told.result)
        })
        .collect();
    assert_eq!(
        short,
        [
            "posix-rename c d ok",
            "rename a b failure",
            "symlink link points-to ok",
            "remove bytes - ok",
            "mkdir dir - ok",
            "new@example.com - - op_unsupported",
            "rmdir dir - unanswered",
        ]
    );
}

#[test]
fn listings_are_counted() {
    let found = told(&[
        on(11, 1, b"/etc"),
        gives(1, b"d"),
        on(12, 2, b"d"),
        (Direction::Output, packet(104, &[&n(2), &n(70), &[0; 9000]])),
        on(12, 3, b"d"),
        status(3, 1),
        close(4, b"d"),
        status(4, 0),
    ]);
    let Kind::SftpList(list) = &found[0].kind else {
        panic!("{found:?}")
    };
    assert_eq!((list.entries, list.result.as_str()), (70, "ok"));
}

#[test]
fn a_handle_may_be_given_out_again() {
    let found = told(&[
        open(1, b"one", PUT),
        gives(1, b"h"),
        write(2, b"h", 0, b"1"),
        close(3, b"h"),
        status(2, 0),
        status(3, 0),
        open(4, b"two", PUT),
        gives(4, b"h"),
        write(5, b"h", 0, b"2"),
        status(5, 0),
        close(6, b"h"),
        status(6, 0),
    ]);
    let sums: Vec<_> = found
        .iter()
        .map(|one| file(one).written.clone().unwrap().sha256)
        .collect();
    assert_eq!(sums, [sha256(b"1"), sha256(b"2")]);
}

#[test]
fn a_guessed_handle_does_not_pass_unseen() {
    let found = told(&[
        open(1, b"x", PUT),
        write(2, b"\0\0\0\0", 0, b"early"),
        gives(1, b"\0\0\0\0"),
        status(2, 0),
        close(3, b"\0\0\0\0"),
        status(3, 0),
    ]);
    assert_eq!(trouble(&found[0]).code, "unknown_handle");
    assert!(!trouble(&found[0]).stopped);
    let written = file(&found[1]).written.as_ref();
    assert!(
        written.is_none_or(|written| written.scope != Scope::Whole),
        "{found:?}"
    );
}

// ---- what is no SFTP -----------------------------------------------------------------------------

#[test]
fn what_cannot_be_followed_stops_with_an_event() {
    let input = |bytes: Vec<u8>| (Direction::Input, bytes);
    let output = |bytes: Vec<u8>| (Direction::Output, bytes);
    let huge = n(u32::MAX).to_vec();
    let opened = [open(1, b"x", PUT), gives(1, b"h")];
    let cases = [
        ("too_long", input([&huge[..], &[6]].concat())),
        ("too_long", output([&huge[..], &[103]].concat())),
        ("too_long", input([&n(70_000)[..], &[3]].concat())),
        ("malformed", input(n(0).to_vec())),
        ("malformed", input(packet(3, &[&n(9), &huge]))),
        ("malformed", input(packet(6, &[&n(9), &huge]))),
        (
            "malformed",
            input(packet(6, &[&n(9), &s(b"h"), &[0; 8], &huge])),
        ),
        ("malformed", input(packet(6, &[&n(9)]))),
        ("malformed", output(packet(103, &[&n(9)]))),
        ("malformed", output(packet(102, &[&n(9), &huge]))),
        ("unasked", output(status(77, 0).1)),
    ];
    for (code, (direction, bytes)) in cases {
        let (mut sftp, before) = play(&opened);
        assert_eq!(before, []);
        let found = sftp.feed(direction, &bytes);
        assert_eq!(file(&found[0]).closed, FileClosed::Lost, "{code}");
        let error = trouble(found.last().unwrap());
        assert_eq!(
            (error.code.as_str(), error.stopped),
            (code, true),
            "{error:?}"
        );
        assert_eq!(error.direction, direction);
        assert!(error.at > 0);
        assert_eq!(sftp.feed(direction, &bytes), []);
        assert_eq!(sftp.finish(), []);
    }
}

#[test]
fn another_version_is_said() {
    let mut sftp = Sftp::new();
    sftp.feed(Direction::Input, &packet(1, &[&n(6)]));
    let found = sftp.feed(Direction::Output, &packet(2, &[&n(6)]));
    assert_eq!(trouble(&found[0]).code, "version");
    assert!(!sftp.has_begun());
}

#[test]
fn requests_without_answers_are_bounded() {
    let (mut sftp, _) = play(&[]);
    let mut found = Vec::new();
    for id in 0..100_000 {
        found.extend(sftp.feed(Direction::Input, &on(17, id, b"x").1));
    }
    assert_eq!(found.len(), 1);
    assert_eq!(trouble(&found[0]).code, "too_many");
}

#[test]
fn too_many_open_files_are_named_and_not_followed() {
    let mut script = Vec::new();
    for id in 0..2_050u32 {
        script.extend([open(id, b"x", PUT), gives(id, &id.to_be_bytes())]);
    }
    let (mut sftp, found) = play(&script);
    assert_eq!(found.len(), 2);
    assert!(
        found
            .iter()
            .all(|one| file(one).closed == FileClosed::NotFollowed)
    );
    assert_eq!(sftp.finish().len(), 2_048);
}

// ---- properties ----------------------------------------------------------------------------------

/// A file of `total` bytes, up or down in pieces, whose answers come in any order within a window
/// as OpenSSH has it.
fn transfer(content: &[u8], piece: usize, order: &[u8], up: bool) -> Vec<Line> {
    let mut script = vec![open(1, b"big", if up { PUT } else { READ }), gives(1, b"h")];
    let mut flying: Vec<Line> = Vec::new();
    let mut id = 10;
    for (number, bytes) in content.chunks(piece).enumerate() {
        let offset = (number * piece) as u64;
        id += 1;
        if up {
            script.push(write(id, b"h", offset, bytes));
            flying.push(status(id, 0));
        } else {
            script.push(read(id, b"h", offset, u32::try_from(piece).unwrap()));
            flying.push(data(id, bytes));
        }
        if flying.len() >= 64 {
            let which = usize::from(order[number % order.len()]) % flying.len();
            script.push(flying.remove(which));
        }
    }
    flying.reverse();
    script.extend(flying);
    if !up {
        script.extend([read(7, b"h", content.len() as u64, 1), status(7, 1)]);
    }
    script.extend([close(8, b"h"), status(8, 0)]);
    script
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_whole_transfer_has_the_hash_of_the_file(
        content in prop::collection::vec(any::<u8>(), 1..20_000),
        piece in 1usize..700,
        order in prop::collection::vec(any::<u8>(), 1..40),
        up: bool,
    ) {
        let found = told(&transfer(&content, piece, &order, up));
        prop_assert_eq!(found.len(), 1);
        let file = file(&found[0]);
        let sum = if up { &file.written } else { &file.read };
        let sum = sum.as_ref().unwrap();
        prop_assert_eq!(sum.scope, Scope::Whole);
        prop_assert_eq!(&sum.sha256, &sha256(&content));
        prop_assert_eq!(file.size, Some(content.len() as u64));
    }

    /// Bytes are told alike however they are cut, also where they are no SFTP any more.
    #[test]
    fn cuts_change_nothing(
        content in prop::collection::vec(any::<u8>(), 1..600),
        piece in 1usize..90,
        cut in 1usize..40,
        up: bool,
        spoilt in proptest::option::of((0usize..5_000, any::<u8>())),
    ) {
        let mut script = hello().to_vec();
        script.extend(transfer(&content, piece, &[3, 1, 60], up));
        if let Some((at, byte)) = spoilt {
            let which = at % script.len();
            let bytes = &mut script[which].1;
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let run = |cut: usize| {
            let mut sftp = Sftp::new();
            let mut found = Vec::new();
            for (direction, bytes) in &script {
                for bytes in bytes.chunks(cut) {
                    found.extend(sftp.feed(*direction, bytes));
                }
            }
            found.extend(sftp.finish());
            found
        };
        prop_assert_eq!(run(usize::MAX), run(cut));
    }

    #[test]
    fn any_bytes_are_taken(pieces in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..100)), 0..40), greet: bool) {
        let mut sftp = Sftp::new();
        if greet {
            for (direction, bytes) in hello() {
                sftp.feed(direction, &bytes);
            }
        }
        for (input, bytes) in pieces {
            sftp.feed(if input { Direction::Input } else { Direction::Output }, &bytes);
        }
        sftp.finish();
    }
}

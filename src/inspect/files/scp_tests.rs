use super::*;
use crate::event::{Direction, FileUse, Scope, ScpFile};
use proptest::prelude::*;
use ring::digest::{SHA256, digest};

type Line<'a> = (Direction, &'a [u8]);

const IN: Direction = Direction::Input;
const OUT: Direction = Direction::Output;

fn sha256(bytes: &[u8]) -> Option<String> {
    let sum = digest(&SHA256, bytes);
    let hex = sum.as_ref().iter().map(|byte| format!("{byte:02x}"));
    Some(hex.collect())
}

/// What is told of a command whose bytes are these, each line of them cut into pieces.
fn told(command: &[u8], script: &[Line<'_>], cut: usize) -> Vec<Finding> {
    let mut files = Files::of_command(command);
    let mut found = Vec::new();
    for (direction, bytes) in script {
        for bytes in bytes.chunks(cut) {
            found.extend(files.feed(*direction, bytes));
        }
    }
    found.extend(files.finish());
    found
}

fn file(finding: &Finding) -> &ScpFile {
    let Kind::ScpFile(file) = &finding.kind else {
        panic!("{finding:?}");
    };
    file
}

#[test]
fn a_tree_that_is_put_is_told_file_by_file() {
    let script: [Line<'_>; 18] = [
        (OUT, b"\0"),
        (IN, b"T1700000000 0 1600000000 0\n"),
        (OUT, b"\0"),
        (IN, b"D0755 0 a dir\n"),
        (OUT, b"\0"),
        (IN, b"C0640 5 ../x\xff\n"),
        (OUT, b"\0"),
        (IN, b"hello\0"),
        (OUT, b"\0"),
        (IN, b"T1700000000 0 1600000000 0\n"),
        (OUT, b"\0"),
        (IN, b"C0600 0 empty\n"),
        (OUT, b"\0"),
        (IN, b"\0"),
        (OUT, b"\0"),
        (IN, b"E\n"),
        (OUT, b"\0"),
        (IN, b""),
    ];
    let found = told(b"scp -t -r -p /tmp", &script, 100);
    assert_eq!(found.len(), 3, "{found:?}");
    let Kind::ScpDirectory(directory) = &found[0].kind else {
        panic!("{found:?}");
    };
    assert_eq!(directory.path.data.as_deref(), Some("a dir"));
    let first = file(&found[1]);
    assert_eq!((first.operation, first.size), (FileUse::Write, 5));
    assert_eq!(
        first.path,
        crate::event::TextOrBytes::from_bytes(b"a dir/../x\xff")
    );
    assert_eq!(
        (first.content.scope, &first.content.sha256),
        (Scope::Whole, &sha256(b"hello"))
    );
    assert_eq!(first.mtime, None, "the times were the directory's");
    let empty = file(&found[2]);
    assert_eq!(
        (empty.mtime, empty.atime),
        (Some(1_700_000_000), Some(1_600_000_000))
    );
    assert_eq!(
        (empty.content.scope, &empty.content.sha256),
        (Scope::Whole, &sha256(b""))
    );
    for cut in 1..8 {
        assert_eq!(
            told(b"anything", &script, cut),
            found,
            "the text of a command decides nothing"
        );
    }
}

#[test]
fn a_file_that_is_got_is_told() {
    let script: [Line<'_>; 6] = [
        (IN, b"\0"),
        (OUT, b"C0644 3 new\\nline\n"),
        (IN, b"\0"),
        (OUT, b"abc\0"),
        (IN, b"\0"),
        (OUT, b"\x01scp: gone: No such file or directory\n"),
    ];
    let found = told(b"scp -f x", &script, 3);
    let told = file(&found[0]);
    assert_eq!(
        (told.operation, told.result.as_str()),
        (FileUse::Read, "ok")
    );
    assert_eq!(told.content.sha256, sha256(b"abc"));
    let Kind::ScpError(error) = &found[1].kind else {
        panic!("{found:?}");
    };
    assert_eq!((error.code.as_str(), error.stopped), ("told", false));
}

#[test]
fn refusals_failures_and_ends_are_told() {
    let start: [Line<'_>; 2] = [(OUT, b"\0"), (IN, b"C0644 5 x\n")];
    let ends: [(&str, Scope, &[Line<'_>]); 6] = [
        (
            "refused",
            Scope::None,
            &[(OUT, b"\x01scp: x: Permission denied\n"), (IN, b"E\n")],
        ),
        (
            "failed",
            Scope::Partial,
            &[(OUT, b"\0"), (IN, b"hello\0"), (OUT, b"\x01disk full\n")],
        ),
        (
            "ok",
            Scope::Partial,
            &[
                (OUT, b"\0"),
                (IN, b"hello\x01x: read failed\n"),
                (OUT, b"\0"),
            ],
        ),
        ("unanswered", Scope::Partial, &[(OUT, b"\0"), (IN, b"hel")]),
        (
            "unanswered",
            Scope::Partial,
            &[(OUT, b"\0"), (IN, b"hello\0")],
        ),
        // Clients that do not wait, and answers that come together.
        ("ok", Scope::Whole, &[(IN, b"hello\0"), (OUT, b"\0\0")]),
    ];
    for (result, scope, end) in ends {
        let found = told(b"", &[&start, end].concat(), 100);
        let file = found
            .iter()
            .find(|one| matches!(one.kind, Kind::ScpFile(_)));
        let file = file.map(file_of).unwrap_or_else(|| panic!("{found:?}"));
        assert_eq!(
            (file.result.as_str(), file.content.scope),
            (result, scope),
            "{file:?}"
        );
        assert_eq!(file.said.is_some(), ["refused", "failed"].contains(&result));
    }
}

fn file_of(finding: &Finding) -> &ScpFile {
    file(finding)
}

#[test]
fn a_file_that_was_sent_before_any_answer_is_told() {
    let script: [Line<'_>; 2] = [(IN, b"C0644 5 x\nhello\0"), (OUT, b"\0\0\0")];
    let found = told(b"", &script, 100);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(file(&found[0]).content.scope, Scope::Whole);
}

#[test]
fn what_is_no_scp_any_more_stops_with_an_event() {
    let start: [Line<'_>; 3] = [(OUT, b"\0"), (IN, b"C0644 5 x\n"), (OUT, b"\0")];
    let long = [b'x'; 20_000];
    let cases: [(&str, &[Line<'_>]); 5] = [
        ("malformed", &[(IN, b"hello\0C0644 -1 y\n")]),
        ("malformed", &[(OUT, b"what")]),
        ("unasked", &[(OUT, b"\0\0")]),
        ("too_long", &[(IN, b"hello\0"), (IN, &long)]),
        (
            "malformed",
            &[(IN, b"hello\0C0644 5 y\nab"), (OUT, b"\0\x01no\n")],
        ),
    ];
    for (code, rest) in cases {
        let found = told(b"", &[&start, rest].concat(), usize::MAX);
        let Some(Kind::ScpError(error)) = found.last().map(|one| &one.kind) else {
            panic!("{code}: {found:?}");
        };
        assert_eq!(
            (error.code.as_str(), error.stopped),
            (code, true),
            "{found:?}"
        );
    }
}

#[test]
fn what_only_looks_like_it_is_not_told() {
    let cases: [(&[u8], &[Line<'_>]); 6] = [
        (
            b"scp -t /tmp",
            &[
                (IN, b"C0644 5 x\n"),
                (OUT, b"bash: scp: command not found\n"),
            ],
        ),
        (b"scp -t /tmp", &[(OUT, b"\0"), (IN, b"Caesar said\n")]),
        (
            b"rsync --server . x",
            &[(OUT, b"rsync: not found\n"), (IN, b"\x1f\0\0\0")],
        ),
        (
            b"git-upload-pack x",
            &[(OUT, b"fatal: no such repository\n")],
        ),
        (b"cat", &[(IN, b"\0\0\0\x05\x02"), (OUT, b"\0\0\0\x05\x02")]),
        (
            b"cat",
            &[(IN, b"C0644 5 x\nhello\0"), (OUT, b"C0644 5 x\nhello\0")],
        ),
    ];
    for (command, script) in cases {
        assert_eq!(told(command, script, 100), [], "{command:?}");
    }
}

#[test]
fn tools_are_told_when_they_speak() {
    let found = told(
        b"rsync --server -e.iLsfxCIvu . /srv",
        &[(IN, b"\x1f\0\0\0"), (OUT, b"\x1f\0"), (OUT, b"\0\0rest")],
        100,
    );
    assert!(
        matches!(
            &found[..],
            [Finding {
                kind: Kind::Rsync(_),
                ..
            }]
        ),
        "{found:?}"
    );
    let found = told(
        b"git-receive-pack '/srv/x.git'",
        &[(OUT, b"00b1"), (OUT, b"3f")],
        100,
    );
    assert!(
        matches!(
            &found[..],
            [Finding {
                kind: Kind::Git(_),
                ..
            }]
        ),
        "{found:?}"
    );
    // sftp without its subsystem.
    let mut files = Files::of_command(b"/usr/lib/openssh/sftp-server");
    let hello = b"\0\0\0\x05\x01\0\0\0\x03";
    files.feed(IN, &hello[..7]);
    files.feed(IN, &hello[7..]);
    files.feed(OUT, b"\0\0\0\x05\x02\0\0\0\x03");
    let found = files.feed(OUT, b"\0\0\0\0");
    assert!(
        matches!(
            &found[..],
            [Finding {
                kind: Kind::SftpError(_),
                ..
            }]
        ),
        "{found:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_taken(
        pieces in prop::collection::vec(
            (any::<bool>(), prop_oneof![
                Just(b"\0".to_vec()),
                Just(b"C0644 3 x\n".to_vec()),
                Just(b"D0755 0 d\n".to_vec()),
                Just(b"E\n".to_vec()),
                Just(b"\x01no\n".to_vec()),
                prop::collection::vec(any::<u8>(), 0..20),
            ]),
            0..40,
        ),
    ) {
        let mut files = Files::of_command(b"x");
        for (input, bytes) in pieces {
            files.feed(if input { IN } else { OUT }, &bytes);
        }
        files.finish();
    }
}

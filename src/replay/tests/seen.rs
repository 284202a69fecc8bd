use super::*;
use crate::event::Pty;
use crate::id::Seq;
use proptest::prelude::*;

fn line(ms: u64, what: What) -> Line {
    Line {
        sid: "01935f3e-8a7b-7000-8000-000000000001".parse().unwrap(),
        seq: Seq(0),
        ts: chrono::DateTime::UNIX_EPOCH,
        mt: Duration::from_millis(ms),
        kind: String::new(),
        channel: Some(0),
        derived: None,
        what,
    }
}

fn output(ms: u64, text: &str) -> Line {
    let text = text.to_owned();
    let (fd, lost) = (1, 0);
    line(ms, What::Output { fd, text, lost })
}

fn kind(ms: u64, kind: Kind) -> Line {
    let audit = crate::event::Audit::of_node(kind, crate::event::Outcome::Success);
    line(ms, What::Audit(Box::new(audit)))
}

fn pty(cols: u32, rows: u32) -> Line {
    let term = "xterm".to_owned();
    let modes = Vec::new();
    kind(
        0,
        Kind::Pty(Pty {
            term,
            cols,
            rows,
            modes,
        }),
    )
}

fn close(ms: u64) -> Line {
    kind(
        ms,
        Kind::ChannelClose(crate::event::ChannelDetail::default()),
    )
}

fn seen(lines: &[Line]) -> Vec<(u64, String)> {
    let mut seen = Seen::default();
    let sights = lines.iter().flat_map(|line| seen.take(line));
    let ms = |at: Duration| u64::try_from(at.as_millis()).unwrap();
    sights
        .map(|sight| (ms(sight.at), sight.text.trim().to_owned()))
        .collect()
}

fn texts(lines: &[Line]) -> Vec<String> {
    seen(lines).into_iter().map(|(_, text)| text).collect()
}

#[test]
fn what_scrolls_is_there_once() {
    let mut lines = vec![pty(40, 5)];
    for n in 0..50 {
        // It stands still in between: each line is seen in five places.
        lines.push(output(n * 500, &format!("line number {n}\r\n")));
    }
    lines.push(close(30_000));
    let expected: Vec<String> = (0..50).map(|n| format!("line number {n}")).collect();
    assert_eq!(texts(&lines), expected);
}

#[test]
fn a_line_has_the_time_when_it_came() {
    let lines = [
        pty(80, 24),
        output(1000, "first line\r\n"),
        output(9000, "second line\r\n"),
        close(60_000),
    ];
    let expected = [(1000, "first line"), (9000, "second line")];
    assert_eq!(
        seen(&lines),
        expected.map(|(at, text)| (at, text.to_owned()))
    );
}

#[test]
fn what_stood_there_when_the_session_was_cut_off_was_seen() {
    let mut end = kind(
        5000,
        Kind::SessionEnd {
            reason: crate::event::End::NodeCrash,
            detail: None,
            totals: crate::event::Totals::default(),
        },
    );
    end.channel = None;
    let lines = [pty(80, 24), output(1000, "$ the last words"), end];
    assert_eq!(seen(&lines), [(1000, "$ the last words".to_owned())]);
}

#[test]
fn a_full_screen_program_is_seen_where_it_stands_still() {
    let lines = [
        pty(80, 24),
        output(0, "$ less /etc/passwd\r\n"),
        output(1000, "\x1b[?1049h\x1b[H\x1b[2Jroot:x:0:0:/root\r\n"),
        output(1010, "daemon:x:1:1\r\n"),
        output(5000, "\x1b[H\x1b[2Jnobody:x:65534\r\n"),
        output(5010, "\x1b[2J\x1b[Hgone at once\x1b[2J\x1b[Hnext page"),
        output(9000, "\x1b[?1049l$ "),
        close(9100),
    ];
    let found = texts(&lines);
    for text in ["root:x:0:0:/root", "daemon:x:1:1", "next page"] {
        assert!(found.iter().any(|line| line == text), "{text}: {found:?}");
    }
    assert!(
        !found.iter().any(|line| line.contains("at once")),
        "{found:?}"
    );
}

#[test]
fn a_cleared_screen_was_seen_and_a_half_typed_line_was_not() {
    let lines = [
        pty(80, 24),
        output(0, "$ echo the treasure\r\nthe treasure\r\n$ rm"),
        output(1000, " -rf /srv\r\n"),
        output(2000, "\x1b[H\x1b[2J$ "),
        close(3000),
    ];
    let expected = ["$ echo the treasure", "the treasure", "$ rm -rf /srv"];
    assert_eq!(texts(&lines), expected);
}

#[test]
fn wrapped_rows_are_one_line() {
    let long = "0123456789 ".repeat(20);
    let lines = [pty(20, 30), output(0, &long), close(1000)];
    assert_eq!(texts(&lines), [long.trim()]);
}

#[test]
fn output_without_a_terminal_counts_and_bytes_do_not() {
    let mut binary = output(5, "\u{fffd}\u{1}\u{2}ELF\u{fffd}\u{fffd}\n");
    if let What::Output { lost, .. } = &mut binary.what {
        *lost = 3;
    }
    let lines = [
        output(0, "one li"),
        output(1, "ne\ntwo li"),
        binary,
        output(7, "\u{1}\u{2}\u{3}\u{4}a\u{5}\n"),
        output(9, "nes\n"),
        close(10),
    ];
    assert_eq!(texts(&lines)[0], "one line");
    assert!(texts(&lines).iter().all(|line| !line.contains("ELF")));
}

#[test]
fn what_is_beyond_the_bound_is_counted() {
    let mut seen = Seen::default();
    let lines: u64 = LINES_MAX + 5;
    let mut count = 0;
    for n in 0..lines {
        count += seen.take(&output(n, &format!("line {n}\n"))).len() as u64;
    }
    assert_eq!((count, seen.left_out()), (LINES_MAX, 5));
}

proptest! {
    /// Read up to any place, a recording gives the start of what the whole one gives.
    #[test]
    fn more_of_a_recording_changes_nothing_before(
        parts in proptest::collection::vec(("(line [a-d]|\r\n|\x1b\\[2J|\x1b\\[H|\x1b\\[\\?1049[hl]|x{1,30}){1,8}", 0_u64..400), 0..20),
        cut in 0_usize..20,
    ) {
        let mut ms = 0;
        let mut lines = vec![pty(20, 4)];
        for (text, pause) in &parts {
            ms += pause;
            lines.push(output(ms, text));
        }
        lines.push(close(ms));
        let part = seen(&lines[..cut.min(lines.len())]);
        let whole = seen(&lines);
        prop_assert_eq!(&whole[..part.len()], &part[..]);
    }
}

use super::super::emulated::SCROLLED_BYTES_MAX;
use super::*;
use crate::event::Pty;
use crate::replay::Line;
use proptest::prelude::*;

fn line(channel: u32, what: What) -> Step {
    Step::Line(Box::new(Line {
        sid: "01935f3e-8a7b-7000-8000-000000000001".parse().unwrap(),
        seq: crate::id::Seq(0),
        ts: chrono::DateTime::UNIX_EPOCH,
        mt: Duration::from_secs(65),
        kind: String::new(),
        channel: Some(channel),
        derived: None,
        what,
    }))
}

fn output(text: &str) -> Step {
    let text = text.to_owned();
    line(
        0,
        What::Output {
            fd: 1,
            text,
            lost: 0,
        },
    )
}

fn kind(kind: Kind) -> Step {
    let audit = Audit::of_node(kind, Outcome::Success);
    line(0, What::Audit(Box::new(audit)))
}

fn pty(cols: u32, rows: u32) -> Step {
    let term = "xterm".to_owned();
    kind(Kind::Pty(Pty {
        term,
        cols,
        rows,
        modes: Vec::new(),
    }))
}

fn written(steps: &[Step]) -> Vec<String> {
    let mut transcript = Transcript::default();
    let mut said: Vec<Said> = steps
        .iter()
        .flat_map(|step| transcript.take(step))
        .collect();
    said.extend(transcript.finish());
    let mark = |said: Said| {
        if said.ours {
            format!("* {}", said.text)
        } else {
            said.text
        }
    };
    said.into_iter().map(mark).collect()
}

#[test]
fn what_scrolled_by_and_what_stood_there_is_one_text() {
    let steps = [
        pty(10, 2),
        output("one\r\ntwo\r\nth"),
        output("ree, which wraps\r\n$ "),
    ];
    assert_eq!(written(&steps), ["one", "two", "three, which wraps", "$"]);
}

#[test]
fn corrections_are_seen_as_they_were() {
    let steps = [
        pty(80, 24),
        output("rm -rg\x08\x1b[K"),
        output("f x\r\n\x1b[31mred\x1b[0m\r\n"),
    ];
    assert_eq!(written(&steps), ["rm -rf x", "red"]);
}

#[test]
fn a_full_screen_program_is_one_line_in_its_place() {
    let steps = [
        pty(20, 5),
        output("$ vi x\r\n\x1b[?1049h\x1b[2J\x1b[Hsecret page"),
        output("\x1b[?1049l$ ls\r\nx\r\n"),
    ];
    assert_eq!(
        written(&steps),
        [
            "$ vi x",
            "* full-screen program from 0:01:05 to 0:01:05 (0s)",
            "$ ls",
            "x"
        ]
    );
    let steps = [pty(20, 5), output("$ top\r\n\x1b[?1049hload")];
    assert_eq!(
        written(&steps),
        ["$ top", "* full-screen program from 0:01:05 to the end"]
    );
}

#[test]
fn a_target_cannot_write_a_note() {
    let steps = [pty(20, 5), output("\u{10fffd}0\u{10fffd}\r\n")];
    assert_eq!(written(&steps), ["\u{fffd}0\u{fffd}"]);
}

#[test]
fn without_a_terminal_lines_stay_as_they_are() {
    let detail = ChannelDetail {
        exit_status: Some(3),
        ..ChannelDetail::default()
    };
    let err = What::Output {
        fd: 2,
        lost: 0,
        text: "oh\n".to_owned(),
    };
    let steps = [
        output("a\tb\nc"),
        line(0, err),
        kind(Kind::ChannelClose(detail)),
    ];
    assert_eq!(
        written(&steps),
        ["a\tb", "oh", "c", "* closed, exit status 3"]
    );
}

#[test]
fn a_terminal_of_no_size_and_a_huge_one_are_bounded() {
    for (cols, rows) in [(0, 0), (0, 24), (u32::MAX, u32::MAX), (1, 1)] {
        let steps = [
            pty(cols, rows),
            output("x\r\n"),
            line(0, What::Resize { cols: 0, rows: 0 }),
        ];
        assert_eq!(written(&steps), ["x"], "{cols}x{rows}");
    }
}

#[test]
fn few_bytes_do_not_become_much_memory() {
    let steps = [pty(500, 200), output(&"\x1b#8\x1b[2J".repeat(400))];
    let said = written(&steps);
    assert!(said.iter().map(String::len).sum::<usize>() < 2 * SCROLLED_BYTES_MAX);
    assert!(
        said.iter().any(|text| text.contains("are not shown")),
        "{:?}",
        said.last()
    );
    let endless = output(&"y".repeat(LINE_BYTES_MAX));
    assert_eq!(written(&[endless.clone(), endless]).len(), 2);
}

proptest! {
    #[test]
    fn no_output_panics(
        texts in prop::collection::vec("(\\x1b[\\[\\]()#PX^_?]?[0-9;?]{0,6}[@-~]|\\PC|[\\x00-\\x1f\\x7f-\\u{9f}]){0,40}", 0..6),
        cols in 0_u32..12,
        rows in 0_u32..6,
    ) {
        let mut steps = vec![pty(cols, rows)];
        for text in &texts {
            steps.push(output(text));
            steps.push(line(0, What::Resize { cols: rows, rows: cols }));
        }
        for text in written(&steps) {
            prop_assert!(!safe_line(&text).chars().any(|c| c != '\t' && crate::event::is_dangerous(c)));
        }
    }
}

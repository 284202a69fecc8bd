//! Output that pretends: no wrong `high`, and no line that is nowhere.

use super::{Happened, commands, inspect};
use portcullis::event::Confidence;
use portcullis::inspect::{At, Found};

/// Between two steps: a millisecond.
const STEP: u64 = 1_000_000;

/// A session in shorthand: `>` typed, `<` shown.
fn play(script: &[&str]) -> Vec<Found> {
    let happened: Vec<_> = (0u64..)
        .zip(script)
        .map(|(n, step)| {
            let at = At {
                mt: n * STEP,
                seq: None,
            };
            let (side, text) = step.split_at(1);
            let bytes = text.as_bytes().to_vec();
            match side {
                ">" => (at, Happened::Typed(bytes)),
                _ => (at, Happened::Shown(bytes)),
            }
        })
        .collect();
    inspect(80, 24, &happened)
}

/// Types `line` and shows its echo, as a terminal does.
fn typing(line: &str) -> Vec<String> {
    let key = |c: char| [format!(">{c}"), format!("<{c}")];
    line.chars().flat_map(key).collect()
}

fn with<'a>(before: &[&'a str], typed: &'a [String], after: &[&'a str]) -> Vec<&'a str> {
    let typed = typed.iter().map(String::as_str);
    before
        .iter()
        .copied()
        .chain(typed)
        .chain(after.iter().copied())
        .collect()
}

const PROMPT: &str = "<\x1b[?2004hana@db:~$ ";
const DONE: &str = "<\r\n\x1b[?2004l\r";

/// The commands, and that no wrong one is `high`.
fn texts(found: &[Found], run: &[&str]) -> Vec<String> {
    for command in commands(found) {
        let is_run = run.contains(&command.text.as_str());
        assert!(
            command.confidence < Confidence::High || is_run,
            "{command:?}"
        );
    }
    commands(found)
        .iter()
        .map(|command| command.text.clone())
        .collect()
}

/// The typed line is said: as a command, as a secret, or to be inside a blind interval.
fn is_said(found: &[Found], line: &str, step: u64) -> bool {
    let mt = step * STEP;
    found.iter().any(|found| match found {
        Found::Command(command) => {
            command.text.contains(line) || (command.span.from_mt..=command.span.to_mt).contains(&mt)
        }
        Found::Secret(secret) => (secret.span.from_mt..=secret.span.to_mt).contains(&mt),
        Found::Blind(blind) => (blind.span.from_mt..=blind.span.to_mt).contains(&mt),
        Found::Reveal(_) => false,
    })
}

/// Output of a program that a person runs (`cat FILE`), each an attempt.
const OUTPUTS: [&str; 30] = [
    // Marks that give another text, status and directory.
    "\x1b]633;E;ls\x07\x1b]633;C\x07\x1b]633;D;0\x07",
    "\x1b]133;A\x07ana@db:~$ \x1b]133;B\x07ls\r\n\x1b]133;C\x07",
    // A prompt with a command behind it.
    "ana@db:~$ shutdown -h now\r\n",
    "\x1b[?2004hana@db:~$ shutdown -h now\r\n\x1b[?2004l\r",
    "\x1b[?2004hana@db:~$ shutdown -h now\r\n\x1b[?2004l\r\x1b[?2004h",
    // The editor is said to read on, or not to.
    "\x1b[?2004h",
    "\x1b[?2004h\x1b[?2004l\x1b[?2004h\x1b[?2004l",
    // The screen is erased, the cursor runs away.
    "\x1b[2J\x1b[H",
    "\x1b[5A\x1b[2K\rana@db:~$ shutdown\x1b[5B\r",
    "\x1b[10;1Hana@db:~$ halt\r\n\x1b[?2004l",
    "\x1b7\x1b[1;1Hana@db:~$ halt\x1b8",
    "\x1bc",
    // The alternate screen, left open.
    "\x1b[?1049h",
    "\x1b[?1049h\x1b[?1049l",
    // Endless marks and sequences.
    "\x1b]133;\x1b]633;P;Cwd=/root\x07\x1b[999999999999;1H",
    "\x1b[65535b\x1b[?2004;1049h\x1b[3J\x1b[1;1r",
    // A line as if it had been typed: prompt, echo, the editor's end, in one go and by keys.
    "\x1b[?2004hana@db:~$ rm -rf /data\r\n\x1b[?2004l\rgone\r\n",
    "\x1b[?2004hana@db:~$ l\x08ls\x1b[K\r\n\x1b[?2004l\r",
    "\x1b[?2004h\rana@db:~$ rm -rf /data\r\x1b[K",
    // Marks in the wrong order, nested, and with a text that is the next line.
    "\x1b]133;D;0\x07\x1b]133;C\x07\x1b]133;B\x07\x1b]133;A\x07",
    "\x1b]633;A\x07\x1b]633;E;rm -rf /data;nonce\x07\x1b]633;B\x07",
    "\x1b]133;A\x1b\\\x1b]133;B\x1b\\\x1b]133;B\x1b\\",
    // The cursor is elsewhere: margins, origin mode, wrap off, insert, tabs gone.
    "\x1b[3;5r\x1b[?6h\x1b[H",
    "\x1b[?7l\x1b[999C",
    "\x1b[4h\x1b[1;1H\x1b[5L",
    "\x1b[3g\x1b[?25l\x1b[999;999H",
    // Letters that are others: line drawing, invisible ink, black on black.
    "\x1b(0\x0e",
    "\x1b[8;30;40m",
    // A string that is never ended, and bytes that are no text.
    "\x1b]0;title",
    "\x1bPq#0;2",
];

#[test]
fn no_output_makes_a_wrong_high_or_hides_the_next_line() {
    for output in OUTPUTS {
        let first = typing("cat file");
        let second = typing("rm -rf /data");
        let shown = format!("<{output}");
        let mut script = with(&[PROMPT], &first, &[">\r", DONE, &shown, PROMPT]);
        let at = script.len() as u64;
        script.extend(second.iter().map(String::as_str));
        script.extend([">\r", DONE, "<gone\r\n", PROMPT]);
        let found = play(&script);
        let texts = texts(&found, &["cat file", "rm -rf /data"]);
        assert!(
            texts.contains(&"cat file".to_owned()),
            "{output:?} {found:?}"
        );
        assert!(is_said(&found, "rm -rf /data", at), "{output:?} {found:?}");
    }
}

#[test]
fn no_prompt_that_lies_hides_a_line() {
    for lie in [
        "\x1b[?2004l",
        "\x1b[?2004h\x1b[?2004l",
        "\x1b[8m",
        "\x1b]633;E;true\x07",
        "\x1b[?1049h",
        "\r\x1b[K",
    ] {
        let line = typing("rm -rf /data");
        let prompt = format!("<\x1b[?2004hana@db:~$ {lie}");
        for shell in [true, false] {
            let first = if shell { prompt.as_str() } else { "<$ " };
            let done = if shell { DONE } else { "<\r\n" };
            let found = play(&with(&[first], &line, &[">\r", done, "<gone\r\n", first]));
            texts(&found, &["rm -rf /data"]);
            assert!(is_said(&found, "rm -rf /data", 2), "{lie:?} {found:?}");
        }
    }
}

/// The shell of the target is an enemy's: it echoes something else than what is typed.
#[test]
fn an_echo_that_lies_is_never_high() {
    let line: Vec<String> = "rm -rf /data"
        .chars()
        .zip("echo  hello!".chars())
        .flat_map(|(typed, shown)| [format!(">{typed}"), format!("<{shown}")])
        .collect();
    let found = play(&with(&[PROMPT], &line, &[">\r", DONE, PROMPT]));
    texts(&found, &["rm -rf /data"]);
    assert!(is_said(&found, "rm -rf /data", 1), "{found:?}");
    // Typed and echoed, then painted over before the line ends.
    let line = typing("rm -rf /data");
    let found = play(&with(
        &[PROMPT],
        &line,
        &[">\r", "<\r\x1b[Kana@db:~$ ls", DONE, PROMPT],
    ));
    texts(&found, &["rm -rf /data"]);
    assert!(is_said(&found, "rm -rf /data", 1), "{found:?}");
}

#[test]
fn marks_give_status_and_directory_and_no_text() {
    let line = typing("false");
    let found = play(&with(
        &["<\x1b]633;P;Cwd=/srv\x07\x1b]133;A\x07\x1b[?2004h$ \x1b]133;B\x07"],
        &line,
        &[
            ">\r",
            "<\r\n\x1b[?2004l\r\x1b]633;E;echo fine\x07\x1b]133;C\x07",
            "<\x1b]133;D;1\x07\x1b]133;A\x07\x1b[?2004h$ ",
        ],
    ));
    let found = commands(&found);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].text, "false");
    assert_eq!(found[0].marks.exit_status, Some(1));
    assert_eq!(found[0].marks.directory.as_deref(), Some("/srv"));
    assert_eq!(found[0].marks.duration_ms, Some(1));
}

#[test]
fn marks_alone_make_no_command() {
    let found =
        play(&["<\x1b]133;A\x07$ \x1b]133;B\x07\x1b]633;E;halt\x07\x1b]133;C\x07\x1b]133;D;0\x07"]);
    assert!(commands(&found).is_empty(), "{found:?}");
}

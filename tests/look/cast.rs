//! Asciicasts of sessions that are none of the usual ones.

use super::*;

#[path = "../oracles/asciicast_v3.rs"]
mod asciicast_v3;
use asciicast_v3::assert_is_asciicast_v3;

fn odd((cols, rows): (u32, u32), resized: (u32, u32), status: u32) -> Tape {
    let mut ana = Tape::new(ANA);
    ana.start()
        .shell(&["one\r\n", "\u{1b}[31mtwo\u{1b}[0m\r\n"]);
    for line in &mut ana.lines {
        if line["kind"] == "pty" {
            line["cols"] = cols.into();
            line["rows"] = rows.into();
        }
        if line["kind"] == "channel.close" {
            line["exit_status"] = status.into();
        }
    }
    let close = ana.lines.pop().unwrap();
    let (cols, rows) = resized;
    ana.at(
        500,
        "resize",
        json!({"channel": 0, "cols": cols, "rows": rows}),
    );
    ana.lines.push(close);
    let seq = ana.lines.len() - 1;
    ana.lines[seq]["seq"] = seq.into();
    ana.end();
    ana
}

#[tokio::test]
async fn an_asciicast_has_no_size_and_no_status_that_a_player_refuses() {
    for (size, resized, status, said) in [
        ((80, 24), (100, 30), 3, false),
        ((0, 0), (100, 30), 0, true),
        ((80, 24), (0, 24), 0, true),
        ((70_000, u32::MAX), (100, 30), 0, true),
        ((80, 24), (u32::MAX, 1), 0, true),
        ((80, 24), (100, 30), u32::MAX, true),
    ] {
        let tape = odd(size, resized, status);
        let world = World::new(Doorkeeper::default(), &[&tape]).await;
        let (code, output, errors) = world.run("export last --format asciicast-v3").await;
        assert_eq!(code, 0, "{errors}");
        let lines = assert_is_asciicast_v3(&output);
        let shown: String = lines
            .iter()
            .filter(|line| line[1] == "o")
            .filter_map(|line| line[2].as_str())
            .collect();
        assert_eq!(shown, "one\r\n\u{1b}[31mtwo\u{1b}[0m\r\n");
        let changed = errors.contains("that a player draws") || errors.contains("exit status");
        assert_eq!(changed, said, "{size:?} {resized:?} {status}: {errors}");
        let has_status = lines.last().unwrap()[1] == "x";
        assert_eq!(has_status, status <= 3, "{output}");
        assert_eq!(world.run("export last --format asciicast-v2").await.0, 0);
    }
}

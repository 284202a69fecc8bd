//! What the pages tell people to type is typed here.

use crate::world::{User, World};
use std::process::Command;

fn page(name: &str) -> String {
    let path = format!("{}/docs/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

/// The lines of all blocks of that language on a page.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let begin = format!("```{language}");
    let mut inside = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        match line {
            line if line == begin => inside = true,
            "```" => inside = false,
            line if inside => lines.push(line),
            _ => {}
        }
    }
    lines
}

fn bash(world: &World, dir: &str, script: &str) -> String {
    for (tool, package) in [("zstd", "zstd"), ("jq", "jq")] {
        let there = Command::new(tool).arg("--version").output().is_ok();
        assert!(there, "no {tool}: apt-get install {package}");
    }
    let run = Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .current_dir(world.path(dir))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{said}\nof\n{script}");
    assert_eq!(said, "", "of\n{script}");
    String::from_utf8_lossy(&run.stdout).into_owned()
}

/// One session of many kinds of things, and an auditor who looked at it.
fn a_world_to_read() -> (World, String) {
    let mut world = World::new()
        .user(User::named("eve").in_group("auditors"))
        .start();
    let run = "printf 'one\\377two\\n'; printf 'gr\\303\\266\\303\\237e\\n'; exit 3";
    world.ssh("ana", &["db1", run]);
    let id = world.only_session()["id"].as_str().unwrap().to_owned();
    world.ssh("eve", &["bastion", "transcript", &id]).ok();
    world.ssh("eve", &["db1", "true"]);
    world.stop_bastion();
    (world, id)
}

#[test]
fn an_auditor_needs_no_software_of_ours() {
    let (world, id) = a_world_to_read();
    let text = page("auditor.md");
    let script = blocks(&text, "sh").join("\n");
    let script = script.replace("01935f3e-8a7b-7000-8000-0000000000a1", &id);
    let said = bash(&world, "bastion", &script.replace("| less", "| cat"));
    for shown in [
        "\"justification\": \"disk full on db1\"",
        "exit 3",
        "\"exit_status\":3",
        "\"verb\":\"transcript\"",
        "\"subject\":\"eve\"",
        "\nwhole\n",
    ] {
        assert!(said.contains(shown), "no `{shown}` in\n{said}");
    }
    assert!(!said.contains("NOT whole"));
}

#[test]
fn the_format_page_gives_back_every_byte() {
    let (world, id) = a_world_to_read();
    let text = page("recording-format.md");
    let script = blocks(&text, "sh").join("\n").replace("| less -R", "| cat");
    let chunks = "000000.jsonl.zst";
    let found = bash(
        &world,
        "bastion/state/recordings",
        &format!("echo */*/*/{id}"),
    );
    let dir = format!("bastion/state/recordings/{}", found.trim());
    bash(&world, &dir, &script.replace("NNNNNN.jsonl.zst", chunks));
    let output = std::fs::read(world.path(&dir).join("output")).unwrap();
    assert_eq!(output, b"one\xfftwo\ngr\xc3\xb6\xc3\x9fe\n");
}

#[test]
fn the_policy_on_the_page_is_one() {
    let world = World::new().start();
    let rule = blocks(&page("operate/policies.md"), "cedar").join("\n");
    let file = world.path("bastion/policies/page.cedar");
    std::fs::write(&file, &rule).unwrap();
    world.verb(&["policy", "check"]).ok();
    // The check is one: a name that the schema does not have is found.
    std::fs::write(&file, rule.replace("context.ticket", "context.tickets")).unwrap();
    assert_eq!(world.verb(&["policy", "check"]).code, 1);
}

//! What the bastion costs beside what people use today, all in one run: `cargo bench --bench relay`, or
//! `cargo bench --bench relay -- bulk echo` for some of the rows. A table to read, and the same as JSON
//! in `target/relay.json`; no verdict. docs/performance.md tells what stands in it.
//!
//! `RELAY_MIB` (256), `RELAY_ROUNDS` (3), `RELAY_IDLE` (200), `RELAY_STALLED` (64) and `RELAY_JSON` (a path)
//! change it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench measures and tells"
)]

#[expect(dead_code, reason = "a part of the fixture of tests/e2e")]
#[path = "../../e2e/terminal.rs"]
mod terminal;
#[path = "../../e2e/wait.rs"]
mod wait;
#[expect(dead_code, reason = "a part of the fixture of tests/e2e")]
#[path = "../../e2e/world.rs"]
mod world;

mod bulk;
mod crowd;
mod delay;
mod door;
mod echo;
mod files;
mod report;
mod setup;
mod stage;

use report::{Report, Row};
use stage::Stage;

/// A number from the environment.
fn setting(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number, not `{text}`"))
    })
}

/// Its name, and the rows it makes.
type Part = (&'static str, fn(&Stage) -> Vec<Row>);

const PARTS: &[Part] = &[
    ("bulk", bulk::bulk),
    ("far", bulk::far),
    ("sftp", files::sftp),
    ("echo", echo::echo),
    ("setup", setup::setup),
    ("rate", setup::rate),
    ("mux", setup::mux),
    ("far-setup", setup::far),
    ("terminal", files::terminal),
    ("ansible", files::ansible),
    ("crowd", crowd::crowd),
    ("stalled", crowd::stalled),
];

fn main() {
    // cargo itself adds `--bench`.
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let names: Vec<&str> = PARTS.iter().map(|(name, _)| *name).collect();
    for word in &wanted {
        assert!(
            names.contains(&word.as_str()),
            "no row `{word}`; there are: {}",
            names.join(" ")
        );
    }
    let stage = Stage::build();
    let mut report = Report::new();
    for (name, part) in PARTS {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            eprintln!("{name} ...");
            for row in part(&stage) {
                report.add(row);
            }
        }
    }
    report.write();
    stage.end();
}

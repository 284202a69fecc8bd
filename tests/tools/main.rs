//! The tools that people have, as they are: each of them through the jump and through the name, with the
//! configuration that `ssh-config` prints.
//!
//! `PORTCULLIS_BIG=1 cargo test --test tools` moves the full sizes (1 GiB, 100 MB packs, 20 forks).

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test may panic"
)]

#[path = "../e2e/raw.rs"]
mod raw;
#[expect(dead_code, reason = "a part of the fixture of tests/e2e")]
#[path = "../e2e/terminal.rs"]
mod terminal;
#[expect(dead_code, reason = "a part of the fixture of tests/e2e")]
#[path = "../e2e/wait.rs"]
mod wait;
#[expect(dead_code, reason = "a part of the fixture of tests/e2e")]
#[path = "../e2e/world.rs"]
mod world;

mod tool;

mod ansible;
mod badinput;
mod badtarget;
mod copies;
mod openssh;
mod others;
mod screen;
mod vscode;

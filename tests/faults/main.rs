//! What breaks under the recorder, and what is recorded then: kill -9, a full disk, one that is slow,
//! one that lies. After each of them every byte that a person or a target saw is in the recording, or
//! the recording says that it is not.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test may panic"
)]

#[expect(dead_code, reason = "a part of the fixture of tests/e2e")]
#[path = "../e2e/terminal.rs"]
mod terminal;
#[expect(dead_code, reason = "a part of the fixture of tests/e2e")]
#[path = "../e2e/wait.rs"]
mod wait;
#[expect(dead_code, reason = "a part of the fixture of tests/e2e")]
#[path = "../e2e/world.rs"]
mod world;

mod compare;
mod disk;
mod kill;
mod trace;
mod traffic;

//! The product as people meet it: our binary, a real sshd, the real `ssh`. One binary, so that it
//! links once. `world.rs` is the fixture; each test has a world of its own.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test may panic"
)]

mod agent;
mod footprint;
mod raw;
mod terminal;
mod wait;
mod world;

mod agent_forward;
mod auth;
mod badinput;
mod ca;
mod change;
mod client;
mod commands;
mod config;
mod console;
mod demo;
mod docs;
mod doctor;
mod doors;
mod export;
mod fido;
mod files;
mod flow;
mod format;
mod forward;
mod life;
mod limits;
mod lines;
mod looking;
mod policy;
mod reason;
mod recorded;
mod report;
mod search;
mod session;
mod taking;
mod target;
mod verbs;

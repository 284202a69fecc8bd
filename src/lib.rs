//! Portcullis, an SSH bastion that records before it forwards. This page is the tour.
//!
//! # Reading order
//!
//! An hour, with each room's `mod.rs` as its door:
//!
//! 1. [`event`]: the words. What happened, to whom, where, why. docs/recording-format.md in Rust.
//! 2. `proxy/session.rs`: the story of one connection, top to bottom; then `proxy/start.rs`, how a
//!    session opens, and `proxy/pumps/relay.rs`, how a byte is recorded and then goes on.
//! 3. [`identity::check`]: a certificate becomes an [`identity::Identity`] or a refusal.
//! 4. [`access::Desk::admit`]: an identity and a target become an [`access::Permit`], by [`policy`].
//! 5. `record/journal.rs`, `record/render.rs`, `record/chunk.rs`: from a keystroke to a file.
//! 6. [`replay`] and the verbs in [`cli`]: from a file to somebody's eyes.
//! 7. [`server`]: who starts all that, and how it stops.
//!
//! Walks in more words, and what each room must never do: docs/architecture.md.
//!
//! # Floor plan
//!
//! ```text
//! faces    cli  demo                         people look in
//! flows    access  proxy                     things happen in order
//! hands    ca  record  store  sink  replay   touch disk, network, keys
//! rules    identity  policy  inspect         decide; pure: no I/O, no async, no clock
//! words    id  clock  event                  say; plain data
//!          config  server  main  lib         wiring
//! ```
//!
//! A room imports from floors below it, and from a neighbour only where `MAY_IMPORT` of
//! tests/tidy.rs says so. `cargo tidy` holds these walls in a second.
//!
//! # Three things to know before changing anything
//!
//! * A step cannot be skipped, because what it proved is a type with one maker: no
//!   [`identity::Identity`], no [`access::Permit`]; no permit, no socket to a target; no
//!   [`record::Recording`], no relay.
//! * A byte goes on after `Recording::append` returned, and by no other way.
//! * Unknown means no: options, algorithms, channel types, settings.

pub mod access;
pub mod ca;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod event;
pub mod id;
pub mod identity;
pub mod inspect;
pub mod policy;
pub mod proxy;
pub mod record;
pub mod replay;
pub mod server;
pub mod sink;
pub mod store;

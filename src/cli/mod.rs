//! One file per verb: parse, call, print.
//!
//! Floors: `recordings` looks at what was recorded, `node` is for operators on the machine itself,
//! `files` writes what a verb sends them.
//!
//! Never: decide a right, write SQL, or print foreign text but through `Shown`.

pub mod answer;
pub mod console;
mod files;
pub mod node;
mod phrase;
pub mod raw;
pub mod recordings;
pub mod run;
pub mod tree;
mod usage;
pub mod verbs;
mod when;
mod why;
mod window;
mod words;

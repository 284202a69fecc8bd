//! File and environment -> checked [`Config`]. The only reader of the environment.
//!
//! Never: guess. An unknown key, a wrong unit or a missing file is refused with file and line.

mod check;
mod difference;
mod files;
mod find;
mod page;
mod raw;
mod sections;
mod targets;
mod template;
#[cfg(test)]
mod tests;

pub use check::{Authority, Config, Faults};
pub use find::{agent_socket, find, time_zone, user_name};
pub use template::TEMPLATE;

//! May they: Cedar policies over facts. The same facts give the same decision, for ever.
//!
//! Never: read a file, a clock or a database; be async; allow when a policy failed to evaluate.

mod decide;
mod destination;
mod example;
mod explain;
mod facts;
mod set;
#[cfg(test)]
mod tests;

pub use destination::{BadDestination, Destination};
pub use example::{Example, Failed};
pub use explain::Explanation;
pub use facts::{Action, Context, Facts, Principal, Resource};
pub use set::{Fault, PolicySet};

/// The repository's policies, as `portcullis init` writes them: name and text.
pub const SHIPPED: &[(&str, &str)] = &[
    ("portcullis.cedar", SHIPPED_POLICIES),
    ("portcullis.cedarschema", SHIPPED_SCHEMA),
    ("examples.toml", SHIPPED_EXAMPLES),
];

const SHIPPED_POLICIES: &str = include_str!("../../policies/portcullis.cedar");
const SHIPPED_SCHEMA: &str = include_str!("../../policies/portcullis.cedarschema");
const SHIPPED_EXAMPLES: &str = include_str!("../../policies/examples.toml");

/// Default deny; forbid wins; an evaluation error is a denial.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    pub allowed: bool,
    /// Ids of the deciding policies (`FILE#ID`).
    pub policies: Vec<String>,
    pub errors: Vec<String>,
}

//! The bytes: queues, flow control, and the pumps that record, then forward.
//!
//! Never: hold more than a bound, or let a byte go on that is not recorded.

pub(crate) mod altscreen;
pub(crate) mod budget;
pub(crate) mod content;
pub(crate) mod files;
pub(crate) mod flow;
pub(crate) mod follow;
pub(crate) mod gate;
pub(crate) mod output;
pub(crate) mod queue;
pub(crate) mod relay;

//! What `doctor` and `portcullis status` ask a running bastion: how much of it is used, and what its
//! limits turned away.

use crate::proxy::entry::guard::Counters;
use crate::proxy::house::House;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Status {
    pub node: String,
    pub build: String,
    /// False while revocations cannot be read, or the bastion stops.
    pub accepts_logins: bool,
    /// Connections that have logged in.
    pub connections: usize,
    /// Connections that have not.
    pub unauthenticated: usize,
    /// Sessions that run.
    pub sessions: usize,
    /// Tasks of the whole process: a leak shows here.
    pub tasks: usize,
    /// Bytes that wait for slow peers, over all connections.
    pub waiting_bytes: usize,
    /// What limits turned away since the start.
    pub refused: Counters,
}

impl House {
    /// Inside the runtime only: it counts its tasks.
    pub fn status(&self) -> Status {
        let (connections, unauthenticated) = self.limiter.connections();
        Status {
            node: self.config.node.clone(),
            build: env!("CARGO_PKG_VERSION").to_owned(),
            accepts_logins: self.accepts_logins(),
            connections,
            unauthenticated,
            sessions: self.live.count(),
            tasks: tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks(),
            waiting_bytes: self.budget.held(),
            refused: self.limiter.counters(),
        }
    }
}

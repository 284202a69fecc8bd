use crate::access::{Addresses, Desk};
use futures_util::StreamExt;
use futures_util::stream;
use std::time::Duration;
use tokio::net::lookup_host;
use tokio_util::sync::CancellationToken;

/// A name that moved is followed within this time.
const EVERY: Duration = Duration::from_secs(30);
/// For one name; one that cannot be looked up keeps the addresses it had.
const LOOKUP_MAX: Duration = Duration::from_secs(3);
/// Names looked up at once: each takes a thread.
const AT_ONCE: usize = 16;

/// Keeps what the host names of listed targets lead to, so that no other name that a pattern matches
/// is a way around their rules. The first look is taken before the door opens.
pub(super) struct Names {
    desk: Desk,
    known: Addresses,
}

impl Names {
    pub(super) async fn first(desk: Desk) -> Self {
        let mut names = Self {
            desk,
            known: Addresses::new(),
        };
        names.look().await;
        names
    }

    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut changed = self.desk.changed();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
                Ok(()) = changed.changed() => {}
            }
            self.look().await;
        }
    }

    async fn look(&mut self) {
        let hosts = self.desk.targets().to_look_up();
        let found: Vec<_> = stream::iter(hosts)
            .map(|host| async move {
                let found = tokio::time::timeout(LOOKUP_MAX, lookup_host((host.as_str(), 0))).await;
                let found = found.ok().and_then(Result::ok);
                let found = found.map(|found| found.map(|address| address.ip()).collect());
                (host, found)
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let before = std::mem::take(&mut self.known);
        for (host, found) in found {
            let addresses: Option<Vec<_>> = found.or_else(|| before.get(&host).cloned());
            self.known
                .extend(addresses.map(|addresses| (host, addresses)));
        }
        self.desk.note_addresses(self.known.clone());
    }
}

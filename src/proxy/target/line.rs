//! A connection to the target, logged in and recorded, before its first channel: what every way
//! through the bastion begins with.

use super::dial::{self, DialError, Needs};
use super::side::TargetSide;
use super::visitor::{Opened, Porch};
use crate::event::{Entry, Kind, Outcome};
use crate::proxy::pumps::flow::{Flow, Side};
use crate::proxy::pumps::gate::Gate;
use crate::proxy::pumps::queue::Queue;
use crate::proxy::session::Session;
use russh::client;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// How long a goodbye may take, and then the target's own.
const GOODBYE: Duration = Duration::from_millis(200);
const LEAVE: Duration = Duration::from_millis(500);

pub(crate) struct Line {
    pub(crate) handle: client::Handle<TargetSide>,
    pub(crate) flow: Arc<Flow>,
    /// Of the channel that we open.
    pub(crate) down: Arc<Queue>,
    pub(crate) replies: mpsc::Receiver<bool>,
    /// The connection to the target is over.
    pub(crate) gone: CancellationToken,
    /// Channels that the target opened.
    pub(crate) opened: Opened,
    refusal: watch::Receiver<Option<String>>,
}

/// Dials, logs in and records both. `porch`: what the target may open here, which is nothing unless
/// somebody asked for it.
pub(crate) async fn open(
    session: &Session,
    needs: Needs,
    porch: Option<Porch>,
) -> Result<Line, DialError> {
    let house = &session.house;
    let flow = Flow::new(Side::Target, &house.budget);
    let down = Queue::new(Arc::clone(&flow));
    let gone = CancellationToken::new();
    let opened = Opened::default();
    let permit = session.permit().clone();
    let mut hears = None;
    let dialled = dial::dial(
        &house.dialler,
        &permit,
        session.id(),
        needs,
        |target, ip| house.desk.targets().permits(target, ip),
        |stream| Gate::new(stream, Arc::clone(&flow)),
        |verifier| {
            let (mut side, answers) = TargetSide::new(
                Arc::clone(&down),
                gone.clone(),
                verifier,
                session.recording.clone(),
                session.tap.clone(),
            );
            side.receive(porch, opened.clone(), Arc::clone(&flow));
            hears = Some((answers, side.refusal()));
            side
        },
    )
    .await?;
    let (replies, refusal) = hears.ok_or_else(DialError::gone)?;
    let accepted = Kind::TargetAuth {
        method: dialled.method().to_owned(),
        host_key: dialled.host_key.clone(),
        key_id: dialled.key_id.clone(),
        address: dialled.address.to_string(),
    };
    let entry = Entry::audit(session.tap.audit(accepted, Outcome::Success));
    let recorded = session.recording.append(entry).await;
    recorded.map_err(|_| DialError::gone())?;
    Ok(Line {
        handle: dialled.handle,
        flow,
        down,
        replies,
        gone,
        opened,
        refusal,
    })
}

impl Line {
    /// Why the target did not open our channel, in its own words.
    pub(crate) async fn refusal(&self) -> String {
        let mut refusal = self.refusal.clone();
        let said = refusal.wait_for(Option::is_some);
        match tokio::time::timeout(GOODBYE, said).await {
            Ok(Ok(said)) => said.clone().unwrap_or_default(),
            Ok(Err(_)) | Err(_) => String::new(),
        }
    }

    pub(crate) async fn end(&self) {
        end(&self.handle, &self.gone, &self.flow).await;
    }
}

/// Says goodbye, then cuts the connection off.
pub(crate) async fn end(
    handle: &client::Handle<TargetSide>,
    gone: &CancellationToken,
    flow: &Arc<Flow>,
) {
    let bye = handle.disconnect(russh::Disconnect::ByApplication, "", "");
    if tokio::time::timeout(GOODBYE, bye).await.is_err() {
        tracing::debug!("the target leg did not take a goodbye");
    }
    tokio::select! {
        () = gone.cancelled() => {}
        () = tokio::time::sleep(LEAVE) => {}
    }
    flow.kill();
}

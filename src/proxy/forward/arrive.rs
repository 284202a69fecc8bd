//! A channel that the bastion opens to the user, because somebody at the target came for them.
//!
//! russh tells of the confirmation in a callback, and bytes may follow it at once: so the callback
//! makes the queue ([`Connection::confirm`]), and the task that asked takes it over here.

use crate::id::ChannelId;
use crate::proxy::channel::Lane;
use crate::proxy::connection::{Connection, Place};
use russh::server::Msg;
use russh::{Channel, ChannelOpenFailure, ChannelWriteHalf};
use std::sync::Arc;

/// The user's side of a channel that something goes through.
pub(crate) struct UserEnd {
    /// Our own number for it.
    pub(crate) id: ChannelId,
    pub(crate) lane: Arc<Lane>,
    /// The way back to the user. Only one pump writes.
    pub(crate) writer: ChannelWriteHalf<Msg>,
}

/// Opens one; `opening` is a `channel_open_...` of the connection's handle. The user may take as long
/// as they like: their program connects to whatever it forwards to first.
pub(crate) async fn open(
    connection: &Arc<Connection>,
    opening: impl Future<Output = Result<Channel<Msg>, russh::Error>>,
) -> Result<UserEnd, ChannelOpenFailure> {
    let place = connection.reserve();
    let place = place.ok_or(ChannelOpenFailure::ResourceShortage)?;
    let channel = match opening.await {
        Ok(channel) => channel,
        Err(russh::Error::ChannelOpenFailure(reason)) => return Err(reason),
        Err(_) => return Err(ChannelOpenFailure::ConnectFailed),
    };
    let (reader, writer) = channel.split();
    // With the read half gone nothing parks russh's loop: bytes come through `data` only.
    drop(reader);
    let lane = connection.claim(writer.id()).await;
    drop::<Place>(place);
    let lane = lane.map_err(|_gone| ChannelOpenFailure::ConnectFailed)?;
    let id = connection.table().number();
    Ok(UserEnd { id, lane, writer })
}

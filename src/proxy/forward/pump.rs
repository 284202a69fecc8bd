//! The two pumps of a forwarded connection: count and hash in the journal, then forward.

use super::arrive::UserEnd;
use super::label::Labeller;
use super::right::{Right, endpoint};
use crate::access::Action;
use crate::event::{
    Direction, End, ForwardClose, ForwardDirection, ForwardEnd, ForwardGuess, ForwardSum, Kind,
    Outcome,
};
use crate::proxy::connection::Connection;
use crate::proxy::pumps::content::{Content, Keep};
use crate::proxy::pumps::queue::{Item, Queue};
use crate::proxy::pumps::relay::Stopped;
use crate::proxy::session::Session;
use bytes::Bytes;
use russh::{ChannelWriteHalf, client};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What a user who is gone had sent may still reach the target.
const GRACE: Duration = Duration::from_secs(10);
/// How long a close may wait for room.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// The target's side of it.
pub(crate) struct TargetEnd {
    pub(crate) down: Arc<Queue>,
    pub(crate) writer: ChannelWriteHalf<client::Msg>,
}

pub(crate) struct Forward {
    pub(crate) connection: Arc<Connection>,
    pub(crate) session: Arc<Session>,
    pub(crate) direction: ForwardDirection,
    pub(crate) right: Right,
    pub(crate) user: UserEnd,
    pub(crate) target: TargetEnd,
    pub(crate) label: Labeller,
}

/// Both directions, counted and hashed.
struct Counted {
    input: Content,
    output: Content,
}

impl Forward {
    /// Until one side closes it, the right to it or the session ends. Everything of it is closed and
    /// recorded then.
    pub(crate) async fn run(self) {
        let mut counted = Counted {
            // Its content is nobody's business here (RECORDING §2): sums only.
            input: Content::new(Direction::Input, Keep::First(0)),
            output: Content::new(Direction::Output, Keep::First(0)),
        };
        let (ended, message) = self.pump(&mut counted).await;
        if ended == ForwardEnd::Recorder {
            let why = message.clone().unwrap_or_default();
            let text = format!("this session cannot be recorded any more ({why})");
            self.session.end(End::Recorder, text);
        }
        self.close().await;
        let sums = (sum(&counted.input), sum(&counted.output));
        let close = closed(
            (self.direction, &self.right),
            sums,
            self.label.label(),
            (ended, message),
        );
        let entry = self.session.tap.on(self.user.id, close, Outcome::Success);
        if let Err(error) = self.session.recording.append(entry).await {
            tracing::error!(session = %self.session.id(), %error, "the end of a forward was not recorded");
        }
    }

    async fn pump(&self, counted: &mut Counted) -> (ForwardEnd, Option<String>) {
        // All that the user sent is with the target: nobody waits for its output any more.
        let sent = CancellationToken::new();
        let input = &mut counted.input;
        let up = async {
            let done = self.pump_input(input).await;
            sent.cancel();
            done
        };
        let down = self.pump_output(&mut counted.output, &sent);
        tokio::pin!(up, down);
        let mut up_done = false;
        loop {
            tokio::select! {
                biased;
                () = self.session.ended() => return (ForwardEnd::Session, None),
                denied = self.right.lost(&self.session) => {
                    return (ForwardEnd::Policy, Some(denied.to_string()));
                }
                done = &mut down => return match done {
                    Ok(ended) => (ended, None),
                    Err(Stopped::Peer) => (ForwardEnd::User, None),
                    Err(Stopped::Recorder(error)) => (ForwardEnd::Recorder, Some(error.to_string())),
                },
                done = &mut up, if !up_done => {
                    up_done = true;
                    if let Err(Stopped::Recorder(error)) = done {
                        return (ForwardEnd::Recorder, Some(error.to_string()));
                    }
                }
            }
        }
    }

    async fn pump_input(&self, content: &mut Content) -> Result<(), Stopped> {
        let (up, writer) = (&self.user.lane.up, &self.target.writer);
        while let Some(item) = up.pop().await {
            match item {
                Item::Data { bytes, .. } => {
                    let length = bytes.len();
                    self.record(content, &bytes).await?;
                    self.session.note_input(length as u64);
                    // INVARIANT: recorded before forwarded.
                    writer.data_bytes(bytes).await?;
                    up.release(length);
                }
                Item::Eof => writer.eof().await?,
                Item::Close => return Ok(()),
                Item::ExitStatus(_) | Item::ExitSignal { .. } => {}
            }
        }
        Ok(())
    }

    async fn pump_output(
        &self,
        content: &mut Content,
        sent: &CancellationToken,
    ) -> Result<ForwardEnd, Stopped> {
        let passing = async {
            let (down, writer) = (&self.target.down, &self.user.writer);
            loop {
                match down.pop().await {
                    Some(Item::Data { bytes, .. }) => {
                        let length = bytes.len();
                        self.record(content, &bytes).await?;
                        self.session.note_output(length as u64);
                        // INVARIANT: recorded before forwarded.
                        writer.data_bytes(bytes).await?;
                        down.release(length);
                    }
                    Some(Item::Eof) => writer.eof().await?,
                    Some(Item::Close) | None => return Ok(ForwardEnd::Target),
                    Some(Item::ExitStatus(_) | Item::ExitSignal { .. }) => {}
                }
            }
        };
        tokio::select! {
            biased;
            // A write to a channel that is gone waits for ever.
            () = self.user.lane.gone.cancelled() => {}
            done = passing => return done,
        }
        let discarding = tokio::time::timeout(GRACE, self.discard(sent)).await;
        if discarding.is_err() {
            tracing::debug!(session = %self.session.id(), "a forward's last bytes were not taken");
        }
        Ok(ForwardEnd::User)
    }

    /// The user is gone: what the target still says goes nowhere, or it would be stuck on it and not
    /// take what the user sent.
    async fn discard(&self, sent: &CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = sent.cancelled() => return,
                item = self.target.down.pop() => match item {
                    Some(Item::Data { bytes, .. }) => self.target.down.release(bytes.len()),
                    Some(Item::Close) | None => return,
                    Some(Item::Eof | Item::ExitStatus(_) | Item::ExitSignal { .. }) => {}
                }
            }
        }
    }

    async fn record(&self, content: &mut Content, bytes: &Bytes) -> Result<(), Stopped> {
        let place = (self.session.as_ref(), self.user.id);
        let alert = self.label.feed(content.direction(), bytes, place);
        for entry in content.take(self.user.id, bytes).into_iter().chain(alert) {
            self.session.recording.append(entry).await?;
        }
        Ok(())
    }

    async fn close(&self) {
        let lane = &self.user.lane;
        lane.up.end();
        lane.up.detach();
        self.target.down.end();
        self.target.down.detach();
        let closing = async {
            let target = self.target.writer.close().await;
            let user = match lane.gone.is_cancelled() {
                true => Ok(()),
                false => self.user.writer.close().await,
            };
            target.and(user)
        };
        if !matches!(tokio::time::timeout(CLOSE_WAIT, closing).await, Ok(Ok(()))) {
            tracing::debug!(session = %self.session.id(), "one side of a forward was already gone");
        }
        self.connection.table().remove(self.user.writer.id());
    }
}

/// `forward.close`.
pub(crate) fn closed(
    (direction, right): (ForwardDirection, &Right),
    (input, output): (ForwardSum, ForwardSum),
    guess: Option<ForwardGuess>,
    (ended, message): (ForwardEnd, Option<String>),
) -> Kind {
    let is_ssh = guess.as_ref().is_some_and(|guess| guess.protocol == "ssh");
    Kind::ForwardClose(Box::new(ForwardClose {
        direction,
        to: endpoint(&right.destination),
        input,
        output,
        guess,
        opaque: is_ssh || right.action == Action::ForwardSsh,
        ended,
        message,
    }))
}

/// Of one that never carried a byte.
pub(crate) fn nothing() -> (ForwardSum, ForwardSum) {
    let none = Content::new(Direction::Input, Keep::First(0));
    (sum(&none), sum(&none))
}

fn sum(content: &Content) -> ForwardSum {
    ForwardSum {
        bytes: content.bytes(),
        sha256: content.sha256(),
    }
}

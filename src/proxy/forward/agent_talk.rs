//! One conversation of a program on the target with the person's agent: one request, its answer, the
//! next. Each is an event before it goes on; what the agent must not be asked, the bastion answers.

use super::arrive::UserEnd;
use crate::event::{AgentClose, AgentEnd, Direction, End, ForwardSum, Kind, Outcome};
use crate::inspect::agent::{Bad, Ruled, Talk};
use crate::inspect::files::Finding;
use crate::proxy::connection::Connection;
use crate::proxy::pumps::content::{Content, Keep};
use crate::proxy::pumps::queue::{Item, Queue};
use crate::proxy::pumps::relay::Stopped;
use crate::proxy::session::Session;
use bytes::{Buf, Bytes, BytesMut};
use russh::{ChannelWriteHalf, client};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Requests that the target sends before the last one was answered: two of the longest. Reading no
/// further instead would stall the person's session, which shares the connection.
const AHEAD_BYTES_MAX: usize = 2 * (256 * 1024 + 4);
/// How long a close may wait for room.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

pub(super) struct Conversation {
    pub(super) connection: Arc<Connection>,
    pub(super) session: Arc<Session>,
    pub(super) user: UserEnd,
    pub(super) down: Arc<Queue>,
    pub(super) target: ChannelWriteHalf<client::Msg>,
    /// The connection to the target is over.
    pub(super) gone: CancellationToken,
}

/// What has passed.
struct Passed {
    talk: Talk,
    /// Of the target, not yet looked at.
    ahead: BytesMut,
    input: Content,
    output: Content,
    requests: u64,
    refused: u64,
    /// The target asks nothing more.
    eof: bool,
}

/// Why it stopped.
enum Over {
    Ended(AgentEnd),
    Malformed { who: &'static str, bad: String },
    Stopped(Stopped),
}

impl From<Stopped> for Over {
    fn from(stopped: Stopped) -> Self {
        Self::Stopped(stopped)
    }
}

impl From<crate::record::Error> for Over {
    fn from(error: crate::record::Error) -> Self {
        Self::Stopped(Stopped::Recorder(error))
    }
}

impl From<russh::Error> for Over {
    fn from(error: russh::Error) -> Self {
        Self::Stopped(error.into())
    }
}

fn malformed(who: &'static str) -> impl FnOnce(Bad) -> Over {
    move |bad| Over::Malformed {
        who,
        bad: bad.to_string(),
    }
}

impl Conversation {
    pub(super) async fn run(self) {
        let mut passed = Passed {
            talk: Talk::default(),
            ahead: BytesMut::new(),
            input: Content::new(Direction::Input, Keep::First(0)),
            output: Content::new(Direction::Output, Keep::First(0)),
            requests: 0,
            refused: 0,
            eof: false,
        };
        let over = tokio::select! {
            biased;
            () = self.session.ended() => Over::Ended(AgentEnd::Session),
            // A write to a channel that is gone waits for ever.
            () = self.user.lane.gone.cancelled() => Over::Ended(AgentEnd::User),
            () = self.gone.cancelled() => Over::Ended(AgentEnd::Target),
            over = self.converse(&mut passed) => over,
        };
        let (ended, message, outcome) = match over {
            Over::Ended(ended) => (ended, None, Outcome::Success),
            Over::Malformed { who, bad } => {
                let message = format!("{who} does not speak as an agent does: {bad}");
                (AgentEnd::Malformed, Some(message), Outcome::Error)
            }
            Over::Stopped(Stopped::Peer) => (AgentEnd::User, None, Outcome::Success),
            Over::Stopped(Stopped::Recorder(error)) => {
                let text = format!("this session cannot be recorded any more ({error})");
                self.session.end(End::Recorder, text);
                (AgentEnd::Session, Some(error.to_string()), Outcome::Error)
            }
        };
        self.close().await;
        let close = AgentClose {
            ended,
            message,
            requests: passed.requests,
            refused: passed.refused,
            input: sum(&passed.input),
            output: sum(&passed.output),
        };
        let kind = Kind::AgentClose(Box::new(close));
        let entry = self.session.tap.on(self.user.id, kind, outcome);
        if let Err(error) = self.session.recording.append(entry).await {
            tracing::error!(session = %self.session.id(), %error, "the end of the use of an agent was not recorded");
        }
    }

    async fn converse(&self, passed: &mut Passed) -> Over {
        loop {
            if let Err(over) = self.ask(passed).await {
                return over;
            }
            if passed.eof && !passed.talk.is_waiting() {
                return Over::Ended(AgentEnd::Target);
            }
            let step = tokio::select! {
                item = self.down.pop(), if !passed.eof => self.take_request(passed, item).await,
                item = self.user.lane.up.pop() => self.take_answer(passed, item).await,
            };
            if let Err(over) = step {
                return over;
            }
        }
    }

    /// What the target has asked already, until one has to be answered by the agent.
    async fn ask(&self, passed: &mut Passed) -> Result<(), Over> {
        while !passed.talk.is_waiting() {
            let mut rest = passed.ahead.as_ref();
            let ruled = passed.talk.request(&mut rest);
            let left = rest.len();
            passed.ahead.advance(passed.ahead.len() - left);
            let Some(ruled) = ruled.map_err(malformed("the target"))? else {
                return Ok(());
            };
            passed.requests += 1;
            match ruled {
                Ruled::Forward { found, bytes } => {
                    self.record(found).await?;
                    // INVARIANT: recorded before forwarded.
                    self.user.writer.data_bytes(bytes).await?;
                }
                Ruled::Refuse { found, bytes } => {
                    passed.refused += 1;
                    self.record(found).await?;
                    self.target.data_bytes(bytes).await?;
                }
            }
        }
        Ok(())
    }

    async fn take_request(&self, passed: &mut Passed, item: Option<Item>) -> Result<(), Over> {
        match item {
            Some(Item::Data { bytes, .. }) => {
                self.count(&mut passed.output, &bytes).await?;
                self.down.release(bytes.len());
                if passed.ahead.len() + bytes.len() > AHEAD_BYTES_MAX {
                    let bad = format!("more than {AHEAD_BYTES_MAX} bytes before an answer");
                    let who = "the target";
                    return Err(Over::Malformed { who, bad });
                }
                passed.ahead.extend_from_slice(&bytes);
                Ok(())
            }
            Some(Item::Eof) => {
                passed.eof = true;
                Ok(())
            }
            Some(Item::Close) | None => Err(Over::Ended(AgentEnd::Target)),
            Some(Item::ExitStatus(_) | Item::ExitSignal { .. }) => Ok(()),
        }
    }

    async fn take_answer(&self, passed: &mut Passed, item: Option<Item>) -> Result<(), Over> {
        match item {
            Some(Item::Data { bytes, .. }) => {
                self.count(&mut passed.input, &bytes).await?;
                self.user.lane.up.release(bytes.len());
                let mut rest = bytes.as_ref();
                let said = passed.talk.answer(&mut rest);
                if let Some(said) = said.map_err(malformed("the agent"))? {
                    self.record(said.found).await?;
                    // INVARIANT: recorded before forwarded.
                    self.target.data_bytes(said.bytes).await?;
                }
                // Behind an answer comes nothing that was not asked for.
                passed
                    .talk
                    .answer(&mut rest)
                    .map_err(malformed("the agent"))?;
                Ok(())
            }
            Some(Item::Eof | Item::Close) | None => Err(Over::Ended(AgentEnd::User)),
            Some(Item::ExitStatus(_) | Item::ExitSignal { .. }) => Ok(()),
        }
    }

    async fn record(&self, found: Finding) -> Result<(), Over> {
        let entry = self.session.tap.on(self.user.id, found.kind, found.outcome);
        Ok(self.session.recording.append(entry).await?)
    }

    async fn count(&self, content: &mut Content, bytes: &Bytes) -> Result<(), Over> {
        for entry in content.take(self.user.id, bytes) {
            self.session.recording.append(entry).await?;
        }
        Ok(())
    }

    async fn close(&self) {
        let lane = &self.user.lane;
        lane.up.end();
        lane.up.detach();
        let closing = async {
            let target = self.target.close().await;
            let user = match lane.gone.is_cancelled() {
                true => Ok(()),
                false => self.user.writer.close().await,
            };
            target.and(user)
        };
        if !matches!(tokio::time::timeout(CLOSE_WAIT, closing).await, Ok(Ok(()))) {
            tracing::debug!(session = %self.session.id(), "one side of an agent's channel was already gone");
        }
        self.connection.table().remove(self.user.writer.id());
    }
}

fn sum(content: &Content) -> ForwardSum {
    ForwardSum {
        bytes: content.bytes(),
        sha256: content.sha256(),
    }
}

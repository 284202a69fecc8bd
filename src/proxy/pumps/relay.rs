//! The pumps of a session's channels: record, then forward. Forwards and agents have their own, of the
//! same shape (forward/pump.rs, forward/agent_talk.rs); nothing else moves a person's bytes.
//!
//! ```text
//! user ──> up queue ──> append ──> target        one task
//! user <── append <── down queue <── target      one task, the only writer to the user
//! resize, signals ──> append ──> target          one small task
//! ```

use super::content::{Content, Keep};
use super::files::FileWatch;
use super::follow::{self, Follower};
use super::output::Output;
use super::queue::Item;
use crate::event::{Body, ChannelDetail, Direction, End, Entry, Kind, Outcome, SignalName};
use crate::proxy::channel::Chan;
use crate::proxy::config::Typed;
use crate::proxy::connection::Connection;
use crate::proxy::session::Session;
use crate::proxy::start::Want;
use crate::proxy::target::line;
use crate::proxy::target::side::Leg;
use crate::record;
use bytes::Bytes;
use russh::Sig;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Signals that wait; a flood beyond is dropped, as a terminal's is.
const SIGNALS: usize = 16;

/// The way for signals to a running channel.
pub(crate) struct Control {
    signals: mpsc::Sender<Sig>,
}

impl Control {
    pub(crate) fn signal(&self, signal: Sig) {
        if self.signals.try_send(signal).is_err() {
            tracing::debug!("more signals than the target takes");
        }
    }
}

/// Why a pump stopped.
#[derive(Debug)]
pub(crate) enum Stopped {
    Recorder(record::Error),
    /// The other end is gone.
    Peer,
}

impl From<record::Error> for Stopped {
    fn from(error: record::Error) -> Self {
        Self::Recorder(error)
    }
}

impl From<russh::Error> for Stopped {
    fn from(_: russh::Error) -> Self {
        Self::Peer
    }
}

/// What the target told about its end.
#[derive(Default)]
pub(crate) struct Left {
    pub(crate) detail: ChannelDetail,
    pub(crate) closed: bool,
}

impl Left {
    /// Nothing was said of an end: neither a status nor a signal.
    pub(crate) fn is_sudden(&self) -> bool {
        self.detail.exit_status.is_none() && self.detail.exit_signal.is_none()
    }
}

pub(crate) struct Relay {
    pub(crate) session: Arc<Session>,
    pub(crate) connection: Arc<Connection>,
    pub(crate) chan: Arc<Chan>,
    pub(crate) leg: Leg,
    keep_input: Keep,
    pub(crate) keep_output: Keep,
    pub(crate) files: FileWatch,
    /// Beside the path; a terminal has one.
    pub(crate) follower: Option<Follower>,
}

/// Starts the channel's tasks on the connection's tracker.
pub(crate) fn spawn(
    connection: &Arc<Connection>,
    session: Arc<Session>,
    chan: Arc<Chan>,
    mut leg: Leg,
) {
    let settings = &session.house.config.session;
    let (keep_input, keep_output) = match (chan.terminal().is_some(), &leg.want) {
        (true, _) => match settings.typed {
            Typed::Withhold | Typed::Off => (Keep::Withheld, Keep::All),
            Typed::Record => (Keep::All, Keep::All),
        },
        (false, Want::Subsystem(_)) => (Keep::First(0), Keep::First(0)),
        (false, Want::Shell | Want::Exec(_)) => {
            let first = Keep::First(settings.content_bytes);
            (first, first)
        }
    };
    // Before anything else arrives for the channel: a signal right behind the request is not lost.
    let (signals, received) = mpsc::channel(SIGNALS);
    *chan.control() = Some(Control { signals });
    let follower = chan.terminal().and_then(|_| {
        let (cols, rows, ..) = *chan.size.borrow();
        Follower::start(&connection.tasks, &session, chan.id, (cols, rows))
    });
    if let Some(door) = leg.agent.take() {
        let (opened, gone) = (leg.opened.clone(), leg.gone.clone());
        door.serve(connection, Arc::clone(&session), opened, gone);
    }
    let relay = Relay {
        follower,
        session,
        connection: Arc::clone(connection),
        files: FileWatch::new(chan.id, &leg, chan.terminal().is_some()),
        chan,
        leg,
        keep_input,
        keep_output,
    };
    connection.tasks.spawn(relay.run(received));
}

impl Relay {
    async fn run(mut self, received: mpsc::Receiver<Sig>) {
        let mut input = Content::new(Direction::Input, self.keep_input);
        let mut left = Left::default();
        self.note_command().await;
        let stopped = {
            // One batch of our own answers waits; then the user's next requests do.
            let (answer, answers) = mpsc::channel(1);
            // All that the user sent is with the target: nobody waits for its output any more.
            let sent = CancellationToken::new();
            let up = async {
                let done = self.pump_input(&mut input, answer).await;
                sent.cancel();
                done
            };
            let control = self.pump_control(received);
            let down = Output::new(&self, answers).run(&mut left, &sent);
            tokio::pin!(up, control, down);
            let mut up_done = false;
            let mut control_done = false;
            loop {
                tokio::select! {
                    done = &mut down => break done,
                    done = &mut up, if !up_done => {
                        up_done = true;
                        if let Err(Stopped::Recorder(error)) = done {
                            break Err(Stopped::Recorder(error));
                        }
                    }
                    done = &mut control, if !control_done => {
                        control_done = true;
                        if let Err(Stopped::Recorder(error)) = done {
                            break Err(Stopped::Recorder(error));
                        }
                    }
                }
            }
        };
        if let Err(Stopped::Recorder(error)) = stopped {
            self.session.end(
                End::Recorder,
                format!("this session cannot be recorded any more ({error})"),
            );
            self.last_words().await;
        }
        self.finish(&input, left).await;
    }

    async fn pump_input(
        &self,
        content: &mut Content,
        answer: mpsc::Sender<Bytes>,
    ) -> Result<(), Stopped> {
        while let Some(item) = self.chan.up.pop().await {
            match item {
                Item::Data { bytes, .. } => {
                    let length = bytes.len();
                    let kept = content.take(self.chan.id, &bytes);
                    let passed = self.files.input(bytes.clone(), &self.session.tap);
                    for entry in kept.into_iter().chain(passed.told) {
                        self.session.recording.append(entry).await?;
                    }
                    self.session.note_input(length as u64);
                    if let Some(follower) = &self.follower {
                        follower.typed(&bytes);
                    }
                    // INVARIANT: recorded before forwarded.
                    if !passed.forward.is_empty() {
                        self.leg.writer.data_bytes(passed.forward).await?;
                    }
                    if !passed.answers.is_empty() {
                        tokio::select! {
                            sent = answer.send(passed.answers) => sent.map_err(|_| Stopped::Peer)?,
                            () = self.chan.gone.cancelled() => {}
                        }
                    }
                    if passed.stop {
                        self.leg.writer.close().await?;
                        return Ok(());
                    }
                    self.chan.up.release(length);
                }
                Item::Eof => self.leg.writer.eof().await?,
                Item::Close => {
                    self.leg.writer.close().await?;
                    return Ok(());
                }
                Item::ExitStatus(_) | Item::ExitSignal { .. } => {}
            }
        }
        Ok(())
    }

    async fn pump_control(&self, mut signals: mpsc::Receiver<Sig>) -> Result<(), Stopped> {
        // Marked as seen when the target was told: a resize since then is not lost.
        let mut size = self.leg.size.clone();
        loop {
            tokio::select! {
                changed = size.changed() => {
                    if changed.is_err() { return Ok(()) }
                    let (cols, rows) = *size.borrow_and_update();
                    let entry = Entry::on(self.chan.id, Body::Resize { cols, rows });
                    self.session.recording.append(entry).await?;
                    if let Some(follower) = &self.follower {
                        follower.resized(cols, rows);
                    }
                    // Pixels are not recorded, so they do not go on.
                    self.leg.writer.window_change(cols, rows, 0, 0).await?;
                }
                signal = signals.recv() => {
                    let Some(signal) = signal else { return Ok(()) };
                    let kind = Kind::Signal { signal: signal_name(&signal) };
                    let entry = self.session.tap.on(self.chan.id, kind, Outcome::Success);
                    self.session.recording.append(entry).await?;
                    self.leg.writer.signal(signal).await?;
                }
            }
        }
    }

    /// An exec request is a command by itself.
    async fn note_command(&self) {
        let Want::Exec(command) = &self.leg.want else {
            return;
        };
        let entry = follow::of_exec(&self.session, self.chan.id, command);
        if let Err(error) = self.session.recording.append(entry).await {
            tracing::error!(session = %self.session.id(), %error, "a command was not recorded");
        }
    }

    /// The last commands come before the end of their channel.
    async fn end_following(&mut self, typed: u64) {
        if let Some(follower) = self.follower.take() {
            follower.end().await;
        } else if typed > 0 && matches!(self.leg.want, Want::Shell) {
            // What a shell without a terminal is told to do is in the stream, not in lines.
            let entry = follow::without_terminal(&self.session, self.chan.id);
            if let Err(error) = self.session.recording.append(entry).await {
                tracing::error!(session = %self.session.id(), %error, "a blind interval was not recorded");
            }
        }
    }

    async fn finish(&mut self, input: &Content, mut left: Left) {
        *self.chan.control() = None;
        if left.closed {
            self.session.note_target_left();
        }
        left.detail.input_bytes = input.bytes();
        self.end_following(input.bytes()).await;
        let sum = input.sum(self.chan.id, &self.session.tap);
        let close = self.session.tap.on(
            self.chan.id,
            Kind::ChannelClose(left.detail),
            Outcome::Success,
        );
        let told = self.files.finish(&self.session.tap);
        for entry in told.into_iter().chain(sum).chain([close]) {
            if let Err(error) = self.session.recording.append(entry).await {
                tracing::error!(session = %self.session.id(), %error, "the end of a channel was not recorded");
            }
        }
        self.chan.up.end();
        self.chan.up.detach();
        self.connection.forget(&self.chan);
        line::end(&self.leg.handle, &self.leg.gone, &self.leg.flow).await;
    }
}

/// Longer names than that are none (RFC 4254 §6.10); what goes on is what is recorded.
const SIGNAL_CHARS_MAX: usize = 64;

pub(crate) fn bounded_signal(signal: Sig) -> Sig {
    match signal {
        Sig::Custom(name) => Sig::Custom(name.chars().take(SIGNAL_CHARS_MAX).collect()),
        Sig::ABRT
        | Sig::ALRM
        | Sig::FPE
        | Sig::HUP
        | Sig::ILL
        | Sig::INT
        | Sig::KILL
        | Sig::PIPE
        | Sig::QUIT
        | Sig::SEGV
        | Sig::TERM
        | Sig::USR1 => signal,
    }
}

pub(crate) fn signal_name(signal: &Sig) -> SignalName {
    let name = match signal {
        Sig::ABRT => "ABRT",
        Sig::ALRM => "ALRM",
        Sig::FPE => "FPE",
        Sig::HUP => "HUP",
        Sig::ILL => "ILL",
        Sig::INT => "INT",
        Sig::KILL => "KILL",
        Sig::PIPE => "PIPE",
        Sig::QUIT => "QUIT",
        Sig::SEGV => "SEGV",
        Sig::TERM => "TERM",
        Sig::USR1 => "USR1",
        Sig::Custom(name) => name.as_str(),
    };
    SignalName(name.chars().take(SIGNAL_CHARS_MAX).collect())
}

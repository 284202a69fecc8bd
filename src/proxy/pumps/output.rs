//! Target to user, and everything else that is written to the user while a channel runs: one pump,
//! the only writer.

use super::altscreen::AltScreen;
use super::content::Content;
use super::queue::Item;
use super::relay::{Left, Relay, Stopped, signal_name};
use crate::event::{Direction, Kind, Outcome};
use crate::proxy::bastion::say;
use crate::proxy::channel::Chan;
use crate::proxy::connection::Connection;
use crate::proxy::tap;
use bytes::Bytes;
use russh::Sig;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// The target's EOF is held this long for its exit status (docs/architecture.md "Flow control").
const EOF_HOLD: Duration = Duration::from_millis(250);
/// What a user who is gone had sent may still reach the target: connection lost, channel closed.
const GRACE_LOST: Duration = Duration::from_secs(2);
const GRACE_CLOSED: Duration = Duration::from_secs(10);
/// A last message waits this long for room.
const LAST_WORDS: Duration = Duration::from_secs(2);

pub(crate) struct Output<'a> {
    relay: &'a Relay,
    out: Content,
    err: Content,
    /// On a terminal there is one stream for everything.
    terminal: bool,
    screen: AltScreen,
    /// A notice that waits for a full-screen program to end.
    waiting: Option<Arc<str>>,
    /// The target said EOF, and the user has not been told.
    eof_held: bool,
    /// Of the bastion, in the place of the target's: where a right is for reading or writing only.
    answers: mpsc::Receiver<Bytes>,
}

impl<'a> Output<'a> {
    pub(crate) fn new(relay: &'a Relay, answers: mpsc::Receiver<Bytes>) -> Self {
        Self {
            relay,
            out: Content::new(Direction::Output, relay.keep_output),
            err: Content::new(Direction::Stderr, relay.keep_output),
            terminal: relay.chan.terminal().is_some(),
            screen: AltScreen::default(),
            waiting: None,
            eof_held: false,
            answers,
        }
    }

    /// Until the target's channel, the session or the user's channel ends; then what is still to come
    /// until all that the user sent is with the target.
    pub(crate) async fn run(
        mut self,
        left: &mut Left,
        sent: &CancellationToken,
    ) -> Result<(), Stopped> {
        let relay = self.relay;
        let mut done = tokio::select! {
            biased;
            // A write to a channel that is gone waits for ever.
            () = relay.chan.gone.cancelled() => Err(Stopped::Peer),
            done = self.pump(left) => done,
        };
        if relay.chan.gone.is_cancelled() {
            let lost = relay.chan.connection_gone.load(Ordering::SeqCst);
            let grace = if lost { GRACE_LOST } else { GRACE_CLOSED };
            let discarding = tokio::time::timeout(grace, self.discard(sent));
            if let Ok(Err(stopped)) = discarding.await {
                done = Err(stopped);
            }
        }
        for content in [&self.out, &self.err] {
            if let Some(sum) = content.sum(relay.chan.id, &relay.session.tap) {
                relay.session.recording.append(sum).await?;
            }
        }
        left.detail.output_bytes = self.out.bytes() + self.err.bytes();
        done
    }

    /// The user is gone: the target's output is recorded and goes nowhere, or the target would be
    /// stuck on it and not take what the user sent.
    async fn discard(&mut self, sent: &CancellationToken) -> Result<(), Stopped> {
        let relay = self.relay;
        let mut discarded = 0_u64;
        loop {
            let item = tokio::select! {
                biased;
                () = sent.cancelled() => break,
                item = relay.leg.down.pop() => item,
            };
            match item {
                Some(Item::Data { bytes, stderr }) => {
                    let length = bytes.len();
                    self.record(&bytes, stderr).await?;
                    discarded = discarded.saturating_add(length as u64);
                    relay.leg.down.release(length);
                }
                Some(Item::Close) | None => break,
                Some(Item::Eof | Item::ExitStatus(_) | Item::ExitSignal { .. }) => {}
            }
        }
        if discarded > 0 {
            let text = format!("{discarded} bytes of output came after the user was gone");
            let note = tap::note("discarded", text, relay.session.id());
            let entry = relay
                .session
                .tap
                .on(relay.chan.id, Kind::Error(note), Outcome::Unknown);
            relay.session.recording.append(entry).await?;
        }
        Ok(())
    }

    async fn record(&mut self, bytes: &Bytes, stderr: bool) -> Result<(), Stopped> {
        let relay = self.relay;
        let content = if stderr { &mut self.err } else { &mut self.out };
        let kept = content.take(relay.chan.id, bytes);
        let told = relay.files.output(stderr, bytes, &relay.session.tap);
        for entry in kept.into_iter().chain(told) {
            relay.session.recording.append(entry).await?;
        }
        relay.session.note_output(bytes.len() as u64);
        Ok(())
    }

    async fn pump(&mut self, left: &mut Left) -> Result<(), Stopped> {
        let relay = self.relay;
        let mut notices = relay.session.notices.subscribe();
        self.tell_refused().await?;
        loop {
            let item = tokio::select! {
                biased;
                () = relay.session.ended() => {
                    relay.last_words().await;
                    return Ok(());
                }
                Some(answer) = self.answers.recv(), if relay.files.is_between() => {
                    relay.chan.writer.data_bytes(answer).await?;
                    continue;
                }
                item = relay.leg.down.pop() => item,
                Ok(notice) = notices.recv() => {
                    self.waiting = Some(notice);
                    self.tell_waiting().await?;
                    continue;
                }
                () = release_eof(&relay.chan.user_eof, self.eof_held) => {
                    self.eof_held = false;
                    relay.chan.writer.eof().await?;
                    continue;
                }
            };
            match item {
                Some(Item::Data { bytes, stderr }) => self.pass(bytes, stderr).await?,
                Some(Item::Eof) => self.eof_held = true,
                Some(Item::ExitStatus(status)) => {
                    left.detail.exit_status = Some(status);
                    relay.chan.writer.exit_status(status).await?;
                }
                Some(Item::ExitSignal { signal, core }) => {
                    left.detail.exit_signal = Some(signal_name(&signal));
                    relay.pass_exit_signal(signal, core).await?;
                }
                None if left.is_sudden() => {
                    relay.tell_lost().await?;
                    return Ok(());
                }
                Some(Item::Close) | None => {
                    left.closed = true;
                    relay.chan.writer.eof().await?;
                    relay.chan.writer.close().await?;
                    return Ok(());
                }
            }
        }
    }

    async fn pass(&mut self, bytes: Bytes, stderr: bool) -> Result<(), Stopped> {
        let relay = self.relay;
        let length = bytes.len();
        self.record(&bytes, stderr).await?;
        if self.terminal {
            self.screen.feed(&bytes);
        }
        if let Some(follower) = &relay.follower {
            follower.shown(&bytes);
        }
        // INVARIANT: recorded before forwarded.
        if stderr {
            relay.chan.writer.extended_data_bytes(1, bytes).await?;
        } else {
            self.write(bytes).await?;
        }
        relay.leg.down.release(length);
        if self.waiting.is_some() {
            self.tell_waiting().await?;
        }
        Ok(())
    }

    /// The target's bytes, and an answer of our own between two of its answers.
    async fn write(&mut self, mut bytes: Bytes) -> Result<(), Stopped> {
        let relay = self.relay;
        match relay.files.boundary(&bytes, &relay.session.tap) {
            Ok(None) => {}
            Ok(Some(at)) => {
                if let Ok(answer) = self.answers.try_recv() {
                    let before = bytes.split_to(at.min(bytes.len()));
                    if !before.is_empty() {
                        relay.chan.writer.data_bytes(before).await?;
                    }
                    relay.chan.writer.data_bytes(answer).await?;
                }
            }
            Err(why) => {
                relay.session.recording.append(*why).await?;
                relay.leg.writer.close().await?;
            }
        }
        if !bytes.is_empty() {
            relay.chan.writer.data_bytes(bytes).await?;
        }
        Ok(())
    }

    /// What was asked for before the channel could speak, and is not to be had here.
    async fn tell_refused(&self) -> Result<(), Stopped> {
        let relay = self.relay;
        let mut refused = relay.connection.take_refused();
        refused.append(&mut relay.chan.setup().refused);
        refused.dedup();
        for what in refused {
            self.say(&say::notice(&what)).await?;
        }
        Ok(())
    }

    /// Not while a full-screen program runs: it would tear its screen.
    async fn tell_waiting(&mut self) -> Result<(), Stopped> {
        if self.screen.is_on() || !self.terminal {
            return Ok(());
        }
        match self.waiting.take() {
            Some(notice) => self.say(&format!("\n{}", say::notice(&notice))).await,
            None => Ok(()),
        }
    }

    /// The bastion's own words: on standard error, or on the terminal.
    async fn say(&self, text: &str) -> Result<(), Stopped> {
        let relay = self.relay;
        let text = if self.terminal {
            say::for_terminal(text)
        } else {
            text.to_owned()
        };
        let entry = tap::notice(relay.chan.id, &text);
        relay.session.recording.append(entry).await?;
        let bytes = text.into_bytes();
        if self.terminal {
            relay.chan.writer.data_bytes(bytes).await?;
        } else {
            relay.chan.writer.extended_data_bytes(1, bytes).await?;
        }
        Ok(())
    }
}

/// When the target's EOF may go on alone. An OpenSSH client that has sent EOF answers ours with
/// CLOSE, russh forgets the channel, and the exit status is lost: so it waits for the status.
async fn release_eof(user_eof: &AtomicBool, held: bool) {
    if held {
        tokio::time::sleep(EOF_HOLD).await;
        if !user_eof.load(Ordering::SeqCst) {
            return;
        }
    }
    std::future::pending().await
}

impl Relay {
    /// Without the target's text, which is not recorded.
    async fn pass_exit_signal(&self, signal: Sig, core: bool) -> Result<(), Stopped> {
        let Some(handle) = self.connection.handle() else {
            return Err(Stopped::Peer);
        };
        handle
            .exit_signal_request(
                self.chan.writer.id(),
                signal,
                core,
                String::new(),
                String::new(),
            )
            .await
            .map_err(|()| Stopped::Peer)
    }

    /// The target's connection broke in the middle of what ran there.
    async fn tell_lost(&self) -> Result<(), Stopped> {
        let name = self.session.permit().target().name.clone();
        let what = format!("`{name}` broke the connection off");
        let note = tap::note("lost", what.as_str(), self.session.id());
        let kind = Kind::TargetFail(note);
        let entry = self.session.tap.on(self.chan.id, kind, Outcome::Failure);
        self.session.recording.append(entry).await?;
        let hint = "the target or the way to it went down, or its operator ended your login";
        let text = say::refusal(&what, Some(hint), self.session.id());
        say_and_end(&self.connection, &self.chan, &text).await;
        Ok(())
    }

    /// What ended the session, on the person's terminal.
    pub(crate) async fn last_words(&self) {
        if let Some((_, message)) = self.session.ending() {
            let text = say::refusal(&message, None, self.session.id());
            say_and_end(&self.connection, &self.chan, &text).await;
        }
    }
}

/// Says `text` on standard error (a terminal has only one stream), and ends the channel with 254.
pub(crate) async fn say_and_end(connection: &Arc<Connection>, chan: &Arc<Chan>, text: &str) {
    let said = async {
        if chan.terminal().is_some() {
            let text = say::for_terminal(text);
            chan.writer.data_bytes(text.into_bytes()).await?;
        } else {
            let text = text.as_bytes().to_vec();
            chan.writer.extended_data_bytes(1, text).await?;
        }
        chan.writer.exit_status(say::EXIT_REFUSED).await?;
        chan.writer.eof().await?;
        chan.writer.close().await
    };
    tokio::select! {
        () = chan.gone.cancelled() => {}
        said = tokio::time::timeout(LAST_WORDS, said) => {
            if !matches!(said, Ok(Ok(()))) {
                tracing::debug!(connection = %connection.id, "a last message was not taken");
            }
        }
    }
    chan.up.end();
    chan.up.detach();
    connection.forget(chan);
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::poll;

    #[tokio::test(start_paused = true)]
    async fn eof_goes_on_alone_only_while_the_user_has_more_to_say() {
        let user_eof = AtomicBool::new(false);
        let mut alone = Box::pin(release_eof(&user_eof, true));
        assert!(poll!(&mut alone).is_pending(), "the status may come yet");
        alone.await;

        let mut nothing_held = Box::pin(release_eof(&user_eof, false));
        let mut held = Box::pin(release_eof(&user_eof, true));
        assert!(poll!(&mut held).is_pending());
        // The user's end comes while ours is held: now the exit status would be lost.
        user_eof.store(true, Ordering::SeqCst);
        tokio::time::sleep(EOF_HOLD * 10).await;
        assert!(poll!(&mut held).is_pending());
        assert!(poll!(&mut nothing_held).is_pending());
    }
}

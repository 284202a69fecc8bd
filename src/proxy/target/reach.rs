//! The way to the target for one channel: dials, replays what was asked for before, asks for what is
//! wanted, and waits for the answers. Everything that goes to the target is recorded first.

use super::dial::{DialError, Needs};
use super::line;
use super::side::Leg;
use crate::access::{Action, Denied};
use crate::event::{ChannelDetail, Decision, Entry as Recorded, Kind, Outcome, TextOrBytes};
use crate::inspect::files::Only;
use crate::proxy::bastion::say;
use crate::proxy::channel::Chan;
use crate::proxy::forward::agent::{self, Forwarding};
use crate::proxy::session::Session;
use crate::proxy::start::{Stop, Want};
use crate::proxy::tap;
use crate::record;
use std::sync::Arc;
use std::time::Duration;

/// For each answer of the target, once it is dialled.
const ANSWER_MAX: Duration = Duration::from_secs(15);

/// A channel to the target on which `want` runs.
pub(crate) async fn connect(
    session: &Arc<Session>,
    chan: &Arc<Chan>,
    want: &Want,
) -> Result<Leg, Stop> {
    let want = forced(session, want);
    let (decision, only) = match allowed(session, &want) {
        Ok(allowed) => allowed,
        Err(denied) => {
            let denial = crate::proxy::connection::denial(&session.tap, session.id(), &denied);
            session.recording.append(Recorded::audit(denial)).await?;
            return Err(Stop::Say(denied.to_user(session.id())));
        }
    };
    session.note_channel();
    record_setup(session, chan).await?;
    let agent = forwards_agent(session, chan).await?;
    let mut reached = reach(session, chan, (want, agent), decision).await;
    if let Ok(leg) = &mut reached {
        leg.only = only;
    }
    if reached.is_err() {
        let closed = Kind::ChannelClose(ChannelDetail::default());
        record(session, chan, closed, Outcome::Failure).await?;
    }
    reached
}

async fn reach(
    session: &Arc<Session>,
    chan: &Chan,
    (want, agent): (Want, bool),
    decision: Decision,
) -> Result<Leg, Stop> {
    let asked = kind_of(&want, decision);
    let mut leg = match dial(session, chan, want, agent).await {
        Ok(leg) => leg,
        Err(error) => {
            let note = tap::note(error.code(), error.to_string(), session.id());
            record(session, chan, Kind::TargetFail(note), Outcome::Failure).await?;
            let name = session.permit().target().name.clone();
            let what = format!("`{name}`: {error}");
            let text = say::refusal(&what, Some(&error.hint()), session.id());
            return Err(Stop::Say(text));
        }
    };
    record(session, chan, asked, Outcome::Success).await?;
    ask_for_agent(session, chan, &mut leg).await?;
    if let Err(no) = ask_target(session, chan, &mut leg).await {
        leg.flow.kill();
        let note = tap::note("target_refused", no.to_string(), session.id());
        record(session, chan, Kind::TargetFail(note), Outcome::Failure).await?;
        return Err(match no {
            No::Terminal => Stop::Say(say::refusal(
                &no.to_string(),
                Some(NO_TERMINAL_HINT),
                session.id(),
            )),
            No::Request => Stop::Refused,
        });
    }
    Ok(leg)
}

const NO_TERMINAL_HINT: &str =
    "its sshd may say `PermitTTY no`: ssh -T, or a command, needs no terminal";

/// What the target said no to.
#[derive(Clone, Copy, Debug, thiserror::Error)]
enum No {
    #[error("the target gave no terminal")]
    Terminal,
    #[error("the target refused the request")]
    Request,
}

async fn record(
    session: &Session,
    chan: &Chan,
    kind: Kind,
    outcome: Outcome,
) -> Result<(), record::Error> {
    let entry = session.tap.on(chan.id, kind, outcome);
    session.recording.append(entry).await
}

/// A certificate's `force-command` stands in the place of whatever was asked (sshd does the same).
fn forced(session: &Session, want: &Want) -> Want {
    let permit = session.permit();
    match &permit.who().restrictions().force_command {
        Some(command) => Want::Exec(command.clone().into_bytes()),
        None => want.clone(),
    }
}

/// The decision that allows it; of SFTP also one that allows half of it. What is asked for here counts
/// as used, so the halves are asked for only where the whole is denied.
fn allowed(session: &Session, want: &Want) -> Result<(Decision, Option<Only>), Denied> {
    let denied = match session.may(action_of(want)) {
        Ok(decision) => return Ok((decision, None)),
        Err(denied) => denied,
    };
    if !matches!(want, Want::Subsystem(name) if name == "sftp") {
        return Err(denied);
    }
    match (
        session.may(Action::SftpRead),
        session.may(Action::SftpWrite),
    ) {
        (Ok(decision), Ok(_)) => Ok((decision, None)),
        (Ok(decision), Err(_)) => Ok((decision, Some(Only::Reading))),
        (Err(_), Ok(decision)) => Ok((decision, Some(Only::Writing))),
        (Err(_), Err(_)) => Err(denied),
    }
}

fn action_of(want: &Want) -> Action {
    match want {
        Want::Shell => Action::Shell,
        Want::Exec(_) => Action::Exec,
        Want::Subsystem(name) if name == "sftp" => Action::Sftp,
        Want::Subsystem(_) => Action::Exec,
    }
}

fn kind_of(want: &Want, decision: Decision) -> Kind {
    match want {
        Want::Shell => Kind::Shell { decision },
        Want::Exec(command) => Kind::Exec {
            command: TextOrBytes::from_bytes(command),
            decision,
        },
        Want::Subsystem(name) => Kind::Subsystem {
            name: name.clone(),
            decision,
        },
    }
}

async fn record_setup(session: &Session, chan: &Chan) -> Result<(), record::Error> {
    let (terminal, env) = {
        let setup = chan.setup();
        (setup.terminal.clone(), setup.env.clone())
    };
    let opened = Kind::ChannelOpen {
        channel_type: "session".to_owned(),
    };
    let mut kinds = vec![opened];
    kinds.extend(terminal.map(|terminal| Kind::Pty(terminal.fact())));
    kinds.extend(env.into_iter().map(|(name, value)| Kind::Env {
        accepted: goes_on(session, &name),
        name,
        value,
    }));
    for kind in kinds {
        record(session, chan, kind, Outcome::Success).await?;
    }
    Ok(())
}

/// `[session] env`: names, `*` allowed at the end.
fn goes_on(session: &Session, name: &str) -> bool {
    let allowed = &session.house.config.session.env;
    allowed
        .iter()
        .any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == pattern,
        })
}

async fn dial(session: &Session, chan: &Chan, want: Want, agent: bool) -> Result<Leg, DialError> {
    let needs = Needs {
        pty: chan.terminal().is_some(),
        agent_forwarding: agent,
        ..Needs::default()
    };
    let (porch, agent) = match agent {
        true => {
            let (porch, door) = agent::door();
            (Some(porch), Some(door))
        }
        false => (None, None),
    };
    let line = line::open(session, needs, porch).await?;
    let channel = tokio::time::timeout(ANSWER_MAX, line.handle.channel_open_session())
        .await
        .map_err(|_| DialError::gone())?
        .map_err(|_| DialError::gone())?;
    let (reader, writer) = channel.split();
    drop(reader);
    Ok(Leg {
        handle: line.handle,
        writer: Arc::new(writer),
        flow: line.flow,
        down: line.down,
        replies: line.replies,
        gone: line.gone,
        size: chan.size.subscribe(),
        want,
        only: None,
        agent,
        opened: line.opened,
    })
}

/// Whether the person's agent goes along; they read why not.
async fn forwards_agent(session: &Session, chan: &Chan) -> Result<bool, record::Error> {
    if !chan.setup().agent {
        return Ok(false);
    }
    match agent::allow(session, chan.id).await? {
        Forwarding::Allowed(decision) => {
            let kind = Kind::AgentForward { decision };
            record(session, chan, kind, Outcome::Success).await?;
            Ok(true)
        }
        Forwarding::Refused(text) => {
            chan.setup().refused.push(text);
            Ok(false)
        }
    }
}

/// sshd then listens for programs there. One that does not is no reason to end.
async fn ask_for_agent(session: &Session, chan: &Chan, leg: &mut Leg) -> Result<(), record::Error> {
    if leg.agent.is_none() {
        return Ok(());
    }
    if answered(leg.writer.agent_forward(true), &mut leg.replies).await {
        return Ok(());
    }
    leg.agent = None;
    let name = session.permit().target().name.clone();
    let what = format!("your agent is not forwarded: `{name}` does not take it");
    let note = tap::note("agent_refused", what.as_str(), session.id());
    record(session, chan, Kind::TargetFail(note), Outcome::Failure).await?;
    let hint = "its sshd may say `AllowAgentForwarding no`; the session goes on without it";
    chan.setup().refused.push(format!("{what}; {hint}"));
    Ok(())
}

/// Replays pty and env, then asks for what was wanted; waits for each answer that was asked for.
async fn ask_target(session: &Session, chan: &Chan, leg: &mut Leg) -> Result<(), No> {
    // Answers wait behind unread data: while we wait for one, the target is read further.
    let _lift = leg.flow.lift();
    let (terminal, env) = {
        let setup = chan.setup();
        (setup.terminal.clone(), setup.env.clone())
    };
    if let Some(terminal) = terminal {
        let (cols, rows) = *leg.size.borrow_and_update();
        let asked = leg.writer.request_pty(
            true,
            &terminal.term,
            cols,
            rows,
            // Pixels are not recorded, so they do not go on.
            0,
            0,
            &terminal.modes,
        );
        if !answered(asked, &mut leg.replies).await {
            return Err(No::Terminal);
        }
    }
    for (name, value) in env.into_iter().filter(|(name, _)| goes_on(session, name)) {
        // No answer is asked for: sshd drops what its AcceptEnv does not name, as it does directly.
        if leg.writer.set_env(false, name, value).await.is_err() {
            return Err(No::Request);
        }
    }
    let yes = match &leg.want {
        Want::Shell => answered(leg.writer.request_shell(true), &mut leg.replies).await,
        Want::Exec(command) => {
            answered(leg.writer.exec(true, command.clone()), &mut leg.replies).await
        }
        Want::Subsystem(name) => {
            let asked = leg.writer.request_subsystem(true, name.clone());
            answered(asked, &mut leg.replies).await
        }
    };
    if yes { Ok(()) } else { Err(No::Request) }
}

async fn answered(
    asked: impl Future<Output = Result<(), russh::Error>>,
    replies: &mut tokio::sync::mpsc::Receiver<bool>,
) -> bool {
    let answer = async {
        if asked.await.is_err() {
            return false;
        }
        replies.recv().await.unwrap_or(false)
    };
    tokio::time::timeout(ANSWER_MAX, answer)
        .await
        .unwrap_or(false)
}

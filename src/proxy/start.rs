//! The first shell, exec or subsystem of a channel: opens the session if it is the first, has the
//! target reached (reach.rs), and answers when the target has answered.

use super::bastion::prompt;
use super::bastion::say;
use super::bastion::verb;
use super::channel::Chan;
use super::connection::{Connection, Entry, Person};
use super::pumps::output;
use super::pumps::relay;
use super::session::{NotOpened, Wanted};
use super::target::reach::connect;
use crate::access::{Denied, Door, reason};
use crate::event::{Why, WhySource};
use crate::id::Ticket;
use crate::record;
use std::sync::Arc;

#[derive(Clone, Debug)]
pub(crate) enum Want {
    Shell,
    Exec(Vec<u8>),
    Subsystem(String),
}

/// How the channel request is answered (RFC 4254 §5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Success,
    Failure,
}

/// Why a channel does not run.
pub(crate) enum Stop {
    /// The bastion says this and ends the channel with 254.
    Say(String),
    /// The target said no: so do we.
    Refused,
}

impl From<record::Error> for Stop {
    fn from(error: record::Error) -> Self {
        Self::Say(say::notice(&format!(
            "this channel cannot be recorded, so it is not opened ({error})"
        )))
    }
}

/// Runs inside russh's callback: nothing here may write to the user and wait for room.
pub(crate) async fn start(connection: &Arc<Connection>, chan: Arc<Chan>, want: Want) -> Answer {
    {
        let mut setup = chan.setup();
        if setup.started {
            return Answer::Failure;
        }
        setup.started = true;
    }
    let Some(person) = connection.person() else {
        return Answer::Failure;
    };
    if matches!(person.entry, Entry::Bastion) {
        return verb::start(connection, chan, want);
    }
    let said = match said_in_env(&chan) {
        Ok(said) => said,
        Err(message) => {
            let text = say::refusal(&message, None, connection.id);
            return end_with(connection, chan, text);
        }
    };
    match wanted(connection, person, said) {
        Some(Ok(wanted)) => open_and_run(connection, chan, want, wanted).await,
        Some(Err(denied)) => refuse_unfound(connection, chan, &denied).await,
        None => Answer::Failure,
    }
}

/// What a session of this connection is of; `None` at the bastion itself, which leads nowhere.
pub(crate) fn wanted(
    connection: &Connection,
    person: &Person,
    said: Option<Why>,
) -> Option<Result<Wanted, Denied>> {
    let (found, login, door) = match &person.entry {
        Entry::Bastion => return None,
        Entry::Jump {
            login,
            target,
            certificate,
        } => {
            let certificate = *certificate;
            (Ok(Arc::clone(target)), login, Door::Jump { certificate })
        }
        Entry::Name { login, target } => {
            let source = connection.source.ip();
            let desk = &connection.house.desk;
            let found = desk.find(&person.who(), target, None, source, Door::Name);
            (found, login, Door::Name)
        }
    };
    Some(found.map(|target| Wanted {
        id: connection.id,
        target,
        login: login.clone(),
        door,
        said,
    }))
}

/// The session, then the target. A missing reason is asked for where there is a terminal.
async fn open_and_run(
    connection: &Arc<Connection>,
    chan: Arc<Chan>,
    want: Want,
    wanted: Wanted,
) -> Answer {
    match connection.session(wanted.clone()).await {
        Ok(session) => match connect(&session, &chan, &want).await {
            Ok(leg) => {
                relay::spawn(connection, session, chan, leg);
                Answer::Success
            }
            Err(Stop::Refused) => {
                session.note_target_left();
                Answer::Failure
            }
            Err(Stop::Say(text)) => end_with(connection, chan, text),
        },
        Err(NotOpened::Denied(Denied::NeedsReason)) if chan.terminal().is_some() => {
            let tasks = connection.tasks.clone();
            tasks.spawn(ask_and_run(Arc::clone(connection), chan, want, wanted));
            Answer::Success
        }
        Err(not_opened) => end_with(connection, chan, not_opened.to_user(connection.id)),
    }
}

/// After the request was answered: the reason is asked for before the target is dialled. Also the
/// way from the console to a target.
pub(crate) async fn ask_and_run(
    connection: Arc<Connection>,
    chan: Arc<Chan>,
    want: Want,
    mut wanted: Wanted,
) {
    let stop = loop {
        match connection.session(wanted.clone()).await {
            Ok(session) => match connect(&session, &chan, &want).await {
                Ok(leg) => {
                    relay::spawn(&connection, session, chan, leg);
                    return;
                }
                Err(stop) => break stop,
            },
            Err(NotOpened::Denied(Denied::NeedsReason)) if wanted.said.is_none() => {
                match prompt::reason(&chan).await {
                    Some(why) => wanted.said = Some(why),
                    None => break Stop::Say(say::refusal("no reason given", None, wanted.id)),
                }
            }
            Err(not_opened) => break Stop::Say(not_opened.to_user(wanted.id)),
        }
    };
    let text = match stop {
        Stop::Say(text) => text,
        Stop::Refused => say::refusal("the target refused the request", None, wanted.id),
    };
    output::say_and_end(&connection, &chan, &text).await;
}

/// Refuses after the request is answered, so that the message reaches the person.
fn end_with(connection: &Arc<Connection>, chan: Arc<Chan>, text: String) -> Answer {
    let connection = Arc::clone(connection);
    let tasks = connection.tasks.clone();
    tasks.spawn(async move { output::say_and_end(&connection, &chan, &text).await });
    Answer::Success
}

async fn refuse_unfound(connection: &Arc<Connection>, chan: Arc<Chan>, denied: &Denied) -> Answer {
    connection.record_unfound(denied).await;
    end_with(connection, chan, denied.to_user(connection.id))
}

/// `PORTCULLIS_REASON` and `PORTCULLIS_TICKET`; they never go on to the target.
pub(crate) fn said_in_env(chan: &Chan) -> Result<Option<Why>, String> {
    let setup = chan.setup();
    let find = |wanted: &str| {
        let found = setup.env.iter().find(|(name, _)| name == wanted);
        let said = found.map(|(_, value)| value.trim());
        said.filter(|said| !said.is_empty())
    };
    let reason = find("PORTCULLIS_REASON")
        .map(|text| reason(text).map_err(|bad| format!("PORTCULLIS_REASON is no reason: {bad}")));
    let ticket = find("PORTCULLIS_TICKET").map(|text| {
        text.parse::<Ticket>()
            .map_err(|bad| format!("PORTCULLIS_TICKET `{text}` is no ticket: {bad}"))
    });
    if reason.is_none() && ticket.is_none() {
        return Ok(None);
    }
    Ok(Some(Why {
        justification: reason.transpose()?,
        ticket: ticket.transpose()?,
        source: Some(WhySource::Env),
        ..Why::default()
    }))
}

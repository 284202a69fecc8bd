//! A connection that the user's side asks for: `-L`, `-D`, `-W`, `-J`. SSH to a target is a jump,
//! which the bastion answers itself; the rest goes through the session's own target, if policy says
//! so. All of it runs on a task of its own, so that a slow target does not park the connection.

use super::arrive::UserEnd;
use super::label::Labeller;
use super::pump::{Forward, TargetEnd, closed, nothing};
use super::right::{Right, endpoint, originator};
use crate::access::{Action, Desk, Destination, Target};
use crate::event::{
    Decision, Endpoint, Forward as Fact, ForwardDirection, ForwardEnd, Kind, Outcome, Shown,
};
use crate::proxy::bastion::say;
use crate::proxy::channel::{Lane, Open};
use crate::proxy::connection::{Connection, Entry, Place};
use crate::proxy::entry::jump;
use crate::proxy::pumps::queue::Queue;
use crate::proxy::session::Session;
use crate::proxy::start;
use crate::proxy::tap;
use crate::proxy::target::dial::{DialError, Needs};
use crate::proxy::target::line::{self, Line};
use russh::server::{ChannelOpenHandle, Msg};
use russh::{Channel, ChannelOpenFailure, ChannelWriteHalf, client};
use std::sync::Arc;
use std::time::Duration;

const SSH_PORT: u16 = 22;
/// For the target to connect to where it goes; sshd itself gives up after its own time.
const CONNECT_MAX: Duration = Duration::from_secs(30);
/// RFC 4254 §5.1.
const PROHIBITED: u32 = 1;
const CONNECT_FAILED: u32 = 2;

/// Where the user's side wants to go.
pub(crate) enum Asked {
    Tcp(jump::Wanted),
    Socket(String),
}

/// Why it is not opened: the text for the person, and its code.
struct Refused {
    code: u32,
    text: String,
}

impl Refused {
    fn prohibited(text: String) -> Self {
        let code = PROHIBITED;
        Self { code, text }
    }
}

impl From<crate::record::Error> for Refused {
    fn from(error: crate::record::Error) -> Self {
        let text = format!("portcullis: this cannot be recorded, so it is not opened ({error})");
        Self::prohibited(text)
    }
}

/// From russh's callback. `first`: it may be the channel of `-J` or `-W`.
pub(crate) fn open(
    connection: &Arc<Connection>,
    channel: Channel<Msg>,
    (asked, first): (Asked, bool),
    place: Place,
    reply: ChannelOpenHandle,
) {
    let connection = Arc::clone(connection);
    let tasks = connection.tasks.clone();
    tasks.spawn(async move {
        match route(&connection, channel, (asked, first), place).await {
            Ok(Routed::Jump(jump)) => {
                reply.accept().await;
                jump.start(&connection);
            }
            Ok(Routed::Forward(opened)) => {
                reply.accept().await;
                let (forward, line) = *opened;
                forward.run().await;
                line.end().await;
            }
            Err(Refused { code, text }) => {
                let reason = ChannelOpenFailure::Other { code, reason: text };
                reply.reject(reason).await;
            }
        }
    });
}

enum Routed {
    Jump(jump::Jump),
    Forward(Box<(Forward, Line)>),
}

async fn route(
    connection: &Arc<Connection>,
    channel: Channel<Msg>,
    (asked, first): (Asked, bool),
    place: Place,
) -> Result<Routed, Refused> {
    let Some(person) = connection.person() else {
        return Err(Refused::prohibited("portcullis: not logged in".to_owned()));
    };
    if let (Entry::Bastion, Asked::Tcp(wanted)) = (&person.entry, &asked) {
        drop(place);
        let jump = jump::open(connection, channel, wanted, first).await;
        return jump.map(Routed::Jump).map_err(Refused::prohibited);
    }
    let (destination, from) = parse(connection, &asked).await?;
    let wanted = match start::wanted(connection, person, None) {
        Some(Ok(wanted)) => wanted,
        Some(Err(denied)) => {
            connection.record_unfound(&denied).await;
            return Err(Refused::prohibited(denied.in_one_line(connection.id)));
        }
        None => return Err(nothing_but_ssh(connection, &destination).await),
    };
    let action = match way(&connection.house.desk, &wanted.target, &destination) {
        Way::Jump(host) => {
            drop(place);
            let Asked::Tcp(asked) = asked else {
                return Err(Refused::prohibited("portcullis: no jump".to_owned()));
            };
            let wanted = jump::Wanted { host, ..asked };
            let jump = jump::open(connection, channel, &wanted, first).await;
            return jump.map(Routed::Jump).map_err(Refused::prohibited);
        }
        Way::Through(action) => action,
    };
    let session = connection.session(wanted).await;
    let session =
        session.map_err(|not_opened| Refused::prohibited(not_opened.in_one_line(connection.id)))?;
    let right = Right {
        action,
        destination,
        source: connection.source.ip(),
    };
    let forward = through(connection, session, (right, from), channel, place).await?;
    Ok(Routed::Forward(Box::new(forward)))
}

/// The connection to the bastion itself is no session: nothing leaves from here.
async fn nothing_but_ssh(connection: &Connection, destination: &Destination) -> Refused {
    let what = format!("a forward to {destination}: {NOTHING_BUT_SSH}");
    let note = tap::note("refused_request", what.as_str(), connection.id);
    if let Err(error) = connection.record(Kind::Error(note), Outcome::Denied).await {
        tracing::error!(%error, "a refused forward could not be recorded");
    }
    Refused::prohibited(say::one_line(&what, NOTHING_BUT_SSH_HINT, connection.id))
}

pub(crate) const NOTHING_BUT_SSH: &str = "this connection carries SSH to targets and nothing else";
pub(crate) const NOTHING_BUT_SSH_HINT: &str =
    "forward through a session: ssh -L ... LOGIN@TARGET, by jump or name";

async fn parse(
    connection: &Connection,
    asked: &Asked,
) -> Result<(Destination, Option<Endpoint>), Refused> {
    let (parsed, shown, from) = match asked {
        Asked::Tcp(wanted) => (
            Destination::host(&wanted.host, wanted.port),
            format!("{}:{}", wanted.host, wanted.port),
            Some(originator(&wanted.originator, wanted.originator_port)),
        ),
        Asked::Socket(path) => (Destination::socket(path), path.clone(), None),
    };
    let bad = match parsed {
        Ok(destination) => return Ok((destination, from)),
        Err(bad) => bad,
    };
    let shown: String = shown.chars().take(SHOWN_CHARS_MAX).collect();
    let what = format!("`{shown}` is no place to forward to: {bad}");
    let note = tap::note("malformed_forward", what.as_str(), connection.id);
    if let Err(error) = connection.record(Kind::Error(note), Outcome::Denied).await {
        tracing::error!(%error, "a malformed forward could not be recorded");
    }
    let text = format!("portcullis: {}; ref: {}", Shown(&what), connection.id);
    Err(Refused::prohibited(text))
}

/// Of a place that is none, for the event and the person.
const SHOWN_CHARS_MAX: usize = 128;

#[derive(Debug, PartialEq, Eq)]
enum Way {
    /// SSH to this target: the bastion answers it.
    Jump(String),
    /// Out of the session's target, if this is allowed.
    Through(Action),
}

/// SSH to a known target is answered and recorded here. Where it goes decides, never what it says.
fn way(desk: &Desk, target: &Target, destination: &Destination) -> Way {
    let Destination::Host { host, port } = destination else {
        return Way::Through(Action::ForwardLocal);
    };
    if destination.is_loopback() {
        // Its own sshd, by the back door.
        if *port == target.port {
            return Way::Jump(target.name.to_string());
        }
    } else if desk.targets().find(host, Some(*port)).is_some() {
        return Way::Jump(host.clone());
    }
    Way::Through(match *port == SSH_PORT {
        true => Action::ForwardSsh,
        false => Action::ForwardLocal,
    })
}

/// Asks, records, dials, has the target connect.
async fn through(
    connection: &Arc<Connection>,
    session: Arc<Session>,
    (right, from): (Right, Option<Endpoint>),
    channel: Channel<Msg>,
    place: Place,
) -> Result<(Forward, Line), Refused> {
    let direction = ForwardDirection::Local;
    let decision = match right.ask(&session) {
        Ok(decision) => decision,
        Err(denied) => {
            let asked = (direction, from);
            right.record_denial(&session, asked, &denied).await?;
            return Err(Refused::prohibited(denied.in_one_line(session.id())));
        }
    };
    let (reader, writer) = channel.split();
    // With the read half gone nothing parks russh's loop: bytes come through `data` only.
    drop(reader);
    let lane = Lane::new(Queue::new(Arc::clone(&connection.flow)));
    let id = {
        let mut table = connection.table();
        if !table.insert(writer.id(), Open::Forward(Arc::clone(&lane))) {
            return Err(Refused::prohibited("portcullis: it is over".to_owned()));
        }
        table.number()
    };
    drop(place);
    let user = UserEnd { id, lane, writer };
    match begin(&session, &user, (&right, from), decision).await {
        Ok((line, writer)) => {
            let down = Arc::clone(&line.down);
            let label = Labeller::new(direction, right.is_opaque(&session));
            let forward = Forward {
                label,
                connection: Arc::clone(connection),
                session,
                direction,
                right,
                user,
                target: TargetEnd { down, writer },
            };
            Ok((forward, line))
        }
        Err(refused) => {
            connection.table().remove(user.writer.id());
            Err(refused)
        }
    }
}

/// Records it, then has the target go there.
async fn begin(
    session: &Session,
    user: &UserEnd,
    (right, from): (&Right, Option<Endpoint>),
    decision: Decision,
) -> Result<Reached, Refused> {
    let direction = ForwardDirection::Local;
    session.note_channel();
    let fact = Kind::ForwardOpen(Box::new(Fact {
        direction,
        from: from.clone(),
        to: endpoint(&right.destination),
        decision,
        opaque: right.action == Action::ForwardSsh,
    }));
    let entry = session.tap.on(user.id, fact, Outcome::Success);
    session.recording.append(entry).await?;
    let reached = tokio::select! {
        reached = reach(session, &right.destination, from.as_ref()) => reached,
        () = user.lane.gone.cancelled() => Err(Unreached::Gone),
    };
    let unreached = match reached {
        Ok(reached) => return Ok(reached),
        Err(unreached) => unreached,
    };
    let message = unreached.to_string();
    let end = (ForwardEnd::Refused, Some(message.clone()));
    let close = closed((direction, right), nothing(), None, end);
    let entry = session.tap.on(user.id, close, Outcome::Failure);
    session.recording.append(entry).await?;
    Err(Refused {
        code: CONNECT_FAILED,
        text: say::one_line(&message, &unreached.hint(), session.id()),
    })
}

/// A channel of the target to where it goes.
type Reached = (Line, ChannelWriteHalf<client::Msg>);

/// Why the target did not get there.
#[derive(Debug, thiserror::Error)]
enum Unreached {
    #[error("`{target}`: {error}")]
    Dial { target: String, error: DialError },
    #[error("`{target}` did not connect to {place}: {said}")]
    Target {
        target: String,
        place: String,
        said: String,
    },
    #[error("the user is gone")]
    Gone,
}

impl Unreached {
    fn hint(&self) -> String {
        match self {
            Self::Dial { error, .. } => error.hint(),
            Self::Target { .. } => {
                "look on the target whether it listens there, and whether its sshd lets you forward"
                    .to_owned()
            }
            Self::Gone => String::new(),
        }
    }
}

async fn reach(
    session: &Session,
    destination: &Destination,
    from: Option<&Endpoint>,
) -> Result<Reached, Unreached> {
    let target = session.permit().target().name.to_string();
    let needs = Needs {
        port_forwarding: true,
        ..Needs::default()
    };
    let line = match line::open(session, needs, None).await {
        Ok(line) => line,
        Err(error) => return Err(Unreached::Dial { target, error }),
    };
    let opening = async {
        match destination {
            Destination::Host { host, port } => {
                let host_from = from.and_then(|from| from.host.clone());
                let port_from = from.and_then(|from| from.port).unwrap_or(0);
                line.handle
                    .channel_open_direct_tcpip(
                        host.as_str(),
                        (*port).into(),
                        host_from.unwrap_or_default(),
                        port_from.into(),
                    )
                    .await
            }
            Destination::Socket(path) => {
                line.handle
                    .channel_open_direct_streamlocal(path.as_str())
                    .await
            }
        }
    };
    let said = match tokio::time::timeout(CONNECT_MAX, opening).await {
        Ok(Ok(channel)) => {
            let (reader, writer) = channel.split();
            drop(reader);
            return Ok((line, writer));
        }
        Ok(Err(russh::Error::ChannelOpenFailure(reason))) => match line.refusal().await {
            said if said.is_empty() => format!("{reason:?}"),
            said => said,
        },
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {} s", CONNECT_MAX.as_secs()),
    };
    line.end().await;
    let place = destination.to_string();
    Err(Unreached::Target {
        target,
        place,
        said,
    })
}

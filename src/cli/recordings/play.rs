//! `replay ID`: plays a session in the terminal.

use super::beside::Beside;
use super::look::{Look, Looker};
use super::reel::{Next, Reel};
use crate::cli::answer::{Fault, finish};
use crate::cli::window::{Moment, Window};
use crate::clock::Clock;
use crate::event::Kind;
use crate::policy::Action;
use crate::proxy::Call;
use crate::replay::{Player, Settings, Want};
use crate::store::Row;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// Events applied without a look at the keys while it flies to another place.
const BURST: u32 = 64;
/// A picture at least this often while it flies, so that one sees that it does.
const FLIGHT_EVENTS: u32 = 4096;
/// A right that was withdrawn ends a replay within so long.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// While something is looked for, its results are looked at so often.
const LOOK: Duration = Duration::from_millis(50);

#[derive(Clone, Debug, clap::Args)]
pub struct ReplayArgs {
    /// Session id, a unique part of it, or `last`.
    pub id: String,
    /// Times faster than it was: 0.125 to 64.
    #[arg(long, default_value_t = 1.0)]
    pub speed: f64,
    /// Waits are cut to this: `2s`.
    #[arg(long, value_parser = humantime::parse_duration)]
    pub max_idle: Option<Duration>,
    /// Where to start: `1m30s`.
    #[arg(long, value_parser = humantime::parse_duration)]
    pub at: Option<Duration>,
    /// Shows a running session as it goes on, until it ends.
    #[arg(long, conflicts_with = "at")]
    pub follow: bool,
}

pub async fn run(args: &ReplayArgs, look: &Look, by: &Looker, call: &mut Call) -> u8 {
    let done = play(args, look, by, call).await;
    finish(done, call).await
}

async fn play(args: &ReplayArgs, look: &Look, by: &Looker, call: &mut Call) -> Result<u8, Fault> {
    if call.terminal.is_none() {
        let hint = "replay draws on a terminal: use `ssh -t`, or `transcript` for plain text";
        return Err(Fault::Usage(hint.to_owned()));
    }
    if !args.speed.is_finite() || args.speed <= 0.0 {
        return Err(Fault::Usage("--speed is a number above 0".to_owned()));
    }
    let row = look
        .open(by, Action::Replay, &args.id, |session| Kind::Replay {
            session,
        })
        .await?;
    let settings = Settings {
        speed: args.speed,
        max_idle: args.max_idle,
        at: match args.follow && row.active() {
            true => Duration::MAX,
            false => args.at.unwrap_or_default(),
        },
        total: row.end.and_then(|(end, _)| (end - row.start).to_std().ok()),
    };
    // Ends the player when this future is dropped.
    let stop = CancellationToken::new();
    let _stop_on_drop = stop.clone().drop_guard();
    let stopping = stop.clone();
    let Some(window) = Window::open(call, stop).await? else {
        return Ok(2);
    };
    let (archive, house) = (look.archive.clone(), Arc::clone(&look.house));
    let reel = Reel::new(archive, house, row.id, !row.active(), args.follow);
    let clock = look.clock.clone();
    // On a thread that may be busy: few recorded bytes can be much work for an emulator.
    let runtime = Handle::current();
    let mut played = tokio::task::spawn_blocking(move || {
        runtime.block_on(drive(Player::new(settings), reel, window, clock))
    });
    let (played, withdrawn) = tokio::select! {
        done = &mut played => (done, false),
        () = withdrawn(look, by, &row) => {
            stopping.cancel();
            (played.await, true)
        }
    };
    let (window, done) = played.map_err(|error| Fault::Broken(error.to_string()))?;
    window.close(call).await?;
    match withdrawn {
        true => Err(Fault::Denied("replay")),
        false => done.map(|()| 0),
    }
}

/// A right is asked for again while it is used: until policy lets this person look no more.
async fn withdrawn(look: &Look, by: &Looker, row: &Row) {
    while look.allows(by, Action::Replay, row) {
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

async fn drive(
    mut player: Player,
    mut reel: Reel,
    mut window: Window,
    clock: Clock,
) -> (Window, Result<(), Fault>) {
    let done = turn(&mut player, &mut reel, &mut window, &clock).await;
    (window, done)
}

async fn turn(
    player: &mut Player,
    reel: &mut Reel,
    window: &mut Window,
    clock: &Clock,
) -> Result<(), Fault> {
    let mut beside = Beside::default();
    beside.survey(reel);
    let mut flown = 0_u32;
    loop {
        beside.tell(player, reel)?;
        let moment = match player.want() {
            Want::Quit => return Ok(()),
            Want::Jump(jump) => {
                beside.jump(jump, player, reel)?;
                continue;
            }
            Want::Event if reel.is_live() => live(player, reel, window).await?,
            Want::Event => {
                match reel.next().await? {
                    Next::Event(event) => player.supply(Some(event)),
                    Next::Live => continue,
                    Next::End => player.supply(None),
                }
                flown = flown.wrapping_add(1);
                if window.stopped() {
                    return Ok(());
                }
                if flown.is_multiple_of(FLIGHT_EVENTS) {
                    window.paint(player.draw(window.area())).await?;
                }
                if !flown.is_multiple_of(BURST) {
                    continue;
                }
                window.wait(Some(Duration::ZERO)).await
            }
            Want::Wait(time) => {
                if player.settled() {
                    window.paint(player.draw(window.area())).await?;
                }
                let before = clock.monotonic();
                let moment = window.wait(Some(time)).await;
                player.pass(clock.monotonic().saturating_sub(before));
                moment
            }
            Want::Key => {
                window.paint(player.draw(window.area())).await?;
                window.wait(beside.is_busy().then_some(LOOK)).await
            }
        };
        match moment {
            Moment::Keys(keys) => keys.into_iter().for_each(|key| player.key(key)),
            Moment::Resized | Moment::Waited => {}
            Moment::Gone => return Ok(()),
        }
    }
}

/// Shows what happens as it comes, all of it that waits at once. The end of the session is a moment
/// at which nobody is there any more.
async fn live(player: &mut Player, reel: &mut Reel, window: &mut Window) -> Result<Moment, Fault> {
    player.join_live();
    window.paint(player.draw(window.area())).await?;
    tokio::select! {
        event = reel.next() => {
            let mut next = Some(event?);
            for _ in 0..BURST {
                match next {
                    Some(Next::Event(event)) => player.supply(Some(event)),
                    Some(Next::Live) | None => break,
                    Some(Next::End) => {
                        window.paint(player.draw(window.area())).await?;
                        return Ok(Moment::Gone);
                    }
                }
                let takes_more = player.want() == Want::Event;
                next = takes_more.then(|| reel.ready()).flatten();
            }
            Ok(Moment::Waited)
        }
        moment = window.wait(None) => Ok(moment),
    }
}

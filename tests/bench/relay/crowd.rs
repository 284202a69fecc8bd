//! Many sessions at once: what each holds while nobody types, what is given back afterwards, and what
//! their number does to a key's echo. The clients are in this process, so that they cost little.

use crate::door::Door;
use crate::echo::RAW_CAT;
use crate::report::{Row, quantile};
use crate::setting;
use crate::stage::Stage;
use russh::client::{self, Handle, Msg};
use russh::keys::ssh_key::Certificate;
use russh::keys::{PrivateKey, PublicKeyOrCertificate, load_openssh_certificate, load_secret_key};
use russh::{Channel, ChannelMsg};
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

const FEW: usize = 10;
/// Opened at once: below what the target's sshd takes.
const OPENING: usize = 8;
/// Each types that often.
const EVERY: Duration = Duration::from_secs(1);
const KEYS: usize = 8;
const STALLED_SECONDS_MAX: usize = 30;
/// The last sessions' ends are recorded, and memory comes back.
const AFTERWARDS: Duration = Duration::from_secs(5);

struct AnyHost;

impl client::Handler for AnyHost {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        Ok(true)
    }
}

/// A terminal session by name, and the connection it is on.
struct Seat {
    _connection: Handle<AnyHost>,
    channel: Channel<Msg>,
}

#[derive(Clone)]
struct Guest {
    key: PrivateKey,
    certificate: Certificate,
    user: String,
    port: u16,
}

impl Guest {
    fn new(stage: &Stage) -> Self {
        let world = &stage.world;
        Self {
            key: load_secret_key(world.path("ana/id"), None).unwrap(),
            certificate: load_openssh_certificate(world.path("ana/id-cert.pub")).unwrap(),
            user: format!("{}@db1", world.login),
            port: world.port,
        }
    }

    async fn sit_down(self) -> Seat {
        let (connection, mut channel) = self.enter().await;
        channel
            .request_pty(false, "xterm", 80, 24, 0, 0, &[])
            .await
            .unwrap();
        channel.exec(true, RAW_CAT).await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"ready\n") {
            let message = channel.wait().await.expect("the session goes on");
            if let ChannelMsg::Data { data } = message {
                seen.extend_from_slice(&data);
            }
        }
        Seat {
            _connection: connection,
            channel,
        }
    }

    /// Sends to a command that does not read, for as long as it is taken.
    async fn stall(self, inside: oneshot::Sender<()>) {
        let (_connection, channel) = self.enter().await;
        inside.send(()).unwrap();
        channel.exec(true, "exec sleep 1000").await.unwrap();
        let block = [7; 32 * 1024];
        while channel.data(&block[..]).await.is_ok() {}
    }

    async fn enter(self) -> (Handle<AnyHost>, Channel<Msg>) {
        let config = client::Config {
            nodelay: true,
            ..client::Config::default()
        };
        let address = ("127.0.0.1", self.port);
        let mut connection = client::connect(Arc::new(config), address, AnyHost)
            .await
            .unwrap();
        let login =
            connection.authenticate_openssh_cert(self.user, Arc::new(self.key), self.certificate);
        assert!(login.await.unwrap().success());
        let channel = connection.channel_open_session().await.unwrap();
        (connection, channel)
    }
}

impl Seat {
    /// What each key took, in microseconds. `late` spreads the typists over the second.
    async fn type_keys(mut self, late: Duration) -> (Self, Vec<f64>) {
        tokio::time::sleep(late).await;
        let mut took = Vec::new();
        for _ in 0..KEYS {
            let began = Instant::now();
            self.channel.data(&b"k"[..]).await.unwrap();
            while !matches!(self.channel.wait().await.unwrap(), ChannelMsg::Data { .. }) {}
            took.push(began.elapsed().as_secs_f64() * 1e6);
            tokio::time::sleep(EVERY.saturating_sub(began.elapsed())).await;
        }
        (self, took)
    }
}

async fn seat(guest: &Guest, count: usize, seats: &mut Vec<Seat>) {
    let mut coming = JoinSet::new();
    while seats.len() < count {
        while coming.len() < OPENING && seats.len() + coming.len() < count {
            coming.spawn(guest.clone().sit_down());
        }
        seats.push(coming.join_next().await.unwrap().unwrap());
    }
}

async fn echo(seats: &mut Vec<Seat>) -> Vec<f64> {
    let mut typing = JoinSet::new();
    let step = EVERY / u32::try_from(seats.len()).unwrap();
    for (place, seat) in (0..).zip(seats.drain(..)) {
        typing.spawn(seat.type_keys(step * place));
    }
    let mut took = Vec::new();
    for (seat, own) in typing.join_all().await {
        seats.push(seat);
        took.extend(own);
    }
    took
}

/// Resident memory of the bastion, in kB.
fn resident(stage: &Stage) -> f64 {
    let status = format!("/proc/{}/status", stage.world.bastion_pid());
    let status = fs::read_to_string(status).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

pub(crate) fn crowd(stage: &Stage) -> Vec<Row> {
    let many = setting("RELAY_IDLE", 200) as usize;
    let guest = Guest::new(stage);
    stage.runtime.block_on(async {
        let mut seats = Vec::new();
        seat(&guest, FEW, &mut seats).await;
        let few_took = echo(&mut seats).await;
        let before = resident(stage);
        seat(&guest, many, &mut seats).await;
        tokio::time::sleep(EVERY).await;
        let full = resident(stage);
        let many_took = echo(&mut seats).await;
        drop(seats);
        stage.all_left();
        tokio::time::sleep(AFTERWARDS).await;
        let after = resident(stage);
        let single = |name: &str, unit, value| Row::single(name, unit, Door::Name, value);
        let (few_p99, many_p99) = (quantile(few_took, 0.99), quantile(many_took, 0.99));
        vec![
            single(
                &format!("memory of an idle session, {many} of them"),
                "kB",
                (full - before) / (many - FEW) as f64,
            ),
            single(
                "of that given back afterwards",
                "%",
                100.0 * (full - after) / (full - before),
            ),
            single(&format!("echo p99 with {FEW} who type"), "us", few_p99),
            single(&format!("echo p99 with {many} who type"), "us", many_p99),
            single(
                &format!("growth: echo p99, {many} to {FEW}"),
                "ratio",
                many_p99 / few_p99,
            ),
        ]
    })
}

/// What sessions hold whose targets do not read what they send: of the bytes that wait, and of memory.
pub(crate) fn stalled(stage: &Stage) -> Vec<Row> {
    let many = setting("RELAY_STALLED", 64) as usize;
    let guest = Guest::new(stage);
    let before = resident(stage);
    let mut sending = JoinSet::new();
    let row = stage.runtime.block_on(async {
        for _ in 0..many {
            // One after the other: the bastion lets only so many come at once.
            let (inside, entered) = oneshot::channel();
            sending.spawn(guest.clone().stall(inside));
            entered.await.unwrap();
        }
        let mut last = 0;
        // Until next to nothing more is taken: a window of two bytes is still given.
        for _ in 0..STALLED_SECONDS_MAX {
            tokio::time::sleep(EVERY).await;
            let waiting = stage.status()["waiting_bytes"].as_u64().unwrap();
            if waiting > 0 && waiting - last.min(waiting) < many as u64 * 1024 {
                last = waiting;
                break;
            }
            last = waiting;
        }
        let held = (resident(stage) - before) / many as f64;
        let single = |name: &str, value| Row::single(name, "kB", Door::Name, value);
        let waiting = last as f64 / 1024.0 / many as f64;
        vec![
            single(
                &format!("{many} stalled uploads: bytes that wait, each"),
                waiting,
            ),
            single(&format!("{many} stalled uploads: memory, each"), held),
        ]
    });
    stage.runtime.block_on(sending.shutdown());
    stage.all_left();
    row
}

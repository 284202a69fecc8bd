//! The port: one accept loop, places for strangers, no end at a full descriptor table.

use super::guard::Stranger;
use crate::proxy::connection::{Connection, Way};
use crate::proxy::house::House;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// After EMFILE and the like: long enough for a connection to end, short enough for a person.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Unacknowledged data for as long as this many keepalives: one more than may go unanswered.
const USER_TIMEOUT_KEEPALIVES: u32 = 4;

/// Accepts until the house stops.
pub async fn run(house: Arc<House>, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = house.stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, source)) => welcome(&house, stream, source),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn welcome(house: &Arc<House>, stream: TcpStream, source: SocketAddr) {
    let Some(waiting) = house.limiter.admit(source.ip()) else {
        // Counted by the limiter; the stranger sees a closed connection.
        drop(stream);
        let told = Arc::clone(house);
        house.tasks.spawn(async move {
            let how = "it was turned away: too many wait for their login";
            told.note_stranger(source, "", Stranger::TurnedAway, how)
                .await;
        });
        return;
    };
    if let Err(error) = prepare(&stream, house.config.session.keepalive) {
        tracing::debug!(%error, "a connection was gone before it began");
        return;
    }
    let connection = Connection::new(Arc::clone(house), source, Way::Outer, Some(waiting));
    let config = house.hosts.outer(connection.flow.is_tight());
    house.tasks.spawn(connection.run(config, stream));
}

/// Keepalives find a user that is gone only while the connection is not stuck in a write: then TCP
/// itself must notice.
fn prepare(stream: &TcpStream, keepalive: Duration) -> io::Result<()> {
    use rustix::net::sockopt;
    stream.set_nodelay(true)?;
    let patience = keepalive
        .saturating_mul(USER_TIMEOUT_KEEPALIVES)
        .as_millis();
    let patience = u32::try_from(patience).unwrap_or(u32::MAX);
    sockopt::set_tcp_user_timeout(stream, patience)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keystrokes_are_sent_at_once_and_a_dead_user_is_noticed() {
        use rustix::net::sockopt;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _user = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        prepare(&stream, Duration::from_secs(30)).unwrap();
        assert!(stream.nodelay().unwrap());
        assert_eq!(sockopt::tcp_user_timeout(&stream).unwrap(), 120_000);
    }
}

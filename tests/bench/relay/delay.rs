//! A way that takes its time: bytes arrive that much later, each way, in order, at any rate.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

/// Half of a round trip of 50 ms.
pub(crate) const ONE_WAY: Duration = Duration::from_millis(25);
/// Pieces under way, 64 KiB at most each: 64 MiB, far more than any window.
const PIECES: usize = 1024;

/// Returns the port that leads to `port` slowly, for as long as the runtime lives.
pub(crate) fn start(runtime: &Runtime, port: u16) -> u16 {
    let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    let listener = listener.unwrap();
    let here = listener.local_addr().unwrap().port();
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    runtime.spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            tokio::spawn(carry(near, to));
        }
    });
    here
}

async fn carry(near: TcpStream, to: SocketAddr) {
    let Ok(far) = TcpStream::connect(to).await else {
        return;
    };
    near.set_nodelay(true).unwrap();
    far.set_nodelay(true).unwrap();
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    tokio::join!(one_way(near_read, far_write), one_way(far_read, near_write));
}

async fn one_way(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
    let (send, mut under_way) = mpsc::channel::<(Instant, Vec<u8>)>(PIECES);
    let take = async move {
        loop {
            let mut piece = vec![0; 64 * 1024];
            match from.read(&mut piece).await {
                Ok(0) | Err(_) => return,
                Ok(n) => piece.truncate(n),
            }
            if send.send((Instant::now() + ONE_WAY, piece)).await.is_err() {
                return;
            }
        }
    };
    let give = async move {
        while let Some((due, piece)) = under_way.recv().await {
            tokio::time::sleep_until(due.into()).await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
        to.shutdown().await.ok();
    };
    tokio::join!(take, give);
}

//! The caller's side: what the verb sent, written where it belongs.

use super::frames::Frame;
use super::place::Place;
use indicatif::{ProgressBar, ProgressDrawTarget};
use std::io;
use std::time::Duration;
use tokio::io::AsyncRead;

/// From here on people want to know how far it is.
const SOON: Duration = Duration::from_secs(1);

/// Why it could not be written.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Who read standard output has had enough.
    Enough,
    /// A sentence for the person.
    Failed(String),
}

/// Until the answer ends. Gives whether it said that it is whole; what is not is removed with `place`.
/// Writes block: the process has nothing else to do.
pub(crate) async fn receive(
    mut from: impl AsyncRead + Unpin,
    mut place: Place,
    bar: &ProgressBar,
) -> Result<bool, Trouble> {
    let late = async {
        tokio::time::sleep(SOON).await;
        bar.set_draw_target(ProgressDrawTarget::stderr());
        std::future::pending().await
    };
    let done = tokio::select! {
        done = all(&mut from, &mut place, bar) => done,
        never = late => never,
    };
    bar.finish_and_clear();
    done.map_err(|error| match (error.kind(), &place) {
        (io::ErrorKind::BrokenPipe, Place::Standard) => Trouble::Enough,
        _ => Trouble::Failed(place.failed(&error)),
    })
}

async fn all(
    from: &mut (impl AsyncRead + Unpin),
    place: &mut Place,
    bar: &ProgressBar,
) -> io::Result<bool> {
    while let Some(frame) = Frame::read(from).await? {
        match frame {
            Frame::File(name) => place.file(&name)?,
            Frame::Bytes(bytes) => place.bytes(&bytes)?,
            Frame::Progress(done, all) => {
                bar.set_length(all);
                bar.set_position(done);
            }
            Frame::Whole => {
                place.whole()?;
                return Ok(true);
            }
        }
    }
    Ok(false)
}

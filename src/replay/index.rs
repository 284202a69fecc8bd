//! Rows of the session index, and lines of the search index, from recordings alone.

use super::line::What;
use super::open::{Archive, Error, Step};
use super::seen::Seen;
use super::whole::Whole;
use crate::event::Kind;
use crate::id::SessionId;
use crate::sink::{Stands, index_line, index_told};
use crate::store::{self, Class, Piece, Recorded, Recordings, Review, Told, Unreadable};
use std::pin::Pin;
use tokio::sync::mpsc;

/// What is put into the database at once.
const TOLD: usize = 1000;
/// Such pieces that wait for the database; the reader waits when it is full.
const PIECES: usize = 2;

impl Recordings for Archive {
    fn streams(
        &self,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<SessionId>, Unreadable>> + Send + '_>> {
        let archive = self.clone();
        Box::pin(async move {
            blocking(move || archive.sessions())
                .await
                .map(Option::unwrap_or_default)
        })
    }

    fn recorded(
        &self,
        id: SessionId,
    ) -> Pin<Box<dyn Future<Output = Result<Recorded, Unreadable>> + Send + '_>> {
        let archive = self.clone();
        Box::pin(async move {
            let found = blocking(move || match fold(&archive, id) {
                Err(Error::Missing(_)) => Ok(Recorded::Nothing),
                Err(error @ Error::Newer { .. }) => Ok(Recorded::Unread(error.to_string())),
                found => found,
            });
            let stopped = || Recorded::Unread("the program stops".to_owned());
            Ok(found.await?.unwrap_or_else(stopped))
        })
    }

    fn told(
        &self,
        id: SessionId,
        screen: bool,
    ) -> Pin<Box<dyn Future<Output = Result<Option<mpsc::Receiver<Piece>>, Unreadable>> + Send + '_>>
    {
        let archive = self.clone();
        Box::pin(async move {
            let there = archive.clone();
            if blocking(move || there.events(id)).await?.is_none() {
                return Ok(None);
            }
            let (to, from) = mpsc::channel(PIECES);
            // What looks over a long recording first holds up nobody either.
            tokio::task::spawn_blocking(move || {
                let failed = |error: Error| Piece::Failed(Unreadable(error.to_string()));
                let told = match archive.whole(id) {
                    Ok(events) => return tell(events, screen, &to),
                    Err(Error::Newer { .. } | Error::Missing(_)) => return,
                    Err(error @ Error::Io { .. }) => to.blocking_send(failed(error)),
                };
                // Whoever reads is gone.
                drop(told);
            });
            Ok(Some(from))
        })
    }

    fn reviews(
        &self,
        id: SessionId,
    ) -> Pin<Box<dyn Future<Output = Result<Option<Vec<Review>>, Unreadable>> + Send + '_>> {
        let archive = self.clone();
        Box::pin(async move {
            blocking(move || signed_off(&archive, id))
                .await
                .map(Option::flatten)
        })
    }
}

/// Everything that is to be found, in pieces. Ends when nobody wants more.
fn tell(events: Whole, screen: bool, to: &mpsc::Sender<Piece>) {
    let mut seen = screen.then(Seen::default);
    let mut ended = false;
    let mut told = Vec::new();
    if events.is_derived() && to.blocking_send(Piece::Anew).is_err() {
        return;
    }
    for step in events {
        let line = match step {
            Ok(Step::Line(line)) => line,
            Ok(Step::Damage(_)) => continue,
            Err(Error::Newer { .. }) => break,
            Err(error) => {
                // Whoever reads is gone, or learns it from the channel's end.
                drop(to.blocking_send(Piece::Failed(Unreadable(error.to_string()))));
                return;
            }
        };
        ended = false;
        let stands = Stands {
            seq: line.seq,
            ts: line.ts,
            mt: line.mt,
            channel: line.channel,
        };
        if let What::Audit(audit) = &line.what {
            if matches!(audit.kind, Kind::NodeStart { .. }) {
                ended = true;
                break;
            }
            ended = matches!(audit.kind, Kind::SessionEnd { .. });
            told.extend(index_told(stands, audit).map(|told| numbered(told, line.derived)));
        }
        if let Some(seen) = &mut seen {
            for (nth, sight) in (0_u32..).zip(seen.take(&line)) {
                told.push(Told::Line(store::Line {
                    // Pieces of a long line have numbers of their own.
                    nth: nth.saturating_mul(store::PIECES_MAX),
                    at: sight.at,
                    channel: Some(sight.channel),
                    ..index_line(stands, Class::Screen, &sight.text)
                }));
            }
        }
        if told.len() >= TOLD
            && to
                .blocking_send(Piece::Told(std::mem::take(&mut told)))
                .is_err()
        {
            return;
        }
    }
    let left_out = seen.map_or(0, |seen| seen.left_out());
    for piece in [Piece::Told(told), Piece::End { ended, left_out }] {
        if to.blocking_send(piece).is_err() {
            return;
        }
    }
}

/// Several lines that are derived can have the number of one event.
fn numbered(told: Told, derived: Option<u32>) -> Told {
    match told {
        Told::Line(line) => Told::Line(store::Line {
            nth: derived.unwrap_or(0).saturating_mul(store::PIECES_MAX),
            ..line
        }),
        Told::Start(_) | Told::Exit { .. } => told,
    }
}

fn signed_off(archive: &Archive, id: SessionId) -> Result<Option<Vec<Review>>, Error> {
    let mut reviews = None;
    for step in archive.events(id)? {
        let Step::Line(line) = step? else {
            continue;
        };
        if line.kind == "node.start" {
            reviews.get_or_insert_with(Vec::new);
        }
        let Some(reviews) = &mut reviews else {
            break;
        };
        if let What::Audit(audit) = &line.what {
            reviews.extend(Review::of(id, line.seq, line.ts, audit));
        }
    }
    Ok(reviews)
}

fn fold(archive: &Archive, id: SessionId) -> Result<Recorded, Error> {
    let mut row = None;
    let (mut damage, mut empty) = (None, true);
    for step in archive.events(id)? {
        empty = false;
        let line = match step? {
            Step::Line(line) => line,
            Step::Damage(found) => {
                damage = damage.or(Some(found));
                continue;
            }
        };
        if line.kind == "node.start" {
            return Ok(Recorded::Node);
        }
        if let What::Audit(audit) = &line.what {
            row = row.or_else(|| match line.kind.as_str() {
                "session.start" => None,
                _ => store::found(id, line.ts, audit),
            });
            row = store::apply(row, id, line.seq, line.ts, audit);
        }
    }
    if empty {
        return Ok(Recorded::Nothing);
    }
    let why = || match damage {
        Some(damage) => damage.to_string(),
        None => "nothing in it says what it is".to_owned(),
    };
    Ok(row.map_or_else(
        || Recorded::Unread(why()),
        |row| Recorded::Session(Box::new(row)),
    ))
}

/// Runs on a thread that may block. None where the recording is gone, is of a newer version, or
/// the runtime stops: one such recording must not keep the others out of the index.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<Option<T>, Unreadable> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(Some(done)),
        Ok(Err(Error::Missing(_) | Error::Newer { .. })) | Err(_) => Ok(None),
        Ok(Err(error @ Error::Io { .. })) => Err(Unreadable(error.to_string())),
    }
}

//! The index, made again from recordings. Whoever reads recordings hands them in.

use super::reviews::Review;
use super::row::Row;
use super::search::Told;
use super::sqlite::{Error, Store};
use crate::id::SessionId;
use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use tokio::sync::mpsc;

/// What a recording or the disk under it said instead of a row.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

/// What a stream on disk is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    Session(Box<Row>),
    /// A node's own.
    Node,
    /// No file of it is there, or none yet.
    Nothing,
    /// Nobody knows: nothing of it can be read, or it is of a newer version.
    Unread(String),
}

/// What came of reading recordings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Indexed {
    /// Rows that changed, or all of them.
    pub rows: u64,
    /// Streams that could not be read, and why: their rows stay.
    pub unread: Vec<(SessionId, String)>,
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Unreadable>> + Send + 'a>>;

/// Recordings as far as the index is made from them.
pub trait Recordings: Send + Sync {
    /// Every stream on disk, those of nodes among them.
    fn streams(&self) -> Answer<'_, Vec<SessionId>>;

    fn recorded(&self, id: SessionId) -> Answer<'_, Recorded>;

    /// The row of a session; none for a node's stream, or where nothing can be read.
    fn row(&self, id: SessionId) -> Answer<'_, Option<Row>> {
        let recorded = self.recorded(id);
        Box::pin(async move {
            Ok(match recorded.await? {
                Recorded::Session(row) => Some(*row),
                Recorded::Node | Recorded::Nothing | Recorded::Unread(_) => None,
            })
        })
    }

    /// What was signed off, by a node's stream; none where it is none, or cannot be read.
    fn reviews(&self, id: SessionId) -> Answer<'_, Option<Vec<Review>>>;

    /// What is to be found of a session, with its screens where they are wanted. None where there is
    /// no recording, or one of a newer version.
    fn told(&self, id: SessionId, screen: bool) -> Answer<'_, Option<mpsc::Receiver<Piece>>>;
}

/// A piece of what a recording tells.
#[derive(Debug)]
pub enum Piece {
    /// The first one, where what was put in while the session ran is not all, or not the same.
    Anew,
    Told(Vec<Told>),
    /// The last one.
    End {
        /// It is the recording of a session that has ended, or of no session.
        ended: bool,
        /// Lines of screens beyond the bound.
        left_out: u64,
    },
    Failed(Unreadable),
}

impl Store {
    /// Reads the recordings that the index lacks or takes for running.
    pub async fn catch_up(&self, from: &dyn Recordings) -> Result<Indexed, Error> {
        let known: BTreeMap<SessionId, bool> = self.session_ids().await?.into_iter().collect();
        let mut done = Indexed::default();
        let (read, mut nodes) = (self.read_streams().await?, Vec::new());
        for id in from.streams().await? {
            if known.get(&id) == Some(&false) || read.contains(&id) {
                continue;
            }
            match from.recorded(id).await? {
                Recorded::Session(row) if self.session(id).await?.as_ref() != Some(&*row) => {
                    self.put_session(&row).await?;
                    done.rows += 1;
                }
                Recorded::Session(_) | Recorded::Nothing => {}
                Recorded::Node => nodes.push(id),
                Recorded::Unread(why) => done.unread.push((id, why)),
            }
        }
        self.read_reviews(from, nodes).await?;
        Ok(done)
    }

    /// Makes every row again from its recording and drops rows that have none. A recording that is
    /// there and cannot be read keeps its row.
    pub async fn rebuild(&self, from: &dyn Recordings) -> Result<Indexed, Error> {
        let mut done = Indexed::default();
        let (mut found, mut nodes) = (BTreeSet::new(), Vec::new());
        for id in from.streams().await? {
            match from.recorded(id).await? {
                Recorded::Session(row) => {
                    // Nothing runs: what the old row knew beyond the recording is not so any more.
                    self.forget_session(id).await?;
                    self.put_session(&row).await?;
                    found.insert(id);
                    done.rows += 1;
                }
                Recorded::Node => nodes.push(id),
                Recorded::Nothing => {}
                Recorded::Unread(why) => {
                    found.insert(id);
                    done.unread.push((id, why));
                }
            }
        }
        self.forget_reviews().await?;
        self.read_reviews(from, nodes).await?;
        for (id, active) in self.session_ids().await? {
            // The first chunk of a running session may not be written yet.
            if !active && !found.contains(&id) {
                self.forget_session(id).await?;
            }
        }
        Ok(done)
    }

    /// The newest stream may be that of the running node, and is read again the next time.
    async fn read_reviews(
        &self,
        from: &dyn Recordings,
        mut nodes: Vec<SessionId>,
    ) -> Result<(), Error> {
        nodes.sort();
        let newest = nodes.last().copied();
        for stream in nodes {
            let Some(reviews) = from.reviews(stream).await? else {
                continue;
            };
            for review in reviews {
                self.put_review(&review).await?;
            }
            if Some(stream) != newest {
                self.note_read(stream).await?;
            }
        }
        Ok(())
    }

    /// Puts in what the search index lacks of a session. It is whole then if it has ended; one that
    /// cannot run any more is so without its end, too: there is no more of it.
    pub async fn read_told(
        &self,
        from: &dyn Recordings,
        id: SessionId,
        screen: bool,
        may_run: bool,
    ) -> Result<(), Error> {
        let Some(mut pieces) = from.told(id, screen).await? else {
            return Ok(());
        };
        while let Some(piece) = pieces.recv().await {
            self.put_piece(id, piece, screen, may_run).await?;
        }
        Ok(())
    }

    /// Puts in one piece of what a recording tells, as [`Store::read_told`] does with all of them.
    pub async fn put_piece(
        &self,
        id: SessionId,
        piece: Piece,
        screen: bool,
        may_run: bool,
    ) -> Result<(), Error> {
        match piece {
            Piece::Anew => self.forget_told(id).await,
            Piece::Told(told) => self.put_told(id, &told).await,
            Piece::Failed(error) => Err(error.into()),
            Piece::End { ended, left_out } if ended || !may_run => {
                self.finish_told(id, screen, left_out).await
            }
            Piece::End { .. } => Ok(()),
        }
    }

    /// Reads the recordings that the search index has not all of, while nothing runs. Gives their
    /// number.
    pub async fn catch_up_told(&self, from: &dyn Recordings, screen: bool) -> Result<u64, Error> {
        let known = self.progress().await?;
        let mut read = 0;
        for id in from.streams().await? {
            let progress = known.get(&id).copied().unwrap_or_default();
            if progress.lacks(screen) {
                if !progress.whole {
                    // What power that was lost took from the recording is not in here either.
                    self.forget_told(id).await?;
                }
                self.read_told(from, id, screen, false).await?;
                read += 1;
            }
        }
        Ok(read)
    }

    /// Makes the search index again.
    pub async fn rebuild_told(&self, from: &dyn Recordings, screen: bool) -> Result<u64, Error> {
        self.clear_told().await?;
        self.catch_up_told(from, screen).await
    }
}

//! The embedded database: one file, WAL, so that readers never wait for the writer.

use super::search::Rare;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqlitePool, Transaction};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Readers at once; there is one writer, the index sink.
const CONNECTIONS_MAX: u32 = 4;
/// How long a writer waits for another one, say `index --rebuild` beside a running node.
const BUSY: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot open the database `{path}`")]
    Open { path: PathBuf, source: sqlx::Error },
    #[error("cannot bring the database `{path}` up to date")]
    Migrate {
        path: PathBuf,
        source: sqlx::migrate::MigrateError,
    },
    #[error("cannot {doing} in the database")]
    Query {
        doing: &'static str,
        source: sqlx::Error,
    },
    #[error("cannot read the recordings for the index: {0}")]
    Recording(#[from] super::Unreadable),
    /// A row that we would not have written.
    #[error(
        "the index row of session `{id}` is damaged ({what}): run `portcullis index --rebuild`"
    )]
    Damaged { id: String, what: &'static str },
}

/// The database of a node. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Store {
    pub(super) pool: SqlitePool,
    pub(super) rare: Arc<Rare>,
}

impl Store {
    /// Opens or makes the file and brings its tables up to date.
    pub async fn open(path: &Path) -> Result<Self, Error> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A view that can be rebuilt: the last rows may go with the power.
            .synchronous(SqliteSynchronous::Normal)
            .foreign_keys(true)
            .busy_timeout(BUSY);
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .connect_with(options)
            .await
            .map_err(|source| Error::Open {
                path: path.to_owned(),
                source,
            })?;
        sqlx::migrate!("src/store/migrations/sqlite")
            .run(&pool)
            .await
            .map_err(|source| Error::Migrate {
                path: path.to_owned(),
                source,
            })?;
        Ok(Self {
            pool,
            rare: Arc::default(),
        })
    }

    /// A change from its start on: one that reads first and writes then would not wait for
    /// another writer, but fail.
    pub(super) async fn change(&self) -> Result<Transaction<'static, Sqlite>, Error> {
        let begun = self.pool.begin_with("BEGIN IMMEDIATE").await;
        begun.map_err(|source| Error::Query {
            doing: "begin a change",
            source,
        })
    }

    /// Writes what the WAL holds into the file and closes it.
    pub async fn close(self) {
        self.pool.close().await;
    }
}

//! The outbox: a local file between the hub and the ledger's database.

use std::path::{Path, PathBuf};

use heyun_telemetry::labels::LedgerKind;
use heyun_telemetry::{Metrics, spans};
use serde::Serialize;
use sqlx::sqlite::{SqliteConnectOptions, SqliteLockingMode};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tokio::sync::Mutex;
use tracing::Instrument as _;

use crate::database::{Ledger, Step, durable, migrator};
use crate::error::{LedgerError, OutboxError};
use crate::record::Recorded;
use crate::rows::Entry;

/// The most entries that wait, unless [`Outbox::with_capacity`] says otherwise: about a day of
/// ten decisions a second, or a few gigabytes.
const CAPACITY: u64 = 1_000_000;

/// The most entries one [`Outbox::drain`] takes, whatever it is asked for.
const BATCH_MAX: u32 = 5_000;

/// The bytes of entries after which it takes no more. On its way into the database a batch is held
/// half a dozen times, by SQLite too.
const BATCH_BYTES: usize = 512 * 1_024;

/// Entries that are read from the file at once.
const PIECE: u32 = 16;

const FILE: &str = "outbox.db";

const MIGRATIONS: &[Step] = &[(
    1,
    "outbox",
    include_str!("../migrations/outbox/0001_outbox.sql"),
)];

const APPEND: &str = "
    INSERT INTO outbox (key, entry) SELECT value->>'key', value->>'entry' FROM json_each($1)
    WHERE true ON CONFLICT DO NOTHING";
const COUNT: &str = "SELECT (SELECT COUNT(*) FROM outbox), (SELECT COUNT(*) FROM refused)";
const OLDEST: &str = "SELECT seq, entry FROM outbox WHERE seq > $1 ORDER BY seq LIMIT $2";
const FORGET: &str = "DELETE FROM outbox WHERE seq IN (SELECT value FROM json_each($1))";
const REFUSE: &str = "
    INSERT INTO refused (seq, key, entry, reason) SELECT seq, key, entry, $2 FROM outbox
    WHERE seq = $1";

/// Entries on their way to the ledger, on disk. One process uses it at a time; a second one that
/// opens it is refused.
#[derive(Debug)]
pub struct Outbox {
    path: PathBuf,
    capacity: u64,
    metrics: Option<Metrics>,
    file: Mutex<File>,
    /// Held by the one drain that runs; never while the file is waited for by an append.
    draining: Mutex<()>,
}

#[derive(Debug)]
struct File {
    connection: SqliteConnection,
    waiting: u64,
    refused: u64,
    /// Set while the counts may be behind the file: a future that is dropped half-way leaves it
    /// set, and the next operation counts again.
    uncounted: bool,
}

/// What [`Outbox::append`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Entries that were not waiting already.
    pub new: u64,
    /// Entries that wait now.
    pub waiting: u64,
}

/// What [`Outbox::drain`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Entries that left the outbox for the ledger.
    pub delivered: u64,
    /// Of these, what the ledger did not have yet.
    pub new: Recorded,
    /// Entries that the database refused for what they are, kept aside in the outbox's file.
    pub refused: u64,
    /// Entries that wait now.
    pub waiting: u64,
    /// It took as much as one drain may: more may wait that waited before.
    pub full: bool,
}

/// The oldest entries, taken to be moved.
#[derive(Debug, Default)]
struct Batch {
    seqs: Vec<i64>,
    entries: Vec<Entry>,
    /// How many could not be read, and were set aside.
    unreadable: u64,
    full: bool,
}

#[derive(Serialize)]
struct Appending {
    key: String,
    entry: String,
}

impl Outbox {
    /// Opens the outbox in the folder `dir`, which is made where it is missing. What an earlier
    /// process left in it is there.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Folder`], [`OutboxError::File`] (also where another process has it open) or
    /// [`OutboxError::Migration`].
    pub async fn open(dir: impl AsRef<Path>) -> Result<Self, OutboxError> {
        let dir = dir.as_ref();
        tokio::fs::create_dir_all(dir)
            .await
            .map_err(|source| OutboxError::Folder {
                path: dir.to_owned(),
                source,
            })?;
        let path = dir.join(FILE);
        let options = durable(SqliteConnectOptions::new().filename(&path))
            .locking_mode(SqliteLockingMode::Exclusive)
            // The last owner is dead or it is alive; waiting tells nothing more.
            .busy_timeout(std::time::Duration::from_millis(500));
        let failed = |source| OutboxError::File {
            path: path.clone(),
            source,
        };
        let mut connection = options.connect().await.map_err(failed)?;
        migrator(MIGRATIONS)
            .run_direct(None, &mut connection, false)
            .await
            .map_err(|source| OutboxError::Migration {
                path: path.clone(),
                source,
            })?;
        let mut file = File {
            connection,
            waiting: 0,
            refused: 0,
            uncounted: true,
        };
        file.count().await.map_err(failed)?;
        Ok(Self {
            path,
            capacity: CAPACITY,
            metrics: None,
            file: Mutex::new(file),
            draining: Mutex::new(()),
        })
    }

    /// Holds `entries` at most, those that the database refused included.
    #[must_use]
    pub fn with_capacity(mut self, entries: u64) -> Self {
        self.capacity = entries;
        self
    }

    /// Records depth, refusals and deliveries.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Appends entries, all or none; they are on disk when this returns. One that waits already
    /// is not appended again.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Full`], [`OutboxError::Entry`] or [`OutboxError::File`]; nothing was
    /// appended then.
    pub async fn append(&self, entries: &[Entry]) -> Result<Appended, OutboxError> {
        let mut appending = Vec::with_capacity(entries.len());
        for entry in entries {
            entry.check()?;
            let text = serde_json::to_string(entry).map_err(|source| self.unwritable(source))?;
            appending.push(Appending {
                key: entry.key(),
                entry: text,
            });
        }
        let appending =
            serde_json::to_string(&appending).map_err(|source| self.unwritable(source))?;
        let mut file = self.file.lock().await;
        file.recount().await.map_err(|source| self.failed(source))?;
        let held = file.waiting.saturating_add(file.refused);
        let asked = entries.len();
        if held.saturating_add(asked as u64) > self.capacity {
            self.measure(|metrics| metrics.outbox_refused(asked as u64));
            return Err(OutboxError::Full {
                path: self.path.clone(),
                waiting: held,
                asked,
                capacity: self.capacity,
            });
        }
        file.uncounted = true;
        let new = sqlx::query(APPEND)
            .bind(appending)
            .execute(&mut file.connection)
            .await
            .map_err(|source| self.failed(source))?
            .rows_affected();
        file.waiting = file.waiting.saturating_add(new);
        file.uncounted = false;
        self.measure_depth(file.waiting);
        Ok(Appended {
            new,
            waiting: file.waiting,
        })
    }

    /// Moves the oldest entries, `limit` or 5,000 of them or half a megabyte at most, to the ledger.
    /// They leave the outbox when the ledger has them. Appending goes on meanwhile.
    ///
    /// An entry that the database refuses for what it is, is kept aside with the reason, and the
    /// others go on.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Ledger`] if the database is away: nothing left the outbox, try again later.
    pub async fn drain(&self, ledger: &Ledger, limit: u32) -> Result<Drained, OutboxError> {
        let span = tracing::debug_span!(spans::LEDGER_COMMIT);
        async {
            let _alone = self.draining.lock().await;
            let batch = self.oldest(limit.min(BATCH_MAX)).await?;
            let mut drained = if batch.entries.is_empty() {
                Drained {
                    waiting: self.waiting().await?,
                    ..Drained::default()
                }
            } else {
                match ledger.record(&batch.entries).await {
                    Ok(new) => self.delivered(&batch.seqs, new).await?,
                    Err(error) if about_entries(&error) => self.one_by_one(ledger, &batch).await?,
                    Err(error) => return Err(error.into()),
                }
            };
            drained.refused = drained.refused.saturating_add(batch.unreadable);
            drained.full = batch.full;
            Ok(drained)
        }
        .instrument(span)
        .await
    }

    /// How many entries wait.
    ///
    /// # Errors
    ///
    /// [`OutboxError::File`].
    pub async fn waiting(&self) -> Result<u64, OutboxError> {
        let mut file = self.file.lock().await;
        file.recount().await.map_err(|source| self.failed(source))?;
        Ok(file.waiting)
    }

    /// Ends the use of the file. Dropping the outbox does so too, but later.
    ///
    /// # Errors
    ///
    /// [`OutboxError::File`]; what was appended is on disk in any case.
    pub async fn close(self) -> Result<(), OutboxError> {
        let path = self.path;
        let file = self.file.into_inner();
        file.connection
            .close()
            .await
            .map_err(|source| OutboxError::File { path, source })
    }

    /// The oldest entries. Those that cannot be read are set aside.
    async fn oldest(&self, limit: u32) -> Result<Batch, OutboxError> {
        let mut batch = Batch::default();
        let (mut after, mut left, mut bytes) = (i64::MIN, limit, 0);
        loop {
            let piece = PIECE.min(left);
            let rows = self.after(after, piece).await?;
            let ended = rows.len() < piece as usize;
            left = left.saturating_sub(piece);
            for (seq, text) in rows {
                after = seq;
                bytes += text.len();
                match serde_json::from_str(&text) {
                    Ok(entry) => {
                        batch.seqs.push(seq);
                        batch.entries.push(entry);
                    }
                    Err(error) => {
                        tracing::error!(seq, %error, "outbox entry cannot be read, kept aside");
                        self.set_aside(seq, error.to_string()).await?;
                        batch.unreadable = batch.unreadable.saturating_add(1);
                    }
                }
            }
            batch.full = !ended && (left == 0 || bytes >= BATCH_BYTES);
            if ended || batch.full {
                return Ok(batch);
            }
        }
    }

    async fn after(&self, seq: i64, count: u32) -> Result<Vec<(i64, String)>, OutboxError> {
        let mut file = self.file.lock().await;
        sqlx::query_as(OLDEST)
            .bind(seq)
            .bind(count)
            .fetch_all(&mut file.connection)
            .await
            .map_err(|source| self.failed(source))
    }

    async fn delivered(&self, seqs: &[i64], new: Recorded) -> Result<Drained, OutboxError> {
        let waiting = self.forget(seqs).await?;
        self.measure(|metrics| {
            metrics.ledger_entries(LedgerKind::Decision, new.decisions);
            metrics.ledger_entries(LedgerKind::Usage, new.usage);
        });
        Ok(Drained {
            delivered: seqs.len() as u64,
            new,
            waiting,
            ..Drained::default()
        })
    }

    /// Finds the entry that the database refuses, so that it holds up no other.
    async fn one_by_one(&self, ledger: &Ledger, batch: &Batch) -> Result<Drained, OutboxError> {
        let mut sum = Drained::default();
        for (seq, entry) in batch.seqs.iter().zip(&batch.entries) {
            match ledger.record(std::slice::from_ref(entry)).await {
                Ok(new) => {
                    let drained = self.delivered(std::slice::from_ref(seq), new).await?;
                    sum.delivered += drained.delivered;
                    sum.new.decisions += new.decisions;
                    sum.new.usage += new.usage;
                }
                Err(error) if !about_entries(&error) => return Err(error.into()),
                Err(error) => {
                    tracing::error!(key = entry.key(), %error, "ledger entry refused, kept aside");
                    self.set_aside(*seq, error.to_string()).await?;
                    sum.refused += 1;
                }
            }
        }
        sum.waiting = self.waiting().await?;
        Ok(sum)
    }

    async fn set_aside(&self, seq: i64, reason: String) -> Result<(), OutboxError> {
        let mut file = self.file.lock().await;
        file.uncounted = true;
        let moved = async {
            let mut tx = file.connection.begin().await?;
            sqlx::query(REFUSE)
                .bind(seq)
                .bind(reason)
                .execute(&mut *tx)
                .await?;
            sqlx::query(FORGET)
                .bind(format!("[{seq}]"))
                .execute(&mut *tx)
                .await?;
            tx.commit().await
        };
        moved.await.map_err(|source| self.failed(source))
    }

    async fn forget(&self, seqs: &[i64]) -> Result<u64, OutboxError> {
        let seqs = serde_json::to_string(seqs).map_err(|source| self.unwritable(source))?;
        let mut file = self.file.lock().await;
        file.recount().await.map_err(|source| self.failed(source))?;
        file.uncounted = true;
        let gone = sqlx::query(FORGET)
            .bind(seqs)
            .execute(&mut file.connection)
            .await
            .map_err(|source| self.failed(source))?
            .rows_affected();
        file.waiting = file.waiting.saturating_sub(gone);
        file.uncounted = false;
        self.measure_depth(file.waiting);
        Ok(file.waiting)
    }

    fn measure(&self, record: impl FnOnce(&Metrics)) {
        if let Some(metrics) = &self.metrics {
            record(metrics);
        }
    }

    fn measure_depth(&self, waiting: u64) {
        self.measure(|it| it.set_outbox_depth(u32::try_from(waiting).unwrap_or(u32::MAX)));
    }

    fn failed(&self, source: sqlx::Error) -> OutboxError {
        OutboxError::File {
            path: self.path.clone(),
            source,
        }
    }

    fn unwritable(&self, source: serde_json::Error) -> OutboxError {
        OutboxError::Unwritable {
            path: self.path.clone(),
            source,
        }
    }
}

/// Whether the fault may be an entry's, and so not the database's as a whole.
fn about_entries(error: &LedgerError) -> bool {
    matches!(
        error,
        LedgerError::Refused { .. } | LedgerError::Entry(_) | LedgerError::Corrupt(_)
    )
}

impl File {
    async fn recount(&mut self) -> Result<(), sqlx::Error> {
        if self.uncounted {
            self.count().await
        } else {
            Ok(())
        }
    }

    async fn count(&mut self) -> Result<(), sqlx::Error> {
        let (waiting, refused): (i64, i64) = sqlx::query_as(COUNT)
            .fetch_one(&mut self.connection)
            .await?;
        self.waiting = u64::try_from(waiting).unwrap_or(0);
        self.refused = u64::try_from(refused).unwrap_or(0);
        self.uncounted = false;
        Ok(())
    }
}

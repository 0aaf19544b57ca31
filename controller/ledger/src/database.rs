//! The connection: which database, its schema, and transactions that hide the dialect.

use std::future::Future;
use std::path::Path;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgRow};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, FromRow, PgPool, Postgres, SqlSafeStr as _, Sqlite, SqlitePool};
use tokio::sync::OnceCell;

use crate::error::LedgerError;
use crate::sql::{self, Statement};

/// The most connections to the database.
const CONNECTIONS_MAX: u32 = 4;

/// How long to wait for a connection, a new one included.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest any one operation takes. A database that hangs is as away as one that is gone.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(30);

/// What PostgreSQL itself gives up after, in milliseconds: below [`OPERATION_TIMEOUT`], so that
/// an operation that was given up here does not go on there.
const STATEMENT_TIMEOUT_MS: &str = "25000";

/// The ledger's database. A clone uses the same connections.
#[derive(Clone, Debug)]
pub struct Ledger {
    database: Database,
    migrated: Arc<OnceCell<()>>,
}

#[derive(Clone, Debug)]
enum Database {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// What a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Reads that agree with each other.
    Read,
    /// Writes of one statement each.
    Write,
    /// Writes that follow from reads: both see one state.
    Snapshot,
}

impl Ledger {
    /// The ledger at `url`: a path, `sqlite:PATH`, or `postgres://…`. The database need not be
    /// there yet: it is looked for, and its schema brought up to date, when it is first used.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Url`] if the URL names no database of these.
    #[expect(
        clippy::unused_async,
        reason = "the pools need a runtime: this makes it visible"
    )]
    pub async fn connect(url: &str) -> Result<Self, LedgerError> {
        let database = if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Database::Postgres(postgres(url)?)
        } else {
            Database::Sqlite(sqlite(url)?)
        };
        Ok(Self {
            database,
            migrated: Arc::default(),
        })
    }

    /// Brings the schema up to date. Every other operation does it where it was not done yet.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Migration`], or as for any operation.
    pub async fn migrate(&self) -> Result<(), LedgerError> {
        self.migrated
            .get_or_try_init(|| {
                bounded("migrate its schema", async {
                    match &self.database {
                        Database::Sqlite(pool) => migrator(SQLITE).run(pool).await?,
                        Database::Postgres(pool) => migrator(POSTGRES).run(pool).await?,
                    }
                    Ok(())
                })
            })
            .await
            .copied()
    }

    /// Whether the database answers and has its schema.
    ///
    /// # Errors
    ///
    /// As for any operation.
    pub async fn ping(&self) -> Result<(), LedgerError> {
        self.transaction("answer", Mode::Read, async |tx| {
            tx.rows::<(i64,)>(sql::PING, &[]).await.map(drop)
        })
        .await
    }

    /// Ends the connections.
    pub async fn close(&self) {
        match &self.database {
            Database::Sqlite(pool) => pool.close().await,
            Database::Postgres(pool) => pool.close().await,
        }
    }

    /// Runs `body` in one transaction, within [`OPERATION_TIMEOUT`]. What it wrote is committed
    /// if it returns `Ok` and undone otherwise.
    pub(crate) async fn transaction<T>(
        &self,
        what: &'static str,
        mode: Mode,
        body: impl AsyncFnOnce(&mut Transaction) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        self.migrate().await?;
        bounded(what, async {
            let mut tx = self.begin(mode).await.map_err(LedgerError::of(what))?;
            tx.what = what;
            let result = body(&mut tx).await?;
            tx.commit().await.map_err(LedgerError::of(what))?;
            Ok(result)
        })
        .await
    }

    async fn begin(&self, mode: Mode) -> Result<Transaction, sqlx::Error> {
        let inner = match (&self.database, mode) {
            (Database::Sqlite(pool), Mode::Read) => Inner::Sqlite(pool.begin_with("BEGIN").await?),
            // A transaction that reads first and writes later would fail, not wait, if another
            // wrote in between.
            (Database::Sqlite(pool), Mode::Write | Mode::Snapshot) => {
                Inner::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?)
            }
            (Database::Postgres(pool), Mode::Write) => Inner::Postgres(pool.begin().await?),
            (Database::Postgres(pool), Mode::Read) => Inner::Postgres(
                pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                    .await?,
            ),
            (Database::Postgres(pool), Mode::Snapshot) => Inner::Postgres(
                pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ")
                    .await?,
            ),
        };
        Ok(Transaction { inner, what: "" })
    }
}

/// A parameter of a statement.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bind<'a> {
    Int(i64),
    Text(&'a str),
}

/// A row that both drivers can make.
pub(crate) trait Row:
    for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{
}

impl<T> Row for T where T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{}

/// One transaction in either dialect.
#[derive(Debug)]
pub(crate) struct Transaction {
    inner: Inner,
    what: &'static str,
}

#[derive(Debug)]
enum Inner {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

/// Binds parameters of both kinds to a query of either dialect.
macro_rules! bound {
    ($query:expr, $binds:expr) => {{
        let mut query = $query;
        for bind in $binds {
            query = match *bind {
                Bind::Int(value) => query.bind(value),
                Bind::Text(value) => query.bind(value.to_owned()),
            };
        }
        query
    }};
}

impl Transaction {
    /// Runs a statement; the number of rows that it touched.
    pub(crate) async fn execute(
        &mut self,
        statement: Statement,
        binds: &[Bind<'_>],
    ) -> Result<u64, LedgerError> {
        let done = match &mut self.inner {
            Inner::Sqlite(tx) => bound!(sqlx::query::<Sqlite>(statement.sqlite), binds)
                .execute(&mut **tx)
                .await
                .map(|it| it.rows_affected()),
            Inner::Postgres(tx) => bound!(sqlx::query::<Postgres>(statement.postgres), binds)
                .execute(&mut **tx)
                .await
                .map(|it| it.rows_affected()),
        };
        done.map_err(LedgerError::of(self.what))
    }

    /// Runs a query; its rows.
    pub(crate) async fn rows<T: Row>(
        &mut self,
        statement: Statement,
        binds: &[Bind<'_>],
    ) -> Result<Vec<T>, LedgerError> {
        let rows = match &mut self.inner {
            Inner::Sqlite(tx) => {
                bound!(sqlx::query_as::<Sqlite, T>(statement.sqlite), binds)
                    .fetch_all(&mut **tx)
                    .await
            }
            Inner::Postgres(tx) => {
                bound!(sqlx::query_as::<Postgres, T>(statement.postgres), binds)
                    .fetch_all(&mut **tx)
                    .await
            }
        };
        rows.map_err(LedgerError::of(self.what))
    }

    async fn commit(self) -> Result<(), sqlx::Error> {
        match self.inner {
            Inner::Sqlite(tx) => tx.commit().await,
            Inner::Postgres(tx) => tx.commit().await,
        }
    }
}

async fn bounded<T>(
    what: &'static str,
    operation: impl Future<Output = Result<T, LedgerError>>,
) -> Result<T, LedgerError> {
    // Boxed, so that the futures of callers stay small.
    match tokio::time::timeout(OPERATION_TIMEOUT, Box::pin(operation)).await {
        Ok(result) => result,
        Err(_) => Err(LedgerError::Timeout {
            what,
            limit_s: OPERATION_TIMEOUT.as_secs(),
        }),
    }
}

fn sqlite(url: &str) -> Result<SqlitePool, LedgerError> {
    let problem = |problem: &str| LedgerError::Url {
        shown: shown(url),
        problem: problem.into(),
    };
    let options = if url.starts_with("sqlite:") {
        SqliteConnectOptions::from_str(url).map_err(|error| problem(&error.to_string()))?
    } else if url.contains("://") {
        return Err(problem("its scheme is neither sqlite nor postgres"));
    } else {
        SqliteConnectOptions::new().filename(url)
    };
    let file = options.get_filename().to_owned();
    if url.contains(":memory:") || url.contains("mode=memory") || file.as_os_str().is_empty() {
        return Err(problem("a ledger in memory would forget what it was told"));
    }
    Ok(SqlitePoolOptions::new()
        .max_connections(CONNECTIONS_MAX)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(durable(options)))
}

/// A file that is created where it is missing, and whose commits are on disk when they return:
/// the outbox forgets what the ledger said it has.
pub(crate) fn durable(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(ACQUIRE_TIMEOUT)
        .disable_statement_logging()
}

fn postgres(url: &str) -> Result<PgPool, LedgerError> {
    let options = PgConnectOptions::from_str(url).map_err(|error| LedgerError::Url {
        shown: shown(url),
        problem: error.to_string(),
    })?;
    let options = options
        .application_name("heyun-ledger")
        .options([
            ("statement_timeout", STATEMENT_TIMEOUT_MS),
            ("idle_in_transaction_session_timeout", STATEMENT_TIMEOUT_MS),
        ])
        .disable_statement_logging();
    Ok(PgPoolOptions::new()
        .max_connections(CONNECTIONS_MAX)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(options))
}

/// A URL up to where a password might begin.
fn shown(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, _)) => format!("{scheme}://…"),
        None => Path::new(url).display().to_string(),
    }
}

/// One migration: number, description, text.
pub(crate) type Step = (i64, &'static str, &'static str);

const SQLITE: &[Step] = &[
    (
        1,
        "decisions and usage",
        include_str!("../migrations/sqlite/0001_decisions_and_usage.sql"),
    ),
    (
        2,
        "a decision may come again",
        include_str!("../migrations/sqlite/0002_a_decision_may_come_again.sql"),
    ),
];

const POSTGRES: &[Step] = &[
    (
        1,
        "decisions and usage",
        include_str!("../migrations/postgres/0001_decisions_and_usage.sql"),
    ),
    (
        2,
        "a decision may come again",
        include_str!("../migrations/postgres/0002_a_decision_may_come_again.sql"),
    ),
];

/// Migrations that are part of the program: there is no folder to ship, or to forget.
pub(crate) fn migrator(steps: &'static [Step]) -> Migrator {
    let migrations = steps
        .iter()
        .map(|&(number, description, text)| {
            Migration::new(
                number,
                description.into(),
                MigrationType::Simple,
                text.into_sql_str(),
                false,
            )
        })
        .collect();
    Migrator::with_migrations(migrations)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(dialect: &str) -> Vec<i64> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("migrations")
            .join(dialect);
        let mut numbers: Vec<i64> = std::fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .map(|name| name.split('_').next().unwrap().parse().unwrap())
            .collect();
        numbers.sort_unstable();
        numbers
    }

    #[test]
    fn both_dialects_have_the_same_migrations_and_all_are_built_in() {
        let built_in = |steps: &[Step]| steps.iter().map(|it| it.0).collect::<Vec<_>>();
        assert_eq!(numbers("sqlite"), built_in(SQLITE));
        assert_eq!(numbers("postgres"), built_in(POSTGRES));
        assert_eq!(built_in(SQLITE), built_in(POSTGRES));
    }

    /// A ledger that an earlier version made keeps its rows.
    #[tokio::test]
    async fn decisions_of_the_first_version_are_there_after_the_second() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ledger.db").display().to_string();
        let pool = sqlite(&file).unwrap();
        migrator(&SQLITE[..1]).run(&pool).await.unwrap();
        let insert = "INSERT INTO decisions (workload_uid, decision_id, namespace, name, tenant,
            generation, epoch, inputs_hash, outcome, reason, verdict, decided_at_us)
            VALUES ('u', 'd', 'ns', 'web', 't', 4, 3, 'h', 'Placed', '', 'null', 7)";
        sqlx::query::<Sqlite>(insert).execute(&pool).await.unwrap();
        pool.close().await;
        let ledger = Ledger::connect(&file).await.unwrap();
        let rows = ledger.decisions_of("ns", "web", 9).await.unwrap();
        let kept: Vec<_> = rows
            .iter()
            .map(|row| (row.decision_id.as_str(), row.generation, row.decided_at_us))
            .collect();
        assert_eq!(kept, [("d", 4, 7)]);
    }

    #[tokio::test]
    async fn urls_that_cannot_be_used_are_refused_without_their_password() {
        for url in [
            "mysql://u:geheim@host/db",
            "sqlite::memory:",
            "sqlite://x?mode=memory",
            "",
            "postgres://u:geheim@host:notaport/db",
        ] {
            let error = Ledger::connect(url).await.unwrap_err();
            assert!(matches!(error, LedgerError::Url { .. }), "{url}: {error}");
            assert!(!error.to_string().contains("geheim"), "{error}");
            assert!(!error.is_transient());
        }
    }
}

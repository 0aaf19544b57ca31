//! What can go wrong, by what the caller can do about it.

use std::path::PathBuf;

use sqlx::error::DatabaseError;
use sqlx::migrate::MigrateError;
use sqlx::postgres::PgDatabaseError;

/// Why the ledger did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The URL names no database that the ledger can use. The URL is not repeated where it may
    /// hold a password.
    #[error(
        "ledger URL {shown:?} cannot be used: {problem}; write a path, sqlite:PATH or postgres://HOST/DATABASE"
    )]
    Url {
        /// The URL up to where a password might begin.
        shown: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The database cannot be reached, or not now. Trying again later may help.
    #[error("the ledger's database is away while it was to {what}: {source}")]
    Away {
        /// What was to be done.
        what: &'static str,
        /// What the driver says.
        source: sqlx::Error,
    },
    /// The database did not answer in time; whether it did what was asked is not known. Doing it
    /// again is safe.
    #[error("the ledger's database did not {what} within {limit_s} s")]
    Timeout {
        /// What was to be done.
        what: &'static str,
        /// How long it was given, in seconds.
        limit_s: u64,
    },
    /// The database refuses the data. Trying again does not help.
    #[error("the ledger's database refuses to {what}: {source}")]
    Refused {
        /// What was to be done.
        what: &'static str,
        /// What the driver says.
        source: sqlx::Error,
    },
    /// Another process does the same at this moment. Trying again later helps.
    #[error("another process is to {what} of the ledger at this moment")]
    Busy {
        /// What was to be done.
        what: &'static str,
    },
    /// The schema could not be brought to this version.
    #[error("the ledger's schema cannot be migrated: {0}")]
    Migration(#[from] MigrateError),
    /// An entry is not fit for the ledger.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// A row in the database is not what this version writes.
    #[error("row of the ledger does not make sense: {0}")]
    Corrupt(String),
}

impl LedgerError {
    /// Whether doing the same again later can succeed.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Away { .. } | Self::Timeout { .. } | Self::Busy { .. } => true,
            Self::Migration(error) => {
                matches!(error, MigrateError::Execute(source) if transient(source))
                    || matches!(error, MigrateError::ExecuteMigration(source, _) if transient(source))
            }
            Self::Url { .. } | Self::Refused { .. } | Self::Entry(_) | Self::Corrupt(_) => false,
        }
    }

    /// Sorts an error of the driver by what can be done about it.
    pub(crate) fn of(what: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| {
            if transient(&source) {
                Self::Away { what, source }
            } else {
                Self::Refused { what, source }
            }
        }
    }
}

/// Everything is taken for transient but what is known to be about the data: to try again
/// without end is seen and mended, to throw an entry away is not.
fn transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => !about_data(error.as_ref()),
        sqlx::Error::Encode(_)
        | sqlx::Error::Decode(_)
        | sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::TypeNotFound { .. } => false,
        _ => true,
    }
}

fn about_data(error: &dyn DatabaseError) -> bool {
    let code = error.code().unwrap_or_default();
    if error.try_downcast_ref::<PgDatabaseError>().is_some() {
        // Data exceptions, violated constraints, and what is too large for an index.
        return ["22", "23", "54"]
            .iter()
            .any(|class| code.starts_with(class));
    }
    // SQLite: the low byte is TOOBIG, CONSTRAINT or MISMATCH.
    code.parse::<u32>()
        .is_ok_and(|code| matches!(code & 0xff, 18..=20))
}

/// Why an entry is not fit for the ledger; found when it is appended, not when it is drained.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// A field that is part of a key is empty.
    #[error("ledger entry: {field} is empty")]
    Empty {
        /// The field.
        field: &'static str,
    },
    /// A field is longer than the ledger keeps.
    #[error("ledger entry: {field} is {length} bytes long, at most {limit} are kept")]
    TooLong {
        /// The field.
        field: &'static str,
        /// Its length in bytes.
        length: usize,
        /// The most that is kept.
        limit: usize,
    },
    /// A field holds a NUL character, which PostgreSQL does not store.
    #[error("ledger entry: {field} holds a NUL character")]
    Nul {
        /// The field.
        field: &'static str,
    },
    /// A number is negative or a time after the year 9999.
    #[error("ledger entry: {field} is {value}, which is not between 0 and {limit}")]
    OutOfRange {
        /// The field.
        field: &'static str,
        /// Its value.
        value: i64,
        /// The largest value that is taken.
        limit: i64,
    },
    /// The verdict is not JSON.
    #[error("ledger entry: verdict is not JSON: {0}")]
    Verdict(String),
}

/// Why the outbox did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// There is no room. Nothing of this call was appended.
    #[error(
        "the outbox {path} is full: {waiting} entries wait, {asked} more are over its {capacity}; \
         bring the ledger's database back, or raise the capacity"
    )]
    Full {
        /// The outbox's file.
        path: PathBuf,
        /// Entries in it.
        waiting: u64,
        /// Entries that were to be appended.
        asked: usize,
        /// The most entries it holds.
        capacity: u64,
    },
    /// The file cannot be opened, read or written.
    #[error(
        "the outbox {path} cannot be used: {source}; is another process using it, is the disk full?"
    )]
    File {
        /// The outbox's file.
        path: PathBuf,
        /// What the driver says.
        source: sqlx::Error,
    },
    /// Its folder cannot be made.
    #[error("the outbox's folder {path} cannot be made: {source}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Its schema cannot be brought to this version.
    #[error("the outbox {path} cannot be migrated: {source}")]
    Migration {
        /// The outbox's file.
        path: PathBuf,
        /// What the migrator says.
        source: MigrateError,
    },
    /// An entry cannot be written as JSON.
    #[error("the outbox {path} cannot take an entry: {source}")]
    Unwritable {
        /// The outbox's file.
        path: PathBuf,
        /// What the writer says.
        source: serde_json::Error,
    },
    /// An entry is not fit for the ledger.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// The ledger did not take the batch; the entries are still in the outbox.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

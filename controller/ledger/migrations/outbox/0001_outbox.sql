-- Entries on their way to the ledger, in the order of their arrival.
CREATE TABLE outbox (
    seq   INTEGER PRIMARY KEY AUTOINCREMENT,
    key   TEXT NOT NULL UNIQUE,
    entry TEXT NOT NULL
);

-- Entries that the ledger's database refuses for what they are: kept for people, not tried again.
CREATE TABLE refused (
    seq    INTEGER PRIMARY KEY,
    key    TEXT NOT NULL,
    entry  TEXT NOT NULL,
    reason TEXT NOT NULL
);

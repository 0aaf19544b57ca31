-- Times are UTC: *_us in microseconds, *_s in seconds since 1970-01-01.
-- Amounts are thousandths for cpu, base units (bytes, pieces) otherwise.

CREATE TABLE decisions (
    workload_uid  TEXT   NOT NULL,
    decision_id   TEXT   NOT NULL,
    namespace     TEXT   NOT NULL,
    name          TEXT   NOT NULL,
    tenant        TEXT   NOT NULL,
    generation    BIGINT NOT NULL,
    epoch         BIGINT NOT NULL,
    inputs_hash   TEXT   NOT NULL,
    outcome       TEXT   NOT NULL,
    reason        TEXT   NOT NULL,
    verdict       TEXT   NOT NULL,
    decided_at_us BIGINT NOT NULL,
    PRIMARY KEY (workload_uid, decision_id)
);
CREATE INDEX decisions_by_workload ON decisions (namespace, name, decided_at_us);

-- A step says: from at_us on, this workload holds this amount, until its next step. The whole
-- row is the key, so a step that comes twice is there once, in whatever order steps come.
-- closing: the closing that counted it, 0 while none has.
CREATE TABLE usage_steps (
    workload_uid TEXT   NOT NULL,
    member       TEXT   NOT NULL,
    flavor       TEXT   NOT NULL,
    resource     TEXT   NOT NULL,
    at_us        BIGINT NOT NULL,
    epoch        BIGINT NOT NULL,
    amount       BIGINT NOT NULL,
    namespace    TEXT   NOT NULL,
    name         TEXT   NOT NULL,
    tenant       TEXT   NOT NULL,
    decision_id  TEXT   NOT NULL,
    closing      BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (workload_uid, member, flavor, resource, at_us, epoch, amount)
);
CREATE INDEX usage_steps_by_time ON usage_steps (at_us);
CREATE INDEX usage_steps_uncounted ON usage_steps (at_us) WHERE closing = 0;

-- One row for each run that closed hours or corrected closed ones. Hours before until_s are
-- closed. The key refuses a second run at the same time.
CREATE TABLE closings (
    id           BIGINT NOT NULL PRIMARY KEY,
    from_s       BIGINT NOT NULL,
    until_s      BIGINT NOT NULL,
    closed_at_us BIGINT NOT NULL
);

-- Append-only. The amount-seconds of an hour are the sum over its closings: the first counts
-- it, later ones correct it by what came late. Stored as amount_hi * 2^32 + amount_lo, with
-- 0 <= amount_lo < 2^32, so that sums of any length stay exact in 64 bits.
CREATE TABLE usage_hourly (
    hour_s    BIGINT NOT NULL,
    tenant    TEXT   NOT NULL,
    flavor    TEXT   NOT NULL,
    member    TEXT   NOT NULL,
    resource  TEXT   NOT NULL,
    closing   BIGINT NOT NULL REFERENCES closings (id),
    amount_hi BIGINT NOT NULL,
    amount_lo BIGINT NOT NULL,
    PRIMARY KEY (hour_s, tenant, flavor, member, resource, closing)
);

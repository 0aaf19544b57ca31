//! Every statement. Where the dialects agree there is one text; both number parameters `$1`.
//!
//! Rows go in as one JSON array, which each dialect unfolds: one round trip for a batch.

/// One statement in both dialects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Statement {
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

impl Statement {
    const fn both(text: &'static str) -> Self {
        Self {
            sqlite: text,
            postgres: text,
        }
    }
}

/// Asks for nothing but an answer.
pub(crate) const PING: Statement = Statement::both("SELECT CAST(1 AS BIGINT)");

/// `$1`: array of [`crate::DecisionRow`].
pub(crate) const INSERT_DECISIONS: Statement = Statement {
    sqlite: "
        INSERT INTO decisions (workload_uid, decision_id, namespace, name, tenant, generation,
            epoch, inputs_hash, outcome, reason, verdict, decided_at_us)
        SELECT value->>'workload_uid', value->>'decision_id', value->>'namespace', value->>'name',
            value->>'tenant', value->>'generation', value->>'epoch', value->>'inputs_hash',
            value->>'outcome', value->>'reason', value->>'verdict', value->>'decided_at_us'
        FROM json_each($1) WHERE true
        ON CONFLICT DO NOTHING",
    postgres: "
        INSERT INTO decisions (workload_uid, decision_id, namespace, name, tenant, generation,
            epoch, inputs_hash, outcome, reason, verdict, decided_at_us)
        SELECT workload_uid, decision_id, namespace, name, tenant, generation,
            epoch, inputs_hash, outcome, reason, verdict, decided_at_us
        FROM jsonb_to_recordset(CAST(CAST($1 AS TEXT) AS JSONB)) AS entry(workload_uid TEXT,
            decision_id TEXT, namespace TEXT, name TEXT, tenant TEXT, generation BIGINT,
            epoch BIGINT, inputs_hash TEXT, outcome TEXT, reason TEXT, verdict TEXT,
            decided_at_us BIGINT)
        ON CONFLICT DO NOTHING",
};

/// As [`INSERT_DECISIONS`], but for those of which no row is there yet, at whatever time.
pub(crate) const STATE_DECISIONS: Statement = Statement {
    sqlite: "
        INSERT INTO decisions (workload_uid, decision_id, namespace, name, tenant, generation,
            epoch, inputs_hash, outcome, reason, verdict, decided_at_us)
        SELECT value->>'workload_uid', value->>'decision_id', value->>'namespace', value->>'name',
            value->>'tenant', value->>'generation', value->>'epoch', value->>'inputs_hash',
            value->>'outcome', value->>'reason', value->>'verdict', value->>'decided_at_us'
        FROM json_each($1) WHERE NOT EXISTS (
            SELECT 1 FROM decisions d WHERE d.workload_uid = value->>'workload_uid'
                AND d.decision_id = value->>'decision_id')
        ON CONFLICT DO NOTHING",
    postgres: "
        INSERT INTO decisions (workload_uid, decision_id, namespace, name, tenant, generation,
            epoch, inputs_hash, outcome, reason, verdict, decided_at_us)
        SELECT workload_uid, decision_id, namespace, name, tenant, generation,
            epoch, inputs_hash, outcome, reason, verdict, decided_at_us
        FROM jsonb_to_recordset(CAST(CAST($1 AS TEXT) AS JSONB)) AS entry(workload_uid TEXT,
            decision_id TEXT, namespace TEXT, name TEXT, tenant TEXT, generation BIGINT,
            epoch BIGINT, inputs_hash TEXT, outcome TEXT, reason TEXT, verdict TEXT,
            decided_at_us BIGINT)
        WHERE NOT EXISTS (
            SELECT 1 FROM decisions d WHERE d.workload_uid = entry.workload_uid
                AND d.decision_id = entry.decision_id)
        ON CONFLICT DO NOTHING",
};

/// `$1`: array of Workloads by namespace and name, each once; `$2`: how many decisions each keeps.
pub(crate) const FORGET_SURPLUS: Statement = Statement {
    sqlite: "
        DELETE FROM decisions WHERE (workload_uid, decision_id, decided_at_us) IN (
            SELECT workload_uid, decision_id, decided_at_us FROM (
                SELECT d.workload_uid, d.decision_id, d.decided_at_us, ROW_NUMBER() OVER (
                    PARTITION BY d.namespace, d.name
                    ORDER BY d.decided_at_us DESC, d.epoch DESC, d.decision_id DESC) AS place
                FROM json_each($1) JOIN decisions d
                    ON d.namespace = value->>'namespace' AND d.name = value->>'name')
            WHERE place > $2)",
    postgres: "
        DELETE FROM decisions WHERE (workload_uid, decision_id, decided_at_us) IN (
            SELECT workload_uid, decision_id, decided_at_us FROM (
                SELECT d.workload_uid, d.decision_id, d.decided_at_us, ROW_NUMBER() OVER (
                    PARTITION BY d.namespace, d.name
                    ORDER BY d.decided_at_us DESC, d.epoch DESC, d.decision_id DESC) AS place
                FROM jsonb_to_recordset(CAST(CAST($1 AS TEXT) AS JSONB))
                    AS entry(namespace TEXT, name TEXT)
                JOIN decisions d ON d.namespace = entry.namespace AND d.name = entry.name
            ) AS placed
            WHERE place > $2)",
};

/// `$1`: time, `$2`: limit. The oldest of those that are older.
pub(crate) const FORGET_OLD: Statement = Statement::both(
    "
        DELETE FROM decisions WHERE (workload_uid, decision_id, decided_at_us) IN (
            SELECT workload_uid, decision_id, decided_at_us FROM decisions
            WHERE decided_at_us < $1 ORDER BY decided_at_us LIMIT $2)",
);

/// `$1`: array of [`crate::UsageStep`].
pub(crate) const INSERT_STEPS: Statement = Statement {
    sqlite: "
        INSERT INTO usage_steps (workload_uid, member, flavor, resource, at_us, epoch, amount,
            namespace, name, tenant, decision_id)
        SELECT value->>'workload_uid', value->>'member', value->>'flavor', value->>'resource',
            value->>'at_us', value->>'epoch', value->>'amount', value->>'namespace',
            value->>'name', value->>'tenant', value->>'decision_id'
        FROM json_each($1) WHERE true
        ON CONFLICT DO NOTHING",
    postgres: "
        INSERT INTO usage_steps (workload_uid, member, flavor, resource, at_us, epoch, amount,
            namespace, name, tenant, decision_id)
        SELECT workload_uid, member, flavor, resource, at_us, epoch, amount,
            namespace, name, tenant, decision_id
        FROM jsonb_to_recordset(CAST(CAST($1 AS TEXT) AS JSONB)) AS entry(workload_uid TEXT,
            member TEXT, flavor TEXT, resource TEXT, at_us BIGINT, epoch BIGINT, amount BIGINT,
            namespace TEXT, name TEXT, tenant TEXT, decision_id TEXT)
        ON CONFLICT DO NOTHING",
};

/// `$1`: namespace, `$2`: name, `$3`: limit. Newest first.
pub(crate) const DECISIONS_OF: Statement = Statement::both(
    "
        SELECT workload_uid, decision_id, namespace, name, tenant, generation, epoch, inputs_hash,
            outcome, reason, verdict, decided_at_us
        FROM decisions WHERE namespace = $1 AND name = $2
        ORDER BY decided_at_us DESC, epoch DESC, decision_id DESC LIMIT $3",
);

/// The last closing: id and the end of what is closed.
pub(crate) const LAST_CLOSING: Statement =
    Statement::both("SELECT id, until_s FROM closings ORDER BY id DESC LIMIT 1");

/// The first step of all.
pub(crate) const FIRST_STEP: Statement = Statement::both("SELECT MIN(at_us) FROM usage_steps");

/// `$1`: end of what is closed. The first step before it that no closing has counted.
pub(crate) const FIRST_LATE_STEP: Statement =
    Statement::both("SELECT MIN(at_us) FROM usage_steps WHERE closing = 0 AND at_us < $1");

/// `$1`: from, `$2`: until, in microseconds. The steps that say what was held between: those
/// between, and the last before of each series unless that ended it.
pub(crate) const STEPS_BETWEEN: Statement = Statement::both(
    "
        SELECT s.workload_uid, s.member, s.flavor, s.resource, s.tenant, s.at_us, s.amount
        FROM usage_steps s
        WHERE s.at_us < $2 AND (s.at_us >= $1 OR (s.amount <> 0 AND NOT EXISTS (
            SELECT 1 FROM usage_steps n
            WHERE n.workload_uid = s.workload_uid AND n.member = s.member
                AND n.flavor = s.flavor AND n.resource = s.resource
                AND (n.at_us, n.epoch, n.amount) > (s.at_us, s.epoch, s.amount)
                AND n.at_us <= $1)))
        ORDER BY s.workload_uid, s.member, s.flavor, s.resource, s.at_us, s.epoch, s.amount",
);

/// `$1`: from, `$2`: until, in seconds. What closed hours hold already.
pub(crate) const RECORDED_BETWEEN: Statement = Statement::both(
    "
        SELECT hour_s, tenant, flavor, member, resource,
            CAST(SUM(amount_hi) AS BIGINT), CAST(SUM(amount_lo) AS BIGINT)
        FROM usage_hourly WHERE hour_s >= $1 AND hour_s < $2
        GROUP BY hour_s, tenant, flavor, member, resource",
);

/// `$1`: id, `$2`: from, `$3`: until, in seconds, `$4`: now.
pub(crate) const INSERT_CLOSING: Statement = Statement::both(
    "INSERT INTO closings (id, from_s, until_s, closed_at_us) VALUES ($1, $2, $3, $4)",
);

/// `$1`: closing, `$2`: array of hours.
pub(crate) const INSERT_HOURS: Statement = Statement {
    sqlite: "
        INSERT INTO usage_hourly (hour_s, tenant, flavor, member, resource, closing, amount_hi,
            amount_lo)
        SELECT value->>'hour_s', value->>'tenant', value->>'flavor', value->>'member',
            value->>'resource', CAST($1 AS BIGINT), value->>'amount_hi', value->>'amount_lo'
        FROM json_each($2)",
    postgres: "
        INSERT INTO usage_hourly (hour_s, tenant, flavor, member, resource, closing, amount_hi,
            amount_lo)
        SELECT hour_s, tenant, flavor, member, resource, CAST($1 AS BIGINT), amount_hi, amount_lo
        FROM jsonb_to_recordset(CAST(CAST($2 AS TEXT) AS JSONB)) AS entry(hour_s BIGINT,
            tenant TEXT, flavor TEXT, member TEXT, resource TEXT, amount_hi BIGINT,
            amount_lo BIGINT)",
};

/// `$1`: closing, `$2`: end of what it closes, in microseconds.
pub(crate) const MARK_COUNTED: Statement =
    Statement::both("UPDATE usage_steps SET closing = $1 WHERE closing = 0 AND at_us < $2");

/// `$1`: from, `$2`: until, in seconds, `$3`: 1 for all tenants, `$4`: array of tenants.
pub(crate) const HOURS_OF: Statement = Statement {
    sqlite: "
        SELECT hour_s, tenant, flavor, member, resource,
            CAST(SUM(amount_hi) AS BIGINT), CAST(SUM(amount_lo) AS BIGINT)
        FROM usage_hourly WHERE hour_s >= $1 AND hour_s < $2
            AND ($3 = 1 OR tenant IN (SELECT value FROM json_each($4)))
        GROUP BY hour_s, tenant, flavor, member, resource
        ORDER BY hour_s, tenant, flavor, member, resource",
    postgres: "
        SELECT hour_s, tenant, flavor, member, resource,
            CAST(SUM(amount_hi) AS BIGINT), CAST(SUM(amount_lo) AS BIGINT)
        FROM usage_hourly WHERE hour_s >= $1 AND hour_s < $2
            AND ($3 = CAST(1 AS BIGINT)
                OR tenant IN (SELECT jsonb_array_elements_text(CAST(CAST($4 AS TEXT) AS JSONB))))
        GROUP BY hour_s, tenant, flavor, member, resource
        ORDER BY hour_s, tenant, flavor, member, resource",
};

/// As [`HOURS_OF`], summed over the hours.
pub(crate) const TOTALS_OF: Statement = Statement {
    sqlite: "
        SELECT tenant, flavor, member, resource,
            CAST(SUM(amount_hi) AS BIGINT), CAST(SUM(amount_lo) AS BIGINT)
        FROM usage_hourly WHERE hour_s >= $1 AND hour_s < $2
            AND ($3 = 1 OR tenant IN (SELECT value FROM json_each($4)))
        GROUP BY tenant, flavor, member, resource",
    postgres: "
        SELECT tenant, flavor, member, resource,
            CAST(SUM(amount_hi) AS BIGINT), CAST(SUM(amount_lo) AS BIGINT)
        FROM usage_hourly WHERE hour_s >= $1 AND hour_s < $2
            AND ($3 = CAST(1 AS BIGINT)
                OR tenant IN (SELECT jsonb_array_elements_text(CAST(CAST($4 AS TEXT) AS JSONB))))
        GROUP BY tenant, flavor, member, resource",
};

-- A decision that is made again, after another of the same generation, is a row of its own: the
-- same id at a later time. SQLite changes no primary key: the table is made anew.

CREATE TABLE decisions_new (
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
    PRIMARY KEY (workload_uid, decision_id, decided_at_us)
);
INSERT INTO decisions_new (workload_uid, decision_id, namespace, name, tenant, generation, epoch,
    inputs_hash, outcome, reason, verdict, decided_at_us)
SELECT workload_uid, decision_id, namespace, name, tenant, generation, epoch,
    inputs_hash, outcome, reason, verdict, decided_at_us
FROM decisions;
DROP TABLE decisions;
ALTER TABLE decisions_new RENAME TO decisions;
CREATE INDEX decisions_by_workload ON decisions (namespace, name, decided_at_us);
-- Old ones are forgotten by their age.
CREATE INDEX decisions_by_time ON decisions (decided_at_us);

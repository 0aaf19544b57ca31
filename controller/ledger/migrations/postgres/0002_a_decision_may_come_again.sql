-- A decision that is made again, after another of the same generation, is a row of its own: the
-- same id at a later time.

ALTER TABLE decisions
    DROP CONSTRAINT decisions_pkey,
    ADD PRIMARY KEY (workload_uid, decision_id, decided_at_us);
-- Old ones are forgotten by their age.
CREATE INDEX decisions_by_time ON decisions (decided_at_us);

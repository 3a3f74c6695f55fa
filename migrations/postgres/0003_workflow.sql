-- Deadlines, how far each engine has read the change feed, and claims.

CREATE TABLE timer (
    name         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    due          BIGINT NOT NULL,
    subject_type TEXT   NOT NULL,
    subject_id   TEXT   NOT NULL,
    kind         TEXT   NOT NULL
);

CREATE INDEX timer_due ON timer (due, name);

CREATE TABLE engine_position (
    engine   TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    sequence BIGINT NOT NULL
);

-- A claim is inserted and deleted by the same transaction: others wait for its end. Nothing here
-- has to survive a crash.
CREATE UNLOGGED TABLE claim (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY
);

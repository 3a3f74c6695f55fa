-- The process that has the database, and durable work. The same tables as on PostgreSQL, where
-- several processes share them.
-- All instants of this file are the database's, in microseconds, so that clocks need not agree.

-- A process says from time to time that it lives.
CREATE TABLE process (
    process INTEGER NOT NULL PRIMARY KEY,
    expires INTEGER NOT NULL
) WITHOUT ROWID;

-- A lease is good as long as its process lives; the token grows whenever it changes hands.
CREATE TABLE lease (
    name    TEXT NOT NULL PRIMARY KEY,
    process INTEGER NOT NULL,
    token   INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE job (
    row_key    INTEGER PRIMARY KEY,
    id         TEXT NOT NULL,
    kind       TEXT NOT NULL,
    state      INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,
    process    INTEGER NOT NULL,
    not_before INTEGER NOT NULL,
    created    INTEGER NOT NULL,
    finished   INTEGER,
    expires    INTEGER,
    progress   TEXT   NOT NULL,
    status     INTEGER NOT NULL,
    parameters TEXT   NOT NULL,
    result     TEXT
);

CREATE UNIQUE INDEX job_id ON job (id);
CREATE INDEX job_open ON job (row_key) WHERE state < 2;
CREATE INDEX job_expires ON job (expires) WHERE expires IS NOT NULL;

-- The versions that a step of a job made, written with them: a step is done once.
CREATE TABLE job_step (
    job           INTEGER NOT NULL,
    step          INTEGER NOT NULL,
    place         INTEGER NOT NULL,
    resource_type TEXT NOT NULL,
    id            TEXT NOT NULL,
    version       INTEGER NOT NULL,
    PRIMARY KEY (job, step, place)
) WITHOUT ROWID;

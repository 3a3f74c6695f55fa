-- Processes that share the database, what only one of them does at a time, and durable work.
-- All instants of this file are the database's, in microseconds, so that clocks need not agree.

-- A process says from time to time that it lives.
CREATE TABLE process (
    process BIGINT NOT NULL PRIMARY KEY,
    expires BIGINT NOT NULL
);

-- A lease is good as long as its process lives; the token grows whenever it changes hands.
CREATE TABLE lease (
    name    TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    process BIGINT NOT NULL,
    token   BIGINT NOT NULL
);

CREATE TABLE job (
    row_key    BIGINT NOT NULL PRIMARY KEY,
    id         TEXT COLLATE "C" NOT NULL,
    kind       TEXT COLLATE "C" NOT NULL,
    state      BIGINT NOT NULL,
    attempts   BIGINT NOT NULL,
    process    BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    created    BIGINT NOT NULL,
    finished   BIGINT,
    expires    BIGINT,
    progress   TEXT   NOT NULL,
    status     BIGINT NOT NULL,
    parameters TEXT   NOT NULL,
    result     TEXT
);

CREATE UNIQUE INDEX job_id ON job (id);
CREATE INDEX job_open ON job (row_key) WHERE state < 2;
CREATE INDEX job_expires ON job (expires) WHERE expires IS NOT NULL;

-- The versions that a step of a job made, written with them: a step is done once.
CREATE TABLE job_step (
    job           BIGINT NOT NULL,
    step          BIGINT NOT NULL,
    place         BIGINT NOT NULL,
    resource_type TEXT COLLATE "C" NOT NULL,
    id            TEXT COLLATE "C" NOT NULL,
    version       BIGINT NOT NULL,
    PRIMARY KEY (job, step, place)
);

-- Deadlines, and how far each engine has read the change feed.

CREATE TABLE timer (
    name         TEXT    NOT NULL PRIMARY KEY,
    due          INTEGER NOT NULL,
    subject_type TEXT    NOT NULL,
    subject_id   TEXT    NOT NULL,
    kind         TEXT    NOT NULL
) WITHOUT ROWID;

CREATE INDEX timer_due ON timer (due);

CREATE TABLE engine_position (
    engine   TEXT    NOT NULL PRIMARY KEY,
    sequence INTEGER NOT NULL
) WITHOUT ROWID;

-- Claims need no table here: the one writer already runs one transaction after the other.

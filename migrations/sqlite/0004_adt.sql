-- HL7 messages as received, and their place in a visit.

CREATE TABLE adt_message (
    row_key           INTEGER PRIMARY KEY,
    feed              TEXT    NOT NULL,
    sender            TEXT    NOT NULL,
    control_id        TEXT    NOT NULL,
    hash              BLOB    NOT NULL,
    received          INTEGER NOT NULL,
    event             TEXT    NOT NULL,
    bytes             BLOB    NOT NULL,
    state             INTEGER NOT NULL,
    acknowledgement   TEXT    NOT NULL,
    reason            TEXT    NOT NULL,
    attempts          INTEGER NOT NULL,
    control_id_reused INTEGER NOT NULL,
    process           INTEGER NOT NULL,
    lane              INTEGER NOT NULL
);

CREATE UNIQUE INDEX adt_message_content ON adt_message (feed, hash);
CREATE INDEX adt_message_control_id ON adt_message (feed, sender, control_id);
CREATE INDEX adt_message_state ON adt_message (state, feed);

-- Messages that wait, by lane: those of one patient take effect one after another.
CREATE INDEX adt_message_lane ON adt_message (lane, row_key) WHERE state = 0;

CREATE TABLE adt_visit_message (
    visit   TEXT    NOT NULL,
    row_key INTEGER NOT NULL,
    PRIMARY KEY (visit, row_key)
) WITHOUT ROWID;

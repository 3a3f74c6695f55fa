-- HL7 messages as received, and their place in a visit.

CREATE TABLE adt_message (
    row_key           BIGINT NOT NULL PRIMARY KEY,
    feed              TEXT COLLATE "C" NOT NULL,
    sender            TEXT COLLATE "C" NOT NULL,
    control_id        TEXT COLLATE "C" NOT NULL,
    hash              BYTEA  NOT NULL,
    received          BIGINT NOT NULL,
    event             TEXT   NOT NULL,
    bytes             BYTEA  NOT NULL,
    state             BIGINT NOT NULL,
    acknowledgement   TEXT   NOT NULL,
    reason            TEXT   NOT NULL,
    attempts          BIGINT NOT NULL,
    control_id_reused BIGINT NOT NULL,
    process           BIGINT NOT NULL,
    lane              BIGINT NOT NULL
);

CREATE UNIQUE INDEX adt_message_content ON adt_message (feed, hash);
CREATE INDEX adt_message_control_id ON adt_message (feed, sender, control_id);
CREATE INDEX adt_message_state ON adt_message (state, feed, row_key);

-- Messages that wait, by lane: those of one patient take effect one after another.
CREATE INDEX adt_message_lane ON adt_message (lane, row_key) WHERE state = 0;

CREATE TABLE adt_visit_message (
    visit   TEXT COLLATE "C" NOT NULL,
    row_key BIGINT NOT NULL,
    PRIMARY KEY (visit, row_key)
);

-- What resources are found by. Each table is its own index: clustered by (parameter, value, row_key).

CREATE TABLE search_token (
    parameter INTEGER NOT NULL,
    code      TEXT    NOT NULL,
    system    INTEGER NOT NULL,
    row_key   INTEGER NOT NULL,
    PRIMARY KEY (parameter, code, system, row_key)
) WITHOUT ROWID;

CREATE TABLE search_string (
    parameter  INTEGER NOT NULL,
    normalised TEXT    NOT NULL,
    exact      TEXT    NOT NULL,
    row_key    INTEGER NOT NULL,
    PRIMARY KEY (parameter, normalised, exact, row_key)
) WITHOUT ROWID;

CREATE TABLE search_date (
    parameter INTEGER NOT NULL,
    low       INTEGER NOT NULL,
    high      INTEGER NOT NULL,
    row_key   INTEGER NOT NULL,
    PRIMARY KEY (parameter, low, high, row_key)
) WITHOUT ROWID;

CREATE INDEX search_date_high ON search_date (parameter, high);

CREATE TABLE search_reference (
    parameter   INTEGER NOT NULL,
    target_id   TEXT    NOT NULL,
    target_type TEXT    NOT NULL,
    row_key     INTEGER NOT NULL,
    PRIMARY KEY (parameter, target_id, target_type, row_key)
) WITHOUT ROWID;

CREATE TABLE search_quantity (
    parameter INTEGER NOT NULL,
    low       REAL    NOT NULL,
    high      REAL    NOT NULL,
    system    INTEGER NOT NULL,
    code      TEXT    NOT NULL,
    row_key   INTEGER NOT NULL,
    PRIMARY KEY (parameter, low, high, system, code, row_key)
) WITHOUT ROWID;

CREATE INDEX search_quantity_span ON search_quantity (parameter, high) WHERE high > low;

CREATE TABLE search_number (
    parameter INTEGER NOT NULL,
    low       REAL    NOT NULL,
    high      REAL    NOT NULL,
    row_key   INTEGER NOT NULL,
    PRIMARY KEY (parameter, low, high, row_key)
) WITHOUT ROWID;

CREATE INDEX search_number_span ON search_number (parameter, high) WHERE high > low;

CREATE TABLE search_uri (
    parameter INTEGER NOT NULL,
    uri       TEXT    NOT NULL,
    row_key   INTEGER NOT NULL,
    PRIMARY KEY (parameter, uri, row_key)
) WITHOUT ROWID;

-- Rough, and checked on the document beside the resource.
CREATE TABLE search_composite (
    parameter INTEGER NOT NULL,
    key       TEXT    NOT NULL,
    low       REAL    NOT NULL,
    high      REAL    NOT NULL,
    row_key   INTEGER NOT NULL,
    PRIMARY KEY (parameter, key, low, high, row_key)
) WITHOUT ROWID;

CREATE INDEX search_composite_span ON search_composite (parameter, key, high) WHERE high > low;

-- What codes are shown as, whoever sent them: one row for all resources.
CREATE TABLE search_display (
    parameter  INTEGER NOT NULL,
    normalised TEXT    NOT NULL,
    code       TEXT    NOT NULL,
    system     INTEGER NOT NULL,
    PRIMARY KEY (parameter, normalised, code, system)
) WITHOUT ROWID;

CREATE TABLE compartment (
    patient TEXT    NOT NULL,
    row_key INTEGER NOT NULL,
    PRIMARY KEY (patient, row_key)
) WITHOUT ROWID;

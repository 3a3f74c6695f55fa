-- What resources are found by: one covering index each, (parameter, value, row_key).

CREATE TABLE search_token (
    parameter INTEGER NOT NULL,
    code      TEXT COLLATE "C" NOT NULL,
    system    BIGINT  NOT NULL,
    row_key   BIGINT  NOT NULL
);

CREATE INDEX search_token_value ON search_token (parameter, code, system, row_key);

CREATE TABLE search_string (
    parameter  INTEGER NOT NULL,
    normalised TEXT COLLATE "C" NOT NULL,
    exact      TEXT COLLATE "C" NOT NULL,
    row_key    BIGINT  NOT NULL
);

CREATE INDEX search_string_value ON search_string (parameter, normalised, exact, row_key);

CREATE TABLE search_date (
    parameter INTEGER NOT NULL,
    low       BIGINT  NOT NULL,
    high      BIGINT  NOT NULL,
    row_key   BIGINT  NOT NULL
);

CREATE INDEX search_date_value ON search_date (parameter, low, high, row_key);
CREATE INDEX search_date_high ON search_date (parameter, high, low, row_key);

CREATE TABLE search_reference (
    parameter   INTEGER NOT NULL,
    target_id   TEXT COLLATE "C" NOT NULL,
    target_type TEXT COLLATE "C" NOT NULL,
    row_key     BIGINT  NOT NULL
);

CREATE INDEX search_reference_value
    ON search_reference (parameter, target_id, target_type, row_key);

CREATE TABLE search_quantity (
    parameter INTEGER NOT NULL,
    low       DOUBLE PRECISION NOT NULL,
    high      DOUBLE PRECISION NOT NULL,
    system    BIGINT  NOT NULL,
    code      TEXT COLLATE "C" NOT NULL,
    row_key   BIGINT  NOT NULL
);

CREATE INDEX search_quantity_value
    ON search_quantity (parameter, low, high, system, code, row_key);
CREATE INDEX search_quantity_span
    ON search_quantity (parameter, high, low, system, code, row_key) WHERE high > low;

CREATE TABLE search_number (
    parameter INTEGER NOT NULL,
    low       DOUBLE PRECISION NOT NULL,
    high      DOUBLE PRECISION NOT NULL,
    row_key   BIGINT  NOT NULL
);

CREATE INDEX search_number_value ON search_number (parameter, low, high, row_key);

CREATE INDEX search_number_span ON search_number (parameter, high, low, row_key) WHERE high > low;

CREATE TABLE search_uri (
    parameter INTEGER NOT NULL,
    uri       TEXT COLLATE "C" NOT NULL,
    row_key   BIGINT  NOT NULL
);

CREATE INDEX search_uri_value ON search_uri (parameter, uri, row_key);

-- Rough, and checked on the document beside the resource.
CREATE TABLE search_composite (
    parameter INTEGER NOT NULL,
    key       TEXT COLLATE "C" NOT NULL,
    low       DOUBLE PRECISION NOT NULL,
    high      DOUBLE PRECISION NOT NULL,
    row_key   BIGINT  NOT NULL
);

CREATE INDEX search_composite_value ON search_composite (parameter, key, low, high, row_key);
CREATE INDEX search_composite_span
    ON search_composite (parameter, key, high, low, row_key) WHERE high > low;

-- What codes are shown as, whoever sent them: one row for all resources.
CREATE TABLE search_display (
    parameter  INTEGER NOT NULL,
    normalised TEXT COLLATE "C" NOT NULL,
    code       TEXT COLLATE "C" NOT NULL,
    system     BIGINT  NOT NULL,
    PRIMARY KEY (parameter, normalised, code, system)
);

CREATE TABLE compartment (
    patient TEXT COLLATE "C" NOT NULL,
    row_key BIGINT NOT NULL,
    PRIMARY KEY (patient, row_key)
);

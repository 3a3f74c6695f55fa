-- Resources, their versions, the change feed and the audit trail. See migrations/README.md.
-- Text that is compared has collation "C": the order of bytes, as on SQLite.

CREATE TABLE resource (
    row_key       BIGINT NOT NULL PRIMARY KEY,
    resource_type TEXT COLLATE "C" NOT NULL,
    id            TEXT COLLATE "C" NOT NULL,
    version       BIGINT NOT NULL,
    last_updated  BIGINT NOT NULL,
    kind          BIGINT NOT NULL,
    sequence      BIGINT NOT NULL,
    entries       JSONB  NOT NULL,
    text          BYTEA
);

-- The document is compressed also in small rows, and nothing is put aside that fits into a page.
ALTER TABLE resource ALTER COLUMN entries SET STORAGE MAIN, ALTER COLUMN text SET STORAGE MAIN;
ALTER TABLE resource SET (toast_tuple_target = 128);

CREATE UNIQUE INDEX resource_identity ON resource (resource_type, id);
CREATE INDEX resource_live ON resource (resource_type, row_key) WHERE text IS NOT NULL;
CREATE INDEX resource_updated ON resource (resource_type, last_updated) WHERE text IS NOT NULL;

CREATE TABLE resource_version (
    sequence     BIGINT NOT NULL PRIMARY KEY,
    row_key      BIGINT NOT NULL,
    version      BIGINT NOT NULL,
    last_updated BIGINT NOT NULL,
    kind         BIGINT NOT NULL,
    text         BYTEA
);

CREATE UNIQUE INDEX resource_version_number ON resource_version (row_key, version);

CREATE TABLE change (
    sequence      BIGINT NOT NULL PRIMARY KEY,
    row_key       BIGINT NOT NULL,
    resource_type TEXT COLLATE "C" NOT NULL,
    version       BIGINT NOT NULL,
    kind          BIGINT NOT NULL,
    at            BIGINT NOT NULL,
    cause         TEXT   NOT NULL
);

CREATE INDEX change_of_type ON change (resource_type, sequence);
CREATE INDEX change_since ON change (at, resource_type);

-- What is added to the transaction id to make a sequence; see migrations/README.md.
CREATE TABLE change_epoch (
    epoch BIGINT NOT NULL
);

INSERT INTO change_epoch (epoch) VALUES (0);

CREATE TABLE audit (
    sequence      BIGINT NOT NULL PRIMARY KEY,
    at            BIGINT NOT NULL,
    caller        TEXT   NOT NULL,
    interaction   TEXT   NOT NULL,
    resource_type TEXT COLLATE "C" NOT NULL,
    id            TEXT COLLATE "C" NOT NULL,
    version       BIGINT NOT NULL
);

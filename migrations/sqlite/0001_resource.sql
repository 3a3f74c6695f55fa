-- Resources, their versions, the change feed and the audit trail. See migrations/README.md.

CREATE TABLE resource (
    row_key       INTEGER PRIMARY KEY,
    resource_type TEXT    NOT NULL,
    id            TEXT    NOT NULL,
    version       INTEGER NOT NULL,
    last_updated  INTEGER NOT NULL,
    kind          INTEGER NOT NULL,
    sequence      INTEGER NOT NULL,
    entries       TEXT    NOT NULL,
    text          BLOB
);

CREATE UNIQUE INDEX resource_identity ON resource (resource_type, id);
CREATE INDEX resource_live ON resource (resource_type) WHERE text IS NOT NULL;
CREATE INDEX resource_updated ON resource (resource_type, last_updated) WHERE text IS NOT NULL;

CREATE TABLE resource_version (
    sequence     INTEGER PRIMARY KEY,
    row_key      INTEGER NOT NULL,
    version      INTEGER NOT NULL,
    last_updated INTEGER NOT NULL,
    kind         INTEGER NOT NULL,
    text         BLOB
);

CREATE UNIQUE INDEX resource_version_number ON resource_version (row_key, version);

CREATE TABLE change (
    sequence      INTEGER PRIMARY KEY,
    row_key       INTEGER NOT NULL,
    resource_type TEXT    NOT NULL,
    version       INTEGER NOT NULL,
    kind          INTEGER NOT NULL,
    at            INTEGER NOT NULL,
    cause         TEXT    NOT NULL
);

CREATE INDEX change_of_type ON change (resource_type);
CREATE INDEX change_since ON change (at, resource_type);

CREATE TABLE audit (
    sequence      INTEGER PRIMARY KEY,
    at            INTEGER NOT NULL,
    caller        TEXT    NOT NULL,
    interaction   TEXT    NOT NULL,
    resource_type TEXT    NOT NULL,
    id            TEXT    NOT NULL,
    version       INTEGER NOT NULL
);

-- What belongs to the database itself, such as the key that signs page tokens. See migrations/README.md.

CREATE TABLE setting (
    name  TEXT  NOT NULL PRIMARY KEY,
    value BYTEA NOT NULL
);

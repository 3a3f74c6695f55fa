-- What the texts of resources are compressed with; each text names its dictionary.

CREATE TABLE text_dictionary (
    id     BIGINT NOT NULL PRIMARY KEY,
    lesson BIGINT NOT NULL,
    bytes  BYTEA  NOT NULL
);

-- What the texts of resources are compressed with; each text names its dictionary.

CREATE TABLE text_dictionary (
    id     INTEGER PRIMARY KEY,
    lesson INTEGER NOT NULL,
    bytes  BLOB    NOT NULL
);

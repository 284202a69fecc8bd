-- What a report needs of each session, and who signed it off. Both are views of recordings: every row
-- is made again at the next start.
DELETE FROM session_certificates;
DELETE FROM sessions;
-- Words, in the order of the alphabet, with spaces between: shell exec sftp.
ALTER TABLE sessions ADD COLUMN ran TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN gaps INTEGER NOT NULL DEFAULT 0;

CREATE TABLE reviews (
    -- Where the event stands.
    stream   TEXT NOT NULL,
    seq      INTEGER NOT NULL,
    session  TEXT NOT NULL,
    identity TEXT NOT NULL,
    at_ns    INTEGER NOT NULL,
    note     TEXT NOT NULL,
    PRIMARY KEY (stream, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX reviews_by_session ON reviews (session, at_ns);

-- Nodes' streams that have ended and were read for reviews: not again at each start.
CREATE TABLE node_streams (
    id TEXT PRIMARY KEY NOT NULL
) STRICT, WITHOUT ROWID;

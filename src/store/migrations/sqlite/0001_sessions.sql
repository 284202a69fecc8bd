-- The index of sessions: a view of the recordings, rebuilt by `portcullis index --rebuild`.
-- Times are nanoseconds since the epoch; serials are text because they are unsigned 64-bit numbers.
CREATE TABLE sessions (
    id            TEXT PRIMARY KEY NOT NULL,
    identity      TEXT,
    source_ip     TEXT,
    node          TEXT,
    target        TEXT,
    login         TEXT,
    door          TEXT NOT NULL,
    started_ns    INTEGER NOT NULL,
    ended_ns      INTEGER,
    end_reason    TEXT,
    outcome       TEXT NOT NULL,
    justification TEXT,
    ticket        TEXT,
    why_source    TEXT,
    channels      INTEGER NOT NULL,
    input_bytes   INTEGER NOT NULL,
    output_bytes  INTEGER NOT NULL,
    -- Number of the last event that this row shows.
    last_seq      INTEGER NOT NULL
) STRICT;

CREATE INDEX sessions_by_start ON sessions (started_ns);
CREATE INDEX sessions_by_identity ON sessions (identity, started_ns);
CREATE INDEX sessions_by_target ON sessions (target, started_ns);
CREATE INDEX sessions_by_ticket ON sessions (ticket, started_ns) WHERE ticket IS NOT NULL;
CREATE INDEX sessions_active ON sessions (started_ns) WHERE ended_ns IS NULL;

-- Certificates under which a session ran: the first and those that renewed it.
CREATE TABLE session_certificates (
    session     TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    fingerprint TEXT NOT NULL,
    serial      TEXT NOT NULL,
    ca          TEXT NOT NULL,
    PRIMARY KEY (session, fingerprint, serial, ca)
) STRICT, WITHOUT ROWID;

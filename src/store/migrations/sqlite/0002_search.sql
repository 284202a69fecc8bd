-- What `search` looks through: a view of the recordings as well (`src/store/search`). A line's id is
-- the millisecond in which it happened, or the next free one, so that newest first is the order of
-- the index itself. `at` is milliseconds since the session's start.

-- Numbers for who and where: each is a term of the index beside the words.
CREATE TABLE search_names (
    number INTEGER PRIMARY KEY,
    name   TEXT NOT NULL UNIQUE
) STRICT;

-- How far a session is in the index: the cursor. A line cannot be in twice, so that a session that
-- is not whole is read again from anywhere.
CREATE TABLE search_sessions (
    number     INTEGER PRIMARY KEY,
    session    TEXT NOT NULL UNIQUE,
    identity   INTEGER NOT NULL,
    target     INTEGER NOT NULL,
    started_ms INTEGER NOT NULL,
    -- It ended, and all of it is in.
    whole      INTEGER NOT NULL DEFAULT 0,
    -- So is what was on its screens, but for so many lines beyond the bound.
    screen     INTEGER NOT NULL DEFAULT 0,
    left_out   INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX search_unfinished ON search_sessions (session) WHERE whole = 0;

CREATE TABLE commands (
    id INTEGER PRIMARY KEY, session INTEGER NOT NULL, seq INTEGER NOT NULL, nth INTEGER NOT NULL,
    at INTEGER NOT NULL, channel INTEGER, exec INTEGER NOT NULL, exit INTEGER, confidence INTEGER,
    text TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX commands_once ON commands (session, seq, nth);
CREATE VIRTUAL TABLE commands_text USING fts5 (text, identity, target,
    content = '', columnsize = 0, detail = none, tokenize = 'trigram case_sensitive 1');

CREATE TABLE files (
    id INTEGER PRIMARY KEY, session INTEGER NOT NULL, seq INTEGER NOT NULL, nth INTEGER NOT NULL,
    at INTEGER NOT NULL, channel INTEGER, exec INTEGER NOT NULL, exit INTEGER, confidence INTEGER,
    text TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX files_once ON files (session, seq, nth);
CREATE VIRTUAL TABLE files_text USING fts5 (text, identity, target,
    content = '', columnsize = 0, detail = none, tokenize = 'trigram case_sensitive 1');

CREATE TABLE forwards (
    id INTEGER PRIMARY KEY, session INTEGER NOT NULL, seq INTEGER NOT NULL, nth INTEGER NOT NULL,
    at INTEGER NOT NULL, channel INTEGER, exec INTEGER NOT NULL, exit INTEGER, confidence INTEGER,
    text TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX forwards_once ON forwards (session, seq, nth);
CREATE VIRTUAL TABLE forwards_text USING fts5 (text, identity, target,
    content = '', columnsize = 0, detail = none, tokenize = 'trigram case_sensitive 1');

CREATE TABLE screen (
    id INTEGER PRIMARY KEY, session INTEGER NOT NULL, seq INTEGER NOT NULL, nth INTEGER NOT NULL,
    at INTEGER NOT NULL, channel INTEGER, exec INTEGER NOT NULL, exit INTEGER, confidence INTEGER,
    text TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX screen_once ON screen (session, seq, nth);
CREATE VIRTUAL TABLE screen_text USING fts5 (text, identity, target,
    content = '', columnsize = 0, detail = none, tokenize = 'trigram case_sensitive 1');

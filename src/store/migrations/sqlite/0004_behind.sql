-- Asked with each search: is there a session that ended and is not whole in the index? These two are
-- all that is read for the answer.
CREATE INDEX sessions_ended ON sessions (id) WHERE ended_ns IS NOT NULL;
CREATE INDEX search_whole ON search_sessions (session) WHERE whole = 1;

-- +goose Up
CREATE TABLE resources (
  id      INTEGER PRIMARY KEY,
  address TEXT NOT NULL UNIQUE,
  stack   TEXT NOT NULL
);
CREATE INDEX resources_stack ON resources (stack);

-- What observations say, apart from when: most snapshots say what the one
-- before said.
CREATE TABLE contents (
  id   INTEGER PRIMARY KEY,
  body BLOB NOT NULL
);

-- seq is given without gaps, and no row is ever deleted.
CREATE TABLE observations (
  seq      INTEGER PRIMARY KEY,
  identity BLOB    NOT NULL UNIQUE,
  time     INTEGER NOT NULL, -- nanoseconds since 1970
  seen     INTEGER,
  kind     INTEGER NOT NULL,
  resource INTEGER NOT NULL REFERENCES resources (id),
  content  INTEGER NOT NULL REFERENCES contents (id),
  own      BLOB              -- identifier, message, metrics
);
CREATE INDEX observations_time ON observations (time, identity);
CREATE INDEX observations_resource ON observations (resource, time);

CREATE TABLE quarantine (
  digest BLOB PRIMARY KEY,
  body   BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE drifts (
  id       TEXT PRIMARY KEY,
  resource TEXT    NOT NULL,
  stack    TEXT    NOT NULL,
  active   INTEGER NOT NULL,
  changed  INTEGER NOT NULL,
  body     BLOB    NOT NULL
);
CREATE INDEX drifts_changed ON drifts (active, changed);
CREATE INDEX drifts_resource ON drifts (resource);

CREATE TABLE proposals (
  id    TEXT PRIMARY KEY,
  drift TEXT    NOT NULL,
  state TEXT    NOT NULL,
  hash  TEXT    NOT NULL,
  rank  INTEGER NOT NULL,
  body  BLOB    NOT NULL
);
CREATE INDEX proposals_drift ON proposals (drift);

CREATE TABLE decisions (
  id       TEXT PRIMARY KEY,
  proposal TEXT    NOT NULL,
  time     INTEGER NOT NULL,
  body     BLOB    NOT NULL
);
CREATE INDEX decisions_proposal ON decisions (proposal);

CREATE TABLE runs (
  id       TEXT PRIMARY KEY,
  proposal TEXT    NOT NULL,
  stack    TEXT    NOT NULL,
  state    INTEGER NOT NULL,
  started  INTEGER NOT NULL,
  body     BLOB    NOT NULL
);
CREATE INDEX runs_started ON runs (started);
CREATE INDEX runs_proposal ON runs (proposal);

CREATE TABLE rules (
  id      TEXT PRIMARY KEY,
  created INTEGER NOT NULL,
  body    BLOB    NOT NULL
);

CREATE TABLE checkpoints (
  name     TEXT PRIMARY KEY,
  sequence INTEGER NOT NULL,
  time     INTEGER,
  checksum BLOB    NOT NULL, -- SHA-256 of data
  data     BLOB    NOT NULL
);

-- +goose Up
CREATE TABLE anomalies (
  id       TEXT PRIMARY KEY,
  resource TEXT    NOT NULL,
  stack    TEXT    NOT NULL,
  active   INTEGER NOT NULL,
  time     INTEGER NOT NULL,
  body     BLOB    NOT NULL
);
CREATE INDEX anomalies_time ON anomalies (active, time);
CREATE INDEX anomalies_resource ON anomalies (resource);

-- A series is one metric of one resource: a rollup names both by one number.
CREATE TABLE series (
  id       INTEGER PRIMARY KEY,
  resource INTEGER NOT NULL REFERENCES resources (id),
  metric   TEXT    NOT NULL,
  UNIQUE (resource, metric)
);
CREATE TABLE rollups (
  series INTEGER NOT NULL REFERENCES series (id),
  span   INTEGER NOT NULL, -- nanoseconds
  start  INTEGER NOT NULL, -- nanoseconds since 1970
  count  INTEGER NOT NULL,
  sum    REAL    NOT NULL,
  min    REAL    NOT NULL,
  max    REAL    NOT NULL,
  last   REAL    NOT NULL,
  PRIMARY KEY (series, span, start)
) WITHOUT ROWID;

-- Log records without a resource. A number is never given twice, so that who
-- reads on after one misses nothing.
CREATE TABLE aside (
  seq      INTEGER PRIMARY KEY AUTOINCREMENT,
  identity BLOB    NOT NULL UNIQUE,
  time     INTEGER NOT NULL,
  input    TEXT    NOT NULL,
  format   TEXT    NOT NULL,
  action   TEXT    NOT NULL,
  target   TEXT    NOT NULL, -- the first, '' if none
  reason   TEXT    NOT NULL,
  message  TEXT    NOT NULL,
  body     BLOB    NOT NULL  -- the record but for its message
);

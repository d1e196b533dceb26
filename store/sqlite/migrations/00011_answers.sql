-- +goose Up
-- What requests with a key were answered; status is 0 while one is carried out.
CREATE TABLE answers (
  id     BLOB PRIMARY KEY,
  digest BLOB    NOT NULL,
  begun  INTEGER NOT NULL, -- nanoseconds since 1970
  status INTEGER NOT NULL,
  type   TEXT    NOT NULL,
  body   BLOB    NOT NULL
) WITHOUT ROWID;
CREATE INDEX answers_begun ON answers (begun);

-- Lists of all are given out page by page.
CREATE INDEX anomalies_noticed ON anomalies (time);
CREATE INDEX decisions_time ON decisions (time);

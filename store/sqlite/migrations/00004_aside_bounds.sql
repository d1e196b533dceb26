-- +goose Up
-- How many records are kept aside of each input and how many were dropped for
-- others: counting rows would read them all.
CREATE TABLE aside_inputs (
  input   TEXT PRIMARY KEY,
  kept    INTEGER NOT NULL,
  dropped INTEGER NOT NULL,
  last    INTEGER           -- when one was dropped last, nanoseconds since 1970
) WITHOUT ROWID;
INSERT INTO aside_inputs (input, kept, dropped) SELECT input, count(*), 0 FROM aside GROUP BY input;
CREATE INDEX aside_time ON aside (input, time);

-- +goose Up
-- Versions of the model. The body goes when newer ones have come; what is
-- known of a version stays.
CREATE TABLE versions (
  id       INTEGER PRIMARY KEY, -- the version's number
  state    TEXT    NOT NULL,
  before   INTEGER NOT NULL,
  body     BLOB    NOT NULL,
  checksum BLOB,                -- SHA-256 of data
  data     BLOB                 -- what the model starts from
);

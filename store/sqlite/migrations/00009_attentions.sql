-- +goose Up
-- Resources that are read more often for a time.
CREATE TABLE attentions (
  id      TEXT PRIMARY KEY,
  created INTEGER NOT NULL,
  body    BLOB    NOT NULL
);

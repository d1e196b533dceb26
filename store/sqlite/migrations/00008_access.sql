-- +goose Up
-- Who may sign in. folded is the name without regard to case; tokens of services and
-- sources act under a name of their own, which is nobody else's.
CREATE TABLE accounts (
  id     TEXT PRIMARY KEY,
  folded TEXT NOT NULL UNIQUE,
  body   BLOB NOT NULL
);

CREATE TABLE tokens (
  id     TEXT    PRIMARY KEY,
  owner  TEXT    NOT NULL, -- the account, '' of a service or a source
  folded TEXT,             -- NULL of a person's token
  live   INTEGER NOT NULL, -- 0 of a revoked one, whose name is free again
  body   BLOB    NOT NULL
);
CREATE INDEX tokens_owner ON tokens (owner);
CREATE UNIQUE INDEX tokens_name ON tokens (folded) WHERE folded IS NOT NULL AND live = 1;

-- Browsers that have signed in. id is a hash: what is stored opens nothing.
CREATE TABLE sessions (
  id      TEXT    PRIMARY KEY,
  expires INTEGER NOT NULL,
  data    BLOB    NOT NULL
);
CREATE INDEX sessions_expires ON sessions (expires);

-- +goose Up
-- Which of the processes that share the database works on it: one row, once one did. Its
-- times are the server's.
CREATE TABLE leadership (
  one     bigint PRIMARY KEY CHECK (one = 1),
  term    bigint NOT NULL,           -- counts the leaders there were
  node    text COLLATE "C" NOT NULL, -- by its name
  address text COLLATE "C" NOT NULL, -- where the other nodes reach it
  until   timestamptz NOT NULL       -- when it leads no longer unless it says so again
);

-- The processes that share the database.
CREATE TABLE nodes (
  name    text COLLATE "C" PRIMARY KEY,
  address text COLLATE "C" NOT NULL,
  version text COLLATE "C" NOT NULL,
  seen    timestamptz NOT NULL
);

-- Files of the data directory that every node needs once it leads, by their paths below
-- it, encrypted.
CREATE TABLE shared_files (
  path    text COLLATE "C" PRIMARY KEY,
  body    bytea NOT NULL,
  changed timestamptz NOT NULL DEFAULT now()
);

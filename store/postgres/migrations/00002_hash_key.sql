-- +goose Up
-- Which key the hashes of sensitive values are made with, by its name: one row.
CREATE TABLE hash_key (
  one bigint PRIMARY KEY CHECK (one = 1),
  id  text COLLATE "C" NOT NULL
);

-- +goose Up
-- Which key the hashes of sensitive values are made with, by its name: one row.
CREATE TABLE hash_key (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  id  TEXT NOT NULL
);

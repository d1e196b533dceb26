-- +goose Up
-- Whose session it is, so that all of somebody's can be ended.
ALTER TABLE sessions ADD COLUMN owner TEXT NOT NULL DEFAULT '';
CREATE INDEX sessions_owner ON sessions (owner);

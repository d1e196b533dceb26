-- +goose Up
-- The audit log: entries as JSON, one behind the other. What they are found by is
-- computed from them, so that a search finds what verification has checked.
CREATE TABLE audit (
  sequence  INTEGER PRIMARY KEY,
  body      TEXT NOT NULL,
  time      TEXT GENERATED ALWAYS AS (rtrim(json_extract(body, '$.time'), 'Z')) VIRTUAL,
  principal TEXT GENERATED ALWAYS AS (json_extract(body, '$.principal')) VIRTUAL,
  name      TEXT GENERATED ALWAYS AS (json_extract(body, '$.name')) VIRTUAL,
  act       TEXT GENERATED ALWAYS AS (json_extract(body, '$.act')) VIRTUAL,
  outcome   TEXT GENERATED ALWAYS AS (json_extract(body, '$.outcome')) VIRTUAL,
  stack     TEXT GENERATED ALWAYS AS (json_extract(body, '$.target.stack')) VIRTUAL,
  target    TEXT GENERATED ALWAYS AS (json_extract(body, '$.target.id')) VIRTUAL
);
CREATE INDEX audit_principal ON audit (principal);
CREATE INDEX audit_act ON audit (act);
CREATE INDEX audit_target ON audit (target);
CREATE INDEX audit_time ON audit (time);

-- An entry stays as it is where it is. Whoever can write the file can drop these;
-- the chain of hashes then shows it.
-- +goose StatementBegin
CREATE TRIGGER audit_keep BEFORE UPDATE ON audit BEGIN
  SELECT RAISE(ABORT, 'an entry of the audit log is never changed');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_stay BEFORE DELETE ON audit BEGIN
  SELECT RAISE(ABORT, 'an entry of the audit log is never deleted');
END;
-- +goose StatementEnd
-- REPLACE deletes without asking the trigger above.
-- +goose StatementBegin
CREATE TRIGGER audit_append BEFORE INSERT ON audit
WHEN NEW.sequence <> (SELECT coalesce(max(sequence), 0) + 1 FROM audit) BEGIN
  SELECT RAISE(ABORT, 'an entry of the audit log stands behind the last one');
END;
-- +goose StatementEnd

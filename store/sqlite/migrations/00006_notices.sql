-- +goose Up
-- What is told to people, and how far each notice has come.
CREATE TABLE notices (
  id      TEXT PRIMARY KEY,
  channel TEXT    NOT NULL,
  key     TEXT    NOT NULL,
  state   TEXT    NOT NULL,
  created INTEGER NOT NULL,
  body    BLOB    NOT NULL
);
CREATE INDEX notices_state ON notices (state, created);
CREATE INDEX notices_key ON notices (channel, key);

-- What has been told of each subject through each channel.
CREATE TABLE told (
  channel TEXT NOT NULL,
  subject TEXT NOT NULL,
  body    BLOB NOT NULL,
  PRIMARY KEY (channel, subject)
) WITHOUT ROWID;

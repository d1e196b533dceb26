-- +goose Up
-- A decision may be on a drift alone; its proposal is '' then.
ALTER TABLE decisions ADD COLUMN drift TEXT NOT NULL DEFAULT '';
UPDATE decisions SET drift = coalesce((SELECT drift FROM proposals WHERE id = decisions.proposal), '');
CREATE INDEX decisions_drift ON decisions (drift);

-- 1 of a resolved drift whose acceptance is to end.
ALTER TABLE drifts ADD COLUMN accepted INTEGER NOT NULL DEFAULT 0;
CREATE INDEX drifts_accepted ON drifts (accepted) WHERE accepted = 1;

CREATE INDEX proposals_state ON proposals (state);

CREATE TABLE freezes (
  id      TEXT PRIMARY KEY,
  created INTEGER NOT NULL,
  body    BLOB    NOT NULL
);

-- +goose Up
-- Readings that the node that leads has asked the nodes for. They last for minutes, and are
-- asked for again by whoever leads after a crash: nothing of them need survive one.
CREATE UNLOGGED TABLE readings (
  id     uuid PRIMARY KEY DEFAULT gen_random_uuid(), -- of one attempt, and never of another
  term   bigint NOT NULL,                            -- of who asked
  job    bigint NOT NULL,                            -- in the queue of jobs
  node   text COLLATE "C" NOT NULL DEFAULT '',       -- who reads, '' while nobody does
  seen   timestamptz,                                -- when that node was last heard of
  answer bytea                                       -- what was read, encrypted
);

// Package beam answers one question: how is a fleet scored, a model trained, and a
// model judged, on more than one core or machine?
//
// [Score], [Train] and [RunBacktest] are pipelines of Apache Beam over the same pure cores that
// the daemon runs: timeline, shadow and drift. They read timeline files or a store's
// PostgreSQL database and write files, scores into such a database too, on Prism within the
// process, or on Spark or Flink through Beam's job server. They consist of bounded ParDo and GroupByKey alone, since Spark's runner
// has no side inputs, triggers or self-checkpointing for Go.
//
// What it guarantees:
//
//   - A resource is scored as one process with the same checkpoint would score it.
//   - The same files, options and number of shards train the same model, on any
//     runner, unless the files have plain secrets, which are hashed under a key
//     of each job.
//   - A backtest in one shard gives the report of one process, to the last bit.
//   - A line that cannot be read is told and counted, and stops nothing.
//   - Scores in a database are whole once their job has an end, however often parts of it
//     were tried.
//   - Sensitive values are sealed where they are read, before they go to a
//     shuffle or a file.
//
// Paths are those of a file system that all workers share. It is a module of its
// own, see ARCHITECTURE.md.
package beam

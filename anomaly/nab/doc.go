// Package nab answers one question: how well does a detector find anomalies in the
// files of the Numenta Anomaly Benchmark? It scores by the benchmark's own rules
// (Lavin, Ahmad, Evaluating Real-time Anomaly Detection Algorithms, ICMLA 2015; and
// the benchmark's program, version 1.1): early detection within a window counts
// most, of a window only the alarm worth most counts, each alarm outside costs, and
// one threshold for all files is chosen that is best.
//
// It reads no files and knows no detector: the caller has the scores of each row.
package nab

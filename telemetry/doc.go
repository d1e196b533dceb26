// Package telemetry answers: how does the daemon itself do? It has the metrics that
// Prometheus scrapes, traces that go to an OpenTelemetry collector, what a log line is
// given of the request that it is written for, and whether the daemon is ready.
//
// It guarantees that the labels of metrics have few values: those of the nouns' own
// enumerations and names of the configuration, never of a resource, a person or an
// address; that nothing measures what is not asked for (without a collector no span is
// made); and that no value of a setting is in any of it.
package telemetry

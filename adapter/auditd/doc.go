// Package auditd answers one question: who did what to which file of a Linux
// host? It reads the lines of the audit daemon's log, raw or enriched, as log
// records.
//
// One event is several lines, joined by its time and serial number. Use a
// [Parser] for each log: Parse for each line, and Flush now and then, and at the
// end. What it guarantees:
//
//   - An event is one record, whether its lines come together or among those of
//     others. It ends with its EOE or PROCTITLE line, by a later event's time, or
//     by Flush: the daemon writes no EOE to its log.
//   - Memory is bounded: so many events are open at a time, each of so many
//     lines, and so many paths are remembered. What ends early is told in an
//     attribute.
//   - The actor is who signed in (auid), whatever user they became since.
//   - A line that cannot be read is an error with the reason, and nothing else
//     is lost.
//   - Command lines are redacted.
//
// The format is that of audit-userspace 2 and 3 ("The Linux audit system",
// auditd.conf(5), and the kernel's auditsc.c for which lines an event has).
// docs/logs-audit.md says what is made of them.
package auditd

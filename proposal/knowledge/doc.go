// Package knowledge answers: what do the manuals say of a setting? Which change
// restarts or replaces, what cannot be undone, what automation usually owns,
// which value is good practice and which is dangerous, each with its source.
//
// The entries are YAML with conditions in CEL, from the binary and from folders
// of the user, whose entries take the place of ours by identifier. The format
// is in docs/knowledge.md.
//
// It guarantees that a mistake in an entry is reported with file, line and
// column, all of them at once; that a lookup does no input or output, costs a
// bounded amount of work, and always gives the same answer to the same query;
// and that a condition which cannot be evaluated, such as one on a setting that
// is not there, does not hold.
package knowledge

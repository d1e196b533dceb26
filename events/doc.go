// Package events answers one question: whose event is this log record, and whose
// are these metric's values?
//
// A [Mapper] indexes the identifiers that resources have in their template and
// their snapshot: addresses, ARNs, names, paths, hosts. It turns a record into
// events of the resources that it is about, with the actor's kind, and with the
// settings touched as the resource spells them. Rules of a user come before
// whatever is built in. A line of free text gets the name of its template as its
// action, from package drain.
//
// Use it between the adapters that read records and the timeline. What it could
// not map is for the caller to keep, and to try again.
//
// What it guarantees:
//
//   - It never guesses: a record that fits several resources is unmapped, with
//     the candidates named.
//   - A repeat of a record gives observations of the same identities, on whatever
//     order the resources were made known.
//   - A failed attempt is no event of the resource, so that no drift is ever put
//     down to it: see [Mapping.Denied].
//   - A log cannot say Penumbra's own words, such as that a drift is accepted.
//   - No value of a sensitive setting passes it.
//   - No clock, no I/O. Safe for concurrent use.
//
// docs/events.md has the rules, the identifiers and figures.
package events

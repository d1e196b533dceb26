// Package timeline answers one question: what has happened to a resource, in
// which order, and how does it stand now?
//
// [Decoder] and [Encoder] read and write the timeline format: JSON Lines, one
// observation a line. [Order] turns observations that arrived in any order, any
// number of times, into one history; [Fold] carries a resource through that
// history one observation at a time. The daemon, the batch jobs and the back
// tests all use the same four.
//
// # Guarantees
//
// A line that cannot be read never stops the rest. What an Encoder writes, a
// Decoder reads back as the same observation with the same identity. Any order
// of arrival and any repeats give the same resources after Order and Fold.
// Fold never writes into a slice that it was given.
//
// # The format
//
// A line is a JSON object. Unknown fields are ignored, null is the same as
// absent, and no field may occur twice.
//
//	kind         template, snapshot, event or metric; required
//	time         when it happened, RFC 3339; required
//	resource     the resource's address; required
//	type         the resource's type
//	source       where it came from; the decoder's own source if absent
//	id           the source's identifier of the observation
//	settings     flattened path -> string, number, true, false or null
//	sensitive    list of paths that hold, or hold below them, sensitive values
//	unknown      list of paths whose value is known only after an apply
//	full         true if a snapshot lists every setting
//	not_checked  why a snapshot could not be read
//	applied      template only: path -> value last applied, where the code moved on
//	actor        who caused an event
//	actor_kind   user, automation or system
//	action       the source's own verb
//	message      the source's own words
//	metrics      name -> number, in base units
//	worse        name -> up, down or either: the way that a metric moves when
//	             performance drops; if absent, the reader's rules say it by the name
//	seen         when Penumbra first saw it, RFC 3339
package timeline

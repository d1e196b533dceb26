// Package audit answers one question: who did what, when, and can anybody have
// changed the answer since? [Log] records entries, one behind the other, in a
// chain of hashes; [Verify] holds a log, or an export of it, against that chain.
//
// It guarantees that an entry is on disk before [Log.Record] returns; that an
// entry which was changed, taken out, put elsewhere or cut off behind a head that
// somebody kept is named; and, where there is a [Keyring], that whoever can write
// the database but doesn't have the key cannot make a chain that holds. What comes
// in floods, refusals and reads, is counted rather than written one by one, by
// [Log.Count].
package audit

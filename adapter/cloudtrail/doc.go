// Package cloudtrail answers one question: who did what to which AWS resource?
// It reads AWS CloudTrail's events as log records, from the files that a trail
// writes to its bucket ({"Records": […]}, mostly gzip) and from one event a
// line, as EventBridge and CloudTrail Lake give them.
//
// Use a [Decoder] for each file. What it guarantees:
//
//   - Memory is bounded whatever the input holds: one event is in memory at a
//     time, of at most [MaxEvent] bytes.
//   - An event that cannot be read is told as a [*BadEvent] with its place and
//     the reason, and the events after it are read.
//   - The actor of an assumed role is the person or program behind it where the
//     event tells, and an attribute says which evidence told.
//   - No secret leaves the package: settings are sealed, texts redacted.
//
// The fields are those of "CloudTrail record contents" and "CloudTrail
// userIdentity element" in the AWS CloudTrail User Guide, event versions 1.0 to
// 1.11. docs/logs-audit.md says what is made of them.
package cloudtrail

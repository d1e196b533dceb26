// Package api answers one question: how does a program talk to Penumbra? It
// shows a [Service] as JSON over HTTP, described by OpenAPI 3.1, and has the Go
// client, which has all that a Service answers: whoever holds one need not know whether
// the daemon or a loop in its own process does.
//
// [Handler] makes the routes of a Service; [NewClient] talks to a daemon, and
// [InProcess] to a handler without a socket.
//
// What it guarantees:
//
//   - No route but /healthz answers without the bearer token, and none answers
//     under a host name that is not loopback, which is what DNS rebinding needs.
//   - Every error is a problem detail (RFC 9457) with what failed and what to do
//     about it; through the client it is a [penumbra.Error] of the same kind.
//   - What becomes of things is told as it happens, and who was away is told that
//     something was missed.
//   - Timelines stream in both directions: neither side holds one in memory.
//   - What went through the client is what the Service returned, the marks of
//     sensitive and of open values included.
package api

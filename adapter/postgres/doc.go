// Package postgres reads PostgreSQL servers and their logs.
//
// It answers two questions about one server: how is it configured now
// ([Server.Read]: the server's own values, what waits for a restart or a
// reload, and what is set for roles and databases), and who changed what
// ([Parser]: the jsonlog, with or without pgaudit).
//
// Reading never writes: it is one read-only transaction by a role that
// [RoleSQL] makes and that can do nothing else. What belongs to the reader's
// own session never passes for the server's. Sensitive values are sealed, and
// passwords in statements are cut out, before anything leaves the package.
//
// A log tells early and not for certain: a record of it is a hint to read the
// server, and only that read gives a verdict. Both sides spell values in one
// way, [Canonical], which templates have to pass too.
package postgres

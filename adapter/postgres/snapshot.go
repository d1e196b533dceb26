package postgres

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// leftOut reports whether a setting says nothing of how somebody configured the
// server: it belongs to the reader's session or database, to a transaction, or
// follows from other settings and the machine.
func leftOut(r *serverRow) bool {
	switch r.Name {
	case "application_name", "client_encoding", // the reader's own
		"lc_collate", "lc_ctype", "server_encoding", // of the database that is read from
		"in_hot_standby", // moves by itself when a standby takes over
		"server_version_num", "shared_memory_size", "shared_memory_size_in_huge_pages", "huge_pages_status":
		return true
	}
	if strings.HasPrefix(r.Name, "transaction_") && r.Context == "user" {
		return true
	}
	// Sized by the server itself where nobody did, such as wal_buffers.
	return r.Context == "postmaster" && r.VarType == "integer" && r.setting != r.boot &&
		(r.source == "default" || r.source == "dynamic default" || r.source == "override")
}

// rewritten are settings whose text the server changes when it takes it, so
// that the file's cannot be compared with its own.
var rewritten = map[string]bool{
	"datestyle": true, "timezone": true, "log_timezone": true, "timezone_abbreviations": true, "default_text_search_config": true,
	"max_stack_depth": true, "lc_messages": true,
}

// ofReader reports whether the value shown is only the reader's: set for its
// session, its role or its database, or what its own connection makes of it.
func ofReader(r *serverRow) bool {
	switch r.Name {
	case "tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count", "tcp_user_timeout":
		return true
	}
	switch r.source {
	case "client", "session", "interactive", "test", "user", "database", "database user", "global":
		return true
	}
	return false
}

// settings makes a snapshot's settings of the rows, sorted, each path once.
func (r *rows) settings() penumbra.Settings {
	inFile := make(map[string]*fileRow, len(r.files))
	for i := range r.files {
		if f := &r.files[i]; f.name != "" {
			inFile[strings.ToLower(f.name)] = f // the last one counts
		}
	}
	out := make([]penumbra.Setting, 0, len(r.server)+len(r.roles)*4)
	waiting := make(map[string]bool) // settings whose error in a file is only that they wait for a restart
	byName := make(map[string]*serverRow, len(r.server))
	for i := range r.server {
		x := &r.server[i]
		name := strings.ToLower(x.Name)
		byName[name] = x
		f := inFile[name]
		value := x.Canonical(x.setting)
		if ofReader(x) {
			value = x.behind(f)
		}
		if !leftOut(x) {
			out = append(out, setting(x.Name, x.Name, value))
		}
		prefix, next := x.next(f, value)
		if prefix != "" {
			out = append(out, setting(prefix+x.Name, x.Name, next))
			waiting[name] = prefix == pendingRestart
		}
	}
	out = r.fileErrors(out, waiting)
	for i := range r.roles {
		out = r.roles[i].settings(out, byName)
	}
	return penumbra.NewSettings(out...)
}

// behind returns the server's value of a setting for which the reader has one of
// its own: what the files hold, or else what the server was built with.
func (r *serverRow) behind(f *fileRow) string {
	if f != nil && f.problem == "" {
		return r.Canonical(f.setting)
	}
	return r.Default
}

// PendingRestart is what the paths of settings begin with that a restart will
// bring: the rest is the setting's name.
const PendingRestart = "pending_restart."

// Where the settings are kept that are to come.
const (
	pendingRestart = PendingRestart
	pendingReload  = "pending_reload."
)

// next returns what the files hold of a setting where that is not in force, and
// under which prefix it belongs; prefix is "" where nothing waits.
func (r *serverRow) next(f *fileRow, value string) (prefix, next string) {
	next = r.Default
	if f != nil {
		taken, ok := r.spell(f.setting)
		if !ok || f.problem != "" && !r.Restart() {
			return "", "" // an error of the file, not a value to come
		}
		next = taken
	}
	switch {
	case r.pendingRestart:
		return pendingRestart, next
	case next == value, rewritten[strings.ToLower(r.Name)], ofReader(r), leftOut(r), r.Context == "internal":
		return "", ""
	case f == nil && r.source != "configuration file":
		return "", "" // not from the files, so nothing in them can be missing
	case r.source != "configuration file" && r.source != "default":
		return "", "" // the command line or the environment wins
	case r.Restart():
		return pendingRestart, next
	}
	return pendingReload, next
}

// fileErrors appends what the server does not take of its files, by setting;
// where the error has none, by file and number.
func (r *rows) fileErrors(out []penumbra.Setting, waiting map[string]bool) []penumbra.Setting {
	count := make(map[string]int)
	for _, f := range r.files {
		if f.problem == "" || waiting[strings.ToLower(f.name)] {
			continue
		}
		at := f.name
		if at == "" {
			count[f.file]++
			at = path.Base(f.file) + "." + strconv.Itoa(count[f.file])
		}
		out = append(out, penumbra.Setting{Path: "file_error." + at, Value: penumbra.String(path.Base(f.file) + ": " + penumbra.Redact(f.problem))})
	}
	return out
}

// settings appends what is set for a role or a database.
func (r *roleRow) settings(out []penumbra.Setting, byName map[string]*serverRow) []penumbra.Setting {
	prefix := scope(r.role, r.database)
	for _, text := range r.config {
		name, value, _ := strings.Cut(text, "=")
		if d := byName[strings.ToLower(name)]; d != nil {
			name, value = d.Name, d.Canonical(value)
		}
		out = append(out, setting(prefix+name, name, value))
	}
	return out
}

// scope returns the prefix of what is set for a role, in a database; "" for the
// role means all of them, "" for the database too.
func scope(role, database string) string {
	switch {
	case database == "" && role == "":
		return "role.ALL."
	case database == "":
		return "role." + step(role) + "."
	case role == "":
		return "database." + step(database) + "."
	}
	return "role." + step(role) + "@" + step(database) + "."
}

// step returns a name as one step of a path, in SQL's double quotes where it
// could be taken for something else.
func step(name string) string {
	if strings.ContainsAny(name, `.@"`) || name == "ALL" || name == "" {
		return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
	}
	return name
}

// setting makes a setting of a text, marked if it is [Sensitive].
func setting(at, name, text string) penumbra.Setting {
	return penumbra.Setting{Path: at, Value: penumbra.String(text), Sensitive: Sensitive(name, text)}
}

// words are the parts of names under which secrets are kept.
var words = []string{"passw", "passphrase", "pwd", "secret", "token", "api_key", "apikey", "private_key", "access_key", "credential", "conninfo"}

// mentionsSecret reports whether text, in small letters, has one of the words.
func mentionsSecret(lower string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(lower, w) })
}

// secretName reports whether what has this name is a secret. A setting of the
// server's own that only speaks of them, such as password_encryption, is not.
func secretName(name string) bool {
	lower := strings.ToLower(name)
	if lower == "connection" || lower == "primary_conninfo" || lower == "ssl_passphrase_command" {
		return true
	}
	if _, own := catalogue[lower]; own {
		return false
	}
	return mentionsSecret(lower)
}

package ansible

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/yamledit"
)

// What waits in a server's files is not in force, and postgresql_set, which
// compares what is in force, would leave it. It is taken back with ALTER SYSTEM,
// by postgresql_query, which cannot run that in check mode: a query before it
// tells what the files hold.

const queryModule = "community.postgresql.postgresql_query"

// waiting returns the parameter of a path under which what waits is seen, "" if it
// is none.
func waiting(path string) string {
	for _, prefix := range [...]string{"pending_restart.", "pending_reload."} {
		if name, ok := strings.CutPrefix(path, prefix); ok {
			return name
		}
	}
	return ""
}

var parameterName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$`)

// pendingTasks writes the tasks that have the files hold a value: that of the
// setting, or for null the one that the code declares or else the one in force.
func (t *declared) pendingTasks(it *item, from *origin, x penumbra.Setting, number int) ([]*yaml.Node, error) {
	name := waiting(x.Path)
	value := x.Value
	if declared := it.pairs[name]; value.IsNull() && declared.declared {
		value = declared.want
	}
	if !parameterName.MatchString(name) || strings.Contains(value.Text(), ",") {
		return nil, &penumbra.Error{Kind: penumbra.Refused, What: x.Path + " holds a list, which cannot be written in one piece", Remedy: remedyFor(x.Path)}
	}
	wanted := "current_setting(" + sqlText(name) + ")"
	if !value.IsNull() {
		wanted = sqlText(value.Text())
	}
	held := fmt.Sprintf("SELECT (SELECT setting FROM pg_file_settings WHERE name = %s ORDER BY seqno DESC LIMIT 1) AS held, %s AS wanted, %s AS path, %t AS back",
		sqlText(name), wanted, sqlText(x.Path), x.Value.IsNull())
	register := fmt.Sprintf("penumbra_%d", number)
	var out []*yaml.Node
	for i, step := range []struct {
		title, query string
		commit       bool
	}{
		{"Read what the files hold of " + name, held, false},
		{"Have the files hold the value of " + name, "ALTER SYSTEM SET " + name + " = '{{ " + register + ".query_result[0].wanted | replace(\"'\", \"''\") }}'", true},
		{"Reload", "SELECT pg_reload_conf()", true},
	} {
		args, err := t.connection(from)
		if err != nil {
			return nil, err
		}
		defaults := t.defaults()
		for _, key := range slices.Sorted(maps.Keys(defaults)) {
			if yamledit.Child(args, key) == nil {
				put(args, key, defaults[key])
			}
		}
		put(args, "query", step.query)
		n := mapping("name", literal(step.title), queryModule, args)
		if i == 0 {
			put(n, "register", register)
		}
		if step.commit {
			put(args, "autocommit", true)
			put(n, "when", fmt.Sprintf("not ansible_check_mode and %s.query_result[0].held != %s.query_result[0].wanted", register, register))
		}
		as := *t
		as.ModuleDefaults = nil // of another module
		as.keywords(n)
		out = append(out, n)
	}
	return out, nil
}

func sqlText(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// defaults are the arguments that module_defaults give the task's own module.
func (t *declared) defaults() map[string]any {
	out := map[string]any{}
	list, _ := t.ModuleDefaults.([]any)
	for _, of := range list {
		m, _ := of.(map[string]any)
		for module, args := range m {
			if given, ok := args.(map[string]any); ok && module[strings.LastIndexByte(module, '.')+1:] == t.module() {
				for k, v := range given {
					out[k] = v
				}
			}
		}
	}
	return out
}

// pending takes in the query of a play of ours that tells what the files hold. It
// reports false for any other query.
func (b *book) pending(host string, r *result) bool {
	if len(r.Query) != 1 {
		return false
	}
	row := r.Query[0]
	path, held, wanted := text(row["path"]), text(row["held"]), text(row["wanted"])
	back, ours := row["back"].(bool)
	if !ours || waiting(path) == "" {
		return false
	}
	want, got := penumbra.String(wanted), penumbra.String(held)
	if back {
		want = penumbra.Null()
		if held == wanted {
			got = want
		}
	}
	b.item(host, "postgresql", "postgresql").set(path, want, got)
	return true
}

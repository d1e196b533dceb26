package ansible

import (
	"strings"
	"testing"
)

func TestParseExpression(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"{{ work_mem }}":                         "work_mem",
		"{{a.b['c d'][\"e\"][0].f}}":             "a b c d e 0 f",
		"{{ settings | dict2items }}":            "settings (items)",
		"{{ port | string }}":                    "port",
		"{{- x -}}":                              "x",
		"{{ a + 1 }}":                            "",
		"{{ a }}MB":                              "",
		"{{ a | default('4MB') }}":               "",
		"{{ a if b else c }}":                    "",
		"{{ lookup('env', 'A') }}":               "",
		"{% if a %}{{ b }}{% endif %}":           "",
		"{{ hostvars[inventory_hostname].port}}": "",
	} {
		name, steps, items, ok := parseExpression(text)
		got := strings.Join(append([]string{name}, steps...), " ")
		if items {
			got += " (items)"
		}
		if !ok {
			got = ""
		}
		if got != want {
			t.Errorf("%s is %q, want %q", text, got, want)
		}
	}
}

package yamledit

import (
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

func TestInsertItem(t *testing.T) {
	t.Parallel()
	const text = "- hosts: all\n  tasks:\n    # the first\n    - name: a\n      copy: {dest: /a}\n\n    # about b,\n    # and more\n    - {name: b, copy: {dest: /b}}   # kept\n"
	for _, c := range []struct {
		name, text string
		line       int
		want       string // of the text before and after the item, "" if it is refused
	}{
		{"below its comments", text, 9, "    # the first\n    - name: a\n      copy: {dest: /a}\n\n|    # about b,\n"},
		{"the first", text, 4, "  tasks:\n|    # the first\n"},
		{"windows", strings.ReplaceAll(text, "\n", "\r\n"), 9, "/a}\r\n\r\n|    # about b,\r\n"},
		{"no item", text, 5, ""},
		{"a line that is not there", text, 99, ""},
		{"inside a flow", "- hosts: all\n  tasks: [{name: a}]\n", 2, ""},
	} {
		d, err := Parse("/site.yml", "site.yml", c.text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := d.InsertItem(c.line, []string{"name: guard", "assert:", "  that: x != 1"})
		if c.want == "" {
			if penumbra.KindOf(err) != penumbra.Refused {
				t.Errorf("%s: %v\n%s", c.name, err, got)
			}
			continue
		}
		nl := "\n"
		if strings.Contains(c.text, "\r") {
			nl = "\r\n"
		}
		item := strings.ReplaceAll("    - name: guard\n      assert:\n        that: x != 1\n", "\n", nl)
		before, after, _ := strings.Cut(c.want, "|")
		if err != nil || !strings.Contains(got, before+item+after) || strings.Replace(got, item, "", 1) != c.text {
			t.Errorf("%s: %v\n%s", c.name, err, got)
		}
	}
}

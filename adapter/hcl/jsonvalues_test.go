package hcl

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

// Whatever a file of values holds: each value is where it says it is, and one
// that is set is read back, with the rest of the text as it was.
func FuzzJSONValues(f *testing.F) {
	for _, seed := range []string{
		`{"memory": 1}`, `{}`, ` {"a" : {"b":[1, "x", null, {"name":"n","v":true}]} , "memory":"1" }`,
		"{\r\n  \"memory\": -1.5e3\r\n}\r\n", `[1]`, `{"memory":1}x`, `{"memory":1,"memory":2}`, `{"m\u00e9":"\u00e9"`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		top, err := parseJSON([]byte(text))
		if (err == nil) != (json.Valid([]byte(text)) && strings.HasPrefix(strings.TrimSpace(text), "{")) {
			if err == nil {
				t.Fatalf("taken, and no JSON: %q", text)
			}
			return // numbers that the language cannot hold
		}
		if err != nil {
			return
		}
		top.visit("", func(_ string, n *node) {
			if !json.Valid([]byte(text[n.at.start:n.at.end])) {
				t.Fatalf("%q is no value of %q", text[n.at.start:n.at.end], text)
			}
		})
		memory := top.field("memory")
		if memory == nil || len(memory.members)+len(memory.items) > 0 {
			return
		}
		file := &file{path: "terraform.tfvars.json", src: []byte(text), json: top}
		if err := file.splice(memory.at.start, memory.at.end, spellJSON(penumbra.Number(7))); err != nil {
			t.Fatal(err)
		}
		now, _ := literalOf(file.json.field("memory").value)
		if now != penumbra.Number(7) || string(file.src) != text[:memory.at.start]+"7"+text[memory.at.end:] {
			t.Fatalf("%q became %q", text, file.src)
		}
	})
}

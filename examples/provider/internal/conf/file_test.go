package conf

import (
	"errors"
	"slices"
	"testing"
)

const sample = `# the web server
listen_port = 8080

; tuned after the sale in May
  memory_mb   =  1024
banner = "  two spaces  "
empty =
tag.owner = platform
tls=on
`

func TestParse(t *testing.T) {
	t.Parallel()
	file := parse(t, sample)
	want := []string{"listen_port", "memory_mb", "banner", "empty", "tag.owner", "tls"}
	if got := file.Keys(); !slices.Equal(got, want) {
		t.Errorf("Keys() = %q, want %q", got, want)
	}
	for _, tc := range []struct {
		key, value string
		line       int
	}{
		{"listen_port", "8080", 2}, {"memory_mb", "1024", 5}, {"banner", "  two spaces  ", 6},
		{"empty", "", 7}, {"tls", "on", 9},
	} {
		value, line, found := file.Get(tc.key)
		if !found || value != tc.value || line != tc.line {
			t.Errorf("Get(%q) = %q, %d, %t, want %q, %d, true", tc.key, value, line, found, tc.value, tc.line)
		}
	}
	if got := string(file.Bytes()); got != sample {
		t.Errorf("Bytes() = %q, want the text that was parsed", got)
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text string
		line int
	}{
		"no equals sign":     {"a = 1\nnonsense\n", 2},
		"no key":             {"= 1\n", 1},
		"space in key":       {"# x\n\nlisten port = 1\n", 3},
		"twice":              {"a = 1\nb = 2\na = 1\n", 3},
		"open quote":         {"a = \"x\n", 1},
		"unknown escape":     {`a = "\q"`, 1},
		"not UTF-8":          {"a = \xff\n", 1},
		"not UTF-8 by quote": {`a = "\xff"`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse([]byte(tc.text))
			var syntax *SyntaxError
			if !errors.As(err, &syntax) {
				t.Fatalf("Parse() error = %v, want a SyntaxError", err)
			}
			if syntax.Line != tc.line || syntax.Problem == "" || syntax.Remedy == "" {
				t.Errorf("Parse() error = %+v, want line %d, a problem and a remedy", syntax, tc.line)
			}
		})
	}
}

func TestSet(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, key, value, want string }{
		"keeps alignment":      {"a   =  1 \n", "a", "2", "a   =  2\n"},
		"keeps comments":       {"# why\na = 1\n\n; more\n", "a", "2", "# why\na = 2\n\n; more\n"},
		"keeps an equal value": {"a=\"1\"\n", "a", "1", "a=\"1\"\n"},
		"keeps a tight style":  {"a=1\n", "a", "2", "a=2\n"},
		"fills an empty value": {"a =\n", "a", "2", "a = 2\n"},
		"keeps CRLF":           {"a = 1\r\nb = 2\r\n", "a", "3", "a = 3\r\nb = 2\r\n"},
		"adds with CRLF":       {"a = 1\r\n", "b", "2", "a = 1\r\nb = 2\r\n"},
		"adds at the end":      {"a = 1\n# end\n", "b", "2", "a = 1\n# end\nb = 2\n"},
		"adds to a family":     {"tag.a = 1\nb = 2\n", "tag.c", "3", "tag.a = 1\ntag.c = 3\nb = 2\n"},
		"adds the last ending": {"a = 1", "b", "2", "a = 1\nb = 2\n"},
		"adds to nothing":      {"", "a", "1", "a = 1\n"},
		"quotes spaces":        {"", "a", " x", "a = \" x\"\n"},
		"quotes a line break":  {"", "a", "x\ny", "a = \"x\\ny\"\n"},
		"quotes nothing":       {"", "a", "", "a = \"\"\n"},
		"leaves inner quotes":  {"", "a", `say "hi"`, "a = say \"hi\"\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := parse(t, tc.text)
			if err := file.Set(tc.key, tc.value); err != nil {
				t.Fatal(err)
			}
			if got := string(file.Bytes()); got != tc.want {
				t.Errorf("text = %q, want %q", got, tc.want)
			}
		})
	}
}

func TestSetRefuses(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"", "a b", "a=b", "#a", ";a", "a\n", "a\x00", "\xff"} {
		if err := new(File).Set(key, "1"); err == nil {
			t.Errorf("Set(%q) was accepted", key)
		}
	}
	if err := new(File).Set("a", "\xff"); err == nil {
		t.Error("Set of a value that is not UTF-8 was accepted")
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	file := parse(t, "# why\na = 1\nb = 2\n")
	file.Delete("a")
	file.Delete("absent")
	if got, want := string(file.Bytes()), "# why\nb = 2\n"; got != want {
		t.Errorf("text = %q, want %q", got, want)
	}
}

// FuzzParse checks on any text that can be read: it comes back unchanged, and after one setting
// was changed it reads back with that value and all the others as they were.
func FuzzParse(f *testing.F) {
	f.Add([]byte(sample), "memory_mb", "2048")
	f.Add([]byte("a = 1\r\nb = 2"), "c", "3")
	f.Add([]byte("a = \"\\n\"\n\n"), "a", " \t\"x\\")
	f.Add([]byte("tag.a = 1\nx = 2\n"), "tag.b", "\u2028")
	f.Fuzz(func(t *testing.T, data []byte, key, value string) {
		file, err := Parse(data)
		if err != nil {
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || syntax.Line < 1 {
				t.Fatalf("Parse() error = %v, want a SyntaxError with its line", err)
			}
			return
		}
		if got := string(file.Bytes()); got != string(data) {
			t.Fatalf("Bytes() = %q, want %q", got, data)
		}
		before := values(file)
		if file.Set(key, value) != nil {
			return
		}
		before[key] = value
		again, err := Parse(file.Bytes())
		if err != nil {
			t.Fatalf("what Set wrote does not parse: %v\n%s", err, file.Bytes())
		}
		after := values(again)
		if len(after) != len(before) {
			t.Fatalf("keys after Set = %v, want %v", after, before)
		}
		for k, want := range before {
			if got, found := after[k]; !found || got != want {
				t.Fatalf("%q = %q after Set, want %q", k, got, want)
			}
		}
	})
}

func parse(t *testing.T, text string) *File {
	t.Helper()
	file, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func values(file *File) map[string]string {
	all := make(map[string]string)
	for _, key := range file.Keys() {
		all[key], _, _ = file.Get(key)
	}
	return all
}

package drain

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/envelope"
)

func TestLearn(t *testing.T) {
	t.Parallel()
	m := New(Options{})
	first := m.Learn("Failed password for root from 10.0.0.1 port 4711 ssh2")
	if !first.New || first.Name != "Failed password for root from port ssh2" {
		t.Errorf("first %+v", first)
	}
	second := m.Learn("Failed password for alice from 10.0.0.2 port 22 ssh2")
	want := Match{
		ID: first.ID, Template: "Failed password for <*> from <ip> port <num> ssh2",
		Name: "Failed password for from port ssh2", Parameters: []string{"alice", "10.0.0.2", "22"},
	}
	if diff := cmp.Diff(want, second); diff != "" {
		t.Error(diff)
	}
	if _, ok := m.Match("Accepted publickey for alice"); ok {
		t.Error("a line never seen has a template")
	}
	again, ok := m.Match("Failed password for bob from ::1 port 9 ssh2")
	if !ok || again.ID != first.ID {
		t.Errorf("matched %+v", again)
	}
	if got := m.Templates(); len(got) != 1 || got[0].Lines != 2 {
		t.Errorf("templates %+v", got)
	}
}

func TestMasks(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"at 2026-11-25T12:00:00.5Z took 12ms or -3.5%":             "at <num> took <num> or <num>",
		"from 10.1.2.3:80 and [fe80::1]:22, mac aa:bb:cc:dd:ee:ff": "from <ip> and [<ip>]<num>, mac <ip>",
		"0xdeadbeef 3fa2c1d99e":                                    "<hex>",
		"id 123e4567-e89b-12d3-a456-426614174000.":                 "id <uuid>.",
		"open /etc/nginx/a.conf: http://x/y?z=1 failed":            "open <path>: <url> failed",
		`host="db 1" said 'no' to "you"`:                           `host="<str>" said '<str>' to "<str>"`,
		`"Error syncing pod" pod="a/b"`:                            `"Error syncing pod" pod="<str>"`,
		`level=info msg="all done" id="x"`:                         `level=info msg="all done" id="<str>"`,
		"keys [a, b] {x} (1, 2) map[a:1 b:2]":                      "keys [<list>] {<list>} (<list>) map[<list>]",
		"delete blk_1 blk_-22 blk_3 now":                           "delete <id> now",
		"ids 1,2,3 and x=4,5;6":                                    "ids <num> and x=<num>;<num>",
		"statement: SELECT * FROM x":                               "statement: <sql>",
		"eth0 ssh2 ext4 don't x=y it's":                            "eth0 ssh2 ext4 don't x=y it's",
		"(110: Connection timed out) while reading":                "(<num>: Connection timed out) while reading",
		"kept until\nthe next line":                                "kept until",
		"an \"open quote":                                          "an \"open quote",
		"bad \xff bytes":                                           "bad \ufffd bytes",
		"":                                                         "",
	} {
		if got := New(Options{}).Learn(line).Template; got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

// mixed returns lines of all kinds.
func mixed(n int) []string {
	r := rand.New(rand.NewPCG(1, 2))
	var all []string
	for _, kinds := range []map[string][]string{known, heldOut} {
		for _, kind := range slices.Sorted(maps.Keys(kinds)) {
			lines, _ := sample(r, kinds[kind], n/12)
			all = append(all, lines...)
		}
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// TestCheckpointGoesOn compares a miner with its copy, then both after more.
func TestCheckpointGoesOn(t *testing.T) {
	t.Parallel()
	// So few are allowed that they go all the time, of the miner and of its copy.
	m := New(Options{Templates: 40, Children: 6})
	lines := mixed(6000)
	group(m, lines[:3000])
	var data bytes.Buffer
	if _, err := m.WriteTo(&data); err != nil {
		t.Fatal(err)
	}
	same := New(Options{})
	if _, err := same.ReadFrom(&data); err != nil {
		t.Fatal(err)
	}
	for _, line := range lines[3000:] {
		if diff := cmp.Diff(m.Learn(line), same.Learn(line)); diff != "" {
			t.Fatalf("%q: %s", line, diff)
		}
	}
	var a, b bytes.Buffer
	_, _ = m.WriteTo(&a)
	_, _ = same.WriteTo(&b)
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("the two went different ways")
	}
}

func TestDamagedCheckpoint(t *testing.T) {
	t.Parallel()
	m := New(Options{})
	id := m.Learn("a line").ID
	var good bytes.Buffer
	_, _ = m.WriteTo(&good)
	for _, data := range [][]byte{nil, []byte("x"), good.Bytes()[:good.Len()-1], append(bytes.Clone(good.Bytes()), 0)} {
		if _, err := m.ReadFrom(bytes.NewReader(data)); penumbra.KindOf(err) != penumbra.Damaged {
			t.Errorf("%d bytes: %v", len(data), err)
		}
	}
	if got, ok := m.Match("a line"); !ok || got.ID != id {
		t.Error("the miner lost what it had")
	}
}

// TestBounded sends lines that no two of which are alike.
func TestBounded(t *testing.T) {
	t.Parallel()
	m := New(Options{Templates: 50})
	r := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		words := make([]string, 1+r.IntN(9))
		for i := range words {
			words[i] = strings.Repeat(string(rune('a'+r.IntN(26))), 1+r.IntN(6))
		}
		m.Learn(strings.Join(words, " "))
	}
	nodes := 0
	var count func(n *node)
	count = func(n *node) {
		nodes++
		if len(n.children)+len(n.templates) == 0 {
			t.Error("an empty branch was kept")
		}
		for _, c := range n.children {
			count(c)
		}
	}
	for _, n := range m.lengths {
		count(n)
	}
	if len(m.byID) != 50 || len(m.order) != 50 || nodes > 150 {
		t.Errorf("%d and %d templates, %d nodes", len(m.byID), len(m.order), nodes)
	}
	if long := m.Learn(strings.Repeat("word ", 100_000)); len(long.Template) > 4096 {
		t.Errorf("a template of %d bytes", len(long.Template))
	}
}

// TestSameID: a line keeps the identifier of its template whatever is learnt in
// between, as long as nothing is forgotten.
func TestSameID(t *testing.T) {
	t.Parallel()
	lines := mixed(600)
	rapid.Check(t, func(t *rapid.T) {
		m := New(Options{})
		ids := map[ID]string{}
		for range 60 {
			line := rapid.SampledFrom(lines).Draw(t, "line")
			match := m.Learn(line)
			if match.New != (ids[match.ID] == "") {
				t.Fatalf("%q: new is %v", line, match.New)
			}
			ids[match.ID] = line
			if at, ok := m.Match(line); !ok || at.Template != match.Template {
				t.Fatalf("%q was learnt as %q and is %q", line, match.Template, at.Template)
			}
		}
	})
}

func FuzzLearn(f *testing.F) {
	for _, line := range mixed(60) {
		f.Add(line)
	}
	for _, line := range []string{`a="b\`, "[[[[((((", "'='='='", "<*> <num>", "x:\xff SELECT", "\n", "map[]", "a 1, 2, 3,"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m := New(Options{LineBytes: 256, Tokens: 16})
		for line := range strings.Lines(text) {
			match := m.Learn(line)
			if masks := strings.Count(match.Template, "<"); len(match.Parameters) > masks {
				t.Errorf("%q: %d parameters in %q", line, len(match.Parameters), match.Template)
			}
			if match.Name == "" || len(match.Name) > nameBytes+16 {
				t.Errorf("%q is named %q", line, match.Name)
			}
		}
		var data bytes.Buffer
		if _, err := m.WriteTo(&data); err != nil {
			t.Fatal(err)
		}
		if _, err := New(Options{}).ReadFrom(&data); err != nil {
			t.Error(err)
		}
	})
}

// FuzzPayload reads payloads past the checksum: an error, or a miner that works.
func FuzzPayload(f *testing.F) {
	m := New(Options{Templates: 8})
	group(m, mixed(24))
	var data bytes.Buffer
	_, _ = m.WriteTo(&data)
	payload, err := envelope.Open(checkpointMagic, checkpointVersion, data.Bytes())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(payload)
	lines := mixed(24)
	f.Fuzz(func(t *testing.T, payload []byte) {
		m, err := decode(payload)
		if err != nil {
			return
		}
		group(m, lines)
		_ = fmt.Sprint(m.Templates())
	})
}

// TestMerge: a place in which many words stand is a parameter though the tree
// tells lines apart by it; one with few is not.
func TestMerge(t *testing.T) {
	t.Parallel()
	m := New(Options{})
	var last Match
	for _, user := range []string{"alice", "bob", "carol", "dave", "eve", "frank"} {
		for _, verb := range []string{"opened", "closed"} {
			last = m.Learn(user + " " + verb + " a session")
			m.Learn(user + " has a session now")
		}
	}
	var texts []string
	for _, x := range m.Templates() {
		texts = append(texts, fmt.Sprint(x.Text, " ", x.Lines))
	}
	slices.Sort(texts)
	want := []string{"<*> closed a session 6", "<*> has a session now 12", "<*> opened a session 6"}
	if diff := cmp.Diff(want, texts); diff != "" {
		t.Error(diff)
	}
	if last.New || last.Parameters[0] != "frank" {
		t.Errorf("%+v", last)
	}
}

func BenchmarkLearn(b *testing.B) {
	lines := mixed(24_000)
	m := New(Options{})
	bytes := 0
	for _, line := range lines {
		bytes += len(line)
	}
	b.SetBytes(int64(bytes / len(lines)))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		m.Learn(lines[i%len(lines)])
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}

// BenchmarkNew learns lines of which no two are of one kind.
func BenchmarkNew(b *testing.B) {
	m := New(Options{})
	r := rand.New(rand.NewPCG(5, 6))
	word := func() string {
		var w [6]byte
		for i := range w {
			w[i] = 'a' + byte(r.IntN(26))
		}
		return string(w[:])
	}
	lines := make([]string, 20_000)
	for i := range lines {
		words := make([]string, 8)
		for j := range words {
			words[j] = word()
		}
		lines[i] = strings.Join(words, " ")
	}
	for i := 0; b.Loop(); i++ {
		m.Learn(lines[i%len(lines)])
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}

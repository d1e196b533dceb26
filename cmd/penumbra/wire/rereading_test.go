package wire

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

const (
	notBob   = `@id("bob") forbid (principal == Penumbra::User::"bob", action, resource);`
	notAlice = `@id("alice") forbid (principal == Penumbra::User::"alice", action, resource);`
)

// governed is a configuration with a policy and a folder of knowledge.
func governed(t *testing.T) (c *Config, write func(name, text string)) {
	t.Helper()
	dir := t.TempDir()
	version := 0
	write = func(name, text string) {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		version++ // a file system may know seconds only
		at := time.Date(2026, 3, 2, 0, 0, version, 0, time.UTC)
		if err := os.Chtimes(name, at, at); err != nil {
			t.Fatal(err)
		}
	}
	write("penumbra.yaml", "policy: [policy]\nknowledge: [knowledge]\n")
	write("policy/people.cedar", notBob)
	write("knowledge/own.yaml", "format: 1\nentries: []\n")
	c, err := LoadConfig(filepath.Join(dir, "penumbra.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return c, write
}

func may(r *rereading, by string) bool {
	return governing{r}.Ask(&penumbra.PolicyQuestion{By: by, Verb: penumbra.FreezeStack, Stack: "shop", Time: time.Now()}).Allowed
}

// TestPoliciesAreReadAgain shows that a new version of the policies is in use once it
// can be read and is recorded, and that the one before it is in use until then.
func TestPoliciesAreReadAgain(t *testing.T) {
	t.Parallel()
	c, write := governed(t)
	r, err := startReading(c, nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var record error
	recorded := 0
	r.recorded = func(context.Context) error { recorded++; return record }
	expect := func(what string, alice, bob bool, mistake string, records int) {
		t.Helper()
		r.again(t.Context())
		if may(r, "alice") != alice || may(r, "bob") != bob {
			t.Errorf("%s: alice may: %t, bob may: %t", what, may(r, "alice"), may(r, "bob"))
		}
		for _, x := range r.status() {
			if x.Name == PolicyFiles && (mistake == "") != (x.Error == "") || !strings.Contains(x.Error, mistake) && x.Name == PolicyFiles {
				t.Errorf("%s: the state is %q, want %q", what, x.Error, mistake)
			}
		}
		if recorded != records {
			t.Errorf("%s: recorded %d times, want %d", what, recorded, records)
		}
	}
	expect("as it was", true, false, "", 0)
	write("policy/people.cedar", notAlice+"\nforbid (nonsense")
	expect("with a mistake", true, false, "people.cedar", 0)
	write("policy/people.cedar", notAlice)
	record = errors.New("the audit log is full")
	expect("not recorded", true, false, "audit log", 1)
	write("policy/more.cedar", "")
	record = nil
	expect("corrected", false, true, "", 2)
	write("policy/more.cedar", notBob)
	expect("another file", false, false, "", 3)
}

// TestKnowledgeIsReadAgain shows the same of knowledge, as soon as a file has changed.
func TestKnowledgeIsReadAgain(t *testing.T) {
	t.Parallel()
	c, write := governed(t)
	r, err := startReading(c, nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	before := r.base()
	write("knowledge/own.yaml", "- nonsense: [")
	r.again(t.Context())
	if r.base() != before || !stateHas(r, KnowledgeFiles, "mistake") {
		t.Errorf("what cannot be read is in use, or not told of: %+v", r.status())
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.run(ctx) }()
	tick := time.NewTicker(100 * time.Millisecond) // the watcher starts in its own time
	defer tick.Stop()
	for end := time.After(20 * time.Second); r.base() == before; {
		write("knowledge/own.yaml", "format: 1\nentries: []\n")
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("the new version is not in use: %+v", r.status())
		}
		tick.Reset(time.Second)
	}
	if stateHas(r, KnowledgeFiles, "mistake") {
		t.Errorf("the mistake is still told of: %+v", r.status())
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func stateHas(r *rereading, name, text string) bool {
	for _, x := range r.status() {
		if x.Name == name {
			return strings.Contains(x.Error, text)
		}
	}
	return false
}

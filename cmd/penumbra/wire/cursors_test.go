package wire

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// saved keeps the last cursor.
type saved struct{ data []byte }

func (s *saved) Load(context.Context, string) ([]byte, error) { return s.data, nil }
func (s *saved) Save(_ context.Context, _ string, data []byte) error {
	s.data = bytes.Clone(data)
	return nil
}

// A log is read on from a place that is not between lines that belong together,
// and only once what was held back there has come out.
func TestLateCursors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var kept saved
		clean := true
		c := &lateCursors{Cursors: &kept, wait: time.Second, between: func() bool { return clean }}
		save := func(data string, between bool) {
			t.Helper()
			clean = between
			if err := c.Save(t.Context(), "db", []byte(data)); err != nil {
				t.Fatal(err)
			}
		}
		after := func(d time.Duration, want string) {
			t.Helper()
			time.Sleep(d)
			if err := c.settle(t.Context()); err != nil {
				t.Fatal(err)
			}
			if string(kept.data) != want {
				t.Fatalf("the cursor kept is %q, want %q", kept.data, want)
			}
		}
		save("1", true)
		after(200*time.Millisecond, "")
		save("2 in the middle", false)
		after(900*time.Millisecond, "1")
		save("3", true)
		after(time.Second, "3")
		save("4 in the middle", false)
		after(5*time.Second, "3") // a place between is hoped for
		after(5*time.Second, "4 in the middle")
		for range 10_000 { // a log that is never between
			save("5 in the middle", false)
			time.Sleep(time.Millisecond)
		}
		if n := len(c.waiting); n > 110 {
			t.Fatalf("%d cursors wait", n)
		}
		for i := range 10_000 {
			save("6", i%2 == 0)
		}
		if n := len(c.waiting); n > 110 {
			t.Fatalf("%d cursors wait", n)
		}
	})
}

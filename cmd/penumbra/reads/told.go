package reads

import "sync"

// told is what was last said of each of several things, so that nothing is said twice in a row.
type told struct {
	mu   sync.Mutex
	last map[string]string
}

// changed keeps what there is to say of a thing, "" for nothing, and reports whether that is
// other than what was said last.
func (t *told) changed(of, what string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.last[of]
	if t.last == nil {
		t.last = map[string]string{}
	}
	t.last[of] = what
	return what != before
}

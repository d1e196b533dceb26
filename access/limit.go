package access

import (
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/penumbra-iac/penumbra"
)

// How many sign-ins are taken. Whoever knows their password mistypes it a few times;
// whoever guesses has to wait twice as long each time, and neither many addresses nor
// many names get around that.
const (
	freeFailures = 4 // of a name from an address, before there is a wait
	leastWait    = time.Second
	mostWait     = 15 * time.Minute
	forgetAfter  = 30 * time.Minute
	// of a name from anywhere, and of an address for any name
	nameBurst, addressBurst = 30, 60
	mostKept                = 10_000
)

var (
	nameEvery    = rate.Every(30 * time.Second)
	addressEvery = rate.Every(5 * time.Second)
)

// limits bounds attempts to sign in. They are kept in memory: a restart forgets them.
type limits struct {
	mu      sync.Mutex
	pairs   map[[2]string]*tries
	buckets map[string]*bucket
}

// tries are those of a name from an address since the last that succeeded.
type tries struct {
	failed int
	until  time.Time // no other before then
	last   time.Time
}

type bucket struct {
	*rate.Limiter
	last time.Time
}

func newLimits() *limits {
	return &limits{pairs: map[[2]string]*tries{}, buckets: map[string]*bucket{}}
}

// attempt is one that is being checked.
type attempt struct {
	of   *limits
	pair [2]string
}

// begin counts an attempt, as one that fails until it succeeds: those at the same time
// count too. It returns an error of kind Unavailable that says how long to wait.
func (l *limits) begin(name, from string, now time.Time) (*attempt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget(now)
	// The address comes first: one alone cannot fill what is kept.
	if !l.bucket("from "+from, addressEvery, addressBurst, now).AllowN(now, 1) {
		return nil, tooMany(pause(addressEvery))
	}
	pair := [2]string{name, from}
	t := l.pairs[pair]
	if t == nil {
		t = &tries{}
		l.pairs[pair] = t
	}
	if now.Before(t.until) {
		return nil, tooMany(t.until.Sub(now))
	}
	// A token has no name: nobody is to be kept out by those who try others.
	if name != "" && !l.bucket("name "+name, nameEvery, nameBurst, now).AllowN(now, 1) {
		return nil, tooMany(pause(nameEvery))
	}
	t.failed++
	t.last = now
	if over := t.failed - freeFailures; over > 0 {
		wait := mostWait
		if over < 20 {
			wait = min(mostWait, leastWait<<(over-1))
		}
		t.until = now.Add(wait)
	}
	return &attempt{of: l, pair: pair}, nil
}

// bucket returns the bucket of a key. The lock is held.
func (l *limits) bucket(key string, every rate.Limit, burst int, now time.Time) *bucket {
	b := l.buckets[key]
	if b == nil {
		b = &bucket{Limiter: rate.NewLimiter(every, burst)}
		l.buckets[key] = b
	}
	b.last = now
	return b
}

func pause(every rate.Limit) time.Duration {
	return time.Duration(float64(time.Second) / float64(every))
}

// succeeded forgets what failed before.
func (a *attempt) succeeded() {
	a.of.mu.Lock()
	defer a.of.mu.Unlock()
	delete(a.of.pairs, a.pair)
}

// forget drops what is long ago, and anything if there is too much of it: names and
// addresses are the caller's to make up. The lock is held.
func (l *limits) forget(now time.Time) {
	if len(l.pairs)+len(l.buckets) < mostKept {
		return
	}
	for key, t := range l.pairs {
		if now.Sub(t.last) > forgetAfter && now.After(t.until) {
			delete(l.pairs, key)
		}
	}
	for key, b := range l.buckets {
		// One that was used once says nearly nothing.
		if now.Sub(b.last) > forgetAfter || b.TokensAt(now) >= float64(b.Burst()-1) {
			delete(l.buckets, key)
		}
	}
	for key := range l.pairs { // still too many: the buckets of addresses hold alone
		if len(l.pairs) < mostKept/4 {
			break
		}
		delete(l.pairs, key)
	}
	for key := range l.buckets {
		if len(l.buckets) < mostKept/4 {
			break
		}
		delete(l.buckets, key)
	}
}

func tooMany(wait time.Duration) error {
	return &penumbra.Error{
		Kind: penumbra.Unavailable, What: "too many sign-ins failed", Remedy: fmt.Sprintf("wait for %s and try again", max(wait.Round(time.Second), time.Second)),
	}
}

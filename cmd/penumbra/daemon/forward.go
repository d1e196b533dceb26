package daemon

import (
	"context"
	"crypto/hmac"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/api"
	"github.com/penumbra-iac/penumbra/store/postgres"
	"github.com/penumbra-iac/penumbra/telemetry"
)

// What a node says of a request that it passes on: who it is, by a key that nodes
// alone have, and where the request came from.
const (
	forwardedKey  = "Penumbra-Forwarded-Key"
	forwardedFrom = "Penumbra-Forwarded-From"
)

// forwarder passes what a node is asked on to the node that leads.
type forwarder struct {
	name   string
	own    func(http.ResponseWriter, *http.Request) bool // answers if this node leads
	key    func() (string, error)                        // of the nodes
	client http.RoundTripper
	log    *slog.Logger

	mu      sync.Mutex
	leader  postgres.Term // no number while none is known
	changed chan struct{} // closed when it changes
	lost    context.CancelFunc
	term    context.Context // ends with the leader's term
}

func newForwarder(name string, own func(http.ResponseWriter, *http.Request) bool, key func() (string, error), client http.RoundTripper, log *slog.Logger) *forwarder {
	f := &forwarder{name: name, own: own, key: key, client: client, log: log, changed: make(chan struct{})}
	f.term, f.lost = context.WithCancel(context.Background())
	return f
}

// leads tells it who leads, no term while nobody does: what is asked of the one before
// is given up, since an answer may never come.
func (f *forwarder) leads(t postgres.Term) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if t == f.leader {
		return
	}
	f.lost()
	f.leader = t
	f.term, f.lost = context.WithCancel(context.Background())
	close(f.changed)
	f.changed = make(chan struct{})
}

// patience is how long a request waits for a node to lead: longer than it takes to find
// out that one is gone and for another to begin. patienceEvery is how often it is looked
// whether this one does.
const (
	patience      = 15 * time.Second
	patienceEvery = 50 * time.Millisecond
)

// state returns who leads, what ends with its term, and what is closed when that is
// another one.
func (f *forwarder) state() (leader postgres.Term, term context.Context, changed <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.leader, f.term, f.changed
}

var errNoLeader = &penumbra.Error{Kind: penumbra.Unavailable, What: "no node leads", Remedy: "try again in a few seconds; if that lasts, see that a node runs and reaches the database"}

// ServeHTTP implements [http.Handler].
func (f *forwarder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get(forwardedKey) != "" {
		// Whoever passed it on took this node for the leader. It will know better soon.
		w.Header().Set(notLeading, f.name)
		f.refuse(w, errNoLeader)
		return
	}
	sent := &untouched{body: r.Body}
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = sent
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	tick := time.NewTicker(patienceEvery)
	defer tick.Stop()
	for {
		leader, term, changed := f.state()
		if leader.Number > 0 && leader.Node.Name != f.name {
			if f.pass(w, r, leader, term, sent) {
				return
			}
		} else if f.own(w, r) {
			return
		}
		select {
		case <-changed:
		case <-tick.C:
		case <-late.C:
			f.refuse(w, errNoLeader)
			return
		case <-r.Context().Done():
			return
		}
	}
}

// pass passes a request on. It reports false, having answered nothing, if the leader was
// not reached and another may be asked.
func (f *forwarder) pass(w http.ResponseWriter, r *http.Request, leader postgres.Term, term context.Context, sent *untouched) (answered bool) {
	to, err := url.Parse(leader.Node.Address)
	key := ""
	if err == nil {
		key, err = f.key()
	}
	if err != nil {
		f.refuse(w, err)
		return true
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(term, cancel)()
	var reached atomic.Bool // the leader may have got something of it
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { reached.Store(true) }})
	answered = true
	proxy := httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(to)
			p.Out.Host = p.In.Host
			p.SetXForwarded()
			if v := p.In.Header.Get("X-Forwarded-Proto"); v != "" {
				p.Out.Header.Set("X-Forwarded-Proto", v) // of the proxy in front
			}
			p.Out.Header.Set(forwardedKey, key)
			p.Out.Header.Set(forwardedFrom, p.In.RemoteAddr)
		},
		Transport: f.client, FlushInterval: -1, ErrorLog: slog.NewLogLogger(f.log.Handler(), slog.LevelDebug),
		ModifyResponse: func(response *http.Response) error {
			if response.StatusCode == http.StatusServiceUnavailable && response.Header.Get(notLeading) != "" && !sent.touched.Load() {
				return errNoLeader // it stands by itself
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			f.log.Debug("the leader did not answer", "leader", leader.Node.Name, "error", err)
			if answered = sent.touched.Load() || r.Method != http.MethodGet && reached.Load() && !errors.Is(err, errNoLeader); answered {
				f.refuse(w, &penumbra.Error{Kind: penumbra.Unavailable, What: "the node that leads did not answer", Remedy: "try again: what was not acknowledged may or may not be done, and what is sent twice counts once"})
			}
		},
	}
	proxy.ServeHTTP(w, r.WithContext(ctx))
	return answered
}

// untouched is a body of which it is known whether any of it was read.
type untouched struct {
	body    io.ReadCloser
	touched atomic.Bool
}

func (u *untouched) Read(p []byte) (int, error) {
	u.touched.Store(true)
	return u.body.Read(p)
}

// Close leaves it to the server: it may have to be sent once more.
func (u *untouched) Close() error { return nil }

// notLeading marks the answers of nodes that were taken for the leader.
const notLeading = "Penumbra-Not-Leading"

func (f *forwarder) refuse(w http.ResponseWriter, err error) {
	w.Header().Set("Retry-After", "1")
	api.Refuse(w, err)
}

// ready says whether this node has somewhere to pass requests on to.
func (f *forwarder) ready(context.Context) []telemetry.Check {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := telemetry.Check{Name: "leader", OK: f.leader.Number > 0, Needed: true}
	if !c.OK {
		c.Reason = "no node leads"
	}
	return []telemetry.Check{c}
}

// passedOn has requests that another node passed on come from where they came from
// there. What anybody else says of that is not heard.
func passedOn(key string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown, from := r.Header.Get(forwardedKey), r.Header.Get(forwardedFrom)
		r.Header.Del(forwardedKey)
		r.Header.Del(forwardedFrom)
		if shown != "" && hmac.Equal([]byte(shown), []byte(key)) {
			r.RemoteAddr = from
		}
		next.ServeHTTP(w, r)
	})
}

package api

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// Answers keeps what requests with a key of their own were answered. A store has one;
// without it they are kept in memory, which a restart forgets.
type Answers interface {
	// BeginAnswer claims a request by a.ID, unless it is there already: then it returns
	// what is kept of it, whose Status is 0 while nobody has answered it. What was begun
	// before a time is forgotten first.
	BeginAnswer(ctx context.Context, a penumbra.KeptAnswer, forget time.Time) (there *penumbra.KeptAnswer, err error)
	// KeepAnswer stores what a claimed request was answered, DropAnswer gives it up.
	KeepAnswer(ctx context.Context, a penumbra.KeptAnswer) error
	DropAnswer(ctx context.Context, id []byte) error
}

// A HandlerOption changes what a [Handler] stands on.
type HandlerOption func(*handlerOptions)

type handlerOptions struct{ answers Answers }

// WithAnswers keeps what requests with an Idempotency-Key were answered there.
func WithAnswers(a Answers) HandlerOption { return func(o *handlerOptions) { o.answers = a } }

const (
	idempotencyKey = "Idempotency-Key"
	// replayed marks an answer that was given before.
	replayed = "Idempotency-Replayed"
	// answersKept is for how long an answer is given again.
	answersKept = 24 * time.Hour
	// keyedBody bounds the body of a request with a key, which is read as a whole.
	keyedBody = 8 << 20
	// longestKey bounds a key; a UUID has 36.
	longestKey = 255
)

// once carries a request with a key out once: who sends it again, because the answer
// was lost, gets the same one. Keys are each principal's own. Only what succeeded is
// kept: what was refused or failed may be tried again with the same key.
func once(answers Answers, now func() time.Time, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get(idempotencyKey)
		if key == "" || r.Method != http.MethodPost || !keyed(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		if len(key) > longestKey || strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c > '~' }) {
			writeProblem(w, newProblem(http.StatusUnprocessableEntity, penumbra.Invalid, "the Idempotency-Key is too long or has other than visible ASCII characters", "send a UUID"))
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, keyedBody))
		if err != nil {
			writeProblem(w, problemOf(err))
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		claim := claimOf(r, key, body)
		claim.Begun = now()
		there, err := answers.BeginAnswer(r.Context(), claim, claim.Begun.Add(-answersKept))
		switch {
		case err != nil:
			writeProblem(w, problemOf(err))
		case there == nil:
			carryOut(answers, claim, w, r, next)
		case !hmac.Equal(there.Digest, claim.Digest):
			writeProblem(w, newProblem(http.StatusUnprocessableEntity, penumbra.Invalid, "another request was sent with this Idempotency-Key", "give each request a key of its own, and send it again unchanged"))
		case there.Status == 0:
			w.Header().Set("Retry-After", "1")
			writeProblem(w, newProblem(http.StatusConflict, penumbra.Locked, "a request with this Idempotency-Key is being carried out, or was when the daemon stopped", "wait and send it again; if that stays, see whether it was done, and use another key"))
		case there.Status == http.StatusGone:
			writeProblem(w, newProblem(http.StatusConflict, penumbra.Stale, "a request with this Idempotency-Key was carried out; its answer holds a secret and is not kept", "see whether what it made is there; make another one with another key if its secret is lost"))
		default:
			w.Header().Set(replayed, "true")
			if there.Type != "" {
				w.Header().Set("Content-Type", there.Type)
			}
			w.WriteHeader(there.Status)
			_, _ = w.Write(there.Body)
		}
	})
}

// keyed reports whether a key counts on a path. Observations have identities of their
// own, so that sending them again changes nothing, and neither they nor versions of
// the model are read into memory.
func keyed(path string) bool { return path != "/v1/observations" && path != "/v1/model/versions" }

// secretAnswers are the routes whose answers hold a secret that is shown once.
var secretAnswers = map[string]bool{"/v1/tokens": true}

// claimOf tells a request apart. The key, which is not kept, goes into the digest: a
// body with a password that can be guessed could otherwise be found by trying.
func claimOf(r *http.Request, key string, body []byte) penumbra.KeptAnswer {
	who := ""
	if p := penumbra.PrincipalOf(r.Context()); p != nil {
		who = p.ID
	}
	id := hmac.New(sha256.New, []byte(key))
	_, _ = io.WriteString(id, who)
	digest := hmac.New(sha256.New, []byte(key))
	_, _ = io.WriteString(digest, who+"\n"+r.Method+" "+r.URL.RequestURI()+"\n")
	_, _ = digest.Write(body)
	return penumbra.KeptAnswer{ID: id.Sum(nil), Digest: digest.Sum(nil)}
}

// carryOut has a claimed request answered, and keeps the answer if it is that of a
// success.
func carryOut(answers Answers, claim penumbra.KeptAnswer, w http.ResponseWriter, r *http.Request, next http.Handler) {
	out := &copied{ResponseWriter: w}
	ended := false
	defer func() {
		ctx := context.WithoutCancel(r.Context()) // what was done is done, whoever has gone
		if !ended || out.status >= http.StatusBadRequest {
			_ = answers.DropAnswer(ctx, claim.ID) // forgotten in a day at the latest
			return
		}
		claim.Status, claim.Type, claim.Body = max(out.status, http.StatusOK), out.Header().Get("Content-Type"), out.body.Bytes()
		if secretAnswers[r.URL.Path] {
			claim.Status, claim.Type, claim.Body = http.StatusGone, "", nil
		}
		_ = answers.KeepAnswer(ctx, claim)
	}()
	next.ServeHTTP(out, r)
	ended = true
}

// copied remembers what is answered.
type copied struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (c *copied) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

func (c *copied) Write(p []byte) (int, error) {
	if c.status == 0 {
		c.status = http.StatusOK
	}
	_, _ = c.body.Write(p) // of memory
	return c.ResponseWriter.Write(p)
}

// Unwrap is for [http.ResponseController].
func (c *copied) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// memory keeps answers until the process ends.
type memory struct {
	mu   sync.Mutex
	kept map[string]penumbra.KeptAnswer
}

func (m *memory) BeginAnswer(_ context.Context, a penumbra.KeptAnswer, forget time.Time) (*penumbra.KeptAnswer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, x := range m.kept {
		if x.Begun.Before(forget) {
			delete(m.kept, id)
		}
	}
	if there, ok := m.kept[string(a.ID)]; ok {
		return &there, nil
	}
	m.kept[string(a.ID)] = a
	return nil, nil
}

func (m *memory) KeepAnswer(_ context.Context, a penumbra.KeptAnswer) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept[string(a.ID)] = a
	return nil
}

func (m *memory) DropAnswer(_ context.Context, id []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.kept, string(id))
	return nil
}

// broke reports whether a request may be sent again: the connection ended before the
// answer was there.
func broke(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

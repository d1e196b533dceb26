package webhook

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/penumbra-iac/penumbra"
)

// memory is for how long a receiver remembers identifiers: longer than the five
// minutes for which a signature is good, so that no replay passes.
const memory = 15 * time.Minute

// Receiver is the other end, for programs in Go that get notices: it verifies what
// was sent, and takes each once. Safe for concurrent use.
type Receiver struct {
	verifiers []*standardwebhooks.Webhook
	mu        sync.Mutex
	seen      map[string]time.Time
}

// NewReceiver returns a receiver that takes what one of the secrets signed. The error
// is of kind Invalid.
func NewReceiver(secrets ...string) (*Receiver, error) {
	r := &Receiver{seen: map[string]time.Time{}}
	for _, secret := range secrets {
		v, err := signer(secret)
		if err != nil {
			return nil, err
		}
		r.verifiers = append(r.verifiers, v)
	}
	return r, nil
}

// Take verifies a request's headers and body and returns its message. The error is of
// kind Refused for a forged or old one. repeated reports one that was taken before:
// answer it with 2xx too, and do nothing. It remembers for 15 minutes; what Penumbra
// sends again later than that, after failures, is known by its identifier alone, so
// that a receiver for which it matters keeps those.
func (r *Receiver) Take(header http.Header, body []byte) (m Message, repeated bool, err error) {
	ok := false
	for _, v := range r.verifiers {
		ok = ok || v.Verify(body, header) == nil
	}
	if !ok {
		return m, false, &penumbra.Error{Kind: penumbra.Refused, What: "the request is not signed with the secret, or is older than five minutes"}
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return m, false, &penumbra.Error{Kind: penumbra.Invalid, What: "the body is no message", Err: err}
	}
	id, now := header.Get(standardwebhooks.HeaderWebhookID), time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for other, at := range r.seen {
		if now.Sub(at) > memory {
			delete(r.seen, other)
		}
	}
	_, repeated = r.seen[id]
	r.seen[id] = now
	return m, repeated, nil
}

// Forget takes back that a message was taken, for a receiver that could not act on it
// and wants it again.
func (r *Receiver) Forget(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.seen, id)
}

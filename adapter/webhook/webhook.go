// Package webhook answers: how does a program of one's own hear of a notice? It posts
// JSON, signed by the scheme of Standard Webhooks (standardwebhooks.com): the headers
// webhook-id, webhook-timestamp and webhook-signature, HMAC-SHA256 over all three and
// the body. Receivers verify with that scheme's libraries, or with [Receiver].
//
// It guarantees that a notice has the same webhook-id each time it is sent, and that
// the secret and the address are in no error.
package webhook

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/jsonpost"
)

// Config says where to and signed with what.
type Config struct {
	URL string
	// Secrets are "whsec_" and base64 of 24 to 64 random bytes. A notice is signed with
	// each: while one takes the place of another, receivers know either.
	Secrets []string
	Client  *http.Client
	Now     func() time.Time // time.Now if nil
}

// Hook posts notices.
type Hook struct {
	cfg     Config
	signers []*standardwebhooks.Webhook
}

// New checks the configuration. The error is of kind Invalid.
func New(cfg Config) (*Hook, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if len(cfg.Secrets) == 0 {
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: "the webhook has no secret to sign with", Remedy: secretRemedy}
	}
	h := &Hook{cfg: cfg}
	for _, secret := range cfg.Secrets {
		s, err := signer(secret)
		if err != nil {
			return nil, err
		}
		h.signers = append(h.signers, s)
	}
	return h, nil
}

const secretRemedy = `make one with: echo "whsec_$(head -c 32 /dev/urandom | base64)"`

func signer(secret string) (*standardwebhooks.Webhook, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || len(key) < 24 || len(key) > 64 {
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: "the webhook's secret is not whsec_ and base64 of 24 to 64 bytes", Remedy: secretRemedy}
	}
	return standardwebhooks.NewWebhookRaw(key)
}

// Message is the body that is posted.
type Message struct {
	// Type is what the notice is about and what became of it: "drift.opened",
	// "drift.changed", "drift.resolved", "run.said".
	Type string    `json:"type"`
	Time time.Time `json:"timestamp"` // when it was decided to tell it
	Data Data      `json:"data"`
}

// Data is what there is to tell.
type Data struct {
	ID           string                `json:"id"`  // as the header webhook-id
	Key          string                `json:"key"` // of the cause: the same from opened to resolved
	Channel      string                `json:"channel"`
	About        penumbra.NoticeAbout  `json:"about"`
	Verb         penumbra.NoticeVerb   `json:"verb"`
	Severity     penumbra.Severity     `json:"severity"`
	Title        string                `json:"title"`
	Lines        []string              `json:"lines"`
	Facts        []penumbra.NoticeFact `json:"facts"`
	Stacks       []string              `json:"stacks"`
	Environments []string              `json:"environments,omitempty"`
	Verdicts     []string              `json:"verdicts,omitempty"`
	Resources    []penumbra.Address    `json:"resources,omitempty"`
	Subjects     []string              `json:"subjects,omitempty"`
	URL          string                `json:"url,omitempty"`
	Began        time.Time             `json:"began"`
	Ended        time.Time             `json:"ended,omitzero"`
}

// body writes the same bytes for a notice each time.
func body(n *penumbra.Notice) ([]byte, error) {
	return json.Marshal(Message{
		Type: string(n.About) + "." + string(n.Verb), Time: n.Created,
		Data: Data{
			ID: n.ID, Key: n.Key, Channel: n.Channel, About: n.About, Verb: n.Verb, Severity: n.Severity, Title: n.Title, Lines: orEmpty(n.Lines), Facts: orEmpty(n.Facts),
			Stacks: orEmpty(n.Stacks), Environments: n.Environments, Verdicts: n.Verdicts, Resources: n.Resources, Subjects: n.Subjects, URL: n.URL, Began: n.Began, Ended: n.Ended,
		},
	})
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// Send posts a notice, see [jsonpost.Post] for its errors.
func (h *Hook) Send(ctx context.Context, n *penumbra.Notice) (string, error) {
	text, err := body(n)
	if err != nil {
		return "", err
	}
	at := h.cfg.Now()
	var signatures []string
	for _, s := range h.signers {
		signature, err := s.Sign(n.ID, at, text)
		if err != nil {
			return "", err
		}
		signatures = append(signatures, signature)
	}
	header := http.Header{}
	header.Set(standardwebhooks.HeaderWebhookID, n.ID)
	header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	header.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	_, err = jsonpost.Post(ctx, h.cfg.Client, fmt.Sprintf("the webhook of channel %s", n.Channel), h.cfg.URL, header, text)
	return "", err
}

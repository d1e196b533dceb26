package cloudtrail

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/penumbra-iac/penumbra"
)

// event is what is read of one of CloudTrail's. The names are its own.
type event struct {
	EventVersion       string        `json:"eventVersion"`
	UserIdentity       *userIdentity `json:"userIdentity"`
	EventTime          string        `json:"eventTime"`
	EventSource        string        `json:"eventSource"`
	EventName          string        `json:"eventName"`
	EventCategory      string        `json:"eventCategory"`
	EventType          string        `json:"eventType"`
	AWSRegion          string        `json:"awsRegion"`
	SourceIPAddress    string        `json:"sourceIPAddress"`
	UserAgent          string        `json:"userAgent"`
	ErrorCode          string        `json:"errorCode"`
	ErrorMessage       string        `json:"errorMessage"`
	RequestParameters  any           `json:"requestParameters"`
	ResponseElements   any           `json:"responseElements"`
	EventID            string        `json:"eventID"`
	ReadOnly           flag          `json:"readOnly"`
	Resources          any           `json:"resources"`
	RecipientAccountID string        `json:"recipientAccountId"`
	FromConsole        flag          `json:"sessionCredentialFromConsole"`

	// Detail is the event within an envelope of EventBridge.
	Detail *event `json:"detail"`
}

type userIdentity struct {
	Type             string         `json:"type"`
	PrincipalID      string         `json:"principalId"`
	ARN              string         `json:"arn"`
	AccountID        string         `json:"accountId"`
	UserName         string         `json:"userName"`
	InvokedBy        string         `json:"invokedBy"`
	IdentityProvider string         `json:"identityProvider"`
	SessionContext   sessionContext `json:"sessionContext"`
	OnBehalfOf       struct {
		UserID string `json:"userId"`
	} `json:"onBehalfOf"`
	InScopeOf struct {
		SourceARN  string `json:"sourceArn"`
		IssuerType string `json:"issuerType"`
	} `json:"inScopeOf"`
}

type sessionContext struct {
	SessionIssuer struct {
		Type     string `json:"type"`
		ARN      string `json:"arn"`
		UserName string `json:"userName"`
	} `json:"sessionIssuer"`
	WebIDFederationData struct {
		FederatedProvider string `json:"federatedProvider"`
	} `json:"webIdFederationData"`
	Attributes struct {
		MFAAuthenticated flag `json:"mfaAuthenticated"`
	} `json:"attributes"`
	SourceIdentity string `json:"sourceIdentity"`
}

// flag is a boolean that some exports write as a text.
type flag uint8

const (
	absent flag = iota
	no
	yes
)

func (f *flag) UnmarshalJSON(text []byte) error {
	switch string(text) {
	case "true", `"true"`:
		*f = yes
	case "false", `"false"`:
		*f = no
	default:
		*f = absent
	}
	return nil
}

// reader turns events into records.
type reader struct {
	key   penumbra.Key
	input string
	json  *bytes.Reader
	// What repeats from event to event is worked out once.
	kinds    cache[[2]string, *kind]
	names    cache[string, string] // snake case
	redacted cache[string, string]
	agents   cache[string, string] // the reason why a user agent is a program's
	sessions cache[string, string] // and why a session is
}

func newReader(key penumbra.Key, input string) *reader {
	return &reader{key: key, input: input, json: bytes.NewReader(nil)}
}

// cache remembers up to maxCached results, then starts anew.
type cache[K comparable, V any] map[K]V

const maxCached = 4096

func (c *cache[K, V]) get(k K, work func() V) V {
	if v, ok := (*c)[k]; ok {
		return v
	}
	v := work()
	if *c == nil || len(*c) >= maxCached {
		*c = make(cache[K, V])
	}
	(*c)[k] = v
	return v
}

// redact redacts a text and cuts it.
func (r *reader) redact(text string) string {
	if text == "" {
		return ""
	}
	return r.redacted.get(text, func() string { return penumbra.Redact(clean(text, maxMessage)) })
}

const (
	// maxMessage bounds a free text, in bytes, and maxName a name.
	maxMessage = 2000
	maxName    = 2048
)

// clean makes text valid UTF-8 of at most limit bytes.
func clean(text string, limit int) string {
	if len(text) > limit {
		text = text[:limit]
		for len(text) > 0 && !utf8.RuneStart(text[len(text)-1]) {
			text = text[:len(text)-1]
		}
		if r, _ := utf8.DecodeLastRuneInString(text); r == utf8.RuneError && text != "" {
			text = text[:len(text)-1]
		}
	}
	return strings.ToValidUTF8(text, "\ufffd")
}

// record reads one event. The error says why it cannot be one, and quotes
// nothing of it.
func (r *reader) record(data []byte) (penumbra.Record, error) {
	var e event
	r.json.Reset(data)
	decoder := json.NewDecoder(r.json)
	decoder.UseNumber()
	if err := decoder.Decode(&e); err != nil {
		return penumbra.Record{}, plainly(err)
	}
	if e.Detail != nil && e.EventName == "" {
		e = *e.Detail
	}
	at, err := e.time()
	if err != nil {
		return penumbra.Record{}, err
	}
	insight := e.EventCategory == "Insight"
	if e.EventName == "" && !insight {
		return penumbra.Record{}, errors.New("eventName is missing")
	}
	if insight {
		e.EventName = "Insight"
		e.ReadOnly = yes
	}
	record := penumbra.Record{
		Time: at, Format: "cloudtrail", Input: r.input, ID: clean(e.EventID, maxName),
		Action: clean(e.EventName, maxName), ReadOnly: e.readOnly(), Failed: r.failed(&e), Message: r.redact(e.ErrorMessage),
	}
	by := r.who(&e)
	record.Actor, record.ActorKind, record.Via = clean(by.name, maxName), by.kind, clean(by.via, maxName)
	record.Attributes = r.attributes(&e, by)
	kind := r.kind(e.EventSource, e.EventName)
	record.Targets, record.Type = r.targets(&e, kind)
	if kind == nil {
		kind = kindOfType(record.Type)
	}
	if !record.ReadOnly {
		record.Settings = r.settings(&e, kind)
	}
	return record, nil
}

// plainly says why JSON could not be read without quoting it.
func plainly(err error) error {
	var wrong *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &wrong):
		return fmt.Errorf("%s is a JSON %s, not what it should be", wrong.Field, strings.Fields(wrong.Value + " ?")[0])
	case errors.As(err, &syntax):
		return fmt.Errorf("not JSON at byte %d of the event", syntax.Offset)
	}
	return errors.New("not JSON: it ends early")
}

// The times that are held to be possible. What is outside is a wrong clock or
// a wrong unit, and would move a timeline's end to where no event is.
var (
	earliest = time.Date(2006, 1, 1, 0, 0, 0, 0, time.UTC)
	latest   = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
)

// time reads RFC 3339, or the form that CloudTrail Lake exports.
func (e *event) time() (time.Time, error) {
	if e.EventTime == "" {
		return time.Time{}, errors.New("eventTime is missing")
	}
	at, err := time.Parse(time.RFC3339, e.EventTime)
	if err != nil {
		at, err = time.Parse("2006-01-02 15:04:05", strings.TrimSuffix(e.EventTime, " UTC"))
	}
	if err != nil {
		return time.Time{}, errors.New("eventTime is no time")
	}
	if at.Before(earliest) || at.After(latest) {
		return time.Time{}, fmt.Errorf("eventTime is in the year %d: a wrong clock", at.Year())
	}
	return at.UTC(), nil
}

// readers are what the names of reading calls begin with, for versions of the
// format before 1.01, which have no readOnly.
var readers = [...]string{"Describe", "Get", "List", "Head", "Lookup", "Search", "BatchGet", "Query", "Scan", "Check", "Estimate", "Preview", "Validate"}

func (e *event) readOnly() bool {
	if e.ReadOnly != absent {
		return e.ReadOnly == yes
	}
	for _, prefix := range readers {
		if strings.HasPrefix(e.EventName, prefix) {
			return true
		}
	}
	return false
}

// failed returns why the call had no effect. A failed sign-in has no code, only
// a message.
func (r *reader) failed(e *event) string {
	if e.ErrorCode != "" {
		return clean(e.ErrorCode, maxName)
	}
	return r.redact(e.ErrorMessage)
}

func (r *reader) attributes(e *event, by actor) map[string]string {
	out := make(map[string]string, 10)
	add := func(name, value string) {
		if value != "" {
			out[name] = value
		}
	}
	add("account", clean(e.account(), maxName))
	add("region", clean(e.AWSRegion, maxName))
	add("event_source", clean(e.EventSource, maxName))
	if e.EventType != "AwsApiCall" {
		add("event_type", clean(e.EventType, maxName))
	}
	add("source_ip", clean(e.SourceIPAddress, maxName))
	add("user_agent", r.redact(e.UserAgent))
	if u := e.UserIdentity; u != nil {
		add("identity_type", clean(u.Type, maxName))
		add("role", clean(u.SessionContext.SessionIssuer.ARN, maxName))
		add("invoked_by", clean(u.InvokedBy, maxName))
		add("on_behalf_of", clean(u.OnBehalfOf.UserID, maxName))
	}
	add("actor_reason", by.reason)
	return out
}

func (e *event) account() string {
	if e.RecipientAccountID != "" {
		return e.RecipientAccountID
	}
	if e.UserIdentity != nil {
		return e.UserIdentity.AccountID
	}
	return ""
}

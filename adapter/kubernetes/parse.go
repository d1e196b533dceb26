package kubernetes

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/penumbra-iac/penumbra"
)

// MaxLine is the length of a line, in bytes, above which it is a bad one.
const MaxLine = 16 << 20

// A Parser reads the audit events of one input. It is for one goroutine at a
// time.
type Parser struct {
	key      penumbra.Key
	input    string
	json     *bytes.Reader
	redacted map[string]string // of texts that repeat
}

// New returns a parser. Input becomes the Input of the records; key seals their
// secrets.
func New(key penumbra.Key, input string) *Parser {
	return &Parser{key: key, input: input, json: bytes.NewReader(nil), redacted: map[string]string{}}
}

// event is what is read of one of the API server's. The names are its own.
type event struct {
	Kind                     string             `json:"kind"`
	APIVersion               string             `json:"apiVersion"`
	Level                    string             `json:"level"`
	AuditID                  string             `json:"auditID"`
	Stage                    string             `json:"stage"`
	RequestURI               string             `json:"requestURI"`
	Verb                     string             `json:"verb"`
	User                     user               `json:"user"`
	ImpersonatedUser         *user              `json:"impersonatedUser"`
	SourceIPs                []string           `json:"sourceIPs"`
	UserAgent                string             `json:"userAgent"`
	ObjectRef                *objectRef         `json:"objectRef"`
	ResponseStatus           status             `json:"responseStatus"`
	RequestObject            any                `json:"requestObject"`
	ResponseObject           partial            `json:"responseObject"`
	RequestReceivedTimestamp string             `json:"requestReceivedTimestamp"`
	StageTimestamp           string             `json:"stageTimestamp"`
	Annotations              map[string]string  `json:"annotations"`
	Items                    *[]json.RawMessage `json:"items"`
}

type user struct {
	Username string              `json:"username"`
	Groups   []string            `json:"groups"`
	Extra    map[string][]string `json:"extra"`
}

type objectRef struct {
	Resource    string `json:"resource"`
	Namespace   string `json:"namespace"`
	Name        string `json:"name"`
	UID         string `json:"uid"`
	APIGroup    string `json:"apiGroup"`
	APIVersion  string `json:"apiVersion"`
	Subresource string `json:"subresource"`
}

type status struct {
	Code    int    `json:"code"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// partial is what is read of the object that a response holds: the name that
// the server made up.
type partial struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Name string `json:"name"`
		UID  string `json:"uid"`
	} `json:"metadata"`
}

// UnmarshalJSON takes an object of any shape.
func (p *partial) UnmarshalJSON(data []byte) error {
	type plain partial
	_ = json.Unmarshal(data, (*plain)(p)) // what does not fit is left out
	return nil
}

// Parse reads a line, which may hold a list of events. The error is a
// [*penumbra.Error] of kind Invalid with the reason; of a list, records may come
// with it. The records share nothing with the line.
func (p *Parser) Parse(line []byte) ([]penumbra.Record, error) {
	line = bytes.TrimSpace(line)
	if len(line) == 0 {
		return nil, nil
	}
	if len(line) > MaxLine {
		return nil, p.bad("", fmt.Errorf("longer than %d MiB", MaxLine>>20))
	}
	var e event
	if err := p.decode(line, &e); err != nil {
		return nil, p.bad("", err)
	}
	if e.Items == nil {
		record, ok, err := p.record(&e)
		switch {
		case err != nil:
			return nil, p.bad("", err)
		case !ok:
			return nil, nil
		}
		return []penumbra.Record{record}, nil
	}
	return p.list(&e)
}

// list reads the events of a list. The version stands once, on the list.
func (p *Parser) list(list *event) ([]penumbra.Record, error) {
	if list.Kind != "EventList" {
		return nil, p.bad("", errors.New("a list that is no EventList"))
	}
	var records []penumbra.Record
	var bad []error
	for i, item := range *list.Items {
		e := event{Kind: "Event", APIVersion: list.APIVersion}
		err := p.decode(item, &e)
		var record penumbra.Record
		ok := false
		if err == nil {
			record, ok, err = p.record(&e)
		}
		switch {
		case err != nil && len(bad) < 10:
			bad = append(bad, fmt.Errorf("item %d: %w", i, err))
		case ok:
			records = append(records, record)
		}
	}
	if len(bad) > 0 {
		return records, p.bad(" list", errors.Join(bad...))
	}
	return records, nil
}

func (p *Parser) bad(what string, err error) error {
	return &penumbra.Error{Kind: penumbra.Invalid, What: "read Kubernetes audit event" + what + " of " + p.input, Err: err}
}

func (p *Parser) decode(data []byte, e *event) error {
	p.json.Reset(data)
	decoder := json.NewDecoder(p.json)
	decoder.UseNumber()
	if err := decoder.Decode(e); err != nil {
		return plainly(err)
	}
	if decoder.More() {
		return errors.New("more than one JSON value in a line")
	}
	return nil
}

// plainly says why JSON could not be read without quoting it.
func plainly(err error) error {
	var wrong *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &wrong):
		return fmt.Errorf("%s is not of its type", wrong.Field)
	case errors.As(err, &syntax):
		return fmt.Errorf("not JSON at byte %d", syntax.Offset)
	}
	return errors.New("not JSON: it ends early")
}

// record turns an event into a record; ok is false if it is none.
func (p *Parser) record(e *event) (r penumbra.Record, ok bool, err error) {
	if e.Kind != "Event" || !strings.HasPrefix(e.APIVersion, "audit.k8s.io/") {
		return r, false, errors.New("it is no Event of audit.k8s.io")
	}
	switch e.Stage {
	case "ResponseComplete":
	case "RequestReceived", "ResponseStarted", "Panic":
		return r, false, nil
	default:
		return r, false, errors.New("stage is missing or not known")
	}
	if e.Verb == "" {
		return r, false, errors.New("verb is missing")
	}
	at, err := e.time()
	if err != nil {
		return r, false, err
	}
	by := e.who()
	r = penumbra.Record{
		Time: at, Format: "kubernetes", Input: p.input, ID: clean(e.AuditID, maxName),
		Actor: clean(by.name, maxName), ActorKind: by.kind, Via: p.redact(by.via),
		Action: clean(e.Verb, maxName), ReadOnly: e.readOnly(), Failed: e.failed(), Message: p.redact(e.ResponseStatus.Message),
	}
	r.Attributes = p.attributes(e, by)
	if e.ObjectRef != nil {
		if e.ObjectRef.Subresource != "" {
			r.Action += "/" + clean(e.ObjectRef.Subresource, maxName)
		}
		r.Type, r.Targets = e.target()
	} else if path, _, _ := strings.Cut(e.RequestURI, "?"); path != "" {
		r.Targets = []string{clean(path, maxName)}
	}
	if !r.ReadOnly {
		r.Settings = p.settings(e)
	}
	return r, true, nil
}

// The times that are held to be possible. What is outside is a wrong clock, and
// would move a timeline's end to where no event is.
var (
	earliest = time.Date(2014, 1, 1, 0, 0, 0, 0, time.UTC)
	latest   = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
)

// time returns when the request came: what it caused is later.
func (e *event) time() (time.Time, error) {
	text, name := e.RequestReceivedTimestamp, "requestReceivedTimestamp"
	if text == "" {
		text, name = e.StageTimestamp, "stageTimestamp"
	}
	at, err := time.Parse(time.RFC3339, text)
	switch {
	case text == "":
		return at, errors.New("requestReceivedTimestamp is missing")
	case err != nil:
		return at, fmt.Errorf("%s is no time", name)
	case at.Before(earliest) || at.After(latest):
		return at, fmt.Errorf("%s is in the year %d: a wrong clock", name, at.Year())
	}
	return at.UTC(), nil
}

// questions are resources whose creation asks something and changes nothing.
var questions = []string{"tokenreviews", "subjectaccessreviews", "localsubjectaccessreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"}

func (e *event) readOnly() bool {
	switch e.Verb {
	case "get", "list", "watch", "head", "options":
		return true
	}
	if o := e.ObjectRef; o != nil && (slices.Contains(questions, o.Resource) || o.Resource == "serviceaccounts" && o.Subresource == "token") {
		return true
	}
	_, query, _ := strings.Cut(e.RequestURI, "?")
	return strings.Contains(query, "dryRun=All")
}

func (e *event) failed() string {
	switch s := e.ResponseStatus; {
	case s.Code < 400:
		return ""
	case s.Reason != "":
		return clean(s.Reason, maxName)
	default:
		return strconv.Itoa(s.Code)
	}
}

const (
	// maxMessage bounds a free text, in bytes, and maxName a name.
	maxMessage = 2000
	maxName    = 2048
	maxCached  = 4096
)

// clean makes text valid UTF-8 of at most limit bytes.
func clean(text string, limit int) string {
	if len(text) > limit {
		for limit > 0 && !utf8.RuneStart(text[limit]) {
			limit--
		}
		text = text[:limit]
	}
	return strings.ToValidUTF8(text, "\ufffd")
}

// redact redacts a text and cuts it. User agents and messages repeat.
func (p *Parser) redact(text string) string {
	if text == "" {
		return ""
	}
	if known, ok := p.redacted[text]; ok {
		return known
	}
	if len(p.redacted) >= maxCached {
		clear(p.redacted)
	}
	out := penumbra.Redact(clean(text, maxMessage))
	if len(text) <= maxMessage {
		p.redacted[strings.Clone(text)] = out
	}
	return out
}

func (p *Parser) attributes(e *event, by actor) map[string]string {
	out := make(map[string]string, 8)
	add := func(name, value string) {
		if value != "" {
			out[name] = value
		}
	}
	add("level", clean(e.Level, maxName))
	add("user_agent", p.redact(e.UserAgent))
	add("field_manager", clean(e.fieldManager(), maxName))
	if len(e.SourceIPs) > 0 {
		add("source_ip", clean(e.SourceIPs[0], maxName))
	}
	if e.ImpersonatedUser != nil {
		add("impersonated_by", clean(e.User.Username, maxName))
		add("impersonated_user", clean(e.ImpersonatedUser.Username, maxName))
	}
	add("actor_reason", by.reason)
	add("decision", clean(e.Annotations["authorization.k8s.io/decision"], maxName))
	add("truncated", clean(e.Annotations["audit.k8s.io/truncated"], maxName))
	if o := e.ObjectRef; o != nil {
		add("resource", clean(o.Resource, maxName))
		add("namespace", clean(o.Namespace, maxName))
	}
	return out
}

// fieldManager returns the name that the client gave itself in the request.
func (e *event) fieldManager() string {
	_, query, _ := strings.Cut(e.RequestURI, "?")
	for part := range strings.SplitSeq(query, "&") {
		if name, ok := strings.CutPrefix(part, "fieldManager="); ok {
			if plain, err := url.QueryUnescape(name); err == nil {
				return plain
			}
			return name
		}
	}
	return ""
}

package api

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// Client is an Answerer, and listens to news, of a daemon over HTTP. It is safe for
// concurrent use. Calls last as long as their context lets them: a read or a
// plan may take minutes.
type Client struct {
	base  string
	token string
	http  *http.Client
	err   error // why base cannot be used, given by every call
}

var _ Answerer = (*Client)(nil)

// An Option changes how a Client talks.
type Option func(*Client)

// WithHTTPClient makes the calls go through c rather than
// [http.DefaultClient], which follows the proxy of the environment.
func WithHTTPClient(c *http.Client) Option { return func(client *Client) { client.http = c } }

// NewClient returns a client of the daemon at base ("http://127.0.0.1:7777"),
// which it knows itself to by its token. A base that is no such address makes
// every call fail with kind Invalid.
func NewClient(base, token string, opts ...Option) *Client {
	c := &Client{base: strings.TrimRight(base, "/"), token: token, http: http.DefaultClient}
	if u, err := url.Parse(base); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		c.err = &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("%q is not the address of a daemon", base), Remedy: "give one like http://127.0.0.1:7777"}
	}
	for _, opt := range opts {
		opt(c)
	}
	return c
}

// InProcess returns a client that calls a handler, as [Handler] makes it,
// directly: the same requests and answers without a socket.
func InProcess(h http.Handler, token string) *Client {
	return NewClient("http://localhost", token, WithHTTPClient(&http.Client{Transport: direct{h}}))
}

// Status implements [Watcher].
func (c *Client) Status(ctx context.Context) (penumbra.Status, error) {
	var s penumbra.Status
	return s, c.get(ctx, "/v1/status", nil, &s)
}

// Shadow implements [Watcher].
func (c *Client) Shadow(ctx context.Context, address penumbra.Address) (penumbra.ShadowView, error) {
	var view penumbra.ShadowView
	err := c.get(ctx, "/v1/shadow", params{}.text("address", string(address)), &view)
	restoreShadow(&view)
	return view, err
}

// Explain implements [Explainer].
func (c *Client) Explain(ctx context.Context, address penumbra.Address, path string) ([]penumbra.Explanation, error) {
	var list explanationList
	err := c.get(ctx, "/v1/explanations", params{}.text("address", string(address)).text("path", path), &list)
	return list.Explanations, err
}

// Proposals implements [Resolver].
func (c *Client) Proposals(ctx context.Context, drift string) ([]penumbra.Proposal, []penumbra.Omitted, error) {
	var list proposalList
	err := c.callOn(ctx, http.MethodGet, "drift", "/v1/drifts/", drift, "/proposals", nil, &list)
	restoreEach(list.Proposals, restoreProposal)
	return list.Proposals, list.Omitted, err
}

// Proposal implements [Resolver].
func (c *Client) Proposal(ctx context.Context, id string) (penumbra.Proposal, error) {
	var p penumbra.Proposal
	err := c.callOn(ctx, http.MethodGet, "proposal", "/v1/proposals/", id, "", nil, &p)
	restoreProposal(&p)
	return p, err
}

// Approve implements [Resolver].
func (c *Client) Approve(ctx context.Context, proposal, hash, by string) (penumbra.Approval, error) {
	var in approval
	in.Body.Hash, in.Body.By = hash, by
	var a penumbra.Approval
	return a, c.callOn(ctx, http.MethodPost, "proposal", "/v1/proposals/", proposal, "/approve", in.Body, &a)
}

// Reject implements [Resolver].
func (c *Client) Reject(ctx context.Context, proposal, by, reason string) error {
	var in rejection
	in.Body.By, in.Body.Reason = by, reason
	return c.callOn(ctx, http.MethodPost, "proposal", "/v1/proposals/", proposal, "/reject", in.Body, nil)
}

// Customize implements [Resolver].
func (c *Client) Customize(ctx context.Context, proposal string, edit penumbra.Edit, by string) (penumbra.Proposal, error) {
	var in customisation
	in.Body.Values, in.Body.Files, in.Body.By = edit.Values, edit.Files, by
	var p penumbra.Proposal
	err := c.callOn(ctx, http.MethodPost, "proposal", "/v1/proposals/", proposal, "/customize", in.Body, &p)
	restoreProposal(&p)
	return p, err
}

// AdoptPart implements [Resolver].
func (c *Client) AdoptPart(ctx context.Context, drift string, only []string, revert bool, by string) (penumbra.Proposal, error) {
	var in partAdoption
	in.Body.Only, in.Body.RevertRest, in.Body.By = orEmpty(only), revert, by
	var p penumbra.Proposal
	err := c.callOn(ctx, http.MethodPost, "drift", "/v1/drifts/", drift, "/adopt", in.Body, &p)
	restoreProposal(&p)
	return p, err
}

// Rollback implements [Resolver].
func (c *Client) Rollback(ctx context.Context, run, by string) (penumbra.Proposal, error) {
	var in undoing
	in.Body.By = by
	var p penumbra.Proposal
	err := c.callOn(ctx, http.MethodPost, "run", "/v1/runs/", run, "/rollback", in.Body, &p)
	restoreProposal(&p)
	return p, err
}

// Review implements [Resolver].
func (c *Client) Review(ctx context.Context, run string) (penumbra.Run, error) {
	var out penumbra.Run
	return out, c.callOn(ctx, http.MethodPost, "run", "/v1/runs/", run, "/review", nil, &out)
}

// Model implements [Modeller].
func (c *Client) Model(ctx context.Context) (penumbra.ModelStatus, error) {
	var st penumbra.ModelStatus
	return st, c.get(ctx, "/v1/model", nil, &st)
}

// Versions implements [Modeller].
func (c *Client) Versions(ctx context.Context) ([]penumbra.ModelVersion, error) {
	return collect(each(0, func(size int, cursor string) ([]penumbra.ModelVersion, string, error) {
		var list versionList
		err := c.get(ctx, "/v1/model/versions", params{}.page(size, cursor), &list)
		return list.Versions, list.Next, err
	}))
}

// AddVersion implements [Modeller].
func (c *Client) AddVersion(ctx context.Context, v penumbra.ModelVersion, body []byte) (penumbra.ModelVersion, error) {
	var in newVersion
	in.Body.Version, in.Body.Data = v, body
	var out penumbra.ModelVersion
	return out, c.call(ctx, http.MethodPost, "/v1/model/versions", in.Body, &out)
}

// Promote implements [Modeller].
func (c *Client) Promote(ctx context.Context, number int, by, forced string) (penumbra.ModelVersion, error) {
	var in promotion
	in.Body.By, in.Body.Forced = by, forced
	var out penumbra.ModelVersion
	return out, c.callOn(ctx, http.MethodPost, "version", "/v1/model/versions/", strconv.Itoa(number), "/promote", in.Body, &out)
}

// RollbackModel implements [Modeller].
func (c *Client) RollbackModel(ctx context.Context, by string) (penumbra.ModelVersion, error) {
	var in modelRollback
	in.Body.By = by
	var out penumbra.ModelVersion
	return out, c.call(ctx, http.MethodPost, "/v1/model/rollback", in.Body, &out)
}

// Nodes implements [Watcher].
func (c *Client) Nodes(ctx context.Context) (penumbra.Nodes, error) {
	var out penumbra.Nodes
	return out, c.get(ctx, "/v1/nodes", nil, &out)
}

// Inputs implements [Listener].
func (c *Client) Inputs(ctx context.Context) ([]penumbra.InputStatus, error) {
	var list inputList
	err := c.get(ctx, "/v1/inputs", nil, &list)
	return list.Inputs, err
}

// Unmapped implements [Listener].
func (c *Client) Unmapped(ctx context.Context, limit int) (penumbra.Unmapped, error) {
	var whole penumbra.Unmapped
	kinds, err := collect(each(limit, func(size int, cursor string) ([]penumbra.UnmappedKind, string, error) {
		var page unmappedPage
		err := c.get(ctx, "/v1/unmapped", params{}.page(size, cursor), &page)
		if cursor == "" {
			whole.Records, whole.Dropped = page.Records, page.Dropped
		}
		return page.Kinds, page.Next, err
	}))
	whole.Kinds = kinds
	return whole, err
}

// Remap implements [Listener].
func (c *Client) Remap(ctx context.Context) (penumbra.RemapReport, error) {
	var report penumbra.RemapReport
	return report, c.call(ctx, http.MethodPost, "/v1/unmapped/retry", nil, &report)
}

// Rollups implements [Listener].
func (c *Client) Rollups(ctx context.Context, q penumbra.RollupQuery) ([]penumbra.Rollup, error) {
	p := params{}.text("resource", string(q.Resource)).text("metric", q.Metric).time("from", q.From).time("to", q.To)
	if q.Span != 0 {
		p = p.text("span", q.Span.String())
	}
	var list rollupList
	err := c.get(ctx, "/v1/metrics", p, &list)
	return list.Rollups, err
}

// Acknowledge implements [Resolver].
func (c *Client) Acknowledge(ctx context.Context, drift, by string) (penumbra.Drift, error) {
	var in acknowledgement
	in.Body.By = by
	var d penumbra.Drift
	err := c.callOn(ctx, http.MethodPost, "drift", "/v1/drifts/", drift, "/acknowledge", in.Body, &d)
	restoreDrift(&d)
	return d, err
}

// Accept implements [Resolver].
func (c *Client) Accept(ctx context.Context, drift, by, reason string, until time.Time) (penumbra.Drift, error) {
	var in acceptance
	in.Body.By, in.Body.Reason, in.Body.Until = by, reason, until
	var d penumbra.Drift
	err := c.callOn(ctx, http.MethodPost, "drift", "/v1/drifts/", drift, "/accept", in.Body, &d)
	restoreDrift(&d)
	return d, err
}

// Ingest implements [Carrier]. It sends r as it reads it.
func (c *Client) Ingest(ctx context.Context, r io.Reader, source string) (penumbra.IngestReport, error) {
	var report penumbra.IngestReport
	header := http.Header{"Content-Type": {jsonLines}}
	resp, err := c.send(ctx, http.MethodPost, "/v1/observations", params{}.text("source", source), header, io.NopCloser(r))
	if err != nil {
		return report, err
	}
	return report, decode(resp, &report)
}

// Export implements [Carrier]. If the stream breaks off, the error is of kind
// Unavailable and what was written so far is not all there is.
func (c *Client) Export(ctx context.Context, q penumbra.ObservationQuery, w io.Writer) (int, error) {
	p := params{}.text("resource", string(q.Resource)).text("stack", q.Stack).number("after", q.After).number("latest", int64(q.Latest)).
		time("from", q.From).time("to", q.To)
	kinds := make([]string, len(q.Kinds))
	for i, k := range q.Kinds {
		kinds[i] = k.String()
	}
	resp, err := c.send(ctx, http.MethodGet, "/v1/observations", p.text("kinds", strings.Join(kinds, ",")), nil, nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	lines := &lineCounter{w: w}
	if _, err := io.Copy(lines, resp.Body); err != nil {
		if lines.err != nil {
			return lines.n, fmt.Errorf("write the export: %w", lines.err)
		}
		return lines.n, &penumbra.Error{Kind: penumbra.Unavailable, What: fmt.Sprintf("the export broke off after %d observations", lines.n), Err: err, Remedy: "try again; what was written is not complete"}
	}
	return lines.n, nil
}

// Trigger implements [Carrier].
func (c *Client) Trigger(ctx context.Context, stack string) error {
	return c.callOn(ctx, http.MethodPost, "stack", "/v1/stacks/", stack, "/read", nil, nil)
}

// StartRecording implements [Recorder].
func (c *Client) StartRecording(ctx context.Context) (string, error) {
	var started startedRecording
	err := c.call(ctx, http.MethodPost, "/v1/recordings", nil, &started)
	return started.ID, err
}

// RecordedValues implements [Recorder].
func (c *Client) RecordedValues(ctx context.Context, recording string, after int64) (penumbra.RecordedValues, error) {
	var page penumbra.RecordedValues
	if recording == "" {
		return page, unnamed("recording")
	}
	return page, c.get(ctx, "/v1/recordings/"+url.PathEscape(recording)+"/values", params{}.number("after", after), &page)
}

// EndRecording implements [Recorder].
func (c *Client) EndRecording(ctx context.Context, recording string) error {
	return c.callOn(ctx, http.MethodDelete, "recording", "/v1/recordings/", recording, "", nil, nil)
}

// lineCounter counts the lines that pass and tells its own errors from those
// of the reader.
type lineCounter struct {
	w   io.Writer
	n   int
	err error
}

func (l *lineCounter) Write(p []byte) (int, error) {
	n, err := l.w.Write(p)
	l.n += bytes.Count(p[:n], []byte{'\n'})
	l.err = err
	return n, err
}

// params are query parameters; zero values are left out.
type params url.Values

func (p params) text(name, value string) params {
	if value != "" {
		p[name] = []string{value}
	}
	return p
}

func (p params) flag(name string, on bool) params {
	if on {
		p[name] = []string{"true"}
	}
	return p
}

func (p params) number(name string, n int64) params {
	if n != 0 {
		p[name] = []string{strconv.FormatInt(n, 10)}
	}
	return p
}

func (p params) time(name string, t time.Time) params {
	if !t.IsZero() {
		p[name] = []string{t.UTC().Format(time.RFC3339Nano)}
	}
	return p
}

func (c *Client) get(ctx context.Context, path string, p params, out any) error {
	resp, err := c.send(ctx, http.MethodGet, path, p, nil, nil)
	if err != nil {
		return err
	}
	return decode(resp, out)
}

// callOn calls a route with an identifier between prefix and suffix. An empty
// identifier would make it another route.
func (c *Client) callOn(ctx context.Context, method, noun, prefix, id, suffix string, in, out any) error {
	if id == "" {
		return unnamed(noun)
	}
	return c.call(ctx, method, prefix+url.PathEscape(id)+suffix, in, out)
}

func unnamed(noun string) error {
	return &penumbra.Error{Kind: penumbra.Invalid, What: "the id of the " + noun + " is empty", Remedy: "name one"}
}

// call calls a route with a JSON body, none if in is nil.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	var data []byte
	header := http.Header{}
	if in != nil {
		var err error
		if data, err = json.Marshal(in); err != nil {
			return fmt.Errorf("encode the request: %w", err)
		}
		header.Set("Content-Type", "application/json")
	}
	if method == http.MethodPost {
		header.Set(idempotencyKey, rand.Text())
	}
	send := func() (*http.Response, error) {
		if in == nil {
			return c.send(ctx, method, path, nil, header, nil)
		}
		return c.send(ctx, method, path, nil, header, io.NopCloser(bytes.NewReader(data)))
	}
	resp, err := send()
	if broke(err) && ctx.Err() == nil && keyed(path) {
		resp, err = send() // what was done already is not done again
	}
	if err != nil {
		return err
	}
	return decode(resp, out)
}

// send makes a request and returns a response whose status is below 400; of
// any other it returns the error.
func (c *Client) send(ctx context.Context, method, path string, p params, header http.Header, body io.ReadCloser) (*http.Response, error) {
	if c.err != nil {
		return nil, c.err
	}
	call := method + " " + path
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: call, Err: err}
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if c.token != "" { // else the connection's certificate says who asks
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	req.URL.RawQuery = url.Values(p).Encode()
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, call, err)
	}
	if resp.StatusCode >= http.StatusBadRequest {
		defer resp.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20)) // what came before the break says enough
		return nil, errorOf(call, resp.StatusCode, text)
	}
	return resp, nil
}

func (c *Client) unreachable(ctx context.Context, call string, err error) error {
	if ctx.Err() != nil {
		return &penumbra.Error{Kind: penumbra.Unavailable, What: call, Err: context.Cause(ctx)}
	}
	return &penumbra.Error{
		Kind: penumbra.Unavailable, What: "reach the daemon at " + c.base, Err: err,
		Remedy: "start it with `penumbra serve`, or check the address",
	}
}

// decode reads a response's JSON into out, nil for a response without a body.
func decode(resp *http.Response, out any) error {
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return &penumbra.Error{Kind: penumbra.Unavailable, What: "read the daemon's answer", Err: err, Remedy: "try again; if it stays, check that client and daemon are of one version"}
	}
	return nil
}

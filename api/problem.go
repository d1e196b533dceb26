package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penumbra-iac/penumbra"
)

// statuses is the one place where a kind of error becomes an HTTP status. Kinds
// may share one: the problem names the kind.
var statuses = [...]int{
	penumbra.Internal:    http.StatusInternalServerError,
	penumbra.Invalid:     http.StatusUnprocessableEntity,
	penumbra.NotFound:    http.StatusNotFound,
	penumbra.Missing:     http.StatusFailedDependency,
	penumbra.Unavailable: http.StatusServiceUnavailable,
	penumbra.Locked:      http.StatusLocked,
	penumbra.Stale:       http.StatusConflict,
	penumbra.Refused:     http.StatusForbidden,
	penumbra.Full:        http.StatusInsufficientStorage,
	penumbra.Damaged:     http.StatusInternalServerError,
}

func statusOf(k penumbra.ErrorKind) int {
	if int(k) < len(statuses) {
		return statuses[k]
	}
	return http.StatusInternalServerError
}

// kindOfStatus is for answers that name no kind: those of the HTTP layers
// themselves, on either side. The first kind that has the status is taken.
func kindOfStatus(status int) penumbra.ErrorKind {
	for kind, s := range statuses {
		if s == status {
			return penumbra.ErrorKind(kind)
		}
	}
	switch {
	case status == http.StatusUnauthorized:
		return penumbra.Refused
	case status == http.StatusTooManyRequests, status == http.StatusBadGateway, status == http.StatusGatewayTimeout:
		return penumbra.Unavailable
	case status >= 400 && status < 500:
		return penumbra.Invalid
	default:
		return penumbra.Internal
	}
}

func kindNamed(name string) (penumbra.ErrorKind, bool) {
	for kind := range statuses {
		if k := penumbra.ErrorKind(kind); k.String() == name {
			return k, true
		}
	}
	return penumbra.Internal, false
}

const problemType = "application/problem+json"

// Problem is an error as it stands in a response: a problem detail of RFC 9457
// with two members of its own, kind and remedy.
type Problem struct {
	Type   string `json:"type" doc:"Always about:blank: the kind says what sort of problem it is." example:"about:blank"`
	Title  string `json:"title" doc:"The HTTP status in words." example:"Conflict"`
	Status int    `json:"status" doc:"The HTTP status." example:"409"`
	Detail string `json:"detail" doc:"What failed, naming the place." example:"approve proposal p-7f3a: the plan has changed since it was shown"`
	Kind   string `json:"kind" doc:"What follows from it: correct the input, wait, look again, ask a person." example:"stale" enum:"internal,invalid,not found,missing,unavailable,locked,stale,refused,full,damaged"`
	Remedy string `json:"remedy,omitempty" doc:"What to do about it." example:"look at the drift again and approve the new plan"`
}

// Error makes a Problem what a handler may return.
func (p *Problem) Error() string { return p.Detail }

// GetStatus returns the HTTP status, for huma.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType returns the media type of problem details, for huma.
func (p *Problem) ContentType(string) string { return problemType }

func newProblem(status int, kind penumbra.ErrorKind, detail, remedy string) *Problem {
	return &Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status,
		Detail: penumbra.Redact(detail), Kind: kind.String(), Remedy: penumbra.Redact(remedy),
	}
}

// problemOf turns an error of the Service into a problem. The text of an error
// may hold what a tool printed, so it is redacted once more.
func problemOf(err error) *Problem {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return newProblem(http.StatusRequestEntityTooLarge, penumbra.Invalid,
			fmt.Sprintf("read the request: it is longer than %d bytes", tooLarge.Limit), "split the timeline and send its parts one after the other")
	}
	var e *penumbra.Error
	if !errors.As(err, &e) {
		kind := penumbra.Internal
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			kind = penumbra.Unavailable
		}
		return newProblem(statusOf(kind), kind, err.Error(), "")
	}
	detail := e.What
	if e.Err != nil {
		detail += ": " + e.Err.Error()
	}
	return newProblem(statusOf(e.Kind), e.Kind, detail, e.Remedy)
}

// restate turns what huma itself says of a request that does not fit the
// schema into a problem. It leaves out the values that huma would echo: one
// may be a secret sent to the wrong place.
func restate(_ huma.Context, _ string, body any) (any, error) {
	model, ok := body.(*huma.ErrorModel)
	if !ok {
		return body, nil
	}
	detail := []string{model.Detail}
	for _, e := range model.Errors {
		if e == nil {
			continue
		}
		where := strings.TrimSpace(e.Location + " " + e.Message)
		detail = append(detail, where)
	}
	return newProblem(model.Status, kindOfStatus(model.Status), strings.Join(detail, ": "), ""), nil
}

// writeProblem answers a request that huma does not see.
func writeProblem(w http.ResponseWriter, p *Problem) {
	body, err := json.Marshal(p)
	if err != nil { // a struct of strings and an int always marshals
		http.Error(w, p.Detail, p.Status)
		return
	}
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	_, _ = w.Write(body)
}

// errorOf turns an error response back into the error that caused it. Whatever
// the body holds, the result is an Error.
func errorOf(call string, status int, body []byte) *penumbra.Error {
	var p Problem
	if err := json.Unmarshal(body, &p); err != nil || p.Detail == "" {
		return &penumbra.Error{
			Kind: kindOfStatus(status), What: fmt.Sprintf("%s: status %d %s", call, status, http.StatusText(status)),
			Remedy: "check that the address is that of a Penumbra daemon",
		}
	}
	kind, ok := kindNamed(p.Kind)
	if !ok {
		kind = kindOfStatus(status)
	}
	return &penumbra.Error{Kind: kind, What: p.Detail, Remedy: p.Remedy}
}

// Refuse answers a request with an error, as the API does: for handlers beside it.
func Refuse(w http.ResponseWriter, err error) { writeProblem(w, problemOf(err)) }

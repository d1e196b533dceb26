package tofu

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"

	tfjson "github.com/hashicorp/terraform-json"

	"github.com/penumbra-iac/penumbra"
)

// events is what the machine-readable output of a plan or an apply tells.
type events struct {
	errors    []tfjson.Diagnostic
	refreshed map[string]bool // addresses whose read was completed
	started   map[string]bool // addresses whose read was begun
}

// parseEvents reads the lines that -json makes a command write. Lines that are
// not such JSON, as a crashing provider may leave them, are passed over.
func parseEvents(out []byte) events {
	e := events{refreshed: make(map[string]bool), started: make(map[string]bool)}
	for line := range bytes.Lines(out) {
		var message struct {
			Type       string             `json:"type"`
			Diagnostic *tfjson.Diagnostic `json:"diagnostic"`
			Hook       struct {
				Resource struct {
					Address string `json:"addr"`
				} `json:"resource"`
			} `json:"hook"`
		}
		if json.Unmarshal(line, &message) != nil {
			continue
		}
		switch address := message.Hook.Resource.Address; message.Type {
		case "refresh_start", "apply_start":
			e.started[address] = true
		case "refresh_complete":
			e.refreshed[address] = true
		case "diagnostic":
			if message.Diagnostic != nil && message.Diagnostic.Severity == tfjson.DiagnosticSeverityError {
				e.errors = append(e.errors, *message.Diagnostic)
			}
		}
	}
	return e
}

// reasons maps each resource that an error names to the error, redacted.
func (e events) reasons() map[string]string {
	out := make(map[string]string)
	for _, d := range e.errors {
		if d.Address != "" && out[d.Address] == "" {
			out[d.Address] = sentence(d)
		}
	}
	return out
}

// failure turns a command that failed into an error that says of what kind it
// is and what to do. what says what was tried.
func (w *Workspace) failure(what string, out *output, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return &penumbra.Error{Kind: penumbra.Unavailable, What: what, Err: err}
	}
	if _, exited := errors.AsType[*exec.ExitError](err); !exited {
		return &penumbra.Error{Kind: penumbra.Missing, What: what, Err: err, Remedy: "name an OpenTofu or Terraform binary that can be run in " + BinaryVariable}
	}
	found := parseEvents(out.stdout.Bytes())
	return classify(what, w.dir, found, out.stdout.String()+"\n"+out.stderr.String())
}

// The words by which the tools say what went wrong. Both have kept them for
// years; where they change, the error is Unavailable and still shown in full.
var (
	needsInit = regexp.MustCompile(`(?i)initialization required|please run "(terraform|tofu) init"|run "?(terraform|tofu) init"?|module not installed|required plugins are not installed|inconsistent dependency lock file|could not load plugin`)
	heldLock  = regexp.MustCompile(`already locked: ID=([^\s"\\]+)`)
	crashed   = regexp.MustCompile(`(?i)plugin (did not respond|process exited|crashed)|the .* plugin crashed|plugin encountered an error|^panic:`)
)

// classify decides on the kind of a failed command's error. text is all that
// the command wrote.
func classify(what, dir string, found events, text string) error {
	fault := &penumbra.Error{Kind: penumbra.Unavailable, What: what + ": " + firstError(found, text)}
	switch {
	case strings.Contains(text, "Error acquiring the state lock"):
		fault.Kind = penumbra.Locked
		fault.What = what + ": the state is locked" + lockHolder(text)
		fault.Remedy = "wait for that operation to end; `tofu force-unlock` only if its process is gone"
	case strings.Contains(text, "Saved plan is stale"):
		fault.Kind = penumbra.Stale
		fault.What = what + ": the state has changed since the plan was made"
		fault.Remedy = "plan again"
	case needsInit.MatchString(text):
		fault.Kind, fault.Remedy = penumbra.Missing, "run `tofu init` in "+dir
	case crashed.MatchString(text):
		fault.What = what + ": a provider crashed: " + firstError(found, text)
		fault.Remedy = "run the same plan by hand to see the provider's own output"
	default:
		if place, ok := codeFault(found, text); ok {
			fault.Kind, fault.Remedy = penumbra.Invalid, "correct "+place
		}
	}
	return fault
}

// codeFault returns the file and line of an error in the code: one that points
// there before any resource was read. Later ones come from providers.
func codeFault(found events, text string) (place string, ok bool) {
	if at := onLine.FindStringSubmatch(text); at != nil && len(found.started) == 0 {
		return at[1] + ":" + at[2], true
	}
	for _, d := range found.errors {
		if d.Range != nil && d.Range.Filename != "" && len(found.started) == 0 {
			return fmt.Sprintf("%s:%d", d.Range.Filename, d.Range.Start.Line), true
		}
	}
	return "", false
}

var (
	// colours are those that a command without -no-color writes for a terminal.
	colours = regexp.MustCompile("\x1b\\[[0-9;]*m")
	// onLine is where a diagnostic says it is about.
	onLine = regexp.MustCompile(`on (\S+) line (\d+)`)
)

// firstError is the first error in the output, redacted, without the stack
// trace of a provider.
func firstError(found events, text string) string {
	if len(found.errors) > 0 {
		d := found.errors[0]
		s := sentence(d)
		if d.Range != nil && d.Range.Filename != "" {
			s = fmt.Sprintf("%s:%d: %s", d.Range.Filename, d.Range.Start.Line, s)
		}
		if more := len(found.errors) - 1; more > 0 {
			s += fmt.Sprintf(" (and %d more)", more)
		}
		return s
	}
	text = colours.ReplaceAllString(text, "")
	for line := range strings.Lines(text) {
		line = strings.Trim(line, "│╷╵ \t\r\n")
		if message, ok := strings.CutPrefix(line, "Error: "); ok {
			if at := onLine.FindStringSubmatch(text); at != nil {
				message = at[1] + ":" + at[2] + ": " + message
			}
			return penumbra.Redact(message)
		}
		if strings.HasPrefix(line, "panic: ") {
			return "a provider crashed"
		}
	}
	return "the command failed without saying why"
}

// maxDetail is how many bytes of an error's detail are kept.
const maxDetail = 400

// sentence is a diagnostic on one line, redacted and without a stack trace.
func sentence(d tfjson.Diagnostic) string {
	detail, _, _ := strings.Cut(d.Detail, "\npanic: ")
	detail, _, _ = strings.Cut(detail, "\ngoroutine ")
	detail = strings.Join(strings.Fields(detail), " ")
	if len(detail) > maxDetail {
		detail = strings.ToValidUTF8(detail[:maxDetail], "") + "…"
	}
	s := d.Summary
	if detail != "" {
		s += ": " + detail
	}
	return penumbra.Redact(s)
}

// lockHolder reads who holds a lock from the block of text that both tools
// print when they do not get it. It starts with a space and is empty if the
// text does not say.
func lockHolder(text string) string {
	var id, who, operation, created string
	scanner := bufio.NewScanner(strings.NewReader(strings.ReplaceAll(text, `\n`, "\n")))
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		name, value, _ := strings.Cut(strings.Trim(scanner.Text(), "│╷╵ \t\r"), ":")
		value = strings.TrimSpace(value)
		switch name {
		case "ID":
			id = value
		case "Who":
			who = value
		case "Operation":
			operation = strings.TrimPrefix(value, "OperationType")
		case "Created":
			created = value
		}
	}
	// The http backend prints the information of the lock that was asked for,
	// and of the one that is held only its identifier.
	if held := heldLock.FindStringSubmatch(text); held != nil && held[1] != id {
		return penumbra.Redact(" under the lock " + held[1])
	}
	var b strings.Builder
	for _, part := range [...][2]string{{" by ", who}, {" for ", strings.ToLower(operation)}, {" since ", created}} {
		if part[1] != "" {
			b.WriteString(part[0] + part[1])
		}
	}
	return penumbra.Redact(b.String())
}

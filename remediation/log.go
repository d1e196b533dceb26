package remediation

import (
	"bytes"
	"fmt"
	"strings"
	"sync"

	"github.com/penumbra-iac/penumbra"
)

// Bounds of a run's log in bytes. The beginning says what was tried, the end
// how it failed.
const (
	logHead = 32 << 10
	logTail = 32 << 10
	logLine = 4 << 10
	// keyLines is how long a private key may be before what follows it is
	// shown though no end of it was seen.
	keyLines = 120
)

// runLog takes the output of tools, redacts each line before it keeps it, and
// keeps the beginning and the end. It may be read while it is written. The zero
// value is ready.
type runLog struct {
	mu      sync.Mutex
	partial []byte // a line without its end yet
	cut     bool   // the rest of a line too long to keep is being dropped
	inKey   int    // lines that may still belong to a private key
	named   bool   // the line before ended with the name of a secret
	head    strings.Builder
	tail    []string
	inTail  int // bytes
	dropped int // bytes
}

// Write never fails: output that cannot be kept must not stop an apply.
func (l *runLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(p)
	for len(p) > 0 {
		line, rest, ended := bytes.Cut(p, []byte("\n"))
		if room := logLine - len(l.partial); len(line) > room {
			l.dropped += len(line) - room
			line, l.cut = line[:room], true
		}
		l.partial = append(l.partial, line...)
		if ended {
			l.flush()
		}
		p = rest
	}
	return n, nil
}

func (l *runLog) flush() {
	line := string(l.partial)
	l.partial = l.partial[:0]
	if l.cut {
		// A secret cut in two may no longer look like one: its last word goes.
		line = line[:max(0, strings.LastIndexAny(line, " \t\"=:,"))] + " …"
		l.cut = false
	}
	l.keepLine(l.redact(line) + "\n")
}

// redact knows of the secrets that span lines: a private key in PEM, and a value
// on the line after its name.
func (l *runLog) redact(line string) string {
	if strings.Contains(line, "PRIVATE KEY-----") {
		begins := strings.Contains(line, "-----BEGIN ")
		l.inKey = 0
		if begins && !strings.Contains(line, "-----END ") {
			l.inKey = keyLines
		}
		return "[redacted]"
	}
	if l.inKey > 0 {
		l.inKey--
		return "[redacted]"
	}
	value := l.named
	l.named = !penumbra.MentionsSecret(line) && penumbra.MentionsSecret(line+"x") && strings.HasSuffix(strings.TrimRight(line, " \t\""), ":") ||
		value && strings.TrimSpace(line) == ""
	if value && !l.named {
		return "[redacted]"
	}
	return penumbra.Redact(line)
}

func (l *runLog) keepLine(line string) {
	if len(l.tail) == 0 && l.head.Len()+len(line) <= logHead {
		l.head.WriteString(line)
		return
	}
	l.tail = append(l.tail, line)
	l.inTail += len(line)
	for l.inTail > logTail {
		l.inTail -= len(l.tail[0])
		l.dropped += len(l.tail[0])
		l.tail = l.tail[1:]
	}
}

// keep takes text that was redacted before.
func (l *runLog) keep(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(text) {
		l.keepLine(line)
	}
}

func (l *runLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.partial) > 0 {
		l.flush()
	}
	return l.text()
}

// SoFar returns the lines that are complete.
func (l *runLog) SoFar() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text()
}

func (l *runLog) text() string {
	var between string
	if l.dropped > 0 {
		between = fmt.Sprintf("… %d bytes left out …\n", l.dropped)
	}
	return l.head.String() + between + strings.Join(l.tail, "")
}

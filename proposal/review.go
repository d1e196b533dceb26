package proposal

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/penumbra-iac/penumbra"
)

// The trailers of a commit that Penumbra makes. By the first two it knows its own
// commits again.
const (
	DriftTrailer    = "Penumbra-Drift"
	ProposalTrailer = "Penumbra-Proposal"
	ApproverTrailer = "Approved-by"
)

// subjectLength is where tools cut the first line of a commit's message.
const subjectLength = 72

// reviewSettings is how many settings a table shows before it only counts them.
const reviewSettings = 40

// Review is what reviewers of a patch read: why it is proposed, and on what
// evidence. It never holds a secret.
type Review struct {
	Title   string // one line
	Message string // of the commit: subject, body, trailers
	Body    string // of the pull request, in Markdown
}

// ReviewOf writes the review of a proposal with a patch, for a drift and who
// approved it.
func ReviewOf(p *penumbra.Proposal, d *penumbra.Drift, by string) Review {
	by = oneLine(by)
	title := oneLine(penumbra.Redact(d.Resource.Local() + ": " + lowerFirst(p.Title)))
	return Review{Title: title, Message: message(p, d, title, by), Body: body(p, d, by)}
}

func message(p *penumbra.Proposal, d *penumbra.Drift, title, by string) string {
	var b strings.Builder
	b.WriteString(cut(title, subjectLength) + "\n\n")
	for _, paragraph := range []string{p.Explanation, p.WayBack} {
		if text := oneLine(penumbra.Redact(paragraph)); text != "" {
			b.WriteString(wrap(text, subjectLength) + "\n\n")
		}
	}
	for i, f := range d.Findings {
		if i == reviewSettings {
			fmt.Fprintf(&b, "  and %d settings more\n", len(d.Findings)-i)
			break
		}
		fmt.Fprintf(&b, "  %s: the code says %s, there is %s\n", pathWord(f.Path), oneLine(told(&f, f.Template)), oneLine(told(&f, f.Actual)))
	}
	if len(d.Findings) > 0 {
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "%s: %s\n%s: %s\n%s: %s\n", DriftTrailer, p.Drift, ProposalTrailer, p.ID, ApproverTrailer, by)
	return b.String()
}

func body(p *penumbra.Proposal, d *penumbra.Drift, by string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", prose(p.Explanation))
	if d.Critical {
		b.WriteString("**Critical:** it coincides with a drop in performance.\n\n")
	}
	settingsTable(&b, d)
	fact := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "- **%s:** %s\n", name, text)
		}
	}
	fact("Resource", code(string(d.Resource)))
	if d.Cause.Actor != "" {
		kind := ""
		if d.Cause.ActorKind != penumbra.UnknownActor {
			kind = " (" + d.Cause.ActorKind.String() + ")"
		}
		fact("Who", code(d.Cause.Actor)+kind)
	}
	fact("When", prose(strings.TrimSpace(when(d.Cause))))
	for _, x := range penumbra.GravestFirst(d.Impact) {
		fact("Performance", prose(x.Change()))
	}
	if text := forecasts(d); text != "" {
		fact("Forecast", prose(text))
	}
	fact("Way back", prose(p.WayBack))
	if impact := strings.TrimSpace(p.Impact); impact != "" {
		b.WriteString("\n**Impact**\n\n" + fence(penumbra.Redact(impact)))
	}
	if p.Patch != nil && p.Patch.Note != "" {
		b.WriteString("\n**Note:** " + prose(p.Patch.Note) + "\n")
	}
	fmt.Fprintf(&b, "\nApproved by %s in Penumbra: drift %s, proposal %s, hash %s.\n", code(by), code(p.Drift), code(p.ID), code(p.Hash))
	return b.String()
}

func settingsTable(b *strings.Builder, d *penumbra.Drift) {
	if len(d.Findings) == 0 {
		return
	}
	b.WriteString("| Setting | Code | Actual | Expected |\n|---|---|---|---|\n")
	for i, f := range d.Findings {
		if i == reviewSettings {
			fmt.Fprintf(b, "| and %d more | | | |\n", len(d.Findings)-i)
			break
		}
		likely := ""
		if e := f.Expectation; len(e.Values) > 0 {
			likely = fmt.Sprintf("%s (%.0f %%)", cell(told(&f, e.Likely())), 100*e.Values[0].Probability)
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", cell(pathWord(f.Path)), cell(told(&f, f.Template)), cell(told(&f, f.Actual)), likely)
	}
	b.WriteString("\n")
}

func pathWord(path string) string {
	if path == "" {
		return "the resource itself"
	}
	return path
}

// told is a value of a finding as others may read it.
func told(f *penumbra.Finding, v penumbra.Value) string {
	secret := f.Sensitive || v.Kind() == penumbra.SecretKind || penumbra.LooksSecret(f.Path, v)
	return penumbra.Redact(shown(v, secret))
}

// forecasts is what the shadow foresees of the drift's settings, "" if nothing.
func forecasts(d *penumbra.Drift) string {
	for i := range d.Findings {
		if d.Findings[i].Forecast != nil {
			return forecast(d.Findings)
		}
	}
	return ""
}

// oneLine has no line breaks nor other control characters: what comes from a log
// cannot begin a line of its own, where a trailer or a forge's command would
// stand.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
}

// cut shortens text to n characters at a word.
func cut(text string, n int) string {
	runes := []rune(text)
	if len(runes) <= n {
		return text
	}
	head := string(runes[:n-1])
	if i := strings.LastIndexByte(head, ' '); i > n/2 {
		head = head[:i]
	}
	return head + "…"
}

func wrap(text string, width int) string {
	var b strings.Builder
	column := 0
	for word := range strings.FieldsSeq(text) {
		n := len([]rune(word))
		switch {
		case column == 0:
		case column+1+n > width:
			b.WriteByte('\n')
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String()
}

// prose is text on one line that Markdown takes as it is: no markup, no mention
// of people who have a like name, no reference to an issue, and no command at
// its beginning.
func prose(text string) string {
	text = oneLine(penumbra.Redact(text))
	var b strings.Builder
	for i, r := range text {
		switch {
		case strings.ContainsRune("\\`*_[]<>|~!", r), i == 0 && strings.ContainsRune("/#-+", r):
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '@' || r == '#':
			b.WriteRune(r)
			b.WriteRune('\u2060') // a word joiner: nothing is seen of it
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// code is text as a code span, whatever marks are in it.
func code(text string) string {
	text = oneLine(penumbra.Redact(text))
	if text == "" {
		return ""
	}
	marks := "`"
	for strings.Contains(text, marks) {
		marks += "`"
	}
	if len(marks) > 1 || strings.HasPrefix(text, "`") {
		return marks + " " + text + " " + marks
	}
	return marks + text + marks
}

// cell is a code span in a table, where a bar would end the cell.
func cell(text string) string { return strings.ReplaceAll(code(text), "|", `\|`) }

func fence(text string) string {
	marks := "```"
	for strings.Contains(text, marks) {
		marks += "`"
	}
	return marks + "\n" + text + "\n" + marks + "\n"
}

// WithdrawnComment is what a pull request is told when it is closed again.
func WithdrawnComment(by, run string, at time.Time) string {
	return fmt.Sprintf("Withdrawn by %s on %s: Penumbra takes run %s back.", code(by), at.UTC().Format("2006-01-02 15:04 UTC"), code(run))
}

package notify

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// How much one notice says; the rest is on its page.
const (
	mostLines    = 12
	mostSubjects = 50
	longestLine  = 400
	longestTitle = 200
)

// written writes the notice of a group that goes on; fresh is what is new of it.
func (x *comparison) written(g *group, fresh []*subject) penumbra.Notice {
	first := g.members[0]
	n := penumbra.Notice{Key: g.key, About: first.about, Began: g.began, Title: first.title, Facts: first.facts, URL: x.url(first.page)}
	var drifts []*penumbra.Drift
	for _, s := range g.members {
		n.Severity = max(n.Severity, s.severity)
		x.place(&n, s.stack, s.resource, s.id)
		if s.verdict != nil && !slices.Contains(n.Verdicts, s.verdict.String()) {
			n.Verdicts = append(n.Verdicts, s.verdict.String())
		}
		if s.drift != nil {
			drifts = append(drifts, s.drift)
		}
		n.Lines = append(n.Lines, s.lines...)
	}
	if len(drifts) > 0 {
		writeDrifts(&n, drifts)
		if more := len(fresh); more < len(drifts) {
			n.Facts = append(n.Facts, penumbra.NoticeFact{Name: "new or changed", Value: fmt.Sprintf("%d of %d", more, len(drifts))})
		}
		if len(drifts) > 1 {
			n.URL = x.url("/drifts")
		}
	} else if len(g.members) > 1 {
		n.Title += fmt.Sprintf(" (and %d more)", len(g.members)-1)
	}
	return n
}

// url returns the address of a page, "" if none is configured.
func (t *Teller) url(page string) string {
	if t.cfg.URL == "" || page == "" {
		return ""
	}
	return strings.TrimRight(t.cfg.URL, "/") + page
}

// place notes where a subject is.
func (t *Teller) place(n *penumbra.Notice, stack string, resource penumbra.Address, id string) {
	if stack != "" && !slices.Contains(n.Stacks, stack) {
		n.Stacks = append(n.Stacks, stack)
		if e := t.cfg.Environment(stack); e != "" && !slices.Contains(n.Environments, e) {
			n.Environments = append(n.Environments, e)
		}
	}
	if resource != "" && len(n.Resources) < mostSubjects && !slices.Contains(n.Resources, resource) {
		n.Resources = append(n.Resources, resource)
	}
	if len(n.Subjects) < mostSubjects {
		n.Subjects = append(n.Subjects, id[strings.IndexByte(id, '/')+1:])
	}
}

// writeDrifts writes of drifts with one cause what moved, what it did, and who it was.
func writeDrifts(n *penumbra.Notice, drifts []*penumbra.Drift) {
	first := drifts[0]
	noun := "drift"
	if first.Verdict != penumbra.Drifted {
		noun = first.Verdict.String() + " " + noun
		if first.Verdict == penumbra.Unexpected {
			noun = "unexpected change"
		}
	}
	if len(drifts) == 1 {
		n.Title = fmt.Sprintf("%s on %s: %s", capital(noun), first.Resource, what(first))
	} else {
		n.Title = fmt.Sprintf("%d resources with one cause, %s: %s", len(drifts), noun, what(first))
	}
	impacts := 0
	for _, d := range drifts {
		for _, i := range penumbra.GravestFirst(d.Impact) {
			if impacts++; impacts > 4 {
				break
			}
			n.Lines = append(n.Lines, fmt.Sprintf("%s: %s %s, chance of coincidence %s", d.Resource, i.Metric, i.Change(), penumbra.Chance(i.Coincidence)))
		}
	}
	for _, d := range drifts {
		for i := range d.Findings {
			f := &d.Findings[i]
			text := fmt.Sprintf("%s: %s", d.Resource, f.Brief())
			if f.Hazard != "" {
				text += "; dangerous: " + f.Hazard
			}
			n.Lines = append(n.Lines, text)
		}
	}
	cause := first.Cause
	for _, d := range drifts { // who it was, if any of them tells
		if d.Cause.Actor != "" {
			cause = d.Cause
			break
		}
	}
	if first.Verdict == penumbra.Impending && first.Findings[0].Forecast != nil && first.Findings[0].Forecast.Reason != "" {
		n.Facts = append(n.Facts, penumbra.NoticeFact{Name: "because", Value: first.Findings[0].Forecast.Reason})
	} else {
		n.Facts = append(n.Facts, penumbra.NoticeFact{Name: "cause", Value: cause.Brief()})
	}
	n.Facts = append(n.Facts, penumbra.NoticeFact{Name: "opened", Value: n.Began.UTC().Format(time.RFC3339)},
		penumbra.NoticeFact{Name: "see", Value: "penumbra drift show " + first.ID})
}

// what says what moved, in a few words.
func what(d *penumbra.Drift) string {
	if len(d.Findings) == 0 {
		return d.Verdict.String()
	}
	text := d.Findings[0].Brief()
	if n := len(d.Findings); n > 1 {
		text += fmt.Sprintf(" (and %d more)", n-1)
	}
	return text
}

func capital(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

// ended writes the notice of a group of which nothing is left.
func (x *comparison) ended(ctx context.Context, g *group) (penumbra.Notice, error) {
	n := penumbra.Notice{Key: g.key, About: g.gone[0].About, Began: g.began, Ended: x.now}
	resolutions := map[string]int{}
	for _, row := range g.gone {
		n.Severity = max(n.Severity, row.Severity)
		id := row.Subject[strings.IndexByte(row.Subject, '/')+1:]
		if row.About != penumbra.AboutDrift {
			stack, resource := "", penumbra.Address("")
			if row.About == penumbra.AboutSource {
				stack, _, _ = strings.Cut(id, "/")
			}
			if row.About == penumbra.AboutAnomaly {
				found, err := x.cfg.World.Anomalies(ctx, penumbra.AnomalyQuery{ID: id})
				if err != nil {
					return n, err
				}
				for _, a := range found {
					stack, resource = a.Resource.Stack(), a.Resource
					n.Lines = append(n.Lines, fmt.Sprintf("%s %s", a.Resource, a.Metric))
				}
			}
			x.place(&n, stack, resource, row.Subject)
			continue
		}
		drifts, err := x.cfg.World.Drifts(ctx, penumbra.DriftQuery{ID: id})
		if err != nil && penumbra.KindOf(err) != penumbra.NotFound {
			return n, err
		}
		for i := range drifts {
			d := &drifts[i]
			x.place(&n, d.Resource.Stack(), d.Resource, row.Subject)
			why := string(d.Resolution)
			if d.Active() {
				why = "no longer what this channel is told of"
			}
			resolutions[why]++
			n.Lines = append(n.Lines, fmt.Sprintf("%s: %s: %s", d.Resource, what(d), why))
			n.URL = x.url("/drift?id=" + url.QueryEscape(d.ID))
		}
	}
	switch n.About {
	case penumbra.AboutDrift:
		why := ""
		if len(resolutions) == 1 {
			for x := range resolutions {
				why = ": " + x
			}
		}
		if len(n.Resources) == 1 {
			n.Title = fmt.Sprintf("Resolved: drift on %s%s", n.Resources[0], why)
		} else {
			n.Title = fmt.Sprintf("Resolved: drifts of one cause on %d resources%s", len(n.Resources), why)
		}
	case penumbra.AboutAnomaly:
		n.Title = "Resolved: metrics are as usual again"
		if len(n.Resources) > 0 {
			n.Title = fmt.Sprintf("Resolved: metrics of %s are as usual again", n.Resources[0])
		}
	case penumbra.AboutSource:
		n.Title = "Resolved: " + strings.Trim(n.Subjects[0], "/") + " is checked again"
	case penumbra.AboutFreeze:
		n.Title = "The freeze " + n.Subjects[0] + " is over"
	case penumbra.AboutApproval:
		n.Title = n.Subjects[0] + " waits no more"
	default:
		n.Title = "Resolved"
	}
	n.Facts = append(n.Facts, penumbra.NoticeFact{Name: "lasted", Value: n.Ended.Sub(n.Began).Round(time.Second).String()})
	return n, nil
}

// digestOf writes one notice in the place of those that were held.
func digestOf(c *channel, held []penumbra.Notice, now time.Time) penumbra.Notice {
	slices.SortFunc(held, func(a, b penumbra.Notice) int { return penumbra.CompareNotices(&a, &b) })
	n := penumbra.Notice{
		ID: newID(), Channel: c.Name, Key: "digest/" + newID(), About: penumbra.AboutDigest, Verb: penumbra.NoticeSaid,
		Began: held[0].Created, Created: now, Next: now, State: penumbra.NoticeWaiting, URL: held[0].URL,
	}
	counts := map[penumbra.NoticeVerb]int{}
	for i := range held {
		h := &held[i]
		counts[h.Verb]++
		n.Severity = max(n.Severity, h.Severity)
		n.Folds = append(n.Folds, h.ID)
		if h.Created.Before(n.Began) {
			n.Began = h.Created
		}
		n.Lines = append(n.Lines, fmt.Sprintf("%s, %s: %s", h.Severity, h.Verb, h.Title))
		for _, s := range h.Stacks {
			if !slices.Contains(n.Stacks, s) {
				n.Stacks = append(n.Stacks, s)
			}
		}
	}
	n.Title = fmt.Sprintf("Digest of %d notices since %s: %d opened, %d changed, %d resolved", len(held), n.Began.UTC().Format(time.RFC3339),
		counts[penumbra.NoticeOpened], counts[penumbra.NoticeChanged], counts[penumbra.NoticeResolved])
	redact(&n)
	return n
}

// redact is the second net under what was sealed where it entered: no text leaves
// that looks like it holds a secret. It also bounds what one notice says.
func redact(n *penumbra.Notice) {
	n.Title = cut(penumbra.Redact(n.Title), longestTitle)
	if more := len(n.Lines) - mostLines; more > 0 {
		n.Lines = append(slices.Clone(n.Lines[:mostLines]), fmt.Sprintf("and %d more", more))
	}
	for i := range n.Lines {
		n.Lines[i] = cut(penumbra.Redact(n.Lines[i]), longestLine)
	}
	n.Facts = slices.Clone(n.Facts)
	for i := range n.Facts {
		n.Facts[i].Value = cut(penumbra.Redact(n.Facts[i].Value), longestLine)
	}
}

// cut shortens a text to one line of so many characters.
func cut(text string, most int) string {
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return text
}

package chat

import (
	"context"
	"net/http"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/jsonpost"
)

// Teams posts to a Workflow of Microsoft Teams, "Post to a channel when a webhook
// request is received". Such a message can be neither changed nor answered.
type Teams struct {
	URL    string
	Client *http.Client
}

// The parts of an Adaptive Card that are used. Texts are runs of a RichTextBlock,
// which have no markup; those of a TextBlock or a FactSet would.
type (
	card struct {
		Schema  string    `json:"$schema"`
		Type    string    `json:"type"`
		Version string    `json:"version"`
		Body    []element `json:"body"`
		Actions []action  `json:"actions,omitempty"`
		Teams   struct {
			Width string `json:"width"`
		} `json:"msteams"`
	}
	element struct {
		Type    string `json:"type"`
		Inlines []run  `json:"inlines"`
	}
	run struct {
		Type   string `json:"type"`
		Text   string `json:"text"`
		Weight string `json:"weight,omitempty"`
		Size   string `json:"size,omitempty"`
		Color  string `json:"color,omitempty"`
		Subtle bool   `json:"isSubtle,omitempty"`
	}
	action struct {
		Type  string `json:"type"`
		Title string `json:"title"`
		URL   string `json:"url"`
	}
	attachment struct {
		ContentType string  `json:"contentType"`
		ContentURL  *string `json:"contentUrl"`
		Content     card    `json:"content"`
	}
	teamsMessage struct {
		Type        string       `json:"type"`
		Attachments []attachment `json:"attachments"`
	}
)

func rich(runs ...run) element {
	for i := range runs {
		runs[i].Type = "TextRun"
	}
	return element{Type: "RichTextBlock", Inlines: runs}
}

func teamsOf(n *penumbra.Notice) teamsMessage {
	c := card{Schema: "http://adaptivecards.io/schemas/adaptive-card.json", Type: "AdaptiveCard", Version: "1.4"}
	c.Teams.Width = "Full"
	colour := "default"
	switch {
	case n.Verb == penumbra.NoticeResolved:
		colour = "good"
	case n.Severity == penumbra.CriticalSeverity, n.Severity == penumbra.HighSeverity:
		colour = "attention"
	case n.Severity == penumbra.MediumSeverity:
		colour = "warning"
	}
	c.Body = append(c.Body, rich(run{Text: heading(n), Weight: "bolder", Size: "medium", Color: colour}))
	for _, line := range n.Lines {
		c.Body = append(c.Body, rich(run{Text: line}))
	}
	for _, f := range n.Facts {
		c.Body = append(c.Body, rich(run{Text: f.Name + ": ", Weight: "bolder"}, run{Text: f.Value}))
	}
	c.Body = append(c.Body, rich(run{Text: "Penumbra, " + string(n.About) + " " + string(n.Verb) + ", " + n.Severity.String() + ", " + n.ID, Size: "small", Subtle: true}))
	if n.URL != "" {
		c.Actions = []action{{Type: "Action.OpenUrl", Title: "Open in Penumbra", URL: n.URL}}
	}
	return teamsMessage{Type: "message", Attachments: []attachment{{ContentType: "application/vnd.microsoft.card.adaptive", Content: c}}}
}

// Send posts a notice, see [jsonpost.Post] for its errors.
func (t *Teams) Send(ctx context.Context, n *penumbra.Notice) (string, error) {
	_, err := jsonpost.Post(ctx, t.Client, "Microsoft Teams", t.URL, nil, teamsOf(n))
	return "", err
}

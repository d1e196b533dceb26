package guard_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/guard"
	"github.com/penumbra-iac/penumbra/web"
)

// buttons are the forms that pages show to those who may send them: where, and what
// their fields hold that says what they are on.
var buttons = []struct{ page, action, on string }{
	{"/drift?id=d-STACK-vm", "/acknowledge", "d-STACK-vm"}, {"/drift?id=d-STACK-vm", "/snooze", "d-STACK-vm"}, {"/drift?id=d-STACK-vm", "/accept", "d-STACK-vm"}, {"/drift?id=d-STACK-vm", "/adopt", "d-STACK-vm"},
	{"/proposal?id=p-d-STACK-vm", "/approve", "p-d-STACK-vm"}, {"/proposal?id=p-d-STACK-vm", "/reject", "p-d-STACK-vm"}, {"/proposal?id=p-d-STACK-vm", "/customize", "p-d-STACK-vm"},
	{"/run?id=r-d-STACK-vm", "/rollback", "r-d-STACK-vm"}, {"/freezes", "/freeze", "STACK"}, {"/freezes", "/unfreeze", "f-STACK"},
	{"/audit", "/audit", ""}, {"/people", "/people", ""}, {"/people", "/people/change", "user:x"}, {"/people", "/tokens", ""},
	{"/notifications", "/notifications/test", "x"}, {"/notifications", "/notifications/resend", "x"},
}

// TestPagesShowWhatMayBeDone holds, for each role in scope and out of it, that a page
// has a form if and only if sending it is not refused.
func TestPagesShowWhatMayBeDone(t *testing.T) {
	t.Parallel()
	doors := walkers()
	house := &peopled{estate{parted: true}}
	pages := web.Handler(guard.New(house, rights(t), &journal{}), web.Entrance{Door: doors, Founder: doors, Sessions: &browsers{all: map[string]penumbra.Session{}}}, web.About{Knowledge: func() []web.KnowledgeEntry { return nil }}, func() time.Time { return at })
	server := httptest.NewServer(pages)
	defer server.Close()
	shown, sent := 0, 0
	for _, w := range who[1:] {
		for _, stack := range stacks {
			for _, secret := range []string{w.column, w.column + " everywhere"} {
				v := visit(t, server, secret)
				for _, b := range buttons {
					status, page := v.do(http.MethodGet, onStack(b.page, stack), nil)
					has := status == http.StatusOK && hasForm(t, page, b.action, onStack(b.on, stack))
					filled := url.Values{}
					for name, values := range forms["POST "+b.action] {
						for _, value := range values {
							filled.Add(name, onStack(value, stack))
						}
					}
					if b.action == "/people/change" {
						filled.Set("name", "user:x")
					}
					allowed := v.send(http.MethodPost, b.action, filled) != http.StatusForbidden
					if has != allowed {
						t.Errorf("%s on %s: the page %s has the form to %s: %v, and sending it is allowed: %v", secret, stack, b.page, b.action, has, allowed)
					}
					if has {
						shown++
					}
					if allowed {
						sent++
					}
				}
			}
		}
	}
	if shown == 0 || sent == len(buttons)*len(who) {
		t.Errorf("%d forms are shown, %d allowed: nothing is tested", shown, sent)
	}
}

// peopled is an estate with an account, a channel and a notice that was given up.
type peopled struct{ estate }

func (p *peopled) Accounts(context.Context) ([]penumbra.Account, error) {
	return []penumbra.Account{{ID: "user:x", Name: "user:x"}}, nil
}

func (p *peopled) Channels(context.Context) ([]penumbra.ChannelStatus, error) {
	return []penumbra.ChannelStatus{{Name: "x", Kind: "webhook"}}, nil
}

func (p *peopled) Notices(context.Context, penumbra.NoticeQuery) ([]penumbra.Notice, error) {
	return []penumbra.Notice{{ID: "x", Channel: "x", State: penumbra.NoticeDead, Created: at}}, nil
}

// hasForm reports whether a page has a form that is sent somewhere, and in which a field
// holds what it is on.
func hasForm(t *testing.T, page, action, on string) bool {
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	value := func(n *html.Node, name string) string {
		i := slices.IndexFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
		if i < 0 {
			return ""
		}
		return n.Attr[i].Val
	}
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode || n.Data != "form" || value(n, "method") != "post" || value(n, "action") != action {
			continue
		}
		if on == "" {
			return true
		}
		for field := range n.Descendants() {
			if field.Type == html.ElementNode && field.Data == "input" && value(field, "value") == on {
				return true
			}
		}
	}
	return false
}

package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/access"
	"github.com/penumbra-iac/penumbra/api"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
)

// herald is a daemon that tells of one drift and one run.
type herald struct{ tale }

func (h *herald) LastNews() uint64 { return 0 }

func (h *herald) News(ctx context.Context, after uint64) ([]penumbra.News, error) {
	all := []penumbra.News{
		{Seq: 1, Topic: penumbra.DriftNews, ID: "d-1", Stack: "shop", Verb: "opened", Drift: "d-1"},
		{Seq: 2, Topic: penumbra.RunNews, ID: "r-1", Stack: "shop", Verb: "halted", Drift: "d-1"},
	}
	if after < 2 {
		return all[after:], nil
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

// ending ends a watch once so many lines have been written.
type ending struct {
	bytes.Buffer
	lines int
	end   context.CancelFunc
}

func (u *ending) Write(p []byte) (int, error) {
	if u.lines -= bytes.Count(p, []byte("\n")); u.lines <= 0 {
		defer u.end()
	}
	return u.Buffer.Write(p)
}

func TestWatch(t *testing.T) {
	h := &herald{tale{Found: []penumbra.Drift{{ID: "d-1", Resource: "shop/vm.a", Verdict: penumbra.Drifted, Findings: []penumbra.Finding{{Path: "size", Verdict: penumbra.Drifted, Actual: penumbra.Number(2)}}}}}}
	for output, want := range map[string][]string{
		"human": {"drift     opened", "d-1  ✗ drifted  shop/vm.a  size", "run       halted      r-1  shop  of d-1"},
		"json":  {`{"seq":1,"time":"0001-01-01T00:00:00Z","topic":"drift","id":"d-1","stack":"shop","verb":"opened","drift":"d-1"}` + "\n", `"topic":"run"`},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		out := &ending{lines: 2, end: cancel}
		a := &app{&console.Console{Out: out, Err: &bytes.Buffer{}, Output: output}}
		s := &console.Service{Client: api.InProcess(api.Handler(h, access.New(access.Config{Local: access.Owner("test"), LocalSecret: "t"}), "test"), "t"), Daemon: true}
		if err := a.watchNews(ctx, s, api.NewsQuery{}); err != nil {
			t.Error(err)
		}
		for _, text := range want {
			if !strings.Contains(out.String(), text) {
				t.Errorf("%s: no %q in\n%s", output, text, out)
			}
		}
	}
}

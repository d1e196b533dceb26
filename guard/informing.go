package guard

import (
	"context"

	"github.com/penumbra-iac/penumbra"
)

// Expected is what the pages show of a setting over time.
func (s *Service) Expected(ctx context.Context, address penumbra.Address, path string) ([]penumbra.ExpectedPoint, error) {
	v, t, err := s.onResource(ctx, "resource.read", address)
	if err != nil {
		return nil, err
	}
	h, err := v.sees(t.Stack, t.Type, t.ID)
	if err != nil || h.values {
		return nil, err // a curve of hidden values shows nothing
	}
	return s.inner.Expected(ctx, address, path)
}

// LastNews implements [api.Informer].
func (s *Service) LastNews() uint64 { return s.inner.LastNews() }

// News implements [api.Informer]. What is of a stack of which nothing may be seen has
// its number, so that nobody takes it for missed, and nothing else.
func (s *Service) News(ctx context.Context, after uint64) ([]penumbra.News, error) {
	p := penumbra.PrincipalOf(ctx)
	if err := s.auth.Reach(ctx, p, "news.read"); err != nil {
		return nil, err
	}
	news, err := s.inner.News(ctx, after)
	if err != nil || s.auth.Unbounded(ctx, p, "news.read") {
		return news, err
	}
	out := make([]penumbra.News, len(news))
	seen := map[string]bool{}
	for i, n := range news {
		ok, asked := seen[n.Stack]
		if !asked {
			ok = n.Stack == "" || s.auth.ReachStack(ctx, p, "news.read", n.Stack) == nil
			seen[n.Stack] = ok
		}
		if out[i] = n; !ok {
			out[i] = penumbra.News{Seq: n.Seq, Time: n.Time}
		}
	}
	return out, nil
}

// Send returns an error of kind Refused unless who asks may send to an input.
func (s *Service) Send(ctx context.Context, input string) error {
	return s.allow(ctx, "input.send", penumbra.Target{ID: input})
}

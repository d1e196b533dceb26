package api

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// shelf is a service with many of everything, which it gives out as a store does.
type shelf struct {
	recorder
	runs []penumbra.Run
}

func (s *shelf) Unmapped(_ context.Context, limit int) (penumbra.Unmapped, error) {
	u := s.unmapped
	u.Kinds = u.Kinds[:min(limit, len(u.Kinds))]
	return u, nil
}

func (s *shelf) FindResources(_ context.Context, q penumbra.ResourceQuery) (penumbra.ResourcePage, error) {
	var from int
	if err := penumbra.ReadCursor(q.After, &from); err != nil {
		return penumbra.ResourcePage{}, err
	}
	page := penumbra.ResourcePage{Found: len(s.resources), Resources: s.resources[from:min(from+q.Limit, len(s.resources))]}
	if from += q.Limit; from < len(s.resources) {
		page.Next = penumbra.WriteCursor(from)
	}
	return page, nil
}

func (s *shelf) Runs(_ context.Context, q penumbra.RunQuery) ([]penumbra.Run, error) {
	list := s.runs
	for i := range list {
		if q.BeforeID == list[i].ID && q.Before.Equal(list[i].Started) {
			list = list[i+1:]
			break
		}
	}
	return list[:min(q.Limit, len(list))], nil
}

// Notices are the newest ones before the last of the page before, the oldest first.
func (s *shelf) Notices(_ context.Context, q penumbra.NoticeQuery) ([]penumbra.Notice, error) {
	list := s.notices
	for i := range list {
		if q.BeforeID == list[i].ID && q.Before.Equal(list[i].Created) {
			list = list[:i]
			break
		}
	}
	return slices.Clone(list[len(list)-min(q.Limit, len(list)):]), nil
}

func newShelf() *shelf {
	s := &shelf{}
	for i := range 2*largestPage + 5 {
		s.resources = append(s.resources, penumbra.ResourceStatus{Address: penumbra.NewAddress("shop", fmt.Sprint("vm.a", i)), Type: "vm"})
		s.notices = append(s.notices, penumbra.Notice{ID: fmt.Sprint("m-", i), Created: exampleTime.Add(time.Duration(i) * time.Second)})
		s.runs = append(s.runs, penumbra.Run{ID: fmt.Sprint("r-", i), Started: exampleTime})
		s.versions = append([]penumbra.ModelVersion{{Number: i + 1}}, s.versions...)
		s.unmapped.Kinds = append(s.unmapped.Kinds, penumbra.UnmappedKind{Action: fmt.Sprint("a-", i), Count: int64(5000 - i)})
		s.unmapped.Records += int64(5000 - i)
	}
	return s
}

// TestPages walks pages by their links, and by the client.
func TestPages(t *testing.T) {
	t.Parallel()
	s := newShelf()
	for _, path := range []string{"/v1/resources", "/v1/runs", "/v1/model/versions", "/v1/unmapped", "/v1/notices"} {
		target := path + "?limit=300"
		for n := 1; ; n++ {
			w := request(Handler(s, opens(testToken), "0"), "GET", target, "", nil)
			link := w.Header().Get("Link")
			if w.Code != 200 || n > 7 {
				t.Fatalf("page %d answers %d %s", n, w.Code, w.Body)
			}
			if link == "" {
				if n != 7 {
					t.Errorf("%s has %d pages", path, n)
				}
				break
			}
			address, rel, _ := strings.Cut(link, ">; ")
			u, err := url.Parse(strings.TrimPrefix(address, "<"))
			if err != nil || rel != `rel="next"` || u.Query().Get("limit") != "300" {
				t.Fatalf("link %q", link)
			}
			target = u.String()
		}
	}
	for way, c := range ways(t, s) {
		resources, err := c.Resources(t.Context(), "")
		if err != nil || len(resources) != len(s.resources) || resources[2003] != s.resources[2003] {
			t.Errorf("%s: %d resources, error %v", way, len(resources), err)
		}
		runs, err := c.Runs(t.Context(), penumbra.RunQuery{Limit: 1500})
		if err != nil || len(runs) != 1500 || runs[1499].ID != "r-1499" {
			t.Errorf("%s: %d runs, error %v", way, len(runs), err)
		}
		notices, err := c.Notices(t.Context(), penumbra.NoticeQuery{Limit: 1500})
		if err != nil || len(notices) != 1500 || notices[1499].ID != s.notices[2004].ID || notices[0].ID != s.notices[505].ID {
			t.Errorf("%s: %d notices, error %v", way, len(notices), err)
		}
		versions, err := c.Versions(t.Context())
		if err != nil || len(versions) != len(s.versions) || versions[0].Number != len(s.versions) || versions[2004].Number != 1 {
			t.Errorf("%s: %d versions, error %v", way, len(versions), err)
		}
		for limit, want := range map[int]int{0: len(s.unmapped.Kinds), 1500: 1500, 7: 7} {
			u, err := c.Unmapped(t.Context(), limit)
			if err != nil || len(u.Kinds) != want || u.Records != s.unmapped.Records || u.Kinds[want-1].Action != fmt.Sprint("a-", want-1) {
				t.Errorf("%s: %d of %d kinds without a resource, %d records, error %v", way, len(u.Kinds), want, u.Records, err)
			}
		}
		seen := 0
		for _, err := range c.EachResource(t.Context(), penumbra.ResourceQuery{}) {
			if seen++; err != nil || seen == 3 {
				break
			}
		}
		if seen != 3 {
			t.Errorf("%s: seen %d", way, seen)
		}
	}
}

func TestPagingMistakes(t *testing.T) {
	t.Parallel()
	h := Handler(newShelf(), opens(testToken), "0")
	for _, query := range []string{"limit=0", "limit=1001", "cursor=%7E", "cursor=bm9uZQ"} {
		for _, path := range []string{"/v1/resources", "/v1/runs", "/v1/decisions", "/v1/anomalies", "/v1/model/versions", "/v1/unmapped"} {
			if w := request(h, "GET", path+"?"+query, "", nil); w.Code != 422 {
				t.Errorf("%s?%s answers %d %s", path, query, w.Code, w.Body)
			}
		}
	}
	for _, target := range []string{"/v1/resources?verdicts=fine", "/v1/resources?order=height", "/v1/drifts?snoozed=perhaps", "/v1/drifts?verdicts=drifted,odd"} {
		if w := request(h, "GET", target, "", nil); w.Code != 422 {
			t.Errorf("%s answers %d %s", target, w.Code, w.Body)
		}
	}
}

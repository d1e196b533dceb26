package web

import (
	"net/url"
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

// Of a setting beyond its limit the pages show the limit where the template stands.
func TestALimitStandsWhereTheTemplateDoes(t *testing.T) {
	t.Parallel()
	most, actual := penumbra.String("8MB"), penumbra.String("9MB")
	expectation := penumbra.Expectation{Limit: &penumbra.Limit{Max: most, Bound: most, Passed: true}}
	s := newShop(t)
	s.drifts = []penumbra.Drift{{
		ID: "d-1", Resource: mainDB, Verdict: penumbra.Drifted, Opened: fixedNow, Changed: fixedNow,
		Findings: []penumbra.Finding{{Path: "work_mem", Verdict: penumbra.Drifted, Template: most, Actual: actual, Expectation: expectation}},
	}}
	view := s.views[mainDB]
	view.Settings = []penumbra.SettingView{{Path: "work_mem", Verdict: penumbra.Drifted, Actual: actual, Expectation: expectation}}
	s.views[mainDB] = view
	v := signIn(t, s)
	for _, page := range []string{"/", "/drift?id=d-1", "/resource?" + url.Values{"address": {string(mainDB)}}.Encode()} {
		got := text(v.page(page))
		if i := strings.Index(got, "work_mem"); i < 0 || !strings.Contains(got[i:], `limit "8MB"`) && !strings.Contains(got[i:], "limit 8MB") {
			t.Errorf("%s: %s", page, got)
		}
	}
}

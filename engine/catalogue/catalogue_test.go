package catalogue

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/penumbra-iac/penumbra"
)

var day0 = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// drawLine draws a line of one of few resources, so that they change and go.
func drawLine(t *rapid.T) Line {
	stack := rapid.SampledFrom([]string{"shop", "pay"}).Draw(t, "stack")
	typ := rapid.SampledFrom([]string{"vm", "db"}).Draw(t, "type")
	return Line{
		ResourceStatus: penumbra.ResourceStatus{
			Address: penumbra.NewAddress(stack, fmt.Sprintf("%s.a%d", typ, rapid.IntRange(0, 9).Draw(t, "name"))), Type: typ,
			Verdict:  penumbra.Verdict(rapid.IntRange(int(penumbra.InSync), int(penumbra.Drifted)).Draw(t, "verdict")),
			Settings: rapid.IntRange(0, 3).Draw(t, "settings"), Declared: rapid.IntRange(0, 3).Draw(t, "declared"),
			Snapshot: day0.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "seen")) * time.Hour),
		},
		Gone: rapid.IntRange(0, 4).Draw(t, "gone") == 0,
	}
}

// TestResources holds counts and pages against lists that are made the long way.
func TestResources(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := New()
		want := map[penumbra.Address]Line{}
		for _, l := range rapid.SliceOfN(rapid.Custom(drawLine), 0, 60).Draw(t, "lines") {
			c.Note(l)
			if want[l.Address] = l; l.Gone {
				delete(want, l.Address)
			}
		}
		st := penumbra.Status{Verdicts: map[penumbra.Verdict]int{}, Drifts: map[penumbra.Verdict]int{}}
		stacks := map[string]*penumbra.StackStatus{}
		c.Sum(penumbra.StatusQuery{}, &st, stacks)
		settings, verdicts, byStack := 0, map[penumbra.Verdict]int{}, map[string]int{}
		for _, l := range want {
			settings += max(l.Settings, l.Declared)
			verdicts[l.Verdict]++
			byStack[l.Address.Stack()]++
		}
		if st.Resources != len(want) || st.Settings != settings || fmt.Sprint(st.Verdicts) != fmt.Sprint(verdicts) || len(stacks) != len(byStack) {
			t.Fatalf("%+v, want %d resources, %d settings, %v", st, len(want), settings, verdicts)
		}
		for _, stack := range []string{"shop", "pay", "none"} {
			for _, types := range []map[string]bool{nil, {"db": true}, {"db": true, "vm": true}, {"none": true}} {
				var of []penumbra.Address
				for a, l := range want {
					if a.Stack() == stack && (types == nil || types[l.Type]) {
						of = append(of, a)
					}
				}
				got := c.Of(stack, types)
				slices.Sort(of)
				slices.Sort(got)
				if !slices.Equal(got, of) {
					t.Fatalf("of %s and %v there are %v, want %v", stack, types, got, of)
				}
			}
		}
		some := penumbra.Status{Verdicts: map[penumbra.Verdict]int{}, Drifts: map[penumbra.Verdict]int{}}
		counted, dbs := map[string]*penumbra.StackStatus{}, 0
		c.Sum(penumbra.StatusQuery{Resources: func(stack, kind string) bool { return stack == "shop" && kind == "db" }}, &some, counted)
		for _, l := range want {
			if c.TypeOf(l.Address) != l.Type {
				t.Fatalf("%s is a %q", l.Address, c.TypeOf(l.Address))
			}
			if l.Address.Stack() == "shop" && l.Type == "db" {
				dbs++
			}
		}
		if some.Resources != dbs || len(counted) != len(byStack) || counted["pay"] != nil && counted["pay"].Resources > 0 {
			t.Fatalf("of one type in a stack %+v, want %d resources", some, dbs)
		}
		if n := c.Count(map[string]bool{"shop": true, "none": true}, map[string]bool{"db": true}); n != dbs {
			t.Fatalf("%d counted, want %d", n, dbs)
		}
		q := penumbra.ResourceQuery{
			Stack: rapid.SampledFrom([]string{"", "", "shop"}).Draw(t, "of"),
			Type:  rapid.SampledFrom([]string{"", "", "vm"}).Draw(t, "typed"),
			Text:  rapid.SampledFrom([]string{"", "", "A1", "db"}).Draw(t, "text"),
			Order: rapid.SampledFrom([]penumbra.ResourceOrder{penumbra.GravestResources, penumbra.ByAddress, penumbra.ByType, penumbra.BySettings, penumbra.LongestUnseen}).Draw(t, "order"),
		}
		if rapid.Bool().Draw(t, "some verdicts") {
			q.Verdicts = []penumbra.Verdict{penumbra.Drifted, penumbra.InSync}
		}
		if rapid.Bool().Draw(t, "bounded") {
			q.Sees = func(_, kind string) bool { return kind == "db" }
		}
		var selected []Line
		for _, l := range want {
			if (q.Sees == nil || l.Type == "db") && (q.Stack == "" || l.Address.Stack() == q.Stack) && (q.Type == "" || l.Type == q.Type) &&
				strings.Contains(strings.ToLower(string(l.Address)+l.Type), strings.ToLower(q.Text)) &&
				(q.Verdicts == nil || slices.Contains(q.Verdicts, l.Verdict)) {
				selected = append(selected, l)
			}
		}
		slices.SortFunc(selected, func(a, b Line) int {
			first := 0
			switch q.Order {
			case penumbra.GravestResources:
				first = cmp.Compare(b.Verdict, a.Verdict)
			case penumbra.ByType:
				first = cmp.Compare(a.Type, b.Type)
			case penumbra.BySettings:
				first = cmp.Compare(b.Settings, a.Settings)
			case penumbra.LongestUnseen:
				first = a.Snapshot.Compare(b.Snapshot)
			}
			return cmp.Or(first, cmp.Compare(a.Address, b.Address))
		})
		q.Limit = rapid.IntRange(1, 7).Draw(t, "limit")
		var got []Line
		for pages := 0; ; pages++ {
			page, found, next, err := c.Resources(q)
			if err != nil {
				t.Fatal(err)
			}
			if found != len(selected) || len(page) > q.Limit || pages > len(selected) {
				t.Fatalf("page %d has %d of %d, want of %d", pages, len(page), found, len(selected))
			}
			byOffset := q
			byOffset.After, byOffset.Offset = "", len(got)
			if same, _, _, _ := c.Resources(byOffset); fmt.Sprint(same) != fmt.Sprint(page) {
				t.Fatalf("behind %d: %v, by cursor %v", len(got), same, page)
			}
			got = append(got, page...)
			if q.After = next; next == "" {
				break
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(selected) {
			t.Fatalf("pages\n%v\nwant\n%v", got, selected)
		}
	})
}

// TestDrifts holds pages of drifts, and their facets, against one whole list.
func TestDrifts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := New()
		all := map[string]penumbra.Drift{}
		for i := range rapid.IntRange(0, 40).Draw(t, "drifts") {
			d := penumbra.Drift{
				ID: fmt.Sprint("d-", i%20), Resource: penumbra.NewAddress([]string{"shop", "pay"}[i%2], "vm.a"),
				Verdict: penumbra.Verdict(rapid.IntRange(0, 5).Draw(t, "verdict")), Critical: rapid.Bool().Draw(t, "critical"),
				Status:  penumbra.DriftStatus(rapid.IntRange(0, 2).Draw(t, "status")),
				Changed: day0.Add(time.Duration(rapid.IntRange(0, 2).Draw(t, "changed")) * time.Hour),
			}
			if rapid.Bool().Draw(t, "snoozed") {
				d.SnoozedUntil = day0.Add(time.Hour)
			}
			c.Found([]penumbra.Drift{d})
			all[d.ID] = d
		}
		q := penumbra.DriftQuery{Active: true, Facets: true, Critical: rapid.Bool().Draw(t, "only critical"), Stack: rapid.SampledFrom([]string{"", "shop"}).Draw(t, "stack")}
		if rapid.Bool().Draw(t, "some verdicts") {
			q.Verdicts = []penumbra.Verdict{penumbra.Tolerated, penumbra.Impending}
		}
		if rapid.Bool().Draw(t, "awake") {
			q.Snoozed = new(bool)
		}
		if rapid.Bool().Draw(t, "recent") {
			q.Since = day0.Add(time.Hour)
		}
		whole, err := c.Drifts(q, day0)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.IsSortedFunc(whole.Drifts, func(a, b penumbra.Drift) int {
			return cmp.Or(penumbra.ComparePressing(&a, &b), cmp.Compare(b.Verdict, a.Verdict), b.Changed.Compare(a.Changed))
		}) {
			t.Fatalf("not in order: %+v", whole.Drifts)
		}
		want, selected := penumbra.DriftFacets{Stacks: map[string]int{}, Verdicts: map[penumbra.Verdict]int{}}, 0
		for _, d := range all {
			if !d.Active() {
				continue
			}
			want.Stacks[d.Resource.Stack()]++
			if (q.Critical && !d.Critical) || q.Stack != "" && d.Resource.Stack() != q.Stack || d.Changed.Before(q.Since) {
				continue
			}
			if d.Snoozed(day0) {
				want.Snoozed++
			} else {
				want.Verdicts[d.Verdict]++
			}
			if (q.Verdicts == nil || slices.Contains(q.Verdicts, d.Verdict)) && (q.Snoozed == nil || !d.Snoozed(day0)) {
				selected++
			}
		}
		if fmt.Sprint(*whole.Facets) != fmt.Sprint(want) || len(whole.Drifts) != selected {
			t.Fatalf("%d with facets %+v, want %d with %+v", len(whole.Drifts), *whole.Facets, selected, want)
		}
		for i := range whole.Drifts {
			d := &whole.Drifts[i]
			if !q.Selects(d, day0) || !d.Active() {
				t.Fatalf("%+v is not selected", d)
			}
			if one, err := c.Drifts(penumbra.DriftQuery{ID: d.ID, Stack: q.Stack}, day0); err != nil || len(one.Drifts) != 1 || one.Found != 1 {
				t.Fatalf("by its name: %+v, error %v", one, err)
			}
		}
		q.Limit = rapid.IntRange(1, 5).Draw(t, "limit")
		var got []penumbra.Drift
		for {
			page, err := c.Drifts(q, day0)
			if err != nil || page.Found != len(whole.Drifts) || len(page.Drifts) > q.Limit {
				t.Fatalf("%d of %d, error %v", len(page.Drifts), page.Found, err)
			}
			got = append(got, page.Drifts...)
			if q.After = page.Next; q.After == "" {
				break
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(whole.Drifts) && len(got)+len(whole.Drifts) > 0 {
			t.Fatalf("pages\n%v\nwant\n%v", got, whole.Drifts)
		}
	})
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	c := New()
	for _, q := range []penumbra.ResourceQuery{{Order: "height"}, {Page: penumbra.Page{After: "nonsense"}}, {Page: penumbra.Page{After: penumbra.WriteCursor(driftKey{ID: "d"})}}} {
		if _, _, _, err := c.Resources(q); penumbra.KindOf(err) != penumbra.Invalid {
			t.Errorf("%+v: error %v", q, err)
		}
	}
	if _, err := c.Drifts(penumbra.DriftQuery{After: "~"}, day0); penumbra.KindOf(err) != penumbra.Invalid {
		t.Errorf("error %v", err)
	}
}

func TestSmallest(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOf(rapid.IntRange(0, 99)).Draw(t, "list")
		n := rapid.IntRange(1, 9).Draw(t, "n")
		want := slices.Sorted(slices.Values(list))
		want = want[:min(n, len(want))]
		if got := smallest(slices.Clone(list), n, cmp.Compare[int]); !slices.Equal(got, want) {
			t.Fatalf("the first %d of %v are %v", n, list, got)
		}
	})
}

func BenchmarkPageOf100000(b *testing.B) {
	c := New()
	for i := range 100_000 {
		v := penumbra.InSync
		if i%50 == 0 {
			v = penumbra.Drifted
		}
		c.Note(Line{ResourceStatus: penumbra.ResourceStatus{Address: penumbra.NewAddress(fmt.Sprint("s", i%20), fmt.Sprintf("aws_instance.host[%d]", i)), Type: "aws_instance", Verdict: v}})
	}
	for name, q := range map[string]penumbra.ResourceQuery{
		"first":   {Page: penumbra.Page{Limit: 50}},
		"search":  {Text: "host[4711", Page: penumbra.Page{Limit: 50}},
		"middle":  {Page: penumbra.Page{Limit: 50, Offset: 50_000}},
		"bounded": {Sees: func(stack, _ string) bool { return stack == "s7" }, Page: penumbra.Page{Limit: 50}},
		"address": {Order: penumbra.ByAddress, Page: penumbra.Page{Limit: 50}},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, _, _, err := c.Resources(q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

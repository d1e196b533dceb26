package web

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// TestHeadings holds that each page has one first heading and leaves out no level.
func TestHeadings(t *testing.T) {
	t.Parallel()
	v := signIn(t, newShop(t))
	for _, target := range pages {
		before := 0
		for n := range one(t, v.page(target), "main").Descendants() {
			if n.Type != html.ElementNode || len(n.Data) != 2 || n.Data[0] != 'h' || n.Data[1] < '1' || n.Data[1] > '6' {
				continue
			}
			level := int(n.Data[1] - '0')
			if level > before+1 {
				t.Errorf("%s: %q is of level %d behind level %d", target, text(n), level, before)
			}
			before = level
			if text(n) == "" {
				t.Errorf("%s has an empty heading", target)
			}
		}
	}
}

// TestNames holds that everything that can be reached has a name to be told by, and
// that tables have heads.
func TestNames(t *testing.T) {
	t.Parallel()
	v := signIn(t, newShop(t))
	for _, target := range pages {
		doc := v.page(target)
		for n := range doc.Descendants() {
			if n.Type != html.ElementNode {
				continue
			}
			switch n.Data {
			case "a", "button", "summary", "label", "legend":
				if text(n) == "" && attr(n, "aria-label") == "" {
					t.Errorf("%s: a %s %v has no name", target, n.Data, n.Attr)
				}
			case "input", "select", "textarea":
				if attr(n, "type") != "hidden" && n.Parent.Data != "label" {
					t.Errorf("%s: field %q has no label", target, attr(n, "name"))
				}
			case "svg":
				if attr(n, "aria-hidden") != "true" && attr(n, "aria-label") == "" {
					t.Errorf("%s: a picture %v has no words", target, n.Attr)
				}
			case "table":
				if len(all(n, "th")) == 0 {
					t.Errorf("%s: a table %v has no heads", target, n.Attr)
				}
				for _, th := range all(n, "th") {
					if attr(th, "scope") == "" {
						t.Errorf("%s: head %q is of neither row nor column", target, text(th))
					}
				}
			case "pre":
				if attr(n, "tabindex") != "0" {
					t.Errorf("%s: text that scrolls cannot be reached by keys", target)
				}
			case "nav":
				if attr(n, "aria-label") == "" {
					t.Errorf("%s: a list of links has no name", target)
				}
			}
		}
	}
}

var pair = regexp.MustCompile(`--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)`)

// TestContrast holds the palette against WCAG 2.2, level AA, in light and dark:
// 4.5 to 1 for text on each ground that it stands on, 3 to 1 for what is no text.
func TestContrast(t *testing.T) {
	t.Parallel()
	css, err := assetFiles.ReadFile("assets/style.css")
	if err != nil {
		t.Fatal(err)
	}
	colours := map[string][2]float64{} // relative luminance in light and dark
	for _, m := range pair.FindAllStringSubmatch(string(css), -1) {
		colours[m[1]] = [2]float64{luminance(t, m[2]), luminance(t, m[3])}
	}
	grounds := []string{"ground", "sheet", "sunk"}
	verdicts := []string{"drifted", "unexpected", "impending", "not-checked", "pending", "tolerated", "in-sync"}
	hold := func(front, back string, want float64) {
		f, ok := colours[front]
		b, known := colours[back]
		if !ok || !known {
			t.Fatalf("no pair of colours --%s or --%s", front, back)
		}
		for i, mode := range []string{"light", "dark"} {
			high, low := max(f[i], b[i]), min(f[i], b[i])
			if got := (high + .05) / (low + .05); got < want {
				t.Errorf("%s: --%s on --%s is %.2f to 1, want %.1f", mode, front, back, got, want)
			}
		}
	}
	for _, ground := range grounds {
		for _, front := range append([]string{"ink", "quiet", "link"}, verdicts...) {
			hold(front, ground, 4.5)
		}
		hold("focus", ground, 3)
		hold("penumbra", ground, 3) // bars
	}
	for _, ground := range []string{"ground", "sheet"} {
		hold("edge", ground, 3) // of fields and buttons
	}
	hold("sheet", "drifted", 4.5) // "critical"
	hold("ground", "ink", 4.5)    // the main button, and what is told at the pointer
	for _, ground := range []string{"added", "removed"} {
		hold("ink", ground, 4.5)
	}
	hold("drifted", "removed", 4.5)
}

func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	n, err := strconv.ParseUint(strings.TrimPrefix(colour, "#"), 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	linear := func(c uint64) float64 {
		x := float64(c&255) / 255
		if x <= .04045 {
			return x / 12.92
		}
		return math.Pow((x+.055)/1.055, 2.4)
	}
	return .2126*linear(n>>16) + .7152*linear(n>>8) + .0722*linear(n)
}

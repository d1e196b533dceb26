package web

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// modelPage is how far to believe what is expected.
type modelPage struct {
	Status   penumbra.ModelStatus
	Versions []penumbra.ModelVersion // the newest first
	// Scored is the version whose score is shown: the active one, otherwise the
	// newest that has one; nil if none has.
	Scored      *penumbra.ModelVersion
	Reliability *reliability
}

func (s *site) model(w http.ResponseWriter, r *http.Request, sess session) error {
	status, err := s.service.Model(r.Context())
	if err != nil {
		return err
	}
	versions, err := s.service.Versions(r.Context())
	if err != nil {
		return err
	}
	page := modelPage{Status: status, Versions: versions}
	for i := range versions {
		v := &versions[i]
		if v.Score != nil && (page.Scored == nil || v.Number == status.Version) {
			page.Scored = v
		}
	}
	if page.Scored != nil {
		page.Reliability = reliabilityOf(page.Scored.Score.Reliability)
	}
	s.show(w, http.StatusOK, "model.html", s.frame(r, "Model", sess, page))
	return nil
}

// reliability is the diagram of what was said against what happened, 200 units
// wide and high. Both axes are square roots: most of what is said is unlikely, and
// would stand in one corner.
type reliability struct {
	Line  string
	Dots  []reliabilityDot
	Ticks []reliabilityTick
	Label string // for who does not see it
}

type reliabilityDot struct {
	X, Y, R float64
	Title   string
}

type reliabilityTick struct {
	At   float64
	Name string
}

func reliabilityOf(bins []penumbra.ReliabilityBin) *reliability {
	if len(bins) == 0 {
		return nil
	}
	out := &reliability{}
	var line, label strings.Builder
	most := 1
	for _, b := range bins {
		most = max(most, b.Questions)
	}
	for i, b := range bins {
		x, y := 200*root(b.Said), 200-200*root(b.Happened)
		verb := "L"
		if i == 0 {
			verb = "M"
		}
		fmt.Fprintf(&line, "%s%.1f %.1f", verb, x, y)
		title := fmt.Sprintf("said %s, happened %s, %s", percent(b.Said), percent(b.Happened), count(b.Questions, "question", "questions"))
		out.Dots = append(out.Dots, reliabilityDot{x, y, 2.5 + 4*root(float64(b.Questions)/float64(most)), title})
		fmt.Fprintf(&label, " %s.", title)
	}
	for _, p := range []float64{0, .01, .1, .3, .6, 1} {
		out.Ticks = append(out.Ticks, reliabilityTick{200 * root(p), fmt.Sprintf("%.0f %%", 100*p)})
	}
	out.Line, out.Label = line.String(), "What was said against what happened:"+label.String()
	return out
}

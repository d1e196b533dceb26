package backtest_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/histories"
	"github.com/penumbra-iac/penumbra/shadow/backtest"
)

const correctionsHead = "time_unix\tcommit\tresource\ttype\tsetting\told_template\tnew_template\n"

func TestReadCorrections(t *testing.T) {
	t.Parallel()
	got, err := backtest.ReadCorrections(strings.NewReader(correctionsHead +
		"200\tb\te/db.x\tdb\tversion\t14.7\t14.10\n" + // later, though first
		"100\ta\te/db.x\tdb\tversion\t14.3\t14.7\n" +
		"150\ta\te/db.y\tdb\tname\t\tnew\n")) // a resource that came
	if err != nil || len(got) != 2 || got[0].Commit != "a" || got[1].New != "14.10" {
		t.Fatalf("read %+v: %v", got, err)
	}
	for name, text := range map[string]string{
		"no columns": "100\ta\te/db.x\tdb\tversion\t14.3\t14.7\n", "a field short": correctionsHead + "100\ta\te/db.x\n",
		"no time": correctionsHead + "soon\ta\te/db.x\tdb\tversion\t1\t2\n",
	} {
		if _, err := backtest.ReadCorrections(strings.NewReader(text)); penumbra.KindOf(err) != penumbra.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestObserve follows one setting: it departs when the correction is written and
// not before, comes back with the code, and a correction of what is away already
// or of what the code does not have is none.
func TestObserve(t *testing.T) {
	t.Parallel()
	code := func(at int64, action string, version float64) *penumbra.Observation {
		return &penumbra.Observation{
			Kind: penumbra.EventKind, Time: time.Unix(at, 0), Resource: "e/db.x", Type: "db", Source: "git:c", Action: action,
			Settings: penumbra.NewSettings(penumbra.Setting{Path: "version", Value: penumbra.Number(version)}),
		}
	}
	correction := func(at int64, from, to string) backtest.Correction {
		return backtest.Correction{Time: time.Unix(at, 0), Commit: "f", Resource: "e/db.x", Setting: "version", Old: from, New: to}
	}
	got := backtest.Observe(
		[]*penumbra.Observation{code(100, "create", 14.7), code(300, "update", 14.1), code(500, "update", 14.2)},
		[]backtest.Correction{correction(200, "14.7", "14.10"), correction(250, "14.7", "14.10"), correction(400, "13.1", "14.2")},
	)
	if len(got.Departed) != 1 || got.Repeated != 1 || got.Unknown != 1 {
		t.Fatalf("%d departed, %d repeated, %d unknown, want one each", len(got.Departed), got.Repeated, got.Unknown)
	}
	if d := got.Departed[0]; d.From != penumbra.Number(14.7) || d.To != penumbra.Number(14.1) {
		t.Errorf("departed from %v to %v: 14.10 is the number 14.1 there", d.From, d.To)
	}
	var story []string
	for _, o := range got.Observations {
		story = append(story, strconv.FormatInt(o.Time.Unix(), 10)+" "+o.Kind.String()+" "+o.Settings.Get("version").String())
	}
	want := "100 template 14.7, 100 snapshot 14.7, 200 snapshot 14.1, 300 template 14.1, 300 snapshot 14.1, 500 template 14.2, 500 snapshot 14.2"
	if s := strings.Join(story, ", "); s != want {
		t.Errorf("observed %s, want %s", s, want)
	}
}

// TestCorrectionsDeterministic holds two runs on a made history to one report,
// and to what is plain in it.
func TestCorrectionsDeterministic(t *testing.T) {
	t.Parallel()
	var history []*penumbra.Observation
	var corrections []backtest.Correction
	at := func(day int) time.Time { return time.Unix(int64(day)*86400, 0).UTC() }
	set := func(day, i int, action, version string) {
		history = append(history, &penumbra.Observation{
			Kind: penumbra.EventKind, Time: at(day), Resource: penumbra.Address("e/db.d" + strconv.Itoa(i)), Type: "db", Source: "git:" + strconv.Itoa(day), Action: action,
			Settings: penumbra.NewSettings(penumbra.Setting{Path: "version", Value: penumbra.String(version)}),
		})
	}
	for i := range 20 {
		set(1, i, "create", map[bool]string{true: "14", false: "14.1"}[i < 10])
	}
	for round := range 6 {
		day, old, next := 30+60*round, "14."+strconv.Itoa(round+1), "14."+strconv.Itoa(round+2)
		set(day, 19, "update", next)
		for i := 10; i < 19; i++ {
			if (i+round)%3 > 0 {
				corrections = append(corrections, backtest.Correction{Time: at(day + 20), Commit: strconv.Itoa(round), Resource: penumbra.Address("e/db.d" + strconv.Itoa(i)), Setting: "version", Old: old, New: next})
			}
		}
		for i := 10; i < 19; i++ {
			set(day+21, i, "update", next)
		}
	}
	set(460, 0, "update", "15")
	run := func() *backtest.CorrectionReport {
		r, err := backtest.Corrections(t.Context(), history, corrections, backtest.CorrectionOptions{Seed: 1, Bootstrap: 20, Alerts: 3})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := run()
	var texts [2]strings.Builder
	for i, x := range []*backtest.CorrectionReport{r, run()} {
		if err := x.WriteText(&texts[i]); err != nil {
			t.Fatal(err)
		}
	}
	if texts[0].String() != texts[1].String() {
		t.Error("two runs differ")
	}
	model := r.Halves[0].Predictors[0]
	if model.ByCut < 0.85 || r.Values[0].Share < 0.8 {
		t.Errorf("area under ROC %.3f, values named %.3f\n%s", model.ByCut, r.Values[0].Share, texts[0].String())
	}
}

// TestCorrections runs the whole protocol on the public record of real drift.
// PENUMBRA_SEED sets the seed.
func TestCorrections(t *testing.T) {
	observations := history(t, "estate-c")
	f, err := os.Open(filepath.Join(histories.Folder(t), "estate-c.drift.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	corrections, err := backtest.ReadCorrections(f)
	if err != nil {
		t.Fatal(err)
	}
	seed, _ := strconv.ParseUint(os.Getenv("PENUMBRA_SEED"), 10, 64)
	begun := time.Now()
	r, err := backtest.Corrections(t.Context(), observations, corrections, backtest.CorrectionOptions{Seed: max(1, seed)})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	t.Logf("in %v\n%s", time.Since(begun).Round(time.Second), b.String())
}

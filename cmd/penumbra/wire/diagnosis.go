package wire

import (
	"io"
	"math"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/postgres"
	"github.com/penumbra-iac/penumbra/anomaly"
	"github.com/penumbra-iac/penumbra/diagnosis"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/shadow/bayes"
)

// diagnoses say what belongs together, with what the network beside the shadow
// and the technologies know. The engine calls them one at a time.
type diagnoses struct {
	rates   diagnosis.Rates
	network *bayes.Model
	types   map[penumbra.Address]string
	// causes are what the network said in the present answer, by type and metric:
	// it would say the same for each change that is weighed.
	causes map[[2]string][]bayes.Cause
}

func newDiagnoses(network *bayes.Model) *diagnoses {
	return &diagnoses{network: network, types: map[penumbra.Address]string{}}
}

func (d *diagnoses) Happened(c *engine.Change) {
	d.types[c.Resource] = c.Type
	x := diagnosis.Change(*c)
	d.rates.Changed(&x)
}

func (d *diagnoses) Began(a *penumbra.Anomaly) {
	d.rates.Observe(a, func(r penumbra.Address) string { return d.types[r] })
}

func (d *diagnoses) Outcome(a *penumbra.Anomaly, s *penumbra.Suspect, wasCause bool) {
	d.rates.Outcome(d.types[s.Resource], a, *s, wasCause)
}

func (d *diagnoses) Watched(resource penumbra.Address, metric string, interval time.Duration, now time.Time) {
	d.rates.Watch(resource, metric, interval, now)
}

func (d *diagnoses) Rank(a *penumbra.Anomaly, changes []engine.Change) []penumbra.Suspect {
	list := make([]diagnosis.Change, len(changes))
	for i := range changes {
		list[i] = diagnosis.Change(changes[i])
	}
	d.causes = nil
	return diagnosis.Rank(a, list, d.rates, d)
}

func (d *diagnoses) Join(x *penumbra.Drift, r *penumbra.Resource, anomalies []penumbra.Anomaly) []penumbra.Impact {
	d.causes = nil
	return diagnosis.Join(x, r, anomalies, d.rates, d)
}

func (d *diagnoses) Critical(impacts []penumbra.Impact) bool { return diagnosis.Critical(impacts) }

// Effect is by how much the setting's varying moves the probability that the
// metric drops, as far as the network has found it to.
func (d *diagnoses) Effect(kind, path, metric string) (strength, cases float64, ok bool) {
	causes, asked := d.causes[[2]string{kind, metric}]
	if !asked {
		if d.causes == nil {
			d.causes = map[[2]string][]bayes.Cause{}
		}
		if d.network.Network(kind) != nil {
			causes, _ = d.network.Causes(kind, metric, anomaly.DirectionOf(metric)) // none if it cannot say
		}
		d.causes[[2]string{kind, metric}] = causes
	}
	for _, c := range causes {
		if c.Tier == bayes.Setting && c.Name == path {
			return math.Min(1, c.Swing), networkCases, true
		}
	}
	return 0, 0, false
}

// networkCases is how many cases a network stands on at least: it is learnt from
// so many hours.
const networkCases = 64

// Relevance goes by what a technology's manual says its settings are for.
func (d *diagnoses) Relevance(kind, path string) float64 {
	if kind == postgres.Type {
		return postgres.Relevance(path)
	}
	return 0.5
}

// Related is 1 for the same resource, less for one of the same host or module,
// and still less for one of the same stack.
func (d *diagnoses) Related(a, b penumbra.Address) float64 {
	switch {
	case a == b:
		return 1
	case a.Stack() != b.Stack():
		return 0
	case parent(a.Local()) == parent(b.Local()) && parent(a.Local()) != "":
		return 0.5
	default:
		return 0.2
	}
}

// parent returns the host of an address within an inventory, or the module of one
// within a stack of OpenTofu.
func parent(local string) string {
	if host, _, found := strings.Cut(local, "/"); found {
		return host
	}
	if strings.HasPrefix(local, "module.") {
		parts := strings.SplitN(local, ".", 3)
		return parts[0] + "." + parts[1]
	}
	return ""
}

func (d *diagnoses) WriteTo(w io.Writer) (int64, error) {
	data, err := d.rates.MarshalCBOR()
	if err != nil {
		return 0, err
	}
	n, err := w.Write(data)
	return int64(n), err
}

func (d *diagnoses) ReadFrom(r io.Reader) (int64, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return int64(len(data)), err
	}
	return int64(len(data)), d.rates.UnmarshalCBOR(data)
}

package anomaly

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// MetricRule says which series of a source are watched, and as what.
type MetricRule struct {
	// From matches the source's name of the metric, and Input the input's: a
	// pattern that begins with ^ is a regular expression (RE2), any other is a glob
	// in which * stands for anything. "" matches all.
	From  string `koanf:"from"`
	Input string `koanf:"input"`
	// Labels are patterns by label that must match too.
	Labels map[string]string `koanf:"labels"`
	// Name is what the metric is called here, the source's name if "".
	Name string `koanf:"name"`
	// By are labels whose values tell several series of one metric of a resource
	// apart: they become part of the name.
	By []string `koanf:"by"`
	// Worse is the way it moves when performance drops: up, down, either. "" goes
	// by the name.
	Worse string `koanf:"worse"`
	// Ignore leaves the series out.
	Ignore bool `koanf:"ignore"`
}

// Namer names series by the rules of a user, and then by those built in. It does
// not change.
type Namer struct {
	rules []nameRule
}

type nameRule struct {
	MetricRule
	from, input *regexp.Regexp
	labels      map[string]*regexp.Regexp
	worse       *penumbra.Direction
}

// NewNamer returns a namer. It returns an error of kind Invalid that names the
// rule if one cannot be used.
func NewNamer(rules []MetricRule) (*Namer, error) {
	n := &Namer{}
	for i, r := range append(slices.Clone(rules), builtIn...) {
		compiled, err := compile(r)
		if err != nil {
			return nil, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("metrics: rule %d", i+1), Remedy: "write a glob such as node_*, or a regular expression that begins with ^; worse is up, down or either", Err: err}
		}
		n.rules = append(n.rules, compiled)
	}
	return n, nil
}

func compile(r MetricRule) (nameRule, error) {
	out := nameRule{MetricRule: r, labels: map[string]*regexp.Regexp{}}
	var err error
	if out.from, err = pattern(r.From); err != nil {
		return out, err
	}
	if out.input, err = pattern(r.Input); err != nil {
		return out, err
	}
	for label, p := range r.Labels {
		if out.labels[label], err = pattern(p); err != nil {
			return out, err
		}
	}
	switch r.Worse {
	case "":
	case "up", "down", "either":
		d := map[string]penumbra.Direction{"up": penumbra.Up, "down": penumbra.Down, "either": penumbra.Either}[r.Worse]
		out.worse = &d
	default:
		return out, fmt.Errorf("worse %q", r.Worse)
	}
	return out, nil
}

// pattern compiles a regular expression or a glob, nil for "".
func pattern(p string) (*regexp.Regexp, error) {
	if p == "" {
		return nil, nil
	}
	if strings.HasPrefix(p, "^") {
		return regexp.Compile(p)
	}
	parts := strings.Split(p, "*")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.Compile("^" + strings.Join(parts, ".*") + "$")
}

func (r *nameRule) matches(s *penumbra.Series) bool {
	if r.from != nil && !r.from.MatchString(s.Metric) || r.input != nil && !r.input.MatchString(s.Input) {
		return false
	}
	for label, p := range r.labels {
		if !p.MatchString(s.Labels[label]) {
			return false
		}
	}
	return true
}

// Name returns what a series is called, which way it moves when performance
// drops, and whether it is watched at all: a series that no rule names is not.
func (n *Namer) Name(s *penumbra.Series) (metric string, worse penumbra.Direction, ok bool) {
	for i := range n.rules {
		r := &n.rules[i]
		if !r.matches(s) {
			continue
		}
		if r.Ignore {
			return "", penumbra.Either, false
		}
		metric = r.Name
		if metric == "" {
			metric = s.Metric
		}
		for _, label := range r.By {
			if v := s.Labels[label]; v != "" {
				metric += "." + v
			}
		}
		if r.worse != nil {
			return metric, *r.worse, true
		}
		return metric, DirectionOf(metric), true
	}
	return "", penumbra.Either, false
}

// builtIn are the metrics that everybody has, by the names that node_exporter
// and OpenTelemetry's semantic conventions give them. What a query or a recording
// rule already calls by Penumbra's names is taken as it is.
var builtIn = []MetricRule{
	{From: `^(cpu|memory|network_io|latency|throughput|errors|error_rate)$`},
	{From: "system.cpu.utilization", Name: "cpu", By: []string{"state", "cpu"}},
	{From: "system.memory.utilization", Name: "memory", By: []string{"state"}},
	{From: "container.cpu.usage", Name: "cpu"},
	{From: "container.memory.usage", Name: "memory"},
	{From: "node_network_receive_bytes_total", Labels: map[string]string{"device": `^(eth|en|wl|bond)`}, Name: "network_io.receive", By: []string{"device"}},
	{From: "node_network_transmit_bytes_total", Labels: map[string]string{"device": `^(eth|en|wl|bond)`}, Name: "network_io.transmit", By: []string{"device"}},
	{From: "node_cpu_seconds_total", Labels: map[string]string{"mode": `^(user|system|iowait|steal)$`}, Name: "cpu", By: []string{"mode", "cpu"}},
	{From: "node_memory_MemAvailable_bytes", Name: "memory_available", Worse: "down"},
}

// DirectionOf guesses from a metric's name which way it moves when performance
// drops.
func DirectionOf(metric string) penumbra.Direction {
	name := strings.ToLower(metric)
	for _, w := range []string{"latency", "duration", "response_time", "error", "fail", "5xx", "503", "timeout", "queue", "lag", "cpu", "memory", "wait", "retries", "restarts", "dropped", "saturation", "deadlock", "load"} {
		if strings.Contains(name, w) && !strings.Contains(name, "available") && !strings.Contains(name, "free") {
			return penumbra.Up
		}
	}
	for _, w := range []string{"throughput", "tps", "requests", "available", "free", "hit_ratio", "transactions", "commits", "success"} {
		if strings.Contains(name, w) {
			return penumbra.Down
		}
	}
	if name == "up" {
		return penumbra.Down
	}
	return penumbra.Either
}

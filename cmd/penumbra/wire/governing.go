package wire

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/knadh/koanf/v2"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/policy"
)

// personConfig is somebody with the groups and roles that policies ask for.
type personConfig struct {
	Name   string   `koanf:"name"`
	Groups []string `koanf:"groups"`
	Roles  []string `koanf:"roles"`
}

// windowConfig is a maintenance window.
type windowConfig struct {
	Stacks   []string      `koanf:"stacks"`
	Start    string        `koanf:"start"`
	Duration time.Duration `koanf:"duration"`
	TimeZone string        `koanf:"time_zone"`
}

// freezeConfig is a freeze that is known beforehand.
type freezeConfig struct {
	Stacks []string `koanf:"stacks"`
	From   string   `koanf:"from"`
	Until  string   `koanf:"until"`
	Reason string   `koanf:"reason"`
}

var (
	knownOfPerson = keysOf[personConfig]()
	knownOfWindow = keysOf[windowConfig]()
	knownOfFreeze = keysOf[freezeConfig]()
)

// What becomes of what is approved outside of a window.
const (
	waitOutside   = "wait"
	refuseOutside = "refuse"
)

func (c *Config) invalid(what, remedy string, err error) error {
	return &penumbra.Error{Kind: penumbra.Invalid, What: orDefaults(c.file) + ": " + what, Remedy: remedy, Err: err}
}

// checkGoverning checks what the configuration says of who may decide and when,
// but for the policies themselves.
func (c *Config) checkGoverning(k *koanf.Koanf) error {
	for _, list := range []struct {
		name, noun string
		known      []string
	}{{"people", "a person", knownOfPerson}, {"windows", "a window", knownOfWindow}, {"freezes", "a freeze", knownOfFreeze}} {
		if key, ok := unknownKey(k.Get(list.name), list.name, list.known); ok {
			return c.invalid("unknown key "+key, "the keys of "+list.noun+" are "+strings.Join(list.known, ", "), nil)
		}
	}
	for i, p := range c.People {
		if strings.TrimSpace(p.Name) == "" || strings.HasPrefix(strings.ToLower(p.Name), penumbra.PolicyPrefix) {
			return c.invalid(fmt.Sprintf("people[%d] is named %q", i, p.Name), "give the name that the person decides in", nil)
		}
		if slices.ContainsFunc(c.People[:i], func(q personConfig) bool { return penumbra.SamePerson(p.Name, q.Name) }) {
			return c.invalid(fmt.Sprintf("two people are named %q", p.Name), "give each a name of their own; case does not count", nil)
		}
	}
	if _, err := c.calendar(); err != nil {
		return err
	}
	_, err := c.freezes()
	return err
}

func (c *Config) zone(name, where string) (*time.Location, error) {
	zone, err := time.LoadLocation(name) // "" is UTC
	if err != nil {
		return nil, c.invalid(fmt.Sprintf("%s %q", where, name), "name one of the IANA time zones, such as Europe/Berlin", err)
	}
	return zone, nil
}

// calendar returns the maintenance windows.
func (c *Config) calendar() (*policy.Calendar, error) {
	if c.OutsideWindow != "" && c.OutsideWindow != waitOutside && c.OutsideWindow != refuseOutside {
		return nil, c.invalid(fmt.Sprintf("outside_window %q", c.OutsideWindow), "use wait, the default, or refuse", nil)
	}
	var windows []policy.Maintenance
	for i, w := range c.Windows {
		name := w.TimeZone
		if name == "" {
			name = c.TimeZone
		}
		zone, err := c.zone(name, fmt.Sprintf("windows[%d].time_zone", i))
		if err != nil {
			return nil, err
		}
		if err := c.checkStacks(w.Stacks, fmt.Sprintf("windows[%d]", i)); err != nil {
			return nil, err
		}
		windows = append(windows, policy.Maintenance{Stacks: w.Stacks, Start: w.Start, Duration: w.Duration, Zone: zone})
	}
	calendar, err := policy.NewCalendar(windows)
	var wrong *penumbra.Error
	if errors.As(err, &wrong) {
		return nil, c.invalid(wrong.What, wrong.Remedy, nil)
	}
	calendar.Refuse = c.OutsideWindow == refuseOutside
	return calendar, nil
}

// checkStacks returns an error if a stack is named that is not configured: a
// misspelt name would leave it without a window or a freeze.
func (c *Config) checkStacks(names []string, where string) error {
	for _, name := range names {
		if !slices.ContainsFunc(c.Stacks, func(s StackConfig) bool { return s.Name == name }) {
			return c.invalid(fmt.Sprintf("%s is for stack %q, which is not configured", where, name), "name one of `stacks`", nil)
		}
	}
	return nil
}

// freezes returns those of the configuration.
func (c *Config) freezes() ([]penumbra.Freeze, error) {
	var out []penumbra.Freeze
	for i, f := range c.Freezes {
		where := fmt.Sprintf("freezes[%d]", i)
		freeze := penumbra.Freeze{ID: fmt.Sprintf("f-config-%d", i+1), Stacks: f.Stacks, Reason: f.Reason, Configured: true}
		for _, end := range []struct {
			name, text string
			at         *time.Time
		}{{"from", f.From, &freeze.From}, {"until", f.Until, &freeze.Until}} {
			if end.text == "" {
				continue
			}
			at, err := time.Parse(time.RFC3339, end.text)
			if err != nil {
				return nil, c.invalid(fmt.Sprintf("%s.%s %q", where, end.name, end.text), `write a time such as "2026-12-20T00:00:00Z", in quotes`, err)
			}
			*end.at = at.UTC()
		}
		switch {
		case strings.TrimSpace(f.Reason) == "":
			return nil, c.invalid(where+" has no reason", "say why, for those whose runs it refuses", nil)
		case !freeze.Until.IsZero() && !freeze.From.Before(freeze.Until):
			return nil, c.invalid(where+" ends before it begins", "correct from and until", nil)
		}
		if err := c.checkStacks(f.Stacks, where); err != nil {
			return nil, err
		}
		out = append(out, freeze)
	}
	return out, nil
}

// PolicyPaths are the files and folders of policies as absolute paths.
func (c *Config) PolicyPaths() []string {
	var paths []string
	for _, p := range c.Policy {
		paths = append(paths, c.path(p))
	}
	return paths
}

// LoadPolicies reads the policies, with what is wrong with them; file names are
// as a person would type them.
func (c *Config) LoadPolicies() (*policy.Set, []policy.Mistake, error) {
	set, mistakes, err := policy.Load(c.PolicyPaths())
	return set, c.shortened(mistakes), err
}

// shortened names files as a person would type them.
func (c *Config) shortened(mistakes []policy.Mistake) []policy.Mistake {
	for i, m := range mistakes {
		if name, err := filepath.Rel(c.Folder, m.File); err == nil && !strings.HasPrefix(name, "..") {
			mistakes[i].File = name
		}
	}
	return mistakes
}

// LoadAccess reads who may do what: the policies of the roles, and those of
// `access_policy` over them.
func (c *Config) LoadAccess() (*policy.Access, []policy.Mistake, error) {
	var paths []string
	for _, p := range c.AccessPolicy {
		paths = append(paths, c.path(p))
	}
	environments := make(map[string]string, len(c.Stacks))
	for _, s := range c.Stacks {
		environments[s.Name] = s.Environment
	}
	rights, mistakes, err := policy.LoadAccess(paths, environments)
	return rights, c.shortened(mistakes), err
}

// rights returns who may do what. Policies with mistakes are refused.
func (c *Config) rights() (*policy.Access, error) {
	rights, mistakes, err := c.LoadAccess()
	if err == nil {
		err = mistaken(mistakes, "docs/authorisation.md")
	}
	return rights, err
}

// mistaken returns an error of kind Invalid if there are mistakes.
func mistaken(mistakes []policy.Mistake, where string) error {
	if len(mistakes) == 0 {
		return nil
	}
	more := ""
	if len(mistakes) > 1 {
		more = fmt.Sprintf(" (and %d more)", len(mistakes)-1)
	}
	return &penumbra.Error{Kind: penumbra.Invalid, What: mistakes[0].String() + more, Remedy: "correct it; `penumbra policy check` lists all mistakes, and " + where + " what policies can ask about"}
}

// groupsOf returns the groups of people's accounts, as their identity provider said them
// when they last signed in: policies that decide are asked about people who are not there.
func groupsOf(accounts interface {
	Accounts(context.Context, penumbra.AccountQuery) ([]penumbra.Account, error)
}) func(name string) ([]string, error) {
	return func(name string) ([]string, error) {
		if name == "" {
			return nil, nil // it would select all
		}
		found, err := accounts.Accounts(context.Background(), penumbra.AccountQuery{Name: name})
		if err != nil || len(found) != 1 {
			return nil, err
		}
		return found[0].Groups, nil
	}
}

// guard returns what is asked who may decide and when. Policies with mistakes
// are refused: half of them would allow what the other half forbids.
func (c *Config) guard(groups func(name string) ([]string, error)) (*policy.Guard, error) {
	set, mistakes, err := c.LoadPolicies()
	if err != nil {
		return nil, err
	}
	if err := mistaken(mistakes, "docs/policy.md"); err != nil {
		return nil, err
	}
	zone, err := c.zone(c.TimeZone, "time_zone")
	if err != nil {
		return nil, err
	}
	calendar, err := c.calendar()
	if err != nil {
		return nil, err
	}
	g := &policy.Guard{Set: set, Calendar: calendar, Zone: zone, Groups: groups}
	for _, p := range c.People {
		g.People = append(g.People, policy.Person(p))
	}
	return g, nil
}

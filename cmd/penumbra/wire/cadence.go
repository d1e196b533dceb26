package wire

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/ansible"
	"github.com/penumbra-iac/penumbra/engine"
)

// cadenceConfig says how often some resources are read.
type cadenceConfig struct {
	// Match is a pattern on the address, within the stack or with it, or the type.
	Match string        `koanf:"match"`
	Every time.Duration `koanf:"every"`
}

var knownOfCadence = keysOf[cadenceConfig]()

// shortestCadence is how often a resource may be read at the most.
const shortestCadence = 30 * time.Second

// unknownCadenceKey is [unknownKey] of the rules within stacks and their servers.
func unknownCadenceKey(stacks any) (string, bool) {
	within := func(x any, at string) (string, bool) {
		keys, _ := x.(map[string]any)
		return unknownKey(keys["cadence"], at+".cadence", knownOfCadence)
	}
	list, _ := stacks.([]any)
	for i, s := range list {
		at := fmt.Sprintf("stacks[%d]", i)
		if key, ok := within(s, at); ok {
			return key, true
		}
		keys, _ := s.(map[string]any)
		servers, _ := keys["servers"].([]any)
		for j, server := range servers {
			if key, ok := within(server, fmt.Sprintf("%s.servers[%d]", at, j)); ok {
				return key, true
			}
		}
	}
	return "", false
}

// checkCadence returns what is wrong with rules and what to do about it, "" if
// nothing.
func checkCadence(list string, rules []cadenceConfig) (what, remedy string) {
	for i, r := range rules {
		at := fmt.Sprintf("%s[%d]", list, i)
		if _, err := cadencePattern(r.Match); err != nil || r.Match == "" {
			return fmt.Sprintf("%s has match %q", at, r.Match), "write a glob of an address or a type, such as aws_db_instance.* or aws_s3_*, or a regular expression that begins with ^"
		}
		if r.Every < shortestCadence {
			return fmt.Sprintf("%s has every %v", at, r.Every), fmt.Sprintf("give %v or more, 5m to 15m as a rule: events start a read at once in any case", shortestCadence)
		}
	}
	return "", ""
}

// cadencePattern compiles a pattern as the rules of events have them: one that
// begins with ^ is a regular expression, any other a glob for the whole text that
// ignores case.
func cadencePattern(text string) (*regexp.Regexp, error) {
	if strings.HasPrefix(text, "^") {
		return regexp.Compile(text)
	}
	return regexp.Compile("(?is)^" + strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(text)) + "$")
}

// cadence returns rules that were checked.
func cadence(rules []cadenceConfig) []engine.Cadence {
	var out []engine.Cadence
	for _, r := range rules {
		p := regexp.MustCompile("^$")
		if compiled, err := cadencePattern(r.Match); err == nil {
			p = compiled
		}
		out = append(out, engine.Cadence{Pattern: r.Match, Every: r.Every, Match: func(a penumbra.Address, typ string) bool {
			return p.MatchString(a.Local()) || p.MatchString(string(a)) || p.MatchString(typ)
		}})
	}
	return out
}

// byHost reads the hosts of a playbook by themselves.
type byHost struct{ *ansible.Workspace }

var _ engine.Targeted = byHost{}

func (h byHost) ReadSome(ctx context.Context, addresses []penumbra.Address) ([]penumbra.Observation, error) {
	var hosts []string
	for _, a := range addresses {
		host, _, _ := strings.Cut(a.Local(), "/")
		hosts = append(hosts, host)
	}
	slices.Sort(hosts)
	return h.ReadHosts(ctx, slices.Compact(hosts))
}

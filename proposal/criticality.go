package proposal

import (
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// Criticality is how much depends on a resource, by what is configured or by its own
// tags.
type Criticality uint8

// The criticalities. A resource of which nobody says is Normal.
const (
	Normal Criticality = iota
	Low
	High
)

func (c Criticality) String() string { return [...]string{"normal", "low", "high"}[c] }

// power is by what power the chance that nothing goes wrong is taken.
func (c Criticality) power() float64 {
	switch c {
	case Low:
		return 0.5
	case High:
		return 2
	default:
		return 1
	}
}

// environments are what tags say of a resource's part in production.
var environments = map[string]Criticality{
	"prod": High, "prd": High, "production": High, "live": High,
	"dev": Low, "development": Low, "test": Low, "testing": Low, "qa": Low, "sandbox": Low, "staging": Low, "stage": Low, "preview": Low, "demo": Low,
}

// environmentNames are the last parts of the paths that say so.
var environmentNames = map[string]bool{"env": true, "environment": true, "stage": true, "tier": true, "deployment_environment": true}

// CriticalityOf returns what a resource's own settings say of it, and the path that
// says so.
func CriticalityOf(r *penumbra.Resource) (c Criticality, path string) {
	for _, list := range []penumbra.Settings{r.Actual, r.Template} {
		for _, x := range list {
			name := x.Path[strings.LastIndexByte(x.Path, '.')+1:]
			if !environmentNames[strings.ToLower(name)] || x.Sensitive {
				continue
			}
			if found, ok := environments[strings.ToLower(x.Value.Text())]; ok {
				return found, x.Path
			}
		}
	}
	return Normal, ""
}

package api

import (
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penumbra-iac/penumbra"
)

// The types below stand in the description for those of the root package that
// write their own JSON. The root cannot describe itself: it imports the
// standard library only.

// schemas returns the registry that knows them.
func schemas() huma.Registry {
	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	for of, is := range map[reflect.Type]reflect.Type{
		reflect.TypeFor[penumbra.Value]():           reflect.TypeFor[scalar](),
		reflect.TypeFor[penumbra.Setting]():         reflect.TypeFor[setting](),
		reflect.TypeFor[penumbra.Verdict]():         reflect.TypeFor[verdict](),
		reflect.TypeFor[penumbra.DriftStatus]():     reflect.TypeFor[driftStatus](),
		reflect.TypeFor[penumbra.RunState]():        reflect.TypeFor[runState](),
		reflect.TypeFor[penumbra.ObservationKind](): reflect.TypeFor[observationKind](),
		reflect.TypeFor[penumbra.ActorKind]():       reflect.TypeFor[actorKind](),
		reflect.TypeFor[penumbra.InfluenceKind]():   reflect.TypeFor[influenceKind](),
		reflect.TypeFor[penumbra.VersionState]():    reflect.TypeFor[versionState](),
		reflect.TypeFor[penumbra.AnomalyKind]():     reflect.TypeFor[anomalyKind](),
		reflect.TypeFor[penumbra.Direction]():       reflect.TypeFor[direction](),
	} {
		registry.RegisterTypeAlias(of, is)
	}
	return registry
}

type setting struct {
	Path      string `json:"path" doc:"The flattened path of the setting." example:"tags.team"`
	Value     scalar `json:"value"`
	Sensitive bool   `json:"sensitive,omitempty" doc:"The value is a keyed hash."`
	Unknown   bool   `json:"unknown,omitempty" doc:"The value is known only after an apply."`
}

type scalar struct{}

// Schema implements [huma.SchemaProvider]. It has no type: that admits any
// JSON, and reading the value refuses lists and objects.
func (scalar) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Description: "A JSON scalar: a string, a number, true, false, or null where there is no value.",
		Examples:    []any{"db.t3.small"},
	}
}

type (
	verdict         struct{}
	driftStatus     struct{}
	runState        struct{}
	observationKind struct{}
	actorKind       struct{}
	influenceKind   struct{}
	versionState    struct{}
	anomalyKind     struct{}
	direction       struct{}
)

// Schema implements [huma.SchemaProvider].
func (verdict) Schema(huma.Registry) *huma.Schema {
	return names(penumbra.InSync, penumbra.Drifted)
}

// Schema implements [huma.SchemaProvider].
func (driftStatus) Schema(huma.Registry) *huma.Schema {
	return names(penumbra.Open, penumbra.Resolved)
}

// Schema implements [huma.SchemaProvider].
func (runState) Schema(huma.Registry) *huma.Schema {
	return names(penumbra.Planned, penumbra.Halted)
}

// Schema implements [huma.SchemaProvider].
func (observationKind) Schema(huma.Registry) *huma.Schema {
	return names(penumbra.TemplateKind, penumbra.MetricKind)
}

// Schema implements [huma.SchemaProvider].
func (actorKind) Schema(huma.Registry) *huma.Schema {
	return names(penumbra.UnknownActor, penumbra.System)
}

// Schema implements [huma.SchemaProvider].
func (influenceKind) Schema(huma.Registry) *huma.Schema {
	return names(penumbra.OwnChange, penumbra.ActorChanges)
}

// Schema implements [huma.SchemaProvider].
func (versionState) Schema(huma.Registry) *huma.Schema {
	return names(penumbra.CandidateVersion, penumbra.TakenBackVersion)
}

// Schema implements [huma.SchemaProvider].
func (anomalyKind) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Enum: []any{string(penumbra.Spike), string(penumbra.LevelShift), string(penumbra.Silence)}}
}

// Schema implements [huma.SchemaProvider].
func (direction) Schema(huma.Registry) *huma.Schema {
	return names(penumbra.Either, penumbra.Down)
}

// names describes an enumeration whose values run from first to last.
func names[E interface {
	~uint8
	String() string
}](first, last E) *huma.Schema {
	s := &huma.Schema{Type: huma.TypeString}
	for e := first; e <= last; e++ {
		s.Enum = append(s.Enum, e.String())
	}
	return s
}

func problemResponse(a huma.API) *huma.Response {
	return &huma.Response{
		Description: "A problem detail (RFC 9457). Its kind says what follows, its remedy what to do.",
		Content: map[string]*huma.MediaType{
			problemType: {Schema: a.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "")},
		},
	}
}

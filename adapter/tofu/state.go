package tofu

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	tfjson "github.com/hashicorp/terraform-json"

	"github.com/penumbra-iac/penumbra"
)

// ReadState reads a state: a raw state file of format version 4, or what
// `show -json` prints of one. It gives a snapshot of each resource instance and
// no template, for a state does not know the code. Without a provider's schema
// the elements of a set count as a list's. Memory is linear in the resources
// and does not hold the text.
//
// It returns an error of kind Invalid that names the version of a state of
// another format, or the byte at which the text ends or stops being a state.
func ReadState(r io.Reader, stack string, key penumbra.Key, at time.Time) ([]penumbra.Observation, error) {
	if err := checkInput(stack, key); err != nil {
		return nil, err
	}
	found, err := decodeState(r, "state of "+stack, key, nil)
	if err != nil {
		return nil, err
	}
	from := reading{stack, at}
	out := make([]penumbra.Observation, 0, len(found.order))
	for _, i := range found.order {
		out = append(out, from.snapshot(&i.instance))
	}
	return sortObservations(out), nil
}

func checkInput(stack string, key penumbra.Key) error {
	if !penumbra.ValidStackName(stack) {
		return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("stack name %q", stack), Remedy: "use letters, digits, '.', '_' and '-'"}
	}
	if len(key) == 0 {
		return &penumbra.Error{Kind: penumbra.Invalid, What: "no key to seal sensitive values of " + stack + " with", Remedy: "create the data directory first, which holds the key"}
	}
	return nil
}

// stateInstance is one instance of a state.
type stateInstance struct {
	instance
	dependencies []string // places in the code that it depends on
}

// state is what a state holds: managed instances in their order, and a digest
// of what the data sources found.
type state struct {
	order   []*stateInstance
	byName  map[string]*stateInstance
	sources penumbra.Settings
	objects []object // only if they are kept
}

// object is an instance as it stands in a raw state, of data sources as well.
type object struct {
	module     string // instance of the module, "module.a[0]"; "" for the root
	name       string // "type.name" or "data.type.name"
	key        any    // a json.Number, a string, or nil
	attributes map[string]any
}

func (o *object) address() string {
	kind, rest, _ := strings.Cut(o.name, ".")
	if kind == "data" {
		typ, name, _ := strings.Cut(rest, ".")
		return instanceAddress(o.module, "data."+typ, name, o.key)
	}
	return instanceAddress(o.module, kind, rest, o.key)
}

// stateReader decodes a state of either form.
type stateReader struct {
	stream
	flat   *flattener
	shapes shapes
	out    state

	version, format   string
	encrypted, legacy bool

	keepLeaves  bool // also as what is planned, see [planReader.fromPriorState]
	keepObjects bool
}

// decodeState reads a state in one pass. what names it in errors.
func decodeState(r io.Reader, what string, key penumbra.Key, known shapes) (*state, error) {
	return newStateReader(r, key, known).read(what)
}

func newStateReader(r io.Reader, key penumbra.Key, known shapes) *stateReader {
	return &stateReader{stream: newStream(r), flat: &flattener{key: key}, shapes: known, out: state{byName: make(map[string]*stateInstance)}}
}

func (d *stateReader) read(what string) (*state, error) {
	if err := d.fault(what, d.object(d.field)); err != nil {
		return nil, err
	}
	if err := d.check(what); err != nil {
		return nil, err
	}
	return &d.out, nil
}

func (d *stateReader) field(name string) error {
	switch name {
	case "version":
		return d.number(&d.version)
	case "format_version":
		return d.Decode(&d.format)
	case "encrypted_data":
		d.encrypted = true
	case "modules":
		d.legacy = true
	case "resources":
		return d.list(d.rawResource)
	case "values":
		return d.values()
	}
	return d.skip()
}

func (d *stateReader) number(into *string) error {
	var n json.Number
	err := d.Decode(&n)
	*into = n.String()
	return err
}

// check refuses what is no state of a known format.
func (d *stateReader) check(what string) error {
	refuse := func(found, remedy string) error {
		return &penumbra.Error{Kind: penumbra.Invalid, What: "read " + what + ": " + found, Remedy: remedy}
	}
	switch {
	case d.encrypted:
		return refuse("it is encrypted by OpenTofu", "give the output of `tofu show -json` instead, run where the encryption is configured")
	case d.version != "" && d.version != "4":
		remedy := "update Penumbra, or give the output of `tofu show -json` instead"
		if d.legacy {
			remedy = "run `tofu apply -refresh-only` with a current version, which upgrades the state"
		}
		return refuse("its format is version "+strconv.Quote(penumbra.Redact(d.version))+", and version 4 is understood", remedy)
	case d.version == "4":
		return nil
	case d.format == "":
		return refuse("it has neither version nor format_version, so it is not a state", "give a terraform.tfstate or the output of `tofu show -json`")
	}
	return checkFormat(what, "state", d.format)
}

// values reads the values of a state as `show -json` prints it, and of the
// prior state of a plan.
func (d *stateReader) values() error {
	return d.object(func(name string) error {
		if name != "root_module" {
			return d.skip()
		}
		return d.module()
	})
}

func (d *stateReader) module() error {
	return d.object(func(name string) error {
		switch name {
		case "resources":
			return d.list(d.shownResource)
		case "child_modules":
			return d.list(d.module)
		}
		return d.skip()
	})
}

func (d *stateReader) shownResource() error {
	var r tfjson.StateResource
	if err := d.Decode(&r); err != nil {
		return err
	}
	if r.DeposedKey != "" {
		return nil
	}
	var sensitive any
	if len(r.SensitiveValues) > 0 {
		if err := json.Unmarshal(r.SensitiveValues, &sensitive); err != nil {
			return err
		}
	}
	var values any
	if r.AttributeValues != nil {
		values = r.AttributeValues
	}
	d.add(r.Mode, r.Address, r.Type, values, sensitive, r.DependsOn)
	return nil
}

func (d *stateReader) add(mode tfjson.ResourceMode, address, typ string, values, sensitive any, dependencies []string) {
	leaves := d.flat.leaves(values, nil, sensitive, d.shapes[typ])
	settings := settingsOf(leaves)
	if mode == tfjson.DataResourceMode {
		d.out.sources = append(d.out.sources, penumbra.Setting{Path: address, Value: penumbra.String(settings.Digest())})
		return
	}
	if address == "" || d.out.byName[address] != nil {
		return
	}
	i := &stateInstance{
		instance:     instance{address: address, typ: typ, actual: settings, exists: true},
		dependencies: dependencies,
	}
	if d.keepLeaves {
		i.planned = slices.Clone(leaves)
	}
	d.out.order = append(d.out.order, i)
	d.out.byName[address] = i
}

// rawResource is a resource of a raw state. Its instances are read one by one
// once its name is known, which is always so in what the tools write.
type rawResource struct {
	mode              tfjson.ResourceMode
	module, typ, name string
}

// rawInstance is an instance of a resource of a raw state.
type rawInstance struct {
	IndexKey       any             `json:"index_key"`
	Deposed        string          `json:"deposed"`
	Attributes     map[string]any  `json:"attributes"`
	AttributesFlat json.RawMessage `json:"attributes_flat"`
	Sensitive      [][]pathStep    `json:"sensitive_attributes"`
	Dependencies   []string        `json:"dependencies"`
}

// pathStep is one step of a path in a raw state.
type pathStep struct {
	Type  string `json:"type"`
	Value any    `json:"value"`
}

func (d *stateReader) rawResource() error {
	var r rawResource
	var early []rawInstance
	err := d.object(func(name string) error {
		switch name {
		case "mode":
			return d.Decode(&r.mode)
		case "module":
			return d.Decode(&r.module)
		case "type":
			return d.Decode(&r.typ)
		case "name":
			return d.Decode(&r.name)
		case "instances":
			return d.list(func() error {
				var i rawInstance
				if err := d.Decode(&i); err != nil {
					return err
				}
				if r.typ == "" || r.name == "" || r.mode == "" {
					early = append(early, i)
					return nil
				}
				return d.rawInstance(&r, &i)
			})
		}
		return d.skip()
	})
	for i := range early {
		if err == nil {
			err = d.rawInstance(&r, &early[i])
		}
	}
	return err
}

func (d *stateReader) rawInstance(r *rawResource, i *rawInstance) error {
	if i.Deposed != "" {
		return nil
	}
	of := object{r.module, r.typ + "." + r.name, i.IndexKey, i.Attributes}
	if r.mode == tfjson.DataResourceMode {
		of.name = "data." + of.name
	}
	address := of.address()
	if i.Attributes == nil && len(i.AttributesFlat) > 0 {
		return &penumbra.Error{
			Kind:   penumbra.Invalid,
			What:   "read state: " + address + " is kept in the flat form of Terraform 0.11",
			Remedy: "run `tofu apply -refresh-only` with a current version, which upgrades the state",
		}
	}
	var values any
	if i.Attributes != nil {
		values = d.shapes[r.typ].unwrap(i.Attributes)
	}
	if d.keepObjects {
		d.out.objects = append(d.out.objects, of)
	}
	d.add(r.mode, address, r.typ, values, sensitiveTree(i.Sensitive), i.Dependencies)
	return nil
}

// sensitiveTree turns a raw state's list of paths into the tree of marks that
// the JSON output has. A path that goes through a set, whose elements have no
// index, marks the whole set.
func sensitiveTree(paths [][]pathStep) any {
	var tree any
	for _, path := range paths {
		tree = markPath(tree, path)
	}
	return tree
}

func markPath(tree any, path []pathStep) any {
	if tree == true || len(path) == 0 {
		return true
	}
	name, ok := path[0].name()
	if !ok {
		return true
	}
	marks, _ := tree.(map[string]any)
	if marks == nil {
		marks = make(map[string]any)
	}
	marks[name] = markPath(marks[name], path[1:])
	return marks
}

func (s pathStep) name() (string, bool) {
	value := s.Value
	if object, ok := value.(map[string]any); ok {
		value = object["value"]
	}
	switch value := value.(type) {
	case string:
		return value, true
	case json.Number:
		return value.String(), true
	}
	return "", false
}

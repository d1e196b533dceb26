package tofu

import (
	"encoding/json"

	tfjson "github.com/hashicorp/terraform-json"
	"github.com/zclconf/go-cty/cty"
)

// shape is what of a provider's schema matters for reading: which places are
// sets or maps, which are sensitive, which are never stored and which may have
// any type. A nil shape is none of that, all the way down.
type shape struct {
	Set       bool              `json:"set,omitempty"`
	Map       bool              `json:"map,omitempty"`
	WriteOnly bool              `json:"write_only,omitempty"`
	Dynamic   bool              `json:"dynamic,omitempty"`
	Sensitive bool              `json:"sensitive,omitempty"`
	Elem      *shape            `json:"elem,omitempty"`
	Fields    map[string]*shape `json:"fields,omitempty"`
}

// shapes maps a resource's type to its shape. Types without sets and sensitive
// places are in it with nil, so that a type that is not in it is a new one.
type shapes map[string]*shape

// field returns the shape below an attribute of an object or a key of a map.
func (s *shape) field(name string) *shape {
	if s == nil {
		return nil
	}
	if s.Fields != nil {
		return s.Fields[name]
	}
	return s.Elem
}

func (s *shape) elem() *shape {
	if s == nil {
		return nil
	}
	return s.Elem
}

func (s *shape) hasSensitive() bool {
	if s == nil {
		return false
	}
	if s.Sensitive || s.Elem.hasSensitive() {
		return true
	}
	for _, f := range s.Fields {
		if f.hasSensitive() {
			return true
		}
	}
	return false
}

// hasDynamic reports whether a place below may have any type. A raw state
// wraps the value of such a place together with its type.
func (s *shape) hasDynamic() bool {
	if s == nil {
		return false
	}
	if s.Dynamic || s.Elem.hasDynamic() {
		return true
	}
	for _, f := range s.Fields {
		if f.hasDynamic() {
			return true
		}
	}
	return false
}

// unwrap takes values out of the form in which a raw state keeps those that may
// have any type: together with it.
func (s *shape) unwrap(x any) any {
	if !s.hasDynamic() {
		return x
	}
	switch value := x.(type) {
	case map[string]any:
		if s.Dynamic {
			if inner, ok := value["value"]; ok && len(value) == 2 && value["type"] != nil {
				return inner
			}
			return x
		}
		for name, f := range value {
			value[name] = s.field(name).unwrap(f)
		}
	case []any:
		for i := range value {
			value[i] = s.elem().unwrap(value[i])
		}
	}
	return x
}

// orNil drops a shape that says nothing: most of a large provider's do.
func (s *shape) orNil() *shape {
	if !s.Set && !s.Map && !s.Sensitive && !s.WriteOnly && !s.Dynamic && s.Elem == nil && len(s.Fields) == 0 {
		return nil
	}
	return s
}

func (s *shape) put(name string, field *shape) {
	if field == nil {
		return
	}
	if s.Fields == nil {
		s.Fields = make(map[string]*shape)
	}
	s.Fields[name] = field
}

// parseShapes reads the output of `providers schema -json`.
func parseShapes(data []byte) (shapes, error) {
	var schemas tfjson.ProviderSchemas
	if err := json.Unmarshal(data, &schemas); err != nil {
		return nil, err
	}
	out := make(shapes)
	for _, provider := range schemas.Schemas {
		for typ, schema := range provider.ResourceSchemas {
			out[typ] = blockShape(schema.Block).orNil()
		}
	}
	return out, nil
}

func blockShape(block *tfjson.SchemaBlock) *shape {
	s := &shape{}
	if block == nil {
		return s
	}
	for name, attribute := range block.Attributes {
		s.put(name, attributeShape(attribute))
	}
	for name, nested := range block.NestedBlocks {
		s.put(name, nest(nested.NestingMode, blockShape(nested.Block)))
	}
	return s
}

func attributeShape(a *tfjson.SchemaAttribute) *shape {
	s := &shape{}
	if a.AttributeNestedType != nil {
		object := &shape{}
		for name, attribute := range a.AttributeNestedType.Attributes {
			object.put(name, attributeShape(attribute))
		}
		if nested := nest(a.AttributeNestedType.NestingMode, object); nested != nil {
			s = nested
		}
	} else if of := typeShape(a.AttributeType); of != nil {
		s = of
	}
	s.Sensitive = s.Sensitive || a.Sensitive || a.WriteOnly
	s.WriteOnly = a.WriteOnly
	return s.orNil()
}

func nest(mode tfjson.SchemaNestingMode, object *shape) *shape {
	switch mode {
	case tfjson.SchemaNestingModeSet:
		return &shape{Set: true, Elem: object.orNil()}
	case tfjson.SchemaNestingModeMap:
		return &shape{Map: true, Elem: object.orNil()}
	case tfjson.SchemaNestingModeList:
		return (&shape{Elem: object.orNil()}).orNil()
	default:
		return object.orNil()
	}
}

func typeShape(t cty.Type) *shape {
	switch {
	case t == cty.NilType:
		return nil
	case t.IsSetType():
		return &shape{Set: true, Elem: typeShape(t.ElementType())}
	case t == cty.DynamicPseudoType:
		return &shape{Dynamic: true}
	case t.IsMapType():
		return &shape{Map: true, Elem: typeShape(t.ElementType())}
	case t.IsListType():
		return (&shape{Elem: typeShape(t.ElementType())}).orNil()
	case t.IsObjectType():
		s := &shape{}
		for name, of := range t.AttributeTypes() {
			s.put(name, typeShape(of))
		}
		return s.orNil()
	}
	return nil
}

package hcl

import (
	"bytes"
	"fmt"
	"strings"

	hcl2 "github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"

	"github.com/penumbra-iac/penumbra"
)

// Import returns the patch that adds an import block, which takes the object of
// that identity into the state as the resource. The block stands behind the
// resource's or, for one in a module, behind the module's call, for only the
// stack's own folder may have it. Errors are those of [Values].
func Import(dir, stack string, to penumbra.Address, id string) (penumbra.Patch, error) {
	if penumbra.LooksSecret("", penumbra.String(id)) {
		return penumbra.Patch{}, refuse("the identity of "+to.Local()+" looks like a secret", "import it by hand")
	}
	c := open(dir)
	s, err := c.locate(to)
	if err != nil {
		return penumbra.Patch{}, err
	}
	for s.caller != nil {
		s = s.caller
	}
	block := hclwrite.NewBlock("import", nil)
	if err := setAddress(block, "to", to.Local()); err != nil {
		return penumbra.Patch{}, err
	}
	block.Body().SetAttributeValue("id", cty.StringVal(id))
	if err := s.addBehind(block); err != nil {
		return penumbra.Patch{}, err
	}
	return c.patch(stack, []string{"the import block has done its work once it is applied, and may be removed then"})
}

// A Move is a resource's old and new address.
type Move struct{ From, To penumbra.Address }

// Moved returns the patch that adds a moved block for each move, which says that
// the resource of the old address is the one that the code declares at the new
// one. A move within a module is written there, for all of the module's
// instances. Errors are those of [Values].
func Moved(dir, stack string, moves []Move) (penumbra.Patch, error) {
	c := open(dir)
	for _, m := range moves {
		if err := c.moved(m); err != nil {
			return penumbra.Patch{}, err
		}
	}
	return c.patch(stack, []string{"keep a moved block until every copy of the state has been applied"})
}

func (c *code) moved(m Move) error {
	s, err := c.locate(m.To)
	if err != nil {
		return err
	}
	old, now := m.From.Local(), m.To.Local()
	in, name := splitModule(now)
	wasIn, was := splitModule(old)
	if in == wasIn {
		old, now = was, name
	} else {
		for s.caller != nil {
			s = s.caller
		}
	}
	block := hclwrite.NewBlock("moved", nil)
	if err := setAddress(block, "from", old); err != nil {
		return err
	}
	if err := setAddress(block, "to", now); err != nil {
		return err
	}
	return s.addBehind(block)
}

// splitModule parts the address of a module from that of the resource in it.
func splitModule(local string) (module, resource string) {
	steps, diags := hclsyntax.ParseTraversalAbs([]byte(local), "address", hcl2.InitialPos)
	if diags.HasErrors() {
		return "", local
	}
	at := 0
	for i := 0; i+1 < len(steps); i++ {
		root, isRoot := steps[i].(hcl2.TraverseRoot)
		attr, isAttr := steps[i].(hcl2.TraverseAttr)
		if isRoot && root.Name != "module" || isAttr && attr.Name != "module" {
			break
		}
		i++ // the module's name
		if _, keyed := steps[min(i+1, len(steps)-1)].(hcl2.TraverseIndex); keyed {
			i++
		}
		at = steps[i].SourceRange().End.Byte + 1
	}
	if at == 0 {
		return "", local
	}
	return local[:at-1], local[at:]
}

func setAddress(block *hclwrite.Block, name, address string) error {
	t, diags := hclsyntax.ParseTraversalAbs([]byte(address), "address", hcl2.InitialPos)
	if diags.HasErrors() {
		return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("%q is not the address of a resource", address)}
	}
	block.Body().SetAttributeTraversal(name, t)
	return nil
}

// addBehind writes a block behind the scope's own.
func (s *scope) addBehind(block *hclwrite.Block) error {
	at, err := s.find()
	if err != nil {
		return err
	}
	f := hclwrite.NewEmptyFile()
	f.Body().AppendBlock(block)
	nl := at.file.newline()
	text := nl + strings.ReplaceAll(string(hclwrite.Format(f.Bytes())), "\n", nl)
	end := at.file.lineEnd(at.block.CloseBraceRange.End.Byte)
	if end > 0 && !bytes.HasSuffix(at.file.src[:end], []byte("\n")) {
		text = nl + text
	}
	return at.file.splice(end, end, text)
}

package hcl

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aymanbagabas/go-udiff"

	"github.com/penumbra-iac/penumbra"
)

// Values returns the patch after which the code of the stack in dir declares
// these values of a resource; null removes a setting. A patch without files
// says that it declares them already. Errors are of kind Invalid, with file and
// line, for code that does not parse; NotFound if the resource is not in it;
// Missing if it cannot be read; Refused, with what to do instead, for what
// cannot be edited without touching more than was asked for. varFiles are the
// files of values that the command line names, relative to dir.
func Values(dir, stack string, address penumbra.Address, settings []penumbra.Setting, varFiles ...string) (penumbra.Patch, error) {
	return values(dir, stack, []penumbra.Address{address}, settings, varFiles)
}

// Together is Values of several resources, whose values are changed where they
// share them. Whoever else shares them takes them too: whoever calls it plans
// the whole stack.
func Together(dir, stack string, addresses []penumbra.Address, settings []penumbra.Setting, varFiles ...string) (penumbra.Patch, error) {
	return values(dir, stack, addresses, settings, varFiles)
}

func values(dir, stack string, addresses []penumbra.Address, settings []penumbra.Setting, varFiles []string) (penumbra.Patch, error) {
	settings = slices.Clone(settings)
	for _, x := range settings {
		switch {
		case x.Sensitive || x.Value.Kind() == penumbra.SecretKind || penumbra.LooksSecret(x.Path, x.Value):
			return penumbra.Patch{}, refuse(fmt.Sprintf("the value of %s is a secret, which no patch may hold", x.Path), "change it where your secrets are kept")
		case x.Value.Kind() == penumbra.UnknownKind:
			return penumbra.Patch{}, refuse(fmt.Sprintf("the value of %s is not known", x.Path), "apply the code first")
		case x.Path == "":
			return penumbra.Patch{}, refuse("the resource as a whole is no setting", "add or remove its block by hand")
		}
	}
	slices.SortStableFunc(settings, inOrder)
	e := &editor{code: open(dir, varFiles...), together: len(addresses) > 1}
	if err := e.setAll(addresses, settings); err != nil {
		return penumbra.Patch{}, err
	}
	// Once more: code that declares the values is left as it is, so an edit now
	// says that the first ones did not do what they were to.
	notes, edits := slices.Clone(e.notes), e.edits
	if err := e.setAll(addresses, settings); err != nil {
		return penumbra.Patch{}, err
	}
	if e.edits != edits {
		return penumbra.Patch{}, refuse(fmt.Sprintf("the settings of %s stand in each other's way", addresses[0].Local()), "change the code by hand")
	}
	return e.patch(stack, notes)
}

func (e *editor) setAll(addresses []penumbra.Address, settings []penumbra.Setting) error {
	for _, address := range addresses {
		at, err := e.locate(address)
		if err != nil {
			return err
		}
		for _, x := range settings {
			if err := e.set(at, x); err != nil {
				return err
			}
		}
	}
	return nil
}

// inOrder puts removals last, and of a list's elements the last first, so that
// no index moves before it is used.
func inOrder(a, b penumbra.Setting) int {
	if x, y := a.Value.IsNull(), b.Value.IsNull(); x != y {
		if x {
			return 1
		}
		return -1
	}
	order := naturally(a.Path, b.Path)
	if a.Value.IsNull() {
		return -order
	}
	return order
}

// naturally compares paths step by step, numbers by their size.
func naturally(a, b string) int {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(x), len(y)) {
		m, errM := strconv.Atoi(x[i])
		n, errN := strconv.Atoi(y[i])
		if errM == nil && errN == nil && m != n {
			return m - n
		}
		if d := strings.Compare(x[i], y[i]); d != 0 {
			return d
		}
	}
	return len(x) - len(y)
}

// patch makes the patch of what was edited.
func (c *code) patch(stack string, notes []string) (penumbra.Patch, error) {
	p := penumbra.Patch{Stack: stack, Note: strings.Join(notes, "; ")}
	for _, f := range c.edited() {
		if where := f.secret(); where != "" {
			return penumbra.Patch{}, refuse(fmt.Sprintf("%s holds what looks like a secret, and a patch keeps the whole file", where), "move the secret out of the code, or change the file by hand")
		}
		base := sha256.Sum256(f.before)
		p.Files = append(p.Files, penumbra.FilePatch{
			Path: f.path, Base: hex.EncodeToString(base[:]), Before: string(f.before), After: string(f.src),
			Diff: unified(f.path, string(f.before), string(f.src)),
		})
	}
	return p, nil
}

// unified returns the diff of one file in the form that git takes.
func unified(path, before, after string) string {
	diff, err := udiff.ToUnifiedDiff("a/"+path, "b/"+path, before, udiff.Lines(before, after), udiff.DefaultContextLines)
	if err != nil {
		return "" // edits that a diff just made always fit its text
	}
	// The library counts the lines of the new file wrongly where a hunk adds
	// before it deletes: each hunk begins where the earlier ones have moved it.
	moved := 0
	for _, h := range diff.Hunks {
		h.ToLine = h.FromLine + moved
		for _, l := range h.Lines {
			switch l.Kind {
			case udiff.Insert:
				moved++
			case udiff.Delete:
				moved--
			}
		}
	}
	return diff.String()
}

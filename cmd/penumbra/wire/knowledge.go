package wire

import (
	"context"
	"sync"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/api"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/words"
	"github.com/penumbra-iac/penumbra/proposal"
	"github.com/penumbra-iac/penumbra/proposal/knowledge"
)

// Manuals is the knowledge base, read when it is first asked: most commands never
// do.
type Manuals func() *knowledge.Base

var _ proposal.Knowledge = Manuals(nil)

// Facts returns what is known of a setting at a value.
func (m Manuals) Facts(q penumbra.FactQuery) []penumbra.Fact { return m().Facts(q) }

// Hazard returns what a value endangers, "" if nothing is known against it.
func (m Manuals) Hazard(q penumbra.FactQuery) string { return m().Hazard(q) }

// Library shows the knowledge in use.
type Library struct{ manuals Manuals }

var _ api.Librarian = Library{}

// Knowledge implements [api.Librarian].
func (l Library) Knowledge(_ context.Context, q penumbra.KnowledgeQuery) ([]penumbra.KnowledgeEntry, error) {
	return l.manuals().Find(q)
}

// Manuals returns the knowledge base with the user's folders over what is in
// the binary. Mistakes in these are errors: what a person wrote is not to be
// passed over in silence.
func (c *Config) Manuals() (Manuals, error) {
	base := sync.OnceValues(func() (*knowledge.Base, knowledge.Mistakes) { return knowledge.Load(c.KnowledgeDirs()...) })
	if len(c.Knowledge) > 0 {
		if _, mistakes := base(); mistakes != nil {
			return nil, Mistaken(mistakes)
		}
	}
	return func() *knowledge.Base { b, _ := base(); return b }, nil
}

// KnowledgeDirs are the folders of knowledge entries as absolute paths.
func (c *Config) KnowledgeDirs() []string {
	var out []string
	for _, dir := range c.Knowledge {
		out = append(out, c.path(dir))
	}
	return out
}

// Mistaken is the error that knowledge entries have mistakes.
func Mistaken(mistakes knowledge.Mistakes) error {
	return &penumbra.Error{
		Kind: penumbra.Invalid, What: "the knowledge base has " + words.Counted(len(mistakes), "mistake", "mistakes"), Err: mistakes,
		Remedy: "correct each where it says, and run `penumbra knowledge check`",
	}
}

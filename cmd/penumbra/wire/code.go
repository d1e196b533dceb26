package wire

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/forge"
	"github.com/penumbra-iac/penumbra/adapter/git"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/proposal"
)

// codeConfig says how patches get into the code of a stack: docs/code.md.
type codeConfig struct {
	Way    string `koanf:"way"`
	Remote string `koanf:"remote"`
	Base   string `koanf:"base"`
	Author string `koanf:"author"`

	Forge     string   `koanf:"forge"`
	URL       string   `koanf:"url"`
	Project   string   `koanf:"project"`
	TokenEnv  string   `koanf:"token_env"`
	TokenFile string   `koanf:"token_file"`
	CAFile    string   `koanf:"ca_file"`
	Labels    []string `koanf:"labels"`
	Reviewers []string `koanf:"reviewers"`
	Draft     bool     `koanf:"draft"`
}

// direct is the default's name in the file.
const direct = "direct"

var (
	codeWays    = []string{direct, string(penumbra.BranchWay), string(penumbra.PullRequestWay)}
	knownOfCode = keysOf[codeConfig]()
)

// unknownCodeKey returns the first key of a stack's code that has no meaning.
func unknownCodeKey(stacks any) (string, bool) {
	of, _ := stacks.([]any)
	for i, s := range of {
		keys, _ := s.(map[string]any)
		code, _ := keys["code"].(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(code)) {
			if !slices.Contains(knownOfCode, key) {
				return fmt.Sprintf("stacks[%d].code.%s", i, key), true
			}
		}
	}
	return "", false
}

func (c *codeConfig) way() penumbra.CodeWay {
	if c.Way == direct {
		return penumbra.DirectWay
	}
	return penumbra.CodeWay(c.Way)
}

var (
	authorForm   = regexp.MustCompile(`^[^<>\n]+ <[^<>\s]+@[^<>\s]+>$`)
	variableForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	remoteForm   = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._/-]*$`)
)

// check returns what is wrong and what to do about it, "" if nothing.
func (c *codeConfig) check(kind string) (what, remedy string) {
	request := c.way() == penumbra.PullRequestWay
	switch {
	case c.Way != "" && !slices.Contains(codeWays, c.Way):
		return fmt.Sprintf("has code.way %q", c.Way), "use " + strings.Join(codeWays, ", ")
	case c.way().IsReviewed() && kind != tofuStack:
		return fmt.Sprintf("has code.way %q, and is of kind %s: branches and requests are made for OpenTofu and Terraform only", c.Way, kind), "leave it out: patches are written into the folder"
	case c.Way == "" && (c.Remote != "" || c.Project != "" || c.Forge != "" || c.Base != ""):
		return "has code without a way", "set code.way to branch or pull-request"
	case c.Remote != "" && !remoteForm.MatchString(c.Remote):
		return "has a code.remote that is no name", "name one that `git remote` lists, such as origin"
	case c.Author != "" && !authorForm.MatchString(c.Author):
		return fmt.Sprintf("has code.author %q", c.Author), "write it as Name <email@example.com>"
	case c.TokenEnv != "" && c.TokenFile != "":
		return "has both code.token_env and code.token_file", "keep one of them"
	case c.Forge != "" && !slices.Contains(forge.Kinds, c.Forge):
		return fmt.Sprintf("has code.forge %q", c.Forge), "use " + strings.Join(forge.Kinds, " or ")
	case request && c.TokenEnv == "" && c.TokenFile == "":
		return "has code.way pull-request and no token", "name the variable that holds it as code.token_env, or its file as code.token_file"
	case c.TokenEnv != "" && !variableForm.MatchString(c.TokenEnv):
		return "has a code.token_env that is no name of a variable", "name the variable, and keep the token itself out of the file"
	}
	return "", ""
}

// token returns the token of now, nil if none is configured.
func (c *Config) token(code *codeConfig) func() (string, error) {
	switch {
	case code.TokenEnv != "":
		return func() (string, error) {
			token := strings.TrimSpace(os.Getenv(code.TokenEnv))
			if token == "" {
				return "", &penumbra.Error{Kind: penumbra.Missing, What: "the variable " + code.TokenEnv + ", which code.token_env names, is not set", Remedy: "set it where Penumbra runs"}
			}
			penumbra.Conceal(token)
			return token, nil
		}
	case code.TokenFile != "":
		path := c.path(code.TokenFile)
		return func() (string, error) {
			text, err := os.ReadFile(path)
			token := strings.TrimSpace(string(text))
			if err == nil && token == "" {
				err = fmt.Errorf("it is empty")
			}
			if err != nil {
				return "", &penumbra.Error{Kind: penumbra.Missing, What: "read the token in " + path, Remedy: "correct code.token_file, and let the user who runs Penumbra read it", Err: err}
			}
			penumbra.Conceal(token)
			return token, nil
		}
	}
	return nil
}

// publisher puts patches of one stack up for review: git makes the branch, and a
// forge the pull request.
type publisher struct {
	code     codeConfig
	way      penumbra.CodeWay
	checkout *git.Checkout
	token    func() (string, error)
	caFile   string
	engine   *engine.Engine
	version  string
}

func newPublisher(c *Config, s StackConfig, e *engine.Engine, version string) *publisher {
	code := s.Code
	if code.way() == penumbra.PullRequestWay {
		code.Remote = cmp.Or(code.Remote, "origin")
	}
	user := "x-access-token" // as GitHub names the bearer of any token
	if code.Forge == forge.GitLab {
		user = "oauth2"
	}
	token, caFile := c.token(&code), c.path(code.CAFile)
	return &publisher{
		code: code, way: code.way(), token: token, caFile: caFile, engine: e, version: version,
		checkout: git.NewCheckout(git.CheckoutConfig{
			Stack: s.Name, Dir: c.path(s.Dir), Remote: code.Remote, Base: code.Base, Author: code.Author,
			Token: token, Username: user, CAFile: caFile,
		}),
	}
}

// forge returns the client of the project: what is not configured is read off the
// remote's address.
func (p *publisher) forge(ctx context.Context) (*forge.Client, error) {
	conf := forge.Config{Kind: p.code.Forge, URL: p.code.URL, Project: p.code.Project, Token: p.token, CAFile: p.caFile, Version: p.version}
	if conf.Kind == "" || conf.URL == "" || conf.Project == "" {
		remote, err := p.checkout.RemoteURL(ctx)
		if err != nil {
			return nil, err
		}
		kind, base, project := forge.ProjectOf(remote)
		if conf.Kind == "" && kind == "" {
			return nil, &penumbra.Error{Kind: penumbra.Invalid, What: "which forge " + remote + " is on is not known", Remedy: "set `forge` of the stack's `code` to " + strings.Join(forge.Kinds, " or ")}
		}
		conf.Kind, conf.URL, conf.Project = cmp.Or(conf.Kind, kind), cmp.Or(conf.URL, base), cmp.Or(conf.Project, project)
	}
	return forge.New(conf)
}

// Publish implements [remediation.Publisher].
func (p *publisher) Publish(ctx context.Context, run penumbra.Run, prop penumbra.Proposal, reached func(penumbra.CodeChange) error) (penumbra.CodeChange, error) {
	drifts, err := p.engine.Drifts(ctx, penumbra.DriftQuery{ID: prop.Drift})
	if err != nil {
		return penumbra.CodeChange{}, err
	}
	review := proposal.ReviewOf(&prop, &drifts[0], p.engine.Approver(ctx, prop.ID))
	change, err := p.checkout.Commit(ctx, git.Change{
		Branch: prop.Branch(), Patch: *prop.Patch, Message: review.Message, Drift: prop.Drift, Proposal: prop.ID, Time: run.Started,
	})
	if err != nil {
		return change, err
	}
	change.Way = p.way
	if err := reached(change); err != nil || change.Remote == "" {
		change.State = penumbra.ReviewOpen
		return change, err
	}
	if change, err = p.checkout.Push(ctx, change, prop.Drift); err != nil {
		return change, err
	}
	if p.way == penumbra.BranchWay {
		change.State = penumbra.ReviewOpen
		return change, reached(change)
	}
	if err := reached(change); err != nil {
		return change, err
	}
	client, err := p.forge(ctx)
	if err != nil {
		return change, err
	}
	pull, notes, err := client.Open(ctx, forge.Request{
		Branch: change.Branch, Commit: change.Commit, Base: change.Base, Title: review.Title, Body: review.Body,
		Labels: p.code.Labels, Reviewers: p.code.Reviewers, Draft: p.code.Draft,
	})
	if err != nil {
		return change, err
	}
	change.Number, change.URL, change.State, change.Note = pull.Number, pull.URL, pull.State, strings.Join(notes, "; ")
	return change, reached(change)
}

// Withdraw implements [remediation.Publisher].
func (p *publisher) Withdraw(ctx context.Context, run penumbra.Run, change penumbra.CodeChange) error {
	if change.Number == 0 {
		now, err := p.checkout.Look(ctx, change)
		if err == nil && now.State == penumbra.ReviewMerged {
			err = &penumbra.Error{Kind: penumbra.Stale, What: change.String() + " is merged", Remedy: "take the run back again: that proposes to revert it"}
		}
		if err != nil {
			return err
		}
		return p.checkout.Delete(ctx, change)
	}
	client, err := p.forge(ctx)
	if err != nil {
		return err
	}
	if err := client.Close(ctx, change.Number); err != nil {
		return err
	}
	if err := client.Comment(ctx, change.Number, proposal.WithdrawnComment(p.engine.Approver(ctx, run.Proposal), run.ID, run.Started)); err != nil {
		return err
	}
	if err := p.checkout.Delete(ctx, change); err != nil && penumbra.KindOf(err) != penumbra.Refused {
		return err
	}
	return nil // a branch with somebody else's work stays: the request is closed
}

// Look implements [remediation.Publisher].
func (p *publisher) Look(ctx context.Context, change penumbra.CodeChange) (penumbra.CodeChange, error) {
	if change.Number == 0 {
		return p.checkout.Look(ctx, change)
	}
	client, err := p.forge(ctx)
	if err != nil {
		return change, err
	}
	pull, err := client.Get(ctx, change.Number)
	if err == nil {
		change.State = pull.State
	}
	return change, err
}

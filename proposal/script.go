package proposal

import (
	"fmt"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// script writes what would be run, as a person could run it in a POSIX shell.
// Values reach it only by way of patches and rules, which hold no secret.
func script(p *penumbra.Proposal, ev *Evidence) string {
	var b strings.Builder
	switch {
	case p.Rule != nil && p.Kind == penumbra.Restore:
		fmt.Fprintf(&b, "# Penumbra deletes its ignore rule %s:\n# %s\n", p.Rule.ID, p.Rule.Pattern)
	case p.Rule != nil:
		fmt.Fprintf(&b, "# Penumbra adds an ignore rule to its own store:\n%s\n", p.Rule.Pattern)
		if !p.Rule.Expires.IsZero() {
			fmt.Fprintf(&b, "# until %s\n", p.Rule.Expires.Format(time.DateOnly))
		}
		if p.Rule.Value != nil {
			fmt.Fprintf(&b, "# while the value is %s\n", p.Rule.Value)
		}
	}
	if a := p.Attention; a != nil {
		if p.Kind == penumbra.Restore {
			fmt.Fprintf(&b, "# Penumbra reads %s every %s again\n", a.Resource, span(a.Usually))
		} else {
			fmt.Fprintf(&b, "# Penumbra reads %s every %s until %s, and then every %s again\n", a.Resource, span(a.Every), stamp(a.Until), span(a.Usually))
		}
	}
	if f := p.Policy; f != nil {
		writePolicy(&b, f, p.Kind != penumbra.Restore)
	}
	if m := p.Message; m != nil {
		fmt.Fprintf(&b, "# To: %s\n# Subject: %s\n\n%s", strings.Join(m.To, ", "), m.Subject, m.Text)
	}
	if p.Scratch != nil {
		b.WriteString("# In a copy of the code, which stays as it is:\n")
		writePatch(&b, p.Scratch, "COPY")
		writeApply(&b, p, ev, "COPY")
	}
	switch {
	case p.Publishes():
		fmt.Fprintf(&b, "# In a worktree of its own: the working tree and its index stay as they are.\ngit -C %s worktree add -b %s WORKTREE\n", quote(dir(ev)), p.Branch())
		writePatch(&b, p.Patch, "WORKTREE/FOLDER_OF_THE_STACK")
		b.WriteString("git -C WORKTREE commit --all && git -C WORKTREE push REMOTE HEAD\n")
		if p.Way == penumbra.PullRequestWay {
			b.WriteString("# Then a pull request is opened for it by the forge's API.\n")
		}
	case p.Patch != nil:
		writePatch(&b, p.Patch, quote(dir(ev)))
	case p.Withdraws != nil:
		fmt.Fprintf(&b, "# Penumbra withdraws %s, and deletes the branch:\ngit push REMOTE --delete %s\n", p.Withdraws, p.Withdraws.Branch)
	}
	switch {
	case p.Plan == nil || p.Scratch != nil:
	case p.Applies():
		writeApply(&b, p, ev, quote(dir(ev)))
	case p.Publishes():
	case p.Patch != nil && p.Plan.Check != "":
		fmt.Fprintf(&b, "cd %s\n%s   # changes nothing of the resource any more\n", quote(dir(ev)), p.Plan.Check)
	case p.Patch != nil:
		fmt.Fprintf(&b, "%s -chdir=%s plan%s   # %s\n", engine(ev), quote(dir(ev)), targetFlags(p.Plan), proves(p))
	}
	return b.String()
}

// proves says what the plan of a patch that only follows the world shows.
func proves(p *penumbra.Proposal) string {
	if p.Plan.IsEmpty() {
		return "changes nothing of the resource any more"
	}
	return "changes only what is left open"
}

// writeApply plans and applies by hand what Penumbra applies from its saved
// plan.
func writeApply(b *strings.Builder, p *penumbra.Proposal, ev *Evidence, folder string) {
	if p.Plan.Command != "" {
		fmt.Fprintf(b, "cd %s\n", folder)
		if p.Plan.Check != "" {
			fmt.Fprintf(b, "%s   # shows it, and changes nothing\n", p.Plan.Check)
		}
		fmt.Fprintf(b, "%s\n# Penumbra carries out what it saved as %s, SHA-256 %s, and nothing else.\n", p.Plan.Command, p.Plan.File, p.Plan.Hash)
		return
	}
	fmt.Fprintf(b, "%s -chdir=%s plan -out=penumbra.tfplan%s\n", engine(ev), folder, targetFlags(p.Plan))
	fmt.Fprintf(b, "%s -chdir=%s apply penumbra.tfplan\n", engine(ev), folder)
	fmt.Fprintf(b, "# Penumbra applies the plan that it saved as %s, SHA-256 %s, and no other.\n", p.Plan.File, p.Plan.Hash)
}

func writePatch(b *strings.Builder, patch *penumbra.Patch, folder string) {
	diff := patch.Diff()
	mark := "PATCH"
	for strings.Contains("\n"+diff, "\n"+mark+"\n") {
		mark += "_"
	}
	fmt.Fprintf(b, "git -C %s apply <<'%s'\n%s", folder, mark, diff)
	if !strings.HasSuffix(diff, "\n") {
		b.WriteString("\n")
	}
	b.WriteString(mark + "\n")
}

// writePolicy adds a file of policies, or takes it away.
func writePolicy(b *strings.Builder, f *penumbra.PolicyFile, there bool) {
	if !there {
		fmt.Fprintf(b, "# Penumbra takes the file away, and has the policies read again:\nrm %s\n", quote(f.Path()))
		return
	}
	fmt.Fprintf(b, "# Penumbra adds a file, whole or not at all, and has the policies read again:\ncat > %s <<'POLICY'\n%s", quote(f.Path()), f.Text)
	fmt.Fprintf(b, "POLICY\npenumbra policy check\n")
}

func targetFlags(plan *penumbra.Plan) string {
	var b strings.Builder
	for _, t := range plan.Targets {
		b.WriteString(" -target=" + quote(t.Local()))
	}
	return b.String()
}

func engine(ev *Evidence) string {
	if ev.Engine == "" {
		return "tofu"
	}
	return ev.Engine
}

func dir(ev *Evidence) string {
	if ev.Dir == "" {
		return "."
	}
	return ev.Dir
}

// quote writes text as one word of a POSIX shell.
func quote(text string) string {
	if text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-") == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

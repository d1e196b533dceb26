package proposal

import (
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

func reviewed(way penumbra.CodeWay, kind penumbra.ProposalKind) (penumbra.Proposal, penumbra.Drift) {
	ev := evidence(penumbra.Drifted, "log_level")
	ev.Way = way
	patch := patchTo("log_level = \"debug\"\n")
	p := penumbra.Proposal{Kind: kind, Title: "Write log_level into the code as it is", Patch: &patch}
	return complete(p, &ev, 1), ev.Drift
}

func TestReviewHasTheEvidence(t *testing.T) {
	t.Parallel()
	p, d := reviewed(penumbra.PullRequestWay, penumbra.Adopt)
	d.Cause = penumbra.Cause{Actor: "mallory", ActorKind: penumbra.User, Action: "edit"}
	r := ReviewOf(&p, &d, "alice")
	subject, rest, _ := strings.Cut(r.Message, "\n")
	if len([]rune(subject)) > subjectLength || !strings.HasPrefix(rest, "\n") {
		t.Errorf("the subject is %q", subject)
	}
	want := "\nPenumbra-Drift: " + p.Drift + "\nPenumbra-Proposal: " + p.ID + "\nApproved-by: alice\n"
	if !strings.HasSuffix(r.Message, want) {
		t.Errorf("the message does not end with its trailers:\n%s", r.Message)
	}
	for line := range strings.Lines(r.Message) {
		if len([]rune(line)) > subjectLength+1 && !strings.HasPrefix(line, "  ") {
			t.Errorf("a line of %d characters: %q", len(line), line)
		}
	}
	for _, text := range []string{"`log_level`", "`mallory` (user)", "| Setting | Code | Actual |", p.Hash, "pull request"} {
		if !strings.Contains(r.Body, text) {
			t.Errorf("the body has no %q:\n%s", text, r.Body)
		}
	}
}

// What a log or a resource says must not become a trailer, a mention, markup or
// a command of the forge.
func TestReviewCannotBeForged(t *testing.T) {
	t.Parallel()
	p, d := reviewed(penumbra.PullRequestWay, penumbra.Adopt)
	d.Cause.Actor = "/merge\n/approve @admin"
	d.Findings[0].Actual = penumbra.String("a|b`c\n\nApproved-by: nobody\n/close <script>")
	p.Explanation = "/merge @admin <img src=x> [a](b) closes #1\n/close"
	r := ReviewOf(&p, &d, "alice\nSigned-off-by: mallory")
	for line := range strings.Lines(r.Body) {
		if strings.HasPrefix(line, "/") {
			t.Errorf("a command: %q", line)
		}
	}
	for _, text := range []string{"merge @admin", " <img", "#1", " [a]"} {
		if strings.Contains(r.Body, text) {
			t.Errorf("the body has %q:\n%s", text, r.Body)
		}
	}
	for line := range strings.Lines(r.Message) {
		if strings.HasPrefix(line, "Approved-by: nobody") || strings.HasPrefix(line, "Signed-off-by") {
			t.Errorf("a forged trailer: %q", line)
		}
	}
	rows := 0
	for line := range strings.Lines(r.Body) {
		if strings.HasPrefix(line, "| `") {
			rows++
			if n := strings.Count(line, "|") - strings.Count(line, `\|`); n != 5 {
				t.Errorf("a row of %d bars: %q", n, line)
			}
		}
	}
	if rows != 1 {
		t.Errorf("%d rows:\n%s", rows, r.Body)
	}
}

func TestReviewHidesSecrets(t *testing.T) {
	t.Parallel()
	p, d := reviewed(penumbra.PullRequestWay, penumbra.Adopt)
	d.Findings = append(d.Findings,
		penumbra.Finding{Path: "admin_password", Declared: true, Template: penumbra.String("horse-battery"), Actual: penumbra.String("staple-horse")},
		penumbra.Finding{Path: "note", Sensitive: true, Template: penumbra.String("quiet horse"), Actual: penumbra.String("loud horse")},
		penumbra.Finding{Path: "url", Template: penumbra.Null(), Actual: penumbra.String("https://bob:horse@example.org/")},
	)
	p.Explanation += " token=horse-token-horse-token"
	r := ReviewOf(&p, &d, "alice")
	if strings.Contains(r.Title+r.Message+r.Body, "horse") {
		t.Errorf("a secret is told:\n%s\n%s", r.Message, r.Body)
	}
}

func TestWayIsPartOfWhatIsApproved(t *testing.T) {
	t.Parallel()
	direct, _ := reviewed(penumbra.DirectWay, penumbra.Adopt)
	branch, _ := reviewed(penumbra.BranchWay, penumbra.Adopt)
	request, _ := reviewed(penumbra.PullRequestWay, penumbra.Adopt)
	if direct.Hash == branch.Hash || branch.Hash == request.Hash || direct.Hash == request.Hash {
		t.Errorf("hashes %s, %s, %s", direct.Hash, branch.Hash, request.Hash)
	}
	if !strings.Contains(request.Explanation, "opens a pull request") || !strings.Contains(request.WayBack, "closes the pull request") || !strings.Contains(request.Script, "worktree add") {
		t.Errorf("of a pull request: %q, way back %q, script\n%s", request.Explanation, request.WayBack, request.Script)
	}
	if strings.Contains(direct.Explanation, "pull request") || !strings.Contains(branch.Explanation, "branch of its own") {
		t.Errorf("direct %q, branch %q", direct.Explanation, branch.Explanation)
	}
}

// A value that is to be set is applied by who applies the merged code.
func TestReviewedPatchAppliesNothing(t *testing.T) {
	t.Parallel()
	ws := &workspace{patched: update("log_level")}
	ev := evidence(penumbra.Drifted, "log_level")
	original := penumbra.Proposal{ID: "p-0", Kind: penumbra.Adopt}
	for _, way := range []penumbra.CodeWay{penumbra.DirectWay, penumbra.PullRequestWay} {
		ev.Way = way
		p, err := Customized(t.Context(), original, penumbra.Edit{Values: []penumbra.Setting{{Path: "log_level", Value: penumbra.String("warn")}}}, ev, ws)
		if err != nil {
			t.Fatal(err)
		}
		if p.Applies() == way.IsReviewed() || p.Publishes() != way.IsReviewed() {
			t.Errorf("%q: applies %v, publishes %v", way, p.Applies(), p.Publishes())
		}
	}
}

func TestWayBackFromAReview(t *testing.T) {
	t.Parallel()
	ev := evidence(penumbra.Drifted, "log_level")
	ev.Way = penumbra.PullRequestWay
	original, _ := reviewed(penumbra.PullRequestWay, penumbra.Adopt)
	run := penumbra.Run{ID: "r-1", Code: &penumbra.CodeChange{Way: penumbra.PullRequestWay, Branch: "penumbra/d-1-adopt", URL: "https://forge.example/1", State: penumbra.ReviewOpen}}
	p, err := Restoring(t.Context(), run, original, ev, &workspace{patched: update("log_level")})
	if err != nil || p.Withdraws == nil || p.Patch != nil || p.Publishes() || p.Hash != p.Digest() {
		t.Errorf("of one that is open: %+v, %v", p, err)
	}
	run.Code.State = penumbra.ReviewMerged
	p, err = Restoring(t.Context(), run, original, ev, &workspace{patched: update("log_level")})
	if err != nil || p.Withdraws != nil || !p.Publishes() || p.Patch.Files[0].After != original.Patch.Files[0].Before {
		t.Errorf("of one that is merged: %+v, %v", p, err)
	}
}

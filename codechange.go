package penumbra

import (
	"fmt"
	"time"
)

// CodeWay is how a patch gets into the code of a stack.
type CodeWay string

// The ways into the code. The zero value writes the working tree.
const (
	DirectWay      CodeWay = ""
	BranchWay      CodeWay = "branch"       // a commit on a branch of its own
	PullRequestWay CodeWay = "pull-request" // and a pull or merge request for it
)

// IsReviewed reports whether people look at the change before it is in the
// code: the working tree is then left alone.
func (w CodeWay) IsReviewed() bool { return w != DirectWay }

// ReviewState is what became of a change that was put up for review.
type ReviewState string

// The states of a review.
const (
	ReviewOpen   ReviewState = "open"
	ReviewMerged ReviewState = "merged"
	ReviewClosed ReviewState = "closed" // without being merged
)

// CodeChange is where a run put its patch for review.
type CodeChange struct {
	Way    CodeWay `json:"way"`
	Branch string  `json:"branch"`
	// Base is the branch that it is to be merged into, "" for a detached HEAD.
	Base   string `json:"base,omitempty"`
	Commit string `json:"commit,omitempty"`
	// Remote is the name of the repository that the branch was pushed to, "" if
	// it is in the checkout alone.
	Remote string `json:"remote,omitempty"`
	// Pushed says that the remote has the commit.
	Pushed bool `json:"pushed,omitempty"`
	// Number and URL are those of the pull request, 0 and "" if there is none.
	Number int         `json:"number,omitempty"`
	URL    string      `json:"url,omitempty"`
	State  ReviewState `json:"state,omitempty"` // "" while it is being made
	// Note says what could not be had: a reviewer whom the forge does not know.
	Note string `json:"note,omitempty"`
	// Seen is when State was last asked for.
	Seen time.Time `json:"seen,omitzero"`
}

// String says where the change is: "pull request https://…" or "branch x on
// origin".
func (c *CodeChange) String() string {
	switch {
	case c.URL != "":
		return "pull request " + c.URL
	case c.Remote != "" && c.Pushed:
		return fmt.Sprintf("branch %s on %s", c.Branch, c.Remote)
	default:
		return "branch " + c.Branch
	}
}

// Standing says what became of the change and what is next, as the rest of a
// sentence that starts with it.
func (c *CodeChange) Standing() string {
	switch c.State {
	case ReviewMerged:
		return "is merged: the drift goes with the first read of a checkout that has it"
	case ReviewClosed:
		return "is closed and was not merged: the drift needs another answer"
	case ReviewOpen:
		return "is open: the drift stays until it is merged and the checkout has it"
	default:
		return "is not complete"
	}
}

// Brief says where the change is and what became of it, to stand beside a status.
func (c *CodeChange) Brief() string {
	where := c.URL
	if where == "" {
		where = c.String()
	}
	switch c.State {
	case ReviewMerged:
		return "merged in " + where
	case ReviewClosed:
		return "closed without a merge: " + where
	default:
		return "proposed in " + where
	}
}

// A Rename is a resource that a plan would destroy at one address and create at
// another, though it is the same one.
type Rename struct {
	From Address `json:"from"`
	To   Address `json:"to"`
}

// Renames are those of a stack's code, with the patch that writes their moved blocks;
// none of both if there is nothing to write.
type Renames struct {
	Moves []Rename `json:"moves"`
	Patch *Patch   `json:"patch,omitempty"`
}

package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penumbra-iac/penumbra"
)

// A Mover finds renames that a plan takes for destroy and create.
type Mover interface {
	// Moved plans a stack and returns its renames, with the patch that a second plan
	// has proved. It writes nothing. It returns an error of kind Invalid if the stack is
	// none of OpenTofu or Terraform.
	Moved(ctx context.Context, stack string) (penumbra.Renames, error)
}

func addMoved(a huma.API, s Mover) {
	answer(a, route{http.MethodPost, "/v1/stacks/{name}/moved", "find-moved", "resolve",
		"Renames without a moved block", "Plans the stack's code and looks for resources that it would destroy at one address and create, with the same settings, at another. The answer has the moved blocks as a patch, after a plan with them has shown that none of these would be destroyed or created any more. Nothing is written. It takes as long as two plans do.",
		exampleRenames(),
	}, func(ctx context.Context, in *stackPath) (penumbra.Renames, error) {
		found, err := s.Moved(ctx, in.Name)
		found.Moves = orEmpty(found.Moves)
		return found, err
	})
}

func exampleRenames() penumbra.Renames {
	return penumbra.Renames{
		Moves: []penumbra.Rename{{From: "shop/aws_db_instance.db", To: "shop/aws_db_instance.main"}},
		Patch: &penumbra.Patch{Stack: "shop", Files: []penumbra.FilePatch{{
			Path: "moved.tf", After: "moved {\n  from = aws_db_instance.db\n  to   = aws_db_instance.main\n}\n",
			Diff: "--- /dev/null\n+++ b/moved.tf\n@@ -0,0 +1,4 @@\n+moved {\n+  from = aws_db_instance.db\n+  to   = aws_db_instance.main\n+}\n",
		}}},
	}
}

// Moved implements [Mover].
func (c *Client) Moved(ctx context.Context, stack string) (penumbra.Renames, error) {
	var found penumbra.Renames
	return found, c.callOn(ctx, http.MethodPost, "stack", "/v1/stacks/", stack, "/moved", nil, &found)
}

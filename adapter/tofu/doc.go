// Package tofu reads, plans and applies with OpenTofu and Terraform.
//
// It answers two questions about one stack, which is one working directory:
// what does its code declare and what is really there ([Workspace.Read], or
// [ReadState] and [ReadPlan] for what somebody else's runner wrote), and what
// would a change do ([Workspace.Plan], [Workspace.Apply]).
//
// Reading never writes: it takes no lock, and every file it needs lies outside
// the working directory. Sensitive values are sealed before anything leaves
// the package. What could not be read is said to be not checked, resource by
// resource, and is never taken for unchanged.
//
// The commands are run by the package itself rather than by terraform-exec,
// which forbids TF_VAR_ settings for one stack, drops TF_WORKSPACE, holds all
// output of show in memory as one line, and has the kernel kill an apply when
// the thread that started it ends. The JSON formats are terraform-json's.
package tofu

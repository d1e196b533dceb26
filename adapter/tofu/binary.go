package tofu

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"

	"github.com/hashicorp/go-version"

	"github.com/penumbra-iac/penumbra"
)

// BinaryVariable names the environment variable that says which binary to use.
const BinaryVariable = "PENUMBRA_TOFU"

// oldest is the first version with everything that the package relies on.
var oldest = version.Must(version.NewVersion("1.5.0"))

// FindBinary returns the path of the OpenTofu or Terraform binary: the explicit
// one if it is not empty, else what PENUMBRA_TOFU names, else tofu and then
// terraform on the PATH. It returns an error of kind Missing if there is none.
func FindBinary(explicit string) (string, error) {
	named := explicit
	if named == "" {
		named = os.Getenv(BinaryVariable)
	}
	if named != "" {
		path, err := exec.LookPath(named)
		if err != nil {
			return "", &penumbra.Error{
				Kind: penumbra.Missing, What: fmt.Sprintf("find %s", named), Err: err,
				Remedy: "name an OpenTofu or Terraform binary, in the configuration or in " + BinaryVariable,
			}
		}
		return path, nil
	}
	for _, name := range [...]string{"tofu", "terraform"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", &penumbra.Error{
		Kind: penumbra.Missing, What: "neither tofu nor terraform is on the PATH",
		Remedy: "install OpenTofu, or set " + BinaryVariable + " to an OpenTofu or Terraform binary",
	}
}

// checkVersion returns the version of the binary, and an error of kind Missing
// if it is older than 1.5.
func (w *Workspace) checkVersion(ctx context.Context) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.version != "" {
		return w.version, nil
	}
	out, err := w.run(ctx, "version", "-json")
	if err != nil {
		return "", w.failure("ask "+w.binary+" for its version", out, err)
	}
	found, err := parseVersion(out.stdout.Bytes())
	if err != nil {
		return "", &penumbra.Error{
			Kind: penumbra.Missing, What: fmt.Sprintf("%s is neither OpenTofu nor Terraform", w.binary), Err: err,
			Remedy: "name another binary in " + BinaryVariable,
		}
	}
	if found.LessThan(oldest) {
		return "", &penumbra.Error{
			Kind: penumbra.Missing, What: fmt.Sprintf("%s is version %s", w.binary, found),
			Remedy: fmt.Sprintf("install version %s or later", oldest),
		}
	}
	w.version = found.String()
	return w.version, nil
}

func parseVersion(out []byte) (*version.Version, error) {
	var v struct {
		Terraform string `json:"terraform_version"`
	}
	if err := json.Unmarshal(out, &v); err != nil {
		return nil, err
	}
	return version.NewVersion(v.Terraform)
}

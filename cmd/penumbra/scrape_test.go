package main

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// fetch [-bare] PATH FILE CODE asks the daemon of .penumbra, with the owner's token or
// without any, and writes the answer into a file.
func fetch(ts *testscript.TestScript, _ bool, args []string) {
	bare := len(args) > 0 && args[0] == "-bare"
	if bare {
		args = args[1:]
	}
	if len(args) != 3 {
		ts.Fatalf("usage: fetch [-bare] PATH FILE CODE")
	}
	var daemon struct {
		URL string `json:"url"`
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(".penumbra/daemon.json")), &daemon))
	r, err := http.NewRequest(http.MethodGet, daemon.URL+args[0], nil)
	ts.Check(err)
	if !bare {
		r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(ts.ReadFile(".penumbra/token")))
	}
	resp, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), body, 0o600))
	if strconv.Itoa(resp.StatusCode) != args[2] {
		ts.Fatalf("%s answers %s, want %s: %s", args[0], resp.Status, args[2], body)
	}
}

var (
	metricName   = regexp.MustCompile(`\bpenumbra_[a-z0-9_]+`)
	metricSuffix = regexp.MustCompile(`_(bucket|sum|count)$`)
)

// queried [-all] FILE SCRAPE fails if a file of queries names a metric that a scrape
// does not have, and with -all if the scrape has one that the file says nothing of.
func queried(ts *testscript.TestScript, _ bool, args []string) {
	all := len(args) > 0 && args[0] == "-all"
	if all {
		args = args[1:]
	}
	if len(args) != 2 {
		ts.Fatalf("usage: queried [-all] FILE SCRAPE")
	}
	have := map[string]bool{}
	histogram := map[string]bool{}
	for line := range strings.Lines(ts.ReadFile(args[1])) {
		if f := strings.Fields(line); len(f) == 4 && f[1] == "TYPE" {
			have[f[2]], histogram[f[2]] = true, f[3] == "histogram"
		}
	}
	if len(have) < 30 {
		ts.Fatalf("%s is no scrape: %d metrics", args[1], len(have))
	}
	asked := map[string]bool{}
	for _, name := range metricName.FindAllString(ts.ReadFile(args[0]), -1) {
		if base := metricSuffix.ReplaceAllString(name, ""); histogram[base] {
			name = base
		}
		asked[name] = true
	}
	if len(asked) == 0 {
		ts.Fatalf("%s queries nothing", args[0])
	}
	missing := []string{}
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		if !have[name] {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		ts.Fatalf("%s queries what a scrape does not have: %s", args[0], strings.Join(missing, ", "))
	}
	unshown := []string{}
	for _, name := range slices.Sorted(maps.Keys(have)) {
		if all && !asked[name] && !strings.HasPrefix(name, "penumbra_go_") && !strings.HasPrefix(name, "penumbra_process_") {
			unshown = append(unshown, name)
		}
	}
	if len(unshown) > 0 {
		ts.Fatalf("%s shows nothing of %s", args[0], strings.Join(unshown, ", "))
	}
}

// promtool ARGS... runs Prometheus' own checks, where it is installed; -stdin FILE
// gives it a file.
func promtool(ts *testscript.TestScript, _ bool, args []string) {
	program, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("REQUIRE_TOOLS") != "" {
			ts.Fatalf("promtool is not installed")
		}
		ts.Logf("promtool is not installed: not checked")
		return
	}
	cmd := exec.Command(program)
	if len(args) > 1 && args[0] == "-stdin" {
		cmd.Stdin = strings.NewReader(ts.ReadFile(args[1]))
		args = args[2:]
	}
	cmd.Args, cmd.Dir = append(cmd.Args, args...), ts.MkAbs(".")
	if out, err := cmd.CombinedOutput(); err != nil {
		ts.Fatalf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

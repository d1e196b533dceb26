package git

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// estate is a made-up estate in a repository: half of its resources are
// Terraform, ten a folder, the others Kubernetes deployments, one a file.
type estate struct {
	commits, resources int
	// terraform holds, per folder and resource, the three settings that change;
	// deployments those of each deployment.
	terraform   [][][3]int
	deployments [][3]int
}

const perFolder = 10

// write writes the estate's history as git fast-import takes it. Most commits
// change one file, by a person; each twentieth is a bot's that raises one
// setting of a tenth of the estate.
func (e *estate) write(to io.Writer, seed uint64) error {
	w := bufio.NewWriter(to)
	r := rand.New(rand.NewPCG(seed, 0))
	e.terraform = make([][][3]int, e.resources/2/perFolder)
	for i := range e.terraform {
		e.terraform[i] = make([][3]int, perFolder)
	}
	e.deployments = make([][3]int, e.resources-len(e.terraform)*perFolder)
	at := time.Date(2022, 1, 1, 8, 0, 0, 0, time.UTC)
	for c := range e.commits {
		author := fmt.Sprintf("Person %d <p%d@example.com>", c%17, c%17)
		if c%20 == 19 {
			author = "renovate[bot] <bot@renovateapp.com>"
		}
		fmt.Fprintf(w, "commit refs/heads/main\nauthor %s %d +0000\ncommitter Forge <f@example.com> %d +0000\ndata <<END\nChange %d\nEND\n", author, at.Unix(), at.Unix(), c)
		switch {
		case c == 0:
			for i := range e.terraform {
				e.folder(w, i)
			}
			for i := range e.deployments {
				e.deployment(w, i)
			}
		case c%20 == 19:
			for i := range e.deployments {
				if r.IntN(10) == 0 {
					e.deployments[i][0]++
					e.deployment(w, i)
				}
			}
		case r.IntN(2) == 0 && len(e.terraform) > 0:
			i := r.IntN(len(e.terraform))
			e.terraform[i][r.IntN(perFolder)][r.IntN(3)]++
			e.folder(w, i)
		default:
			i := r.IntN(len(e.deployments))
			e.deployments[i][r.IntN(3)]++
			e.deployment(w, i)
		}
		at = at.Add(time.Duration(6+r.IntN(24)) * time.Hour)
	}
	fmt.Fprintln(w, "done")
	return w.Flush()
}

func (e *estate) folder(w io.Writer, i int) {
	fmt.Fprintf(w, "M 100644 inline infra/stack-%d/main.tf\ndata <<END\n", i)
	for j, v := range e.terraform[i] {
		fmt.Fprintf(w, `resource "aws_db_instance" "db_%d" {
  identifier        = "db-%d-%d"
  engine            = "postgres"
  engine_version    = "14.%d"
  instance_class    = "db.t3.size%d"
  allocated_storage = %d
  subnet_ids        = [aws_subnet.a.id, aws_subnet.b.id]
  password          = var.password
  multi_az          = true
  tags = {
    Name = "db-${var.environment}-%d"
    team = "team-%d"
  }
}

`, j, i, j, v[0], v[1], 20+10*v[2], j, i%7)
	}
	fmt.Fprintln(w, "END")
}

func (e *estate) deployment(w io.Writer, i int) {
	v := e.deployments[i]
	fmt.Fprintf(w, `M 100644 inline apps/app-%d/deployment.yaml
data <<END
apiVersion: apps/v1
kind: Deployment
metadata:
  name: app-%d
  namespace: team-%d
  labels: {app: app-%d, tier: web}
spec:
  replicas: %d
  selector:
    matchLabels: {app: app-%d}
  template:
    metadata:
      labels: {app: app-%d}
    spec:
      containers:
        - name: app
          image: registry.example.com/app-%d:1.%d.0
          ports:
            - {name: http, containerPort: 8080}
          resources:
            requests: {cpu: 100m, memory: %dMi}
            limits: {memory: 512Mi}
END
`, i, i, i%7, i, 1+v[1], i, i, i, v[0], 128+16*v[2])
}

// makeEstate makes the repository of an estate.
func makeEstate(t testing.TB, e *estate) string {
	t.Helper()
	requireGit(t)
	dir := t.TempDir()
	if to := os.Getenv("PENUMBRA_REPOSITORY"); to != "" {
		dir = to // kept, for a look at it with the command
	}
	run := func(in func(io.Writer) error, args ...string) {
		cmd := exec.Command("git", append([]string{"-C", dir}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1")
		cmd.Stderr = os.Stderr
		pipe, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if in != nil {
			if err := in(pipe); err != nil {
				t.Error(err)
			}
		}
		pipe.Close()
		if err := cmd.Wait(); err != nil {
			t.Fatalf("git %v: %v", args, err)
		}
	}
	run(nil, "init", "--quiet", "--bare", "--initial-branch=main")
	run(func(w io.Writer) error { return e.write(w, 1) }, "fast-import", "--quiet")
	return dir
}

// TestEstate mines a made-up estate, and finds in the end what was made.
func TestEstate(t *testing.T) {
	t.Parallel()
	e := &estate{commits: 120, resources: 60}
	all, report := mine(t, makeEstate(t, e), Options{})
	if report.Commits != e.commits || report.Live != e.resources || report.Creates != e.resources || report.Deletes != 0 || report.LeftOutFiles != 0 {
		t.Errorf("report %+v", report)
	}
	state := map[penumbra.Address]penumbra.Settings{}
	for _, o := range all {
		state[o.Resource] = state[o.Resource].Merge(o.Settings)
	}
	for i, folder := range e.terraform {
		for j, v := range folder {
			s := state[penumbra.Address(fmt.Sprintf("infra/stack-%d|aws_db_instance.db_%d", i, j))]
			if got := s.Get("engine_version").Text(); got != fmt.Sprintf("14.%d", v[0]) || s.Get("allocated_storage").Text() != strconv.Itoa(20+10*v[2]) {
				t.Errorf("stack %d, database %d: engine version %q", i, j, got)
			}
		}
	}
	for i, v := range e.deployments {
		s := state[penumbra.Address(fmt.Sprintf("apps/app-%d|Deployment/app-%d@team-%d", i, i, i%7))]
		if got := s.Get("spec.template.spec.containers[app].image").Text(); got != fmt.Sprintf("registry.example.com/app-%d:1.%d.0", i, v[0]) {
			t.Errorf("deployment %d: image %q", i, got)
		}
	}
}

// BenchmarkMine mines made-up estates of a size from the environment: COMMITS
// (2000) and RESOURCES (500).
func BenchmarkMine(b *testing.B) {
	size := func(name string, otherwise int) int {
		if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
			return n
		}
		return otherwise
	}
	e := &estate{commits: size("COMMITS", 2000), resources: size("RESOURCES", 500)}
	dir := makeEstate(b, e)
	if _, err := os.Stat(filepath.Join(dir, "HEAD")); err != nil {
		b.Fatal(err)
	}
	events, files := 0, 0
	var peak uint64
	b.ReportAllocs()
	for b.Loop() {
		events = 0
		report, err := Mine(b.Context(), dir, Options{Key: testKey}, func(*penumbra.Observation) error {
			if events++; events%500 == 0 {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak = max(peak, m.HeapAlloc)
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		files = report.Files
	}
	seconds := b.Elapsed().Seconds() / float64(b.N)
	b.ReportMetric(float64(e.commits)/seconds, "commits/s")
	b.ReportMetric(float64(files)/seconds, "files/s")
	b.ReportMetric(float64(events)/seconds, "events/s")
	b.ReportMetric(float64(peak)/(1<<20), "peak-MB")
}

// BenchmarkFollow asks a made-up estate of 2,000 commits for what is new: while
// nothing is, for its last commit by a follower that was just started, and for all
// of them.
func BenchmarkFollow(b *testing.B) {
	e := &estate{commits: 2000, resources: 500}
	dir := makeEstate(b, e)
	o := FollowOptions{Dir: dir, Key: testKey, Stacks: func(string) ([]Code, error) {
		var out []Code
		for i := range e.terraform {
			out = append(out, Code{Stack: fmt.Sprint("s", i), Folder: fmt.Sprintf("infra/stack-%d", i)})
		}
		return out, nil
	}}
	head, err := NewFollower(o).Poll(b.Context(), Cursor{})
	if err != nil || head.Read != e.commits {
		b.Fatal(head.Read, err)
	}
	before := head.Commits[len(head.Commits)-2]
	for name, from := range map[string]Cursor{"nothing": head.Cursor, "last": {Commit: before.Hash, Time: before.Time}, "all": {}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := NewFollower(o).Poll(b.Context(), from); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

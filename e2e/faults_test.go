//go:build linux

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/api"
	"github.com/penumbra-iac/penumbra/internal/pgtest"
)

// This covers nodes of one database that are killed, paused and cut off from the network
// while observations come in: nothing that was acknowledged is lost, and detection is back
// soon. Each node has a network namespace of its own, within one that reaches nothing of
// this machine's.
//
//   - FAULTS is how many faults there are, RATE how many observations a second are offered
//     in all, SEED which faults, PAUSE how long nothing is done after each ("30s"). With
//     FAULTS given detection has to be back within 10 s, which asks for a machine with
//     nothing else to do.
//   - FAULTS=0 does none, for STEADY ("1m"): what a steady rate costs each process.

func TestNodesUnderFaults(t *testing.T) {
	if os.Getenv(insideProgram) != "" {
		newCluster(t).faults(whole("FAULTS", 6), whole("RATE", 1000), os.Getenv("FAULTS") != "", span("PAUSE", 0), span("STEADY", time.Minute))
		return
	}
	for _, tool := range []string{"ip", "unshare", "nsenter"} {
		if _, err := exec.LookPath(tool); err != nil {
			lacks(t, err.Error()+": it comes with iproute2 and util-linux")
		}
	}
	apart := []string{"-n"}
	if os.Geteuid() != 0 {
		apart = []string{"-r", "-n"}
	}
	if out, err := exec.Command("unshare", append(apart, "true")...).CombinedOutput(); err != nil {
		lacks(t, "network namespaces cannot be made: "+string(out))
	}
	server := pgtest.Shared(t, pgtest.Options{Durable: true})
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "unshare", append(apart, self, "-test.run", "^TestNodesUnderFaults$", "-test.v", "-test.timeout", "30m")...)
	cmd.Env = append(os.Environ(), insideProgram+"="+program, insideServer+"="+server.Connection("postgres", server.Database(t)))
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestNodesUnderFaults")) {
		t.Fatalf("within the namespace: %v", err)
	}
}

// lacks skips a test for what the machine lacks, or fails it where all has to be there.
func lacks(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("REQUIRE_TOOLS") == "1" {
		t.Fatal(what)
	}
	t.Skip(what)
}

func whole(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

func span(name string, otherwise time.Duration) time.Duration {
	if d, err := time.ParseDuration(os.Getenv(name)); err == nil {
		return d
	}
	return otherwise
}

// cluster is three nodes on one database, each reached by the network alone.
type cluster struct {
	t      *testing.T
	nodes  []*member
	key    string
	random *rand.Rand
	direct *pgx.Conn // to the database, whatever is cut off
	folder string    // the database server's
}

// member is a node with a network of its own.
type member struct {
	c     *cluster
	i     int
	dir   string
	cmd   *exec.Cmd
	log   *safeBuffer
	ended chan struct{}
	hurt  atomic.Bool // killed, paused or cut off

	mu    sync.Mutex
	alive context.Context    // ends when the node does not answer any more
	gone  context.CancelFunc // ends it
}

const subnet = "10.77.0."

// In the subnet: the machine that has the database and sends, and the first node.
const hub, firstMember = 1, 11

func (m *member) address() string { return subnet + strconv.Itoa(firstMember+m.i) }
func (m *member) url() string     { return "http://" + m.address() + ":7676" }

func newCluster(t *testing.T) *cluster {
	c := &cluster{t: t, random: rand.New(rand.NewPCG(uint64(whole("SEED", 1)), 7))}
	c.ip("link", "set", "lo", "up")
	c.ip("link", "add", "hub", "type", "bridge")
	c.ip("addr", "add", subnet+strconv.Itoa(hub)+"/24", "dev", "hub")
	c.ip("link", "set", "hub", "up")
	c.database(os.Getenv(insideServer))
	var err error
	if c.direct, err = pgx.Connect(t.Context(), os.Getenv(insideServer)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.direct.Close(context.Background()) })
	key, err := exec.Command(os.Getenv(insideProgram), "key", "new").Output()
	if err != nil {
		t.Fatal(err)
	}
	c.key = strings.TrimSpace(string(key))
	for i := range 3 {
		m := &member{c: c, i: i, dir: t.TempDir()}
		c.nodes = append(c.nodes, m)
		m.start()
		t.Cleanup(m.kill)
	}
	for _, m := range c.nodes {
		c.until("a node answers, and has the token that all share", time.Minute, func() bool {
			_, err := os.Stat(filepath.Join(m.dir, ".penumbra", "token"))
			return err == nil && m.ready()
		})
	}
	return c
}

// ip runs ip in the namespace.
func (c *cluster) ip(args ...string) {
	c.t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		c.t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// database has the server, which is on a Unix socket, reached by the network.
func (c *cluster) database(connection string) {
	_, socket, _ := strings.Cut(connection, "?host=")
	folder, port, _ := strings.Cut(socket, "&port=")
	c.folder = folder
	l, err := net.Listen("tcp", subnet+strconv.Itoa(hub)+":5432")
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer client.Close()
				server, err := net.Dial("unix", filepath.Join(folder, ".s.PGSQL."+port))
				if err != nil {
					return
				}
				defer server.Close()
				go func() {
					_, _ = io.Copy(server, client)
					server.Close()
				}()
				_, _ = io.Copy(client, server)
			}()
		}
	}()
}

// start starts the node in a network namespace of its own.
func (m *member) start() {
	t := m.c.t
	t.Helper()
	name := strings.Split(os.Getenv(insideServer), "?")[0]
	config := fmt.Sprintf("listen: %[1]s:7676\nhosts: [%[1]s, %[3]s]\nstore: postgres://postgres@%[2]s%[4]d:5432/%[5]s?sslmode=disable\nnode: {name: n%[6]d, address: %[7]s}\ntls: {behind_proxy: true}\n",
		m.address(), subnet, strings.Join(m.c.addresses(), ", "), hub, name[strings.LastIndex(name, "/")+1:], m.i, m.url())
	if err := os.WriteFile(filepath.Join(m.dir, "penumbra.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	m.cmd = exec.Command("unshare", "-n", "sh", "-c", `read -r _; exec "$0" serve`, os.Getenv(insideProgram))
	m.cmd.Dir, m.cmd.Env = m.dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + m.dir, "PENUMBRA_MASTER_KEY=" + m.c.key}
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if m.log == nil {
		m.log = &safeBuffer{}
	}
	m.cmd.Stdout, m.cmd.Stderr = m.log, m.log
	begin, err := m.cmd.StdinPipe()
	if err == nil {
		err = m.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	m.ended = ended
	cmd := m.cmd
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	pid := strconv.Itoa(m.cmd.Process.Pid)
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	m.c.until("the node has a namespace", time.Minute, func() bool {
		is, err := os.Readlink("/proc/" + pid + "/ns/net")
		return err == nil && is != own
	})
	link := m.link()
	_ = exec.Command("ip", "link", "del", link).Run() // of a node that was killed, if it is still there
	m.c.ip("link", "add", link, "type", "veth", "peer", "name", "net0", "netns", pid)
	m.c.ip("link", "set", link, "master", "hub")
	m.c.ip("link", "set", link, "up")
	for _, args := range [][]string{
		{"link", "set", "lo", "up"},
		{"link", "set", "net0", "address", fmt.Sprintf("02:00:00:00:00:%02d", m.i+10)}, // the same for the next one
		{"addr", "add", m.address() + "/24", "dev", "net0"},
		{"link", "set", "net0", "up"},
	} {
		if out, err := exec.Command("nsenter", append([]string{"-t", pid, "-n", "ip"}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	if _, err := io.WriteString(begin, "\n"); err != nil {
		t.Fatal(err)
	}
}

func (m *member) link() string { return "node" + strconv.Itoa(m.i) }

func (m *member) kill() {
	_ = m.cmd.Process.Kill()
	<-m.ended
}

func (c *cluster) addresses() (all []string) {
	for i := range 3 {
		all = append(all, subnet+strconv.Itoa(firstMember+i))
	}
	return all
}

func (c *cluster) until(what string, patient time.Duration, done func() bool) {
	c.t.Helper()
	for end := time.Now().Add(patient); !done(); time.Sleep(25 * time.Millisecond) {
		if time.Now().After(end) {
			for _, m := range c.nodes {
				c.t.Logf("node %d:\n%s", m.i, m.log)
			}
			c.t.Fatalf("not after %s: %s", patient, what)
		}
	}
}

var brief = &http.Client{Timeout: 2 * time.Second}

func (m *member) ready() bool {
	response, err := brief.Get(m.url() + "/readyz")
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// client asks a node as the owner does. What hangs is given up.
func (m *member) client(timeout time.Duration) *api.Client {
	token, err := os.ReadFile(filepath.Join(m.dir, ".penumbra", "token"))
	if err != nil {
		m.c.t.Fatal(err)
	}
	return api.NewClient(m.url(), strings.TrimSpace(string(token)), api.WithHTTPClient(&http.Client{Timeout: timeout}))
}

// healthy returns a node that nothing was done to.
func (c *cluster) healthy() *member {
	for _, i := range c.random.Perm(len(c.nodes)) {
		if !c.nodes[i].hurt.Load() {
			return c.nodes[i]
		}
	}
	return nil
}

// leader is who leads, by the database.
func (c *cluster) leader() *member {
	c.t.Helper()
	var found *member
	c.until("a node leads", time.Minute, func() bool {
		out := c.sql("SELECT node FROM leadership WHERE until > clock_timestamp()")
		for _, m := range c.nodes {
			if out == "n"+strconv.Itoa(m.i) {
				found = m
			}
		}
		return found != nil
	})
	return found
}

// sql runs a statement, whatever is cut off.
func (c *cluster) sql(statement string) string {
	c.t.Helper()
	var out string
	if err := c.direct.QueryRow(c.t.Context(), statement).Scan(&out); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		c.t.Fatalf("%s: %v", statement, err)
	}
	return out
}

// faults does n of them while observations come in, with a rest after each, and holds
// what is stored against what was acknowledged. Without any, a steady rate goes on for
// the time given.
func (c *cluster) faults(n, rate int, timed bool, rest, steady time.Duration) {
	t := c.t
	began := time.Now().Add(-48 * time.Hour).Truncate(time.Second)
	var all senders
	sending, stop := context.WithCancel(t.Context())
	defer stop()
	var work sync.WaitGroup
	for _, m := range c.nodes {
		s := newSender(c, m, float64(rate)/float64(len(c.nodes)), began)
		all = append(all, s)
		work.Go(func() { s.run(sending) })
		work.Go(func() { m.balance(sending) })
	}
	start := time.Now()
	var seen watched
	watching, unwatch := context.WithCancel(t.Context())
	defer unwatch()
	work.Go(func() { seen.watch(watching, all, c.led()) })
	c.probe("before", time.Minute)
	if n == 0 {
		c.steady(all, steady)
	}
	took := map[string][]time.Duration{}
	for i := range n {
		kind := []string{"kill", "pause", "cut"}[i%3]
		m := c.leader()
		who := "the leader"
		if i%4 == 3 {
			m, who = c.nodes[(m.i+1+c.random.IntN(2))%3], "another"
		}
		m.hurt.Store(true)
		heal := m.hurtBy(kind)
		at := time.Now()
		back := c.probe(fmt.Sprintf("fault%d", i), time.Minute)
		took[kind+" "+who] = append(took[kind+" "+who], back)
		t.Logf("%2d. %-5s %-10s (node %d): detection back after %.1f s", i+1, kind, who, m.i, back.Seconds())
		if timed && back > 10*time.Second {
			t.Errorf("detection was back after %s", back)
		}
		if rest := time.Duration(4+c.random.IntN(5))*time.Second - time.Since(at); rest > 0 {
			time.Sleep(rest) // the fault lasts, whatever became of it: that is what is tested
		}
		heal()
		c.until("the node is back", 2*time.Minute, m.ready)
		m.hurt.Store(false)
		time.Sleep(rest)
	}
	lasted := time.Since(start)
	unwatch()
	c.until("all is taken that was sent last", 2*time.Minute, func() bool {
		stop()
		work.Wait()
		return true
	})
	for _, s := range all {
		t.Logf("node %d: %d observations acknowledged, %d batches sent again, the slowest after %.1f s, the highest backlog %d", s.m.i, s.taken(), s.retried.Load(), s.slowest.Seconds(), s.highest)
	}
	t.Logf("%d observations in %.0f s: %.0f a second of %d offered, through %d faults", all.taken(), lasted.Seconds(), float64(all.taken())/lasted.Seconds(), rate, n)
	t.Logf("%s", &seen)
	for _, what := range slices.Sorted(maps.Keys(took)) {
		all := took[what]
		slices.Sort(all)
		t.Logf("%-16s detection back after %.1f s at the median, %.1f s at most, of %d", what, all[len(all)/2].Seconds(), all[len(all)-1].Seconds(), len(all))
	}
	c.lost(all, began)
	for _, m := range c.nodes {
		if text := m.log.String(); strings.Contains(text, "panic") {
			t.Errorf("node %d:\n%s", m.i, text)
		}
	}
}

// warm is for how long a steady rate goes on before it is measured: the fleet is new at
// first.
const warm = 10 * time.Second

// steady says what a rate costs each process while nothing is done to any.
func (c *cluster) steady(all senders, lasts time.Duration) {
	time.Sleep(warm)
	leader := c.leader()
	taken, before, began := all.taken(), c.processors(leader), time.Now()
	time.Sleep(lasts)
	took, after := all.taken()-taken, c.processors(leader)
	c.t.Logf("steady: %d observations in %.0f s, %.0f a second; the backlog in the end %d", took, time.Since(began).Seconds(), float64(took)/time.Since(began).Seconds(), all.backlog())
	c.t.Logf("processor time an observation: %s", shares(before, after, took, len(c.nodes)))
	if now := c.leader(); now != leader {
		c.t.Errorf("node %d led, and node %d does in the end", leader.i, now.i)
	}
}

// led returns what reports whether a node leads that nothing was done to.
func (c *cluster) led() func() bool {
	conn, err := pgx.Connect(c.t.Context(), os.Getenv(insideServer))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return func() bool {
		var name string
		if err := conn.QueryRow(context.Background(), "SELECT node FROM leadership WHERE until > clock_timestamp()").Scan(&name); err != nil {
			return false
		}
		return slices.ContainsFunc(c.nodes, func(m *member) bool { return name == "n"+strconv.Itoa(m.i) && !m.hurt.Load() })
	}
}

// hurtBy does something to a node, and returns what mends it.
func (m *member) hurtBy(kind string) (heal func()) {
	switch kind {
	case "kill":
		m.kill()
		return m.start
	case "pause":
		_ = m.cmd.Process.Signal(syscall.SIGSTOP)
		return func() { _ = m.cmd.Process.Signal(syscall.SIGCONT) }
	default:
		m.c.ip("link", "set", m.link(), "down")
		return func() { m.c.ip("link", "set", m.link(), "up") }
	}
}

// probe has a resource drift and waits until that is known to whoever asks a healthy
// node, and returns how long it took.
func (c *cluster) probe(name string, patient time.Duration) time.Duration {
	c.t.Helper()
	began := time.Now()
	m := c.healthy()
	client := m.client(3 * time.Second)
	at := time.Now().UTC()
	address := "probe/host.h[\"" + name + "\"]"
	lines := ""
	for _, kind := range []string{"template", "snapshot"} {
		size := map[string]int{"template": 1, "snapshot": 2}[kind]
		lines += fmt.Sprintf(`{"kind":%q,"time":%q,"resource":%q,"type":"probe","settings":{"size":%d}}`+"\n", kind, at.Format(time.RFC3339Nano), address, size)
		at = at.Add(time.Millisecond)
	}
	sent := false
	c.until("the drift of "+address, patient, func() bool {
		ctx, cancel := context.WithTimeout(c.t.Context(), 3*time.Second)
		defer cancel()
		if !sent {
			_, err := client.Ingest(ctx, strings.NewReader(lines), "probe")
			sent = err == nil
		}
		if !sent {
			return false
		}
		drifts, err := client.Drifts(ctx, penumbra.DriftQuery{Resource: penumbra.Address(address), Active: true})
		return err == nil && len(drifts) == 1
	})
	return time.Since(began)
}

// lost fails if something that was acknowledged is not stored, or is more than once.
func (c *cluster) lost(all senders, began time.Time) {
	c.t.Helper()
	rows, err := c.direct.Query(c.t.Context(), `SELECT r.address, o.time FROM observations o JOIN resources r ON r.id = o.resource WHERE r.address LIKE 'load%'`)
	if err != nil {
		c.t.Fatal(err)
	}
	stored := make([]map[int64]bool, len(all)) // by sender: the numbers
	for i := range stored {
		stored[i] = map[int64]bool{}
	}
	var address string
	var nanos int64
	if _, err := pgx.ForEachRow(rows, []any{&address, &nanos}, func() error {
		of := int(address[len("load")] - '0')
		number := time.Unix(0, nanos).Sub(began).Milliseconds()
		if stored[of][number] {
			c.t.Errorf("observation %d of node %d is stored twice", number, of)
		}
		stored[of][number] = true
		return nil
	}); err != nil {
		c.t.Fatal(err)
	}
	for i, s := range all {
		missing := 0
		for number := range (s.low + outstanding) * perSend {
			if s.has(number) && !stored[i][number] {
				missing++
			}
		}
		if missing > 0 {
			c.t.Errorf("%d of %d observations that were acknowledged to node %d are lost", missing, s.taken(), i)
		}
		if more := int64(len(stored[i])) - s.taken(); more > outstanding*perSend {
			c.t.Errorf("%d more observations of node %d are stored than were acknowledged", more, i)
		}
	}
}

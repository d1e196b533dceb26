package events

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/penumbra-iac/penumbra"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var sameValues = cmp.Comparer(func(a, b penumbra.Value) bool { return a == b })

// anyRecord draws a record out of what resources of the estate are called.
func anyRecord(t *rapid.T) *penumbra.Record {
	target := rapid.SampledFrom([]string{"orders", ordersARN, "web", "i-0aa", "i-0bb", "shop/web", "/srv/nginx.conf", "web1", "web2", "db1:1", "db1.x", "10.0.0.6",
		"deployments/shop/web", "ghost", "", "mailer", "out/app.conf", "shop/aws_db_instance.main", "gate.example.com"})
	path := rapid.SampledFrom([]string{"instanceClass", "tags.team", "Tags.x", "spec.replicas", "masterPassword", "x"})
	rec := &penumbra.Record{
		Time: noon, Input: "in", Format: "f", Action: "Modify", ID: rapid.StringN(0, 3, -1).Draw(t, "id"),
		Type:    rapid.SampledFrom([]string{"", "aws_instance", "AWS::RDS::DBInstance", "deployment", "x"}).Draw(t, "type"),
		Targets: rapid.SliceOfN(target, 0, 4).Draw(t, "targets"),
	}
	for _, p := range rapid.SliceOfNDistinct(path, 0, 3, rapid.ID).Draw(t, "paths") {
		rec.Settings = append(rec.Settings, penumbra.Setting{Path: p, Value: penumbra.String("v")})
	}
	rec.Settings = penumbra.NewSettings(rec.Settings...)
	return rec
}

// TestOrder: whatever the order in which resources were made known, forgotten and
// made known again, a record has the same mapping, and twice the same identities.
func TestOrder(t *testing.T) {
	t.Parallel()
	inOrder := mapper(t, Rules{})
	rapid.Check(t, func(t *rapid.T) {
		shuffled, err := New(Rules{})
		if err != nil {
			t.Fatal(err)
		}
		all := estate()
		for _, x := range rapid.Permutation(all).Draw(t, "order") {
			shuffled.Know(x)
		}
		for _, x := range rapid.SliceOf(rapid.SampledFrom(all)).Draw(t, "again") {
			shuffled.Forget(x.Address)
			shuffled.Know(x)
		}
		rec := anyRecord(t)
		want, got := inOrder.Map(rec), shuffled.Map(rec)
		if diff := cmp.Diff(want, got, sameValues); diff != "" {
			t.Fatal(diff)
		}
		again := shuffled.Map(rec)
		for i := range got.Observations {
			if o := &got.Observations[i]; o.Identity() != again.Observations[i].Identity() || o.Check() != nil {
				t.Fatalf("%+v", o)
			}
		}
		if got.Unmapped == (len(got.Observations) > 0) || got.Unmapped == (got.Reason == "") {
			t.Fatalf("%+v", got)
		}
		for _, o := range got.Observations {
			if v := o.Settings.Get("master_password"); !v.IsNull() && v != penumbra.Unknown() {
				t.Fatalf("a sensitive value passes: %v", v)
			}
		}
	})
}

// TestConcurrent is for the race detector.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	m := mapper(t, Rules{})
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			for range 200 {
				x := estate()[r.IntN(16)]
				m.Know(x)
				rec := record("", string(x.Address), "orders")
				rec.Settings = penumbra.Settings{{Path: fmt.Sprint("InstanceClass", r.IntN(3))}}
				m.Map(rec)
				rec.Targets = []string{"ghost"}
				rec.Action, rec.Message = "", "free text "+fmt.Sprint(i)
				m.Map(rec)
				m.Series("p", map[string]string{"instance": "db1:80"})
				if r.IntN(10) == 0 {
					m.Forget(x.Address)
				}
			}
		})
	}
	group.Wait()
}

func FuzzMap(f *testing.F) {
	for _, target := range []string{"orders", ordersARN, "arn:aws", "arn:::::", "/", "//", "/api", "a/b/c", "/apis/x/namespaces/y/z/w", "[::1]:80", ":80", "a.b:1", "./x", "projects/", "file:///etc/nginx/nginx.conf", "/subscriptions/"} {
		f.Add(target, "aws_db_instance", "dBInstanceClass", "line 1", "")
	}
	f.Add("x", "AWS::", "a..b[0].0", "\xff", "in")
	m := mapper(f, Rules{Paths: []PathRule{{From: "a*", To: "$1"}}, Types: []TypeRule{{Match: Match{Type: "x*"}, To: "$1"}}})
	f.Fuzz(func(t *testing.T, target, typ, path, message, action string) {
		rec := &penumbra.Record{Time: noon, Action: action, Message: message, Type: typ, Targets: []string{target, "orders"}, Settings: penumbra.Settings{{Path: path, Value: penumbra.String("v")}}}
		got := m.Map(rec)
		if got.Unmapped && len(got.Reason) > 4000 {
			t.Errorf("a reason of %d bytes", len(got.Reason))
		}
		for i := range got.Observations {
			if err := got.Observations[i].Check(); err != nil {
				t.Error(err)
			}
		}
		m.Series("in", map[string]string{typ: target, "pod": target, "namespace": path, "host": message})
		m2, err := New(Rules{Resources: []ResourceRule{{Match: Match{Target: target, Message: message}, Resource: path}}})
		if err == nil {
			m2.Know(known(penumbra.Address(target), typ, path, message, "name", target))
			m2.Map(rec)
			m2.Forget(penumbra.Address(target))
			if len(m2.index.keys) != 0 {
				t.Error("identifiers are left")
			}
		}
	})
}

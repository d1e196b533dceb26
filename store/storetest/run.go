// Package storetest is a suite of tests that every store passes: they run [Run], and so
// keep the promises of package contract.
package storetest

import (
	"context"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/contract"
)

// Run runs the suite. open opens the store that belongs to the test t: an
// empty one when it is called with a t for the first time, the same data when
// it is called again after the first was closed. The suite closes what it
// opens.
func Run(t *testing.T, open func(t *testing.T) contract.Store) {
	for _, group := range []map[string]func(*testing.T, *opened){
		observationTests, driftTests, decisionTests, freezeTests, attentionTests, runTests, ruleTests, checkpointTests, versionTests,
		anomalyTests, rollupTests, asideTests, noticeTests, tallyTests, auditTests, accountTests, tokenTests, sessionTests,
		pageTests, answerTests, hashTests,
	} {
		for name, test := range group {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := &opened{open: open, t: t, Store: open(t)}
				t.Cleanup(func() {
					if err := s.Close(); err != nil {
						t.Errorf("close: %v", err)
					}
				})
				test(t, s)
			})
		}
	}
}

// opened is the store under test.
type opened struct {
	contract.Store
	open func(t *testing.T) contract.Store
	t    *testing.T
}

// reopen closes the store and opens its data again.
func (s *opened) reopen() {
	s.t.Helper()
	if err := s.Close(); err != nil {
		s.t.Fatalf("close: %v", err)
	}
	s.Store = s.open(s.t)
}

// twice runs check now and after the store was opened again: whatever holds of
// stored data holds then too.
func (s *opened) twice(check func()) {
	s.t.Helper()
	check()
	s.reopen()
	check()
}

var bg = context.Background()

// same compares values by their kind and text, and empty lists with nil ones.
var same = cmp.Options{
	cmp.Comparer(func(a, b penumbra.Value) bool { return a == b }),
	cmpopts.EquateEmpty(),
}

func equal(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got, same); diff != "" {
		t.Errorf("%s (-want +got)\n%s", what, diff)
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func kind(t *testing.T, what string, err error, want penumbra.ErrorKind) {
	t.Helper()
	if err == nil || penumbra.KindOf(err) != want {
		t.Errorf("%s: error %v of kind %v, want kind %v", what, err, penumbra.KindOf(err), want)
	}
}

// filled reports fields of x that are empty: a field that the noun got lately
// and that the suite would not notice losing.
func filled(t *testing.T, x any) {
	t.Helper()
	v := reflect.ValueOf(x)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("the suite sets no %s.%s", v.Type(), v.Type().Field(i).Name)
		}
	}
}

package storetest

import (
	"fmt"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

// fullVersion is a version with every field set.
func fullVersion() penumbra.ModelVersion {
	return penumbra.ModelVersion{
		Number: 1, Created: minute(1), Family: "mixture", Origin: penumbra.TrainedVersion, State: penumbra.ActiveVersion,
		Sources: []string{"history.jsonl.gz", "the store"}, Observations: 7, Seed: 1 << 63, Why: "it is better", Before: 9,
		Promoted: minute(3), By: "alice", Forced: "why", Kept: true, Size: 4,
		Score: &penumbra.VersionScore{From: minute(0), To: minute(1), Horizon: "30d", Questions: 5, Left: 2, LogLoss: 0.25, PR: 0.5,
			Over: 3, OverFamily: "pooled", OverLogLoss: 0.3, OverPR: 0.4, Better: true,
			Lift: 4, Reliability: []penumbra.ReliabilityBin{{Said: 0.25, Happened: 0.5, Questions: 3}},
			Coverage:  []penumbra.SetCoverage{{Confidence: 0.95, Sets: 4, Covered: 0.75, Changed: 2, ChangedCovered: 0.5}},
			Baselines: []penumbra.BaselineScore{{Name: "base", LogLoss: 0.5}}},
	}
}

func add(t *testing.T, s *opened, v penumbra.ModelVersion, body []byte) int {
	t.Helper()
	n, err := s.AddVersion(bg, v, body)
	ok(t, err)
	return n
}

var versionTests = map[string]func(*testing.T, *opened){
	"versions come back as they were, the newest first": func(t *testing.T, s *opened) {
		filled(t, fullVersion())
		filled(t, *fullVersion().Score)
		none, err := s.Versions(bg)
		ok(t, err)
		equal(t, "versions", []penumbra.ModelVersion(nil), none)
		first := add(t, s, fullVersion(), []byte("body"))
		second := add(t, s, penumbra.ModelVersion{Number: 77, Family: "pooled"}, nil)
		third := add(t, s, penumbra.ModelVersion{Family: "bayes"}, []byte{})
		equal(t, "numbers", []int{1, 2, 3}, []int{first, second, third})
		s.twice(func() {
			got, err := s.Versions(bg)
			ok(t, err)
			equal(t, "versions", []penumbra.ModelVersion{{Number: 3, Family: "bayes", Kept: true}, {Number: 2, Family: "pooled"}, fullVersion()}, got)
			body, err := s.VersionBody(bg, 1)
			ok(t, err)
			equal(t, "body", "body", string(body))
			body, err = s.VersionBody(bg, 3)
			ok(t, err)
			equal(t, "empty body", 0, len(body))
			_, err = s.VersionBody(bg, 2)
			kind(t, "a body that never was", err, penumbra.NotFound)
			_, err = s.VersionBody(bg, 4)
			kind(t, "no such version", err, penumbra.NotFound)
		})
	},
	"new states of versions, all or none": func(t *testing.T, s *opened) {
		add(t, s, fullVersion(), []byte("one"))
		add(t, s, penumbra.ModelVersion{}, []byte("two"))
		before := fullVersion()
		before.State, before.Size = penumbra.RetiredVersion, 3
		after := penumbra.ModelVersion{Number: 2, State: penumbra.ActiveVersion, Before: 1, Kept: true, Size: 3}
		kind(t, "one that is not there", s.SaveVersions(bg, []penumbra.ModelVersion{before, {Number: 3}}), penumbra.NotFound)
		got, err := s.Versions(bg)
		ok(t, err)
		equal(t, "state after a refusal", penumbra.ActiveVersion, got[1].State)
		ok(t, s.SaveVersions(bg, []penumbra.ModelVersion{before, after}))
		s.twice(func() {
			got, err := s.Versions(bg)
			ok(t, err)
			equal(t, "versions", []penumbra.ModelVersion{after, before}, got)
			body, err := s.VersionBody(bg, 1)
			ok(t, err)
			equal(t, "body", "one", string(body))
		})
	},
	"bodies of the newest versions are kept": func(t *testing.T, s *opened) {
		add(t, s, penumbra.ModelVersion{}, []byte("before"))
		add(t, s, penumbra.ModelVersion{State: penumbra.ActiveVersion, Before: 1}, []byte("active"))
		const more = penumbra.KeptVersions + 3
		for i := range more {
			add(t, s, penumbra.ModelVersion{Why: fmt.Sprint(i)}, []byte("candidate"))
			add(t, s, penumbra.ModelVersion{State: penumbra.RefusedVersion}, nil) // takes nobody's place
		}
		s.twice(func() {
			all, err := s.Versions(bg)
			ok(t, err)
			equal(t, "versions", 2+2*more, len(all))
			var kept []int
			for _, v := range all {
				if v.Kept {
					kept = append(kept, v.Number)
				}
			}
			last := 2 + 2*more - 1
			equal(t, "kept", []int{last, last - 2, last - 4, last - 6, last - 8, 2, 1}, kept)
			_, err = s.VersionBody(bg, 3)
			kind(t, "a body given up", err, penumbra.NotFound)
		})
	},
}

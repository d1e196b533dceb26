package guard

import (
	"reflect"

	"github.com/penumbra-iac/penumbra"
)

// Hidden stands where a value, or a text that may have one, is not shown.
const Hidden = "(hidden)"

// hiding says what is not shown.
type hiding struct{ values, logs bool }

// hide returns a copy of x without what is not shown. x itself, which the loop may hold
// on to, stays as it is.
func hide[T any](h hiding, x T) T {
	if !h.values && !h.logs {
		return x
	}
	return h.copied(reflect.ValueOf(&x).Elem(), "").Interface().(T)
}

var (
	valueType    = reflect.TypeFor[penumbra.Value]()
	hiddenValue  = penumbra.String(Hidden)
	intervalType = reflect.TypeFor[penumbra.Interval]()
	textType     = reflect.TypeFor[string]()
)

// copied copies a value deeply; field is the name of the field that it stands in, with
// its struct's.
func (h hiding) copied(v reflect.Value, field string) reflect.Value {
	switch {
	case v.Type() == valueType:
		if value := v.Interface().(penumbra.Value); h.values && value != (penumbra.Value{}) {
			return reflect.ValueOf(hiddenValue)
		}
		return v
	case v.Type() == textType:
		if v.Len() > 0 && h.hides(field) {
			return reflect.ValueOf(Hidden)
		}
		return v
	}
	switch v.Kind() {
	case reflect.Struct:
		out := reflect.New(v.Type()).Elem()
		out.Set(v)
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				out.Field(i).Set(h.copied(v.Field(i), v.Type().Name()+"."+f.Name))
			}
		}
		return out
	case reflect.Slice:
		if v.IsNil() {
			return v
		}
		out := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			out.Index(i).Set(h.copied(v.Index(i), field))
		}
		return out
	case reflect.Array:
		out := reflect.New(v.Type()).Elem()
		for i := range v.Len() {
			out.Index(i).Set(h.copied(v.Index(i), field))
		}
		return out
	case reflect.Map:
		if v.IsNil() {
			return v
		}
		out := reflect.MakeMapWithSize(v.Type(), v.Len())
		for _, key := range v.MapKeys() {
			out.SetMapIndex(key, h.copied(v.MapIndex(key), field))
		}
		return out
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		// Bounds of a setting's expected values are values. Those of metrics stand in
		// anomalies, by themselves.
		if h.values && v.Type().Elem() == intervalType {
			return reflect.Zero(v.Type())
		}
		out := reflect.New(v.Type().Elem())
		out.Elem().Set(h.copied(v.Elem(), field))
		return out
	}
	return v
}

// hides reports whether the text of a field is not shown.
func (h hiding) hides(field string) bool {
	if plainTexts[field] {
		return false
	}
	if logTexts[field] {
		return h.logs || h.values
	}
	return h.values
}

// logTexts are what tools and logs say.
var logTexts = map[string]bool{"Run.Log": true, "UnmappedKind.Example": true, "UnmappedKind.Target": true}

// plainTexts are the fields that never hold a value of a setting: names, identifiers,
// hashes, what people wrote of a decision. A field that is not here is hidden from who
// may not see values.
var plainTexts = map[string]bool{
	"Anomaly.Drift": true, "Anomaly.ID": true, "Anomaly.Metric": true,
	"Approval.By":  true,
	"Beta.Why":     true,
	"Cause.Action": true, "Cause.Actor": true, "Cause.Key": true, "Cause.Source": true,
	"CodeChange.Base": true, "CodeChange.Branch": true, "CodeChange.Commit": true, "CodeChange.Remote": true, "CodeChange.URL": true,
	"Decision.By": true, "Decision.Drift": true, "Decision.Hash": true, "Decision.ID": true, "Decision.Proposal": true, "Decision.Reason": true,
	"Drift.AcknowledgedBy": true, "Drift.ID": true, "Drift.SnoozeReason": true, "Drift.SnoozedBy": true, "Drift.Type": true,
	"Effect.Metric":    true,
	"Expectation.Path": true,
	"Explanation.Path": true,
	"Fact.Checked":     true, "Fact.Dependants": true, "Fact.Entry": true, "Fact.Owner": true, "Fact.Path": true, "Fact.Title": true,
	"FilePatch.Base": true, "FilePatch.Path": true,
	"Finding.Path": true, "Finding.Rule": true,
	"Forecast.Path": true,
	"Freeze.By":     true, "Freeze.ID": true, "Freeze.LiftedBy": true, "Freeze.Reason": true, "Freeze.Stacks": true,
	"HistoryPoint.Action": true, "HistoryPoint.Actor": true, "HistoryPoint.Path": true,
	"Impact.Anomaly": true, "Impact.Metric": true,
	"Influence.Actors": true,
	"Notice.ID":        true, "Notice.Channel": true, "Notice.Key": true, "Notice.Stacks": true, "Notice.Environments": true, "Notice.Verdicts": true,
	"Notice.Subjects": true, "Notice.URL": true, "Notice.Folds": true, "Notice.Thread": true, "Notice.Error": true,
	"NoticeFact.Name": true,
	"Patch.Stack":     true,
	"PathChange.Path": true,
	"Plan.Evidence":   true, "Plan.File": true, "Plan.Hash": true, "Plan.PatchHash": true, "Plan.Stack": true,
	"PlannedChange.ReplacePaths": true, "PlannedChange.Type": true,
	"PolicyAnswer.By": true, "PolicyAnswer.Overrides": true, "PolicyAnswer.Policies": true, "PolicyAnswer.Reason": true,
	"PolicyReport.ApprovedBy": true, "PolicyReport.By": true, "PolicyReport.Drift": true, "PolicyReport.Proposal": true,
	"PolicyFile.By": true, "PolicyFile.Folder": true, "PolicyFile.Name": true, "PolicyFile.Paths": true, "PolicyFile.Text": true,
	"Prediction.Metric": true, "Prediction.Path": true,
	"Proposal.Also": true, "Proposal.ApprovedBy": true, "Proposal.Author": true, "Proposal.Customizes": true, "Proposal.Drift": true, "Proposal.Hash": true, "Proposal.ID": true, "Proposal.Undoes": true,
	"Resource.NotChecked": true, "Resource.Type": true,
	"ResourceStatus.NotChecked": true, "ResourceStatus.Type": true,
	"Rule.By": true, "Rule.ID": true, "Rule.Pattern": true, "Rule.Reason": true,
	"Run.Approvals": true, "Run.Decision": true, "Run.Drift": true, "Run.ID": true, "Run.Proposal": true, "Run.Stack": true, "Run.UndoneBy": true,
	"Setting.Path":     true,
	"SettingView.Path": true,
	"Source.Title":     true, "Source.URL": true,
	"Suspect.Action": true, "Suspect.Actor": true, "Suspect.Path": true, "Suspect.Source": true,
	"Touch.Action": true, "Touch.Actor": true, "Touch.Paths": true, "Touch.Source": true,
	"UnmappedDropped.Input": true,
	"UnmappedKind.Action":   true, "UnmappedKind.Format": true, "UnmappedKind.Input": true, "UnmappedKind.Reason": true,
	"Watch.WayBack": true,
}

// Package scenario is Penumbra's test language: it answers whether, given a
// history told line by line, the shadow and the drift stage say what is
// expected of them. Use it for behaviour that takes days and several stages to
// show; a single stage has its own table tests. A script is deterministic and
// has no clock but its own, so 60 days take milliseconds.
//
// A script is a text file, one statement a line. '#' starts a comment. Names
// and values with spaces are quoted as in Go. The clock starts at
// 2026-03-02T00:00:00Z, a Monday.
//
//	resource ADDRESS type TYPE
//	    introduces a resource; each other statement names one that was.
//	template ADDRESS PATH=VALUE...
//	    is all that the code declares from now on.
//	observe [partial] ADDRESS PATH=VALUE...
//	    is a snapshot: all that is there or, if partial, all that was looked at.
//	    null is a value that is not there.
//	event ADDRESS [actor=NAME] [kind=user|automation|system] [action=VERB] PATH=VALUE...
//	    is a log record. A hint: no verdict is given before the next snapshot.
//	delete ADDRESS
//	    ends the resource.
//	unread ADDRESS REASON
//	    is a snapshot that failed.
//	advance DURATION
//	    moves the clock: 90s, 5m, 1h30m, 2d.
//	repeat COUNT [as NAME] {
//	    runs the lines up to its } so many times; $NAME counts from 1.
//	ignore PATTERN [for DURATION]
//	    adds an ignore rule.
//	limit PATTERN [min=VALUE] [max=VALUE]
//	    gives settings that the code does not declare bounds; stands before the first
//	    observation.
//	accept ADDRESS PATH [for DURATION]
//	    is a person's word that the setting may have its present value.
//	acknowledge ADDRESS
//	    marks the resource's drifts as known.
//
// Values are true, false, null, numbers and quoted strings.
//
// Each template, snapshot, rule and acceptance is followed by a turn of the
// loop, as the engine does it: what the shadow expects is asked before it sees
// a snapshot; then the observation is folded and learnt, the resource is
// assessed, and its drifts live on. These hold what came of it against what was
// wanted:
//
//	expect ADDRESS [PATH] VERDICT
//	    the verdict on a setting, or the gravest on the resource: in sync,
//	    tolerated, pending, not checked, impending, unexpected, drifted.
//	expect drifts COUNT [VERDICT]
//	    how many drifts are active, or active and of that verdict.
//	expect resolved RESOLUTION
//	    how the last drift that was resolved ended: returned, template changed,
//	    accepted, receded, habitual, gone.
//	expect opened DURATION ago
//	    when the oldest active drift was opened.
//	expect caused by NAME
//	    the actor that the newest active drift is put down to; "" for nobody.
//	expect foreseen
//	    the newest active drift has left and was announced before.
//	expect told COUNT
//	    how many drifts a person was told of since the start or the last such
//	    line: those that opened or became worse.
//
// An expectation that fails names its file and line and does not stop the
// script; a statement that cannot be read does.
package scenario

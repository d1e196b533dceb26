package main

import (
	"encoding/xml"
	"fmt"
	"path/filepath"
	"time"

	"github.com/owenrumney/go-sarif/v3/pkg/report"
	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/hcl"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
)

// report writes what a check found in the format asked for.
func (a *app) report(out checked, f checkFlags) error {
	switch a.Output {
	case "json":
		return a.JSON(out)
	case "sarif":
		return a.sarif(out)
	case "junit":
		return a.junit(out)
	default:
		a.tell(out, f)
		return nil
	}
}

// tell writes what a check found for a person.
func (a *app) tell(out checked, f checkFlags) {
	for i := range out.Assessments {
		x := &out.Assessments[i]
		fmt.Fprintf(a.Out, "%s  %s\n", a.Verdict(x.Verdict()), a.Paint(console.Bold, string(x.Resource)))
		if x.NotChecked != "" {
			fmt.Fprintf(a.Out, "    %s\n", x.NotChecked)
		}
		for j := range x.Findings {
			finding := &x.Findings[j]
			text := finding.Brief()
			if finding.Rule != "" {
				text += ", ignored by rule " + finding.Rule
			}
			fmt.Fprintf(a.Out, "    %-12s %s\n", finding.Verdict, text)
		}
	}
	if len(out.Assessments) > 0 {
		fmt.Fprintln(a.Out)
	}
	switch {
	case out.NotChecked > 0:
		fmt.Fprintf(a.Out, "%s %d of %d resources of %s were not checked, %d drifted.\n", a.Paint(console.Violet, "?"), out.NotChecked, out.Resources, out.Stack, out.Drifted)
	case out.Drifted > 0:
		fmt.Fprintf(a.Out, "%s %d of %d resources of %s drifted.\n", a.Paint(console.Red, "✗"), out.Drifted, out.Resources, out.Stack)
	case out.Resources == 0:
		fmt.Fprintf(a.Out, "%s has no resources.\n", out.Stack)
	default:
		fmt.Fprintf(a.Out, "%s %d resources of %s checked, no drift.\n", a.Paint(console.Green, "✓"), out.Resources, out.Stack)
	}
	if out.Shadow == "fresh" && f.plan == "" && out.Drifted > 0 {
		fmt.Fprintln(a.Out, a.Paint(console.Faint, "Judged by the code alone: `penumbra serve` learns what is habit and what is not."))
	}
}

// ruleIDs are the rules of a SARIF report, one for each verdict that is told.
var ruleIDs = map[penumbra.Verdict]struct{ id, text, level string }{
	penumbra.Drifted:    {"penumbra/drifted", "A setting is off the code, and not by habit.", "error"},
	penumbra.Unexpected: {"penumbra/unexpected", "A setting has a value that its shadow does not hold.", "error"},
	penumbra.Impending:  {"penumbra/impending", "A setting is about to leave the code.", "warning"},
	penumbra.Pending:    {"penumbra/pending", "Code that is merged and not applied.", "note"},
	penumbra.Tolerated:  {"penumbra/tolerated", "A setting is off the code by habit, or by a rule.", "note"},
	penumbra.NotChecked: {"penumbra/not-checked", "A resource could not be read.", "warning"},
}

func (a *app) sarif(out checked) error {
	doc := report.NewV210Report()
	run := sarif.NewRunWithInformationURI("penumbra", "https://github.com/penumbra-iac/penumbra")
	run.Tool.Driver.WithVersion(a.Version)
	run.WithResults([]*sarif.Result{})
	places := locator{dir: out.Dir}
	add := func(address penumbra.Address, v penumbra.Verdict, text string) {
		rule := ruleIDs[v]
		run.AddRule(rule.id).WithDescription(rule.text)
		result := run.CreateResultForRule(rule.id).WithLevel(rule.level).WithMessage(sarif.NewTextMessage(text))
		location := sarif.NewLocation().WithLogicalLocations([]*sarif.LogicalLocation{
			sarif.NewLogicalLocation().WithFullyQualifiedName(string(address)).WithKind("resource"),
		})
		if file, line, ok := places.find(address); ok {
			location.WithPhysicalLocation(sarif.NewPhysicalLocation().
				WithArtifactLocation(sarif.NewSimpleArtifactLocation(filepath.ToSlash(file))).
				WithRegion(sarif.NewRegion().WithStartLine(line)))
		}
		result.AddLocation(location)
	}
	for i := range out.Assessments {
		x := &out.Assessments[i]
		if x.NotChecked != "" {
			add(x.Resource, penumbra.NotChecked, string(x.Resource)+" was not checked: "+x.NotChecked)
		}
		for j := range x.Findings {
			add(x.Resource, x.Findings[j].Verdict, string(x.Resource)+": "+x.Findings[j].Brief())
		}
	}
	doc.AddRun(run)
	return doc.PrettyWrite(a.Out)
}

// locator finds where resources are declared.
type locator struct{ dir string }

func (l locator) find(address penumbra.Address) (file string, line int, ok bool) {
	if l.dir == "" {
		return "", 0, false
	}
	file, line, err := hcl.Locate(l.dir, address)
	if err != nil {
		return "", 0, false
	}
	return filepath.Join(l.dir, file), line, true
}

// The JUnit format as CI systems read it.
type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Time     string      `xml:"time,attr"`
	Stamp    string      `xml:"timestamp,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Failure *junitProblem `xml:"failure,omitempty"`
	Error   *junitProblem `xml:"error,omitempty"`
	Out     string        `xml:"system-out,omitempty"`
}

type junitProblem struct {
	Type    string `xml:"type,attr"`
	Message string `xml:"message,attr"`
}

// junit writes a test case for each resource that is not in sync, and one for
// all the others together: a report of 100,000 passes helps nobody.
func (a *app) junit(out checked) error {
	suite := junitSuite{
		Name: "penumbra " + out.Stack, Failures: out.Drifted, Errors: out.NotChecked,
		Time: fmt.Sprintf("%.3f", out.Took.Seconds()), Stamp: out.Time.Format(time.RFC3339),
	}
	for i := range out.Assessments {
		x := &out.Assessments[i]
		c := junitCase{Class: out.Stack, Name: x.Resource.Local()}
		var text string
		for j := range x.Findings {
			text += x.Findings[j].Verdict.String() + ": " + x.Findings[j].Brief() + "\n"
		}
		switch {
		case x.NotChecked != "":
			c.Error = &junitProblem{Type: "not checked", Message: x.NotChecked}
		case x.Verdict().IsDrift():
			c.Failure = &junitProblem{Type: x.Verdict().String(), Message: text}
		default:
			c.Out = text
		}
		suite.Cases = append(suite.Cases, c)
	}
	suite.Cases = append(suite.Cases, junitCase{
		Class: out.Stack, Name: fmt.Sprintf("%d resources in sync", out.Resources-len(out.Assessments)),
	})
	suite.Tests = len(suite.Cases)
	fmt.Fprint(a.Out, xml.Header)
	enc := xml.NewEncoder(a.Out)
	enc.Indent("", "  ")
	if err := enc.Encode(suite); err != nil {
		return err
	}
	_, err := fmt.Fprintln(a.Out)
	return err
}

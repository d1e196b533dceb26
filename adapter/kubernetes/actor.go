package kubernetes

import (
	"regexp"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// actor is who is behind a request, and which evidence tells.
type actor struct {
	name   string
	kind   penumbra.ActorKind
	via    string
	reason string
}

// programs are user agents of controllers that may sign in as a user. The table
// is small on purpose; the rest is for a user's rules.
var programs = regexp.MustCompile(`(?i)^(argocd|flux|helm-controller|kustomize-controller|source-controller|terraform|opentofu|hashicorp|pulumi|crossplane|rancher|fleet|jenkins|gitlab-runner|ansible|openapi-generator)`)

// who resolves the user. Where a person and a program are both named, by
// impersonation, the person is the actor: a proxy that signs in for people
// impersonates them, and an administrator who impersonates is who acts.
func (e *event) who() actor {
	by := identify(&e.User)
	tool, _, _ := strings.Cut(e.UserAgent, "/")
	tool, _, _ = strings.Cut(tool, " ")
	via := first(e.fieldManager(), tool)
	if e.ImpersonatedUser != nil {
		as := identify(e.ImpersonatedUser)
		switch {
		case by.kind == penumbra.User || by.kind == penumbra.UnknownActor:
			via = join("as "+as.name, via)
		default:
			via = join(by.name, via)
			as.reason = "impersonated by " + by.reason + ": " + as.reason
			by = as
		}
	}
	by.via = join(by.via, via)
	if by.kind == penumbra.User && e.ImpersonatedUser == nil && programs.MatchString(e.UserAgent) {
		by.kind, by.reason = penumbra.Automation, "the user agent of a program"
	}
	return by
}

// identify says what a user is by its name, as "Authenticating" in Kubernetes'
// documentation defines them.
func identify(u *user) actor {
	name := u.Username
	if account, ok := strings.CutPrefix(name, "system:serviceaccount:"); ok {
		return actor{name: strings.Replace(account, ":", "/", 1), kind: penumbra.Automation, reason: "a service account"}
	}
	switch {
	case name == "":
		return actor{reason: "the event has no user"}
	case name == "system:anonymous" || name == "system:unauthenticated":
		return actor{name: name, reason: "nobody signed in"}
	case name == "system:admin":
		return actor{name: name, reason: "an administrator's certificate, which people and programs share"}
	case strings.HasPrefix(name, "system:"):
		return actor{name: name, kind: penumbra.System, reason: "a component of Kubernetes"}
	case strings.HasPrefix(name, "eks:"):
		return actor{name: name, kind: penumbra.System, reason: "a component of EKS"}
	}
	// On EKS the name may be a role's; the session tells who assumed it.
	arn := name
	if !strings.HasPrefix(arn, "arn:") && len(u.Extra["arn"]) > 0 {
		arn = u.Extra["arn"][0]
	}
	if _, rest, ok := strings.Cut(arn, ":assumed-role/"); ok {
		role, session, _ := strings.Cut(rest, "/")
		by := actor{name: session, via: role, reason: "the session of an AWS role"}
		if strings.HasPrefix(role, "AWSReservedSSO_") || strings.Contains(session, "@") {
			by.kind = penumbra.User
		}
		if session != "" {
			return by
		}
	}
	return actor{name: name, kind: penumbra.User, reason: "a user"}
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + ", " + b
}

package cloudtrail

import (
	"regexp"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// actor is who is behind an event, and which evidence tells.
type actor struct {
	name   string
	kind   penumbra.ActorKind
	via    string
	reason string
}

// rule holds one thing that tells a program from a person. The table is small
// on purpose: it has what a service or a tool writes by itself, not what people
// like to call their roles. That is for a user's rules.
type rule struct {
	pattern *regexp.Regexp
	reason  string
}

// matching returns the reason of the first rule that matches, "" if none does.
func matching(rules []rule, text string) string {
	for _, r := range rules {
		if text != "" && r.pattern.MatchString(text) {
			return r.reason
		}
	}
	return ""
}

// sessions are names of role sessions that a program chooses by itself.
var sessions = []rule{
	{regexp.MustCompile(`^i-[0-9a-f]{8,17}$`), "the session of an instance's role"},
	{regexp.MustCompile(`^[0-9a-f]{32}$`), "the session of a container task's role"},
	{regexp.MustCompile(`^(GitHubActions|github-actions?)$`), "the session name of GitHub's action"},
	{regexp.MustCompile(`(?i)^(gitlab|jenkins|circleci|buildkite|bitbucket|azure-?devops|teamcity|drone|argocd|atlantis|spacelift|terraform|opentofu|pulumi|crossplane|packer|ansible)([-_/.].*)?$`), "a session named after an automation tool"},
	{regexp.MustCompile(`^terraform-run-`), "the session name of Terraform Cloud"},
	{regexp.MustCompile(`^aws-go-sdk-[0-9]+$`), "a session that the Go SDK named, as Terraform's provider does"},
	{regexp.MustCompile(`^(AWSCloudFormation|AWSBackup-.*|AWSCodePipeline|AWSCodeBuild-.*|AWSCodeDeploy|StepFunctions|AmazonEKS|aws-?config.*|OrganizationFormation|Events_Console_.*)$`), "the session of an AWS service with a role of the account"},
	{regexp.MustCompile(`^eks-.+-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`), "the session of a pod's identity"},
}

// agents are user agents of programs that run without a person. A person may
// run Terraform too: where a person is proven, the agent does not matter.
var agents = []rule{
	{regexp.MustCompile(`(?i)\b(HashiCorp|OpenTofu)\b.*\b(Terraform|Tofu)\b|\bTerraform/|\bterraform-provider-aws|\bOpenTofu/`), "the user agent of Terraform or OpenTofu"},
	{regexp.MustCompile(`(?i)\batlantis\b`), "the user agent of Atlantis"},
	{regexp.MustCompile(`(?i)\bpulumi\b`), "the user agent of Pulumi"},
	{regexp.MustCompile(`(?i)\bcrossplane\b`), "the user agent of Crossplane"},
	{regexp.MustCompile(`(?i)\b(karpenter|cluster-autoscaler|aws-load-balancer-controller|elbv2\.k8s\.aws|kubernetes/|aws-cloud-controller|external-dns|cert-manager)`), "the user agent of a Kubernetes controller"},
	{regexp.MustCompile(`\bexec-env/AWS_(Lambda|ECS)`), "the user agent of a function or a container"},
}

// providers are identity providers whose tokens programs get.
var providers = []rule{
	{regexp.MustCompile(`token\.actions\.githubusercontent\.com`), "a token of GitHub Actions"},
	{regexp.MustCompile(`(?i)gitlab`), "a token of GitLab CI"},
	{regexp.MustCompile(`app\.terraform\.io`), "a token of Terraform Cloud"},
	{regexp.MustCompile(`oidc\.circleci\.com|agent\.buildkite\.com|api\.bitbucket\.org|spacelift\.io|vstoken\.dev\.azure\.com`), "a token of a CI service"},
	{regexp.MustCompile(`oidc\.eks\.|oidc-provider/oidc\.eks`), "a token of a Kubernetes service account"},
}

// who resolves the identity. What is not proven stays UnknownActor with the
// reason, for a user's rules to decide.
func (r *reader) who(e *event) actor {
	u := e.UserIdentity
	if u == nil || u.Type == "" && u.InvokedBy == "" && u.ARN == "" {
		if e.EventType == "AwsServiceEvent" || e.EventCategory == "Insight" {
			return actor{name: e.EventSource, kind: penumbra.System, reason: "an event of the service itself"}
		}
		return actor{reason: "the event has no identity"}
	}
	switch u.Type {
	case "Root":
		return actor{name: "root", kind: penumbra.User, via: u.InvokedBy, reason: "the account's root user"}
	case "AWSService":
		name := u.InvokedBy
		if name == "" {
			name = e.EventSource
		}
		return actor{name: name, kind: penumbra.System, reason: "an AWS service"}
	case "IAMUser":
		return r.program(e, actor{name: first(u.UserName, lastOf(u.ARN), u.PrincipalID), kind: penumbra.User, via: u.InvokedBy, reason: "an IAM user"})
	case "AssumedRole", "Role":
		return r.role(e)
	case "FederatedUser":
		return r.program(e, actor{name: first(lastOf(u.ARN), afterColon(u.PrincipalID)), kind: penumbra.User, via: u.SessionContext.SessionIssuer.UserName, reason: "a federated user"})
	case "IdentityCenterUser", "Directory":
		return actor{name: first(u.UserName, u.OnBehalfOf.UserID, u.PrincipalID), kind: penumbra.User, via: u.Type, reason: "a user of the identity centre"}
	case "SAMLUser":
		return actor{name: first(u.UserName, afterColon(u.PrincipalID)), kind: penumbra.User, via: u.IdentityProvider, reason: "a user that SAML names"}
	case "WebIdentityUser":
		by := actor{name: first(u.UserName, afterColon(u.PrincipalID)), kind: penumbra.User, via: u.IdentityProvider, reason: "a user of a web identity provider"}
		if reason := matching(providers, u.IdentityProvider+" "+u.PrincipalID); reason != "" {
			by.kind, by.reason = penumbra.Automation, reason
		}
		return by
	case "AWSAccount":
		if u.AccountID == "anonymous" || u.AccountID == "ANONYMOUS_PRINCIPAL" {
			return actor{name: "anonymous", reason: "nobody signed the request"}
		}
		return actor{name: first(u.AccountID, u.PrincipalID), reason: "another account, which does not tell who"}
	}
	if strings.HasSuffix(u.InvokedBy, ".amazonaws.com") && u.UserName == "" {
		return actor{name: u.InvokedBy, kind: penumbra.System, reason: "an AWS service"}
	}
	return actor{name: first(u.UserName, lastOf(u.ARN), u.PrincipalID), via: u.InvokedBy, reason: "an identity of a type that no rule knows"}
}

// role resolves a session of a role. The order is that of the evidence: what
// cannot be chosen freely comes before what can.
func (r *reader) role(e *event) actor {
	u := e.UserIdentity
	issuer := u.SessionContext.SessionIssuer
	role := first(issuer.UserName, roleOf(u.ARN))
	session := sessionOf(u)
	via := role
	if strings.HasSuffix(u.InvokedBy, ".amazonaws.com") {
		via = strings.TrimPrefix(via+" by "+u.InvokedBy, " by ")
	}
	if service, ok := serviceLinked(first(issuer.ARN, u.ARN)); ok {
		return actor{name: service, kind: penumbra.System, via: role, reason: "a service-linked role"}
	}
	if person := u.SessionContext.SourceIdentity; person != "" {
		return actor{name: person, kind: penumbra.User, via: via, reason: "the session's source identity"}
	}
	if strings.HasPrefix(role, "AWSReservedSSO_") && session != "" {
		return actor{name: session, kind: penumbra.User, via: via, reason: "a role of the identity centre, whose sessions are named after the person"}
	}
	by := actor{name: first(session, role), via: via}
	if provider := u.SessionContext.WebIDFederationData.FederatedProvider; provider != "" {
		if reason := matching(providers, provider); reason != "" {
			by.kind, by.reason = penumbra.Automation, reason
			return by
		}
	}
	if u.InScopeOf.IssuerType != "" {
		by.name = first(lastOf(u.InScopeOf.SourceARN), by.name)
		by.kind, by.reason = penumbra.Automation, "credentials issued to "+clean(u.InScopeOf.IssuerType, 100)
		return by
	}
	if reason := r.sessions.get(session, func() string { return matching(sessions, session) }); reason != "" {
		by.kind, by.reason = penumbra.Automation, reason
		return by
	}
	return r.person(e, by, session)
}

// person decides on the weaker evidence.
func (r *reader) person(e *event, by actor, session string) actor {
	u := e.UserIdentity
	switch {
	case u.OnBehalfOf.UserID != "":
		by.kind, by.reason = penumbra.User, "on behalf of a user of the identity centre"
		return by
	case e.FromConsole == yes || u.SessionContext.Attributes.MFAAuthenticated == yes:
		by.kind, by.reason = penumbra.User, "the console, or a second factor"
		return by
	}
	if reason := r.agents.get(e.UserAgent, func() string { return matching(agents, e.UserAgent) }); reason != "" {
		by.kind, by.reason = penumbra.Automation, reason
		return by
	}
	if at := strings.IndexByte(session, '@'); at > 0 && strings.Contains(session[at:], ".") {
		by.kind, by.reason = penumbra.User, "a session named after a mail address"
		return by
	}
	if session == "" && strings.HasSuffix(u.InvokedBy, ".amazonaws.com") {
		return actor{name: u.InvokedBy, kind: penumbra.System, via: by.via, reason: "an AWS service"}
	}
	by.reason = "the name of a role's session, which whoever assumes it chooses"
	return by
}

// program turns a user with long-lived keys into an automation if the tool
// tells; the console and a second factor prove a person.
func (r *reader) program(e *event, by actor) actor {
	if e.FromConsole == yes || e.UserIdentity.SessionContext.Attributes.MFAAuthenticated == yes {
		return by
	}
	if reason := r.agents.get(e.UserAgent, func() string { return matching(agents, e.UserAgent) }); reason != "" {
		by.kind, by.reason = penumbra.Automation, reason
	}
	return by
}

// serviceLinked returns the service of a role below /aws-service-role/.
func serviceLinked(arn string) (string, bool) {
	_, after, ok := strings.Cut(arn, "role/aws-service-role/")
	if ok {
		service, _, _ := strings.Cut(after, "/")
		return service, service != ""
	}
	if name := roleOf(arn); strings.HasPrefix(name, "AWSServiceRoleFor") {
		return name, true
	}
	return "", false
}

// sessionOf returns the name of the role's session.
func sessionOf(u *userIdentity) string {
	if strings.Contains(u.ARN, ":assumed-role/") {
		return lastOf(u.ARN)
	}
	return afterColon(u.PrincipalID)
}

// roleOf returns the role's name in the ARN of a role or of its session.
func roleOf(arn string) string {
	if _, rest, ok := strings.Cut(arn, ":assumed-role/"); ok {
		name, _, _ := strings.Cut(rest, "/")
		return name
	}
	if _, rest, ok := strings.Cut(arn, ":role/"); ok {
		return lastOf(rest)
	}
	return ""
}

// lastOf returns what follows the last slash.
func lastOf(text string) string { return text[strings.LastIndexByte(text, '/')+1:] }

func afterColon(text string) string {
	_, after, ok := strings.Cut(text, ":")
	if !ok {
		return ""
	}
	return after
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

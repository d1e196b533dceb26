package events

import (
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// automationWords make an actor an automation if they are among the words of its
// name: "ci-deploy", "renovate[bot]", "system:serviceaccount:argocd:argocd-server".
var automationWords = set("bot", "ci", "cicd", "terraform", "opentofu", "tofu", "ansible", "awx", "jenkins", "circleci", "buildkite",
	"teamcity", "tekton", "spinnaker", "atlantis", "spacelift", "pulumi", "puppet", "packer", "crossplane", "renovate", "dependabot",
	"argocd", "fluxcd", "autoscaler", "autoscaling", "karpenter", "keda", "codepipeline", "codebuild", "codedeploy", "robot", "automation", "pipeline")

// automationNames do so only as the whole name: as one word of several they may
// be a person's.
var automationNames = set("flux", "argo", "argo-cd", "drone", "chef", "salt", "github-actions", "github actions", "githubactions", "gitlab-runner",
	"gitlab-ci", "azure-pipelines", "deploy", "deployer", "cron", "scheduler", "helm-controller", "kustomize-controller", "source-controller")

// systemNames are accounts of an operating system and its parts that nobody
// signs in with. root and postgres are not among them: people do.
var systemNames = set("system", "localsystem", "daemon", "nobody", "kernel", "systemd", "systemd-network", "systemd-resolve", "systemd-timesync",
	"messagebus", "www-data", "sshd", "syslog", "kubelet", "kube-proxy", "kube-scheduler", "kube-controller-manager", "kube-apiserver",
	"postmaster", "checkpointer", "walwriter", "autovacuum", "autovacuum worker", "autovacuum launcher", "nt authority\\system")

func set(names ...string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m
}

// builtInKind returns what a name tells of its bearer. docs/events.md has the table.
func builtInKind(actor string) penumbra.ActorKind {
	name := strings.ToLower(strings.TrimSpace(actor))
	switch {
	case name == "":
		return penumbra.UnknownActor
	case systemNames[name]:
		return penumbra.System
	case automationNames[name] || hasAutomationWord(name):
		return penumbra.Automation
	case strings.HasPrefix(name, "system:serviceaccount:"), strings.HasSuffix(name, ".gserviceaccount.com"), strings.HasPrefix(name, "spiffe://"):
		return penumbra.Automation
	case strings.HasPrefix(name, "system:node:"), strings.HasPrefix(name, "system:kube-"), strings.HasPrefix(name, "system:apiserver"),
		strings.HasPrefix(name, "system:cloud-controller"), strings.HasPrefix(name, "awsservicerolefor"),
		strings.HasSuffix(name, ".amazonaws.com"), strings.HasSuffix(name, ".googleapis.com"):
		return penumbra.System
	case isMailAddress(name):
		return penumbra.User
	}
	return penumbra.UnknownActor
}

func hasAutomationWord(name string) bool {
	for begin := 0; begin < len(name); {
		end := begin
		for end < len(name) && (name[end] >= 'a' && name[end] <= 'z' || name[end] >= '0' && name[end] <= '9') {
			end++
		}
		if automationWords[name[begin:end]] {
			return true
		}
		begin = end + 1
	}
	return strings.HasPrefix(name, "github-actions") || strings.HasPrefix(name, "gitlab-runner")
}

func isMailAddress(name string) bool {
	local, domain, found := strings.Cut(name, "@")
	return found && local != "" && strings.Contains(domain, ".") && !strings.ContainsAny(name, " /:")
}

// actor returns who a record's actor is, after the user's rules and what is built in.
func (r *rules) actor(rec *penumbra.Record) (name string, kind penumbra.ActorKind) {
	name, kind = rec.Actor, rec.ActorKind
	for i := range r.actors {
		x := &r.actors[i]
		if !x.matches(rec) {
			continue
		}
		if x.name != "" {
			name = expand(x.name, x.condition.actor, rec.Actor)
		}
		if x.kind != penumbra.UnknownActor {
			return name, x.kind
		}
		break
	}
	if kind == penumbra.UnknownActor {
		kind = builtInKind(rec.Actor)
	}
	return name, kind
}

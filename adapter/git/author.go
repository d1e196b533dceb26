package git

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// commit is one commit of the first-parent history.
type commit struct {
	hash        string
	time        time.Time
	name, email string // of the author
	subject     string
	// base marks the state that the history begins with: nobody of this commit
	// made it.
	base    bool
	changes []change
	of      int // how many commits there are to read
}

// change is one file that a commit wrote or, if gone, took away.
type change struct {
	path string
	oid  string
	gone bool
}

// short returns the commit's hash as sources are named.
func (c *commit) short() string { return c.hash[:min(len(c.hash), 12)] }

// message returns the subject line without addresses and secrets.
func (c *commit) message() string {
	if c.base {
		return "as it was where the history that was read begins"
	}
	text := penumbra.Redact(mailAddress.ReplaceAllString(strings.ToValidUTF8(c.subject, "\ufffd"), "[address]"))
	if r := []rune(text); len(r) > maxMessage {
		text = string(r[:maxMessage-1]) + "…"
	}
	return text
}

const maxMessage = 200

var mailAddress = regexp.MustCompile(`[^\s<>()"',;:]+@[^\s<>()"',;:]+\.[A-Za-z]{2,}`)

// actor returns the author's name as a person would read it, and whether it is
// a person. Who wrote the commit counts, not who merged it, and co-authors do
// not; a squashed merge has the author that the forge gave it.
func (c *commit) actor(bots []*regexp.Regexp) (string, penumbra.ActorKind) {
	if c.base {
		return "", penumbra.UnknownActor
	}
	kind := penumbra.User
	if isBot(c.name, c.email, bots) {
		kind = penumbra.Automation
	}
	name := strings.ToValidUTF8(strings.Join(strings.Fields(c.name), " "), "\ufffd")
	name = mailAddress.ReplaceAllStringFunc(name, func(address string) string {
		local, _, _ := strings.Cut(address, "@")
		return local
	})
	if name == "" {
		return "", penumbra.UnknownActor
	}
	return name, kind
}

// botName matches what the well-known automations commit as: forge apps end in
// [bot], others have the word bot for themselves, or the name of the tool.
var botName = regexp.MustCompile(`(?i)\[bot\]|(^|[^a-z])bot($|[^a-z])|[a-z](-|_)bot$|^(` +
	`renovate|dependabot|greenkeeper|snyk|mergify|pyup|whitesource|mend|` +
	`github|github[ -]?actions?|actions-user|web-flow|gitlab(-ci)?|gitea-actions|azure[ -]?pipelines?|` +
	`flux(cd)?|weave ?flux|flux ?(cd)?[ -]?(automation|bot)|fluxcdbot|image-automation(-controller)?|` +
	`argo ?-?cd|argocd-image-updater|atlantis|spacelift|terraform([ -]cloud)?|` +
	`jenkins(-x)?|circleci|travis([ -]ci)?|drone|concourse|tekton|teamcity|buildkite|codefresh|ci|ci/cd|cicd|` +
	`pre-commit(-ci)?|release-please|semantic-release|crowdin|weblate|autobot|automation)$`)

// botAddress matches the addresses of automations whose name tells nothing.
var botAddress = regexp.MustCompile(`(?i)\[bot\]@|^(bot|renovate(-?bot)?|dependabot|flux(cd)?|argo-?cd|jenkins|ci|ci-?bot|action|actions|automation)@|^[^@]*[-_.+]bot@|bot@renovateapp\.com$|@whitesourcesoftware\.com$`)

func isBot(name, email string, more []*regexp.Regexp) bool {
	name = strings.TrimSpace(name)
	if botName.MatchString(name) || botAddress.MatchString(email) {
		return true
	}
	return slices.ContainsFunc(more, func(r *regexp.Regexp) bool { return r.MatchString(name) || r.MatchString(email) })
}

package penumbra

import (
	"regexp"
	"strings"
)

// A secretFormat is a form that secrets of one issuer have, whatever they are called.
type secretFormat struct {
	name  string
	marks []string // texts of which the format needs one
	re    *regexp.Regexp
}

// secretFormats are told apart by their fixed parts. Sources: the issuers' own
// documentation of their tokens; which of them are worth knowing is from GitHub's list
// of supported secret scanning patterns.
var secretFormats = []secretFormat{
	{"private key", []string{"PRIVATE KEY", "AGE-SECRET-KEY-1", "Private-Lines:"}, regexp.MustCompile(`-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?s:.*?)(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|$)|AGE-SECRET-KEY-1[0-9A-Z]{20,}|Private-Lines:(?s:.*)`)},
	{"AWS access key", []string{"AKIA", "ASIA", "ABIA", "ACCA"}, regexp.MustCompile(`\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b`)},
	{"GitHub token", []string{"gho_", "ghp_", "ghu_", "ghs_", "ghr_", "github_pat_"}, regexp.MustCompile(`\bgh[pousr]_[A-Za-z0-9]{36,}|\bgithub_pat_[A-Za-z0-9_]{40,}`)},
	{"GitLab token", []string{"glpat-", "gldt-", "gloas-", "glcbt-", "glptt-", "glft-", "glimt-", "glagent-", "glsoat-", "glrt-", "glffct-", "GR1348941"}, regexp.MustCompile(`\bgl(?:pat|dt|oas|cbt|ptt|ft|imt|agent|soat|rt|ffct)-[A-Za-z0-9_.-]{20,}|\bGR1348941[A-Za-z0-9_-]{20}`)},
	{"Slack token", []string{"xoxa", "xoxb", "xoxe", "xoxp", "xoxr", "xoxs", "xapp-"}, regexp.MustCompile(`\bxox[abeprs][-.][A-Za-z0-9-.]{10,}|\bxapp-[0-9]-[A-Za-z0-9-]{10,}`)},
	{"chat webhook", []string{"hooks.slack.com/", "webhook.office.com/", "api/webhooks/", "logic.azure.com"}, regexp.MustCompile(`\bhooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9/_-]{20,}|\bwebhook\.office\.com/webhookb2/[A-Za-z0-9@/_-]{20,}|\bdiscord(?:app)?\.com/api/webhooks/[0-9]+/[A-Za-z0-9_-]{20,}|\blogic\.azure\.com[^\s"']*sig=[^\s"'&]+`)},
	{"JSON web token", []string{"eyJ"}, regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*|\beyJ[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]*){4}`)},
	{"Google key", []string{"AIza", "ya29.", "GOCSPX-", "1//0"}, regexp.MustCompile(`\bAIza[0-9A-Za-z_-]{35}|\bya29\.[0-9A-Za-z_-]{20,}|\bGOCSPX-[0-9A-Za-z_-]{20,}|\b1//0[0-9A-Za-z_-]{40,}`)},
	{"Azure secret", []string{"8Q~", "7Q~", "sig=", "AccountKey=", "SharedAccessKey="}, regexp.MustCompile(`\b[A-Za-z0-9_~.-]{3}[78]Q~[A-Za-z0-9_~.-]{30,}|(?:\b|\\u0026|%26)sig=[A-Za-z0-9%+/=_-]{20,}|\b(?:Account|SharedAccess)Key=[A-Za-z0-9+/=]{20,}`)},
	{"signed URL", []string{"X-Amz-", "X-Goog-Signature="}, regexp.MustCompile(`\bX-Amz-(?:Signature|Security-Token|Credential)=[^\s"'&]+|\bX-Goog-Signature=[^\s"'&]+`)},
	{"Stripe key", []string{"k_live_", "k_test_", "whsec_"}, regexp.MustCompile(`\b[srp]k_(?:live|test)_[0-9a-zA-Z]{16,}|\bwhsec_[A-Za-z0-9+/=]{16,}`)},
	{"mail or message service key", []string{"SG.", "key-", "SK", "xkeysib-"}, regexp.MustCompile(`\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|\bkey-[0-9a-f]{32}\b|\bSK[0-9a-f]{32}\b|\bxkeysib-[0-9a-f]{64}-[A-Za-z0-9]{16}`)},
	{"package registry token", []string{"npm_", "pypi-", "dckr_", "rubygems_", "oy2"}, regexp.MustCompile(`\bnpm_[A-Za-z0-9]{36}|\bpypi-[A-Za-z0-9_-]{50,}|\bdckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}|\brubygems_[0-9a-f]{48}|\boy2[a-z0-9]{43}\b`)},
	{"HashiCorp token", []string{"hvs.", "hvb.", "hvr.", ".atlasv1."}, regexp.MustCompile(`\bhv[sbr]\.[A-Za-z0-9_-]{20,}|\b[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_-]{20,}`)},
	{"cloud platform token", []string{"_v1_", "dapi", "tskey-", "pul-", "dp.", "sbp_", "pscale_", "FlyV1", "ATATT3", "ATBB", "NRAK-", "PMAK-", "HRKU-"}, regexp.MustCompile(`\bdo[opr]_v1_[a-f0-9]{64}|\bdapi[0-9a-f]{32}|\btskey-[a-z]+-[A-Za-z0-9-]{10,}|\bpul-[a-f0-9]{40}|\bdp\.(?:pt|st|ct|sa|scim)\.[A-Za-z0-9._-]{32,}|\bsbp_[a-f0-9]{40}|\bpscale_(?:tkn|pw|oauth)_[A-Za-z0-9=._-]{30,}|\bFlyV1 fm[0-9]_[A-Za-z0-9+/=_-]{20,}|\bATATT3[A-Za-z0-9_=-]{50,}|\bATBB[A-Za-z0-9]{28,}|\bNRAK-[A-Z0-9]{27}|\bPMAK-[a-f0-9]{24}-[a-f0-9]{34}|\bHRKU-[A-Za-z0-9_-]{30,}`)},
	{"service token", []string{"glsa_", "glc_", "sk-", "hf_", "lin_api_", "shpat_", "shpca_", "shppa_", "shpss_", "figd_", "sntrys_", "phc_", "phx_"}, regexp.MustCompile(`\bglsa_[A-Za-z0-9]{32}_[0-9a-fA-F]{8}|\bglc_[A-Za-z0-9+/=]{32,}|\bsk-(?:proj-|svcacct-|admin-|ant-[a-z0-9]+-)?[A-Za-z0-9_-]{32,}|\bhf_[A-Za-z0-9]{30,}|\blin_api_[A-Za-z0-9]{32,}|\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}|\bfigd_[A-Za-z0-9_-]{32,}|\bsntrys_[A-Za-z0-9+/=_-]{32,}|\bph[cx]_[A-Za-z0-9]{32,}`)},
	{"password hash", []string{"$1$", "$2", "$5$", "$6$", "$7$", "$y$", "$apr1$", "$argon2", "$scrypt", "SCRAM-SHA-256$"}, regexp.MustCompile(`\$(?:1|2[abxy]?|5|6|7|y|apr1|argon2i?d?|scrypt)\$[A-Za-z0-9./$=,+]{16,}|\bSCRAM-SHA-256\$[0-9]+:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+(?::[A-Za-z0-9+/=]+)?`)},
}

// urlCredentials matches an address with a password in it; the password is group 1.
var urlCredentials = regexp.MustCompile(`://[^\s/:@"'<>]*:([^\s@"'<>]+)@`)

// hasFormat reports whether a text has a secret inside by its format.
func hasFormat(text string) bool {
	if len(text) < 8 {
		return false
	}
	found, _ := look(text)
	for i := range secretFormats {
		if found&(1<<i) != 0 && secretFormats[i].re.MatchString(text) {
			return true
		}
	}
	if found&urlMark == 0 {
		return false
	}
	for _, m := range urlCredentials.FindAllStringSubmatch(text, -1) {
		if isPassword(m[1]) {
			return true
		}
	}
	return false
}

// isPassword reports whether what stands for a password in an address is one, and not
// a place for it. What has a slash is the port and path of an address without a user.
func isPassword(text string) bool {
	if isReference(text) || strings.Trim(text, "*xX.") == "" || strings.HasPrefix(text, "%s") || strings.HasPrefix(text, "<") {
		return false
	}
	port, _, path := strings.Cut(text, "/")
	return !path || strings.Trim(port, "0123456789") != ""
}

// redactFormats replaces secrets that their format tells.
func redactFormats(text string, found marks) string {
	for i := range secretFormats {
		if found&(1<<i) != 0 {
			text = secretFormats[i].re.ReplaceAllString(text, redacted)
		}
	}
	if found&urlMark != 0 && strings.IndexByte(text, '@') >= 0 {
		text = urlCredentials.ReplaceAllStringFunc(text, func(m string) string {
			if isPassword(urlCredentials.FindStringSubmatch(m)[1]) {
				return redacted
			}
			return m
		})
	}
	return text
}

// redacted stands where a secret was.
const redacted = "[redacted]"

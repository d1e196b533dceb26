package penumbra

import (
	"regexp"
	"strings"
	"unicode"
)

// secretName matches the last words of a name under which secrets are kept. Names
// that only mention one (password_length, secret_arn, key_name) end in a word that is
// not in the list, so they do not match. The words are those of the providers' and
// the charts' schemas, and of the tools' own variables (PGPASSWORD, VAULT_TOKEN).
var secretName = regexp.MustCompile(`(?i)(^|[._/-])(` +
	`[a-z0-9]*(password|passwd|passphrase|passcode)|(pg|mysql|db|root|admin|user)?pwd|(db|smtp|ldap|redis|ftp|mail|bind|admin|root|user|master|mysql|postgres|rabbitmq|mqtt|proxy_auth)[._-]pass|pass` +
	`|secret|(client|app|shared|consumer|cookie|session|webhook|totp|otp|jwt|hmac)[_-]?secret|secret[_-]?(string|value|binary|text|key_base)` +
	`|token|(access|auth|bearer|refresh|id|api|bot|sas|session|security|deploy|registration|join|bootstrap|personal_access|vault|git|npm|slack|service_account)[_-]?token` +
	`|(private|api|access|secret|auth|encryption|account|storage|shared|signing|master|license|subscription|service_account|pre[_-]?shared|function|host|webhook|ssl|tls|server|client)[_-]?key` +
	`|private[_-]?key[_-]?(pem|openssh|data|passphrase)?|key[_-]?data|key[_-]?material|psk|kubeconfig|kube_config_raw|htpasswd|keytab|pfx|keystore|netrc|pgpass` +
	`|connection[_-]?string|dsn|sas[_-]?url|credentials?([_-]?json)?|dockerconfigjson|dockercfg|docker_auth_config` +
	`|authorization|auth[_-]?header|cookie|snmp_community|community_string|recovery_codes?|backup_codes?|unseal_keys?|seed_phrase|mnemonic` +
	`|user[_-]?data` +
	`)([_-]?(wo|base64|b64|encrypted|hash|plaintext|plain|raw|current|previous|old|new|primary|secondary|[0-9]{1,2}))?(\.[0-9]+)?$`)

// passwordName matches the last words of a name whose value is a secret even if it
// is a number.
var passwordName = regexp.MustCompile(`(?i)(^|[._/-])[a-z0-9]*(password|passwd|passphrase|passcode|pwd|pin)$`)

// publicName matches the last words of names whose values are random and no secret:
// they identify or verify what is public.
var publicName = regexp.MustCompile(`(?i)(^|[._/-])[a-z0-9_-]*(id|ids|arn|arns|hash|sha[0-9]*|md5|crc32c?|checksum|digest|etag|fingerprint|thumbprint|serial|version|revision|generation|commit|ref|tag|image|uid|uuid|guid|name|names|host|hostname|domain|fqdn|endpoint|url|uri|link|path|dir|file|filename|key_file|ca|ca_data|authority_data|certificates?|cert|certs?_pem|chain|csr|crt|public[_-]?key|pub_?key|public|authorized_keys?|ssh_keys?|known_hosts|dkim|txt|nonce|records?|rrdatas|key_name|schedule|policy|statement|expression|query|description|title|message|comment|label|zone|bucket|prefix|arguments|args|command|pattern|regex|annotations?|type|class|kind|email|principal|role|account|project|region|template)(\.([0-9]+|data))?$`)

// What a path must contain for the expression to match at all: nearly none does, and
// the search is a tenth of the expression's cost.
var secretWords = []string{
	"pass", "pwd", "secret", "token", "key", "credential", "string", "data", "psk", "kube", "keytab", "pfx", "netrc", "dsn", "sas",
	"docker", "auth", "cookie", "community", "_codes", "_code", "seed", "mnemonic",
}

// isSecretName reports whether a setting of that path is a secret by its name.
func isSecretName(path string) bool {
	if !containsAny(lower(path), secretWords) || isEncrypted(path) {
		return false
	}
	name := nameOf(path)
	return secretName.MatchString(name) && !notSecretName(name)
}

// notSecretName has the names that end like one of a secret and hold something else.
func notSecretName(name string) bool {
	for _, tail := range [...]string{
		"proxy_pass", "existing_secret", "image_pull_secret", "pull_secret", "external_secret", "cluster_secret", // names of things
		"public_access_key", "kms_key", "publickey", "partition_key", "sort_key", "primary_key", "foreign_key", "hash_key", "range_key",
		"route.pass", ".secret_key_ref.key", "].secret_key", "match.secret_key", "_ref.key.secret_key", "_ref.secret.secret_key", // where in it
	} {
		if strings.HasSuffix(name, tail) {
			return true
		}
	}
	return strings.Contains(name, "token_validity_units.")
}

// isEncrypted reports whether a setting holds what is encrypted for somebody, as a
// SealedSecret does: it may be seen.
func isEncrypted(path string) bool { return strings.Contains(path, "encryptedData.") }

func isPasswordName(path string) bool {
	l := lower(path)
	return (strings.Contains(l, "pass") || strings.Contains(l, "pwd") || strings.HasSuffix(l, "pin")) && passwordName.MatchString(nameOf(path))
}

func isPublicName(path string) bool { return publicName.MatchString(nameOf(path)) }

// nameOf brings a path to the form that names are matched in: words of camel case
// apart, and what a list names by its key as the name of its value
// (env[DB_PASSWORD].value, variable.db_password.default).
func nameOf(path string) string {
	for _, tail := range [...]string{".value", ".default", ".string_value", ".stringValue", ".plaintext"} {
		if rest, ok := strings.CutSuffix(path, tail); ok && rest != "" {
			path = strings.TrimSuffix(rest, "]")
			if i := strings.LastIndexByte(path, '['); i >= 0 && len(rest) != len(path) {
				path = path[i+1:]
			}
			break
		}
	}
	return Words(path)
}

// Words turns adminPassword into admin_password and DBPassword into db_password: names
// are matched by their words.
func Words(name string) string {
	if strings.IndexFunc(name, unicode.IsUpper) < 0 {
		return name
	}
	runes := []rune(name)
	var b strings.Builder
	for i, r := range runes {
		if i > 0 && unicode.IsUpper(r) {
			before := runes[i-1]
			begins := i+1 < len(runes) && unicode.IsLower(runes[i+1]) && unicode.IsUpper(before)
			if unicode.IsLower(before) || unicode.IsDigit(before) || begins {
				b.WriteByte('_')
			}
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

func containsAny(s string, parts []string) bool {
	for _, p := range parts {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}

// traversal matches an expression that names a value kept elsewhere in the code, as a
// history of code has it: module.db.password, random_password.db[0].result.
var traversal = regexp.MustCompile(`^(var|local|module|data|each|self|count|path|terraform|[a-z][a-z0-9]*(_[a-z0-9]+)+)(\.[A-Za-z_*][A-Za-z0-9_-]*|\[[^\]\s]*\])+$`)

// call matches an expression that computes a value from others, and takes a part of it.
var call = regexp.MustCompile(`^[a-z][a-z0-9_]*\([^"]*\)(\[[^\]]*\]|\.[A-Za-z0-9_-]+)*$`)

// nameOfSecret matches a value that is what a secret is called, as a variable of the
// environment or an object of Kubernetes.
var nameOfSecret = regexp.MustCompile(`^([A-Z][A-Z0-9]*_)+([A-Z0-9]*(TOKEN|KEY|SECRET|PASSWORD|URL))(_[A-Z0-9]+)*$|^[a-z0-9]+([-/][a-z0-9]+)*-(secrets?|tls|auth|credentials)$`)

// isReference reports whether text names a secret kept elsewhere rather than being
// one: an unresolved expression, an identifier of a secrets manager, what is
// encrypted for somebody; or says only whether there is one.
func isReference(text string) bool {
	text = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(text), `"`), `"`)
	for _, prefix := range [...]string{
		"arn:", "projects/", "op://", "vault:", "ref+", "sm://", "secretref:", "ssm:", "awssm:", "@Microsoft.KeyVault(", "!Ref ", "!Sub ", "!GetAtt ", "(sensitive",
		"!vault", "ENC[", "$ANSIBLE_VAULT", // encrypted
	} {
		if strings.HasPrefix(text, prefix) {
			return true
		}
	}
	return isPlaceholder(text) || nameOfSecret.MatchString(text) || traversal.MatchString(text) || call.MatchString(text)
}

var placeholders = [...][2]string{{"${", "}"}, {"{{", "}}"}, {"$(", ")"}}

// isPlaceholder reports whether a text only stands for a value: ${…}, {{…}}, $(…),
// $NAME, or says whether there is one.
func isPlaceholder(text string) bool {
	for _, p := range placeholders {
		if strings.HasPrefix(text, p[0]) && strings.HasSuffix(text, p[1]) {
			return true
		}
	}
	switch strings.ToLower(text) {
	case "", "true", "false", "null", "nil", "none", "yes", "no", redacted, "***", "enabled", "disabled", "required", "optional", "unset", "undefined":
		return true
	}
	return strings.HasPrefix(text, "$") && len(text) > 1 && strings.Trim(text[1:], "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
}

// lower is the text in small letters, folded as (?i) folds: U+017F is an s and U+212A
// a k to it.
func lower(text string) string {
	for i := range len(text) {
		if c := text[i]; c >= 'A' && c <= 'Z' || c >= 0x80 {
			return strings.ToLower(strings.ReplaceAll(text, "\u017f", "s"))
		}
	}
	return text
}

package penumbra

// SealSettings seals, in place, each setting that is marked sensitive or that
// [HoldsSecret]. It is called where data enters, before anything is stored.
func (k Key) SealSettings(s Settings) {
	for i := range s {
		if s[i].Sensitive || HoldsSecret(s[i].Path, s[i].Value) {
			s[i].Sensitive = true
			s[i].Value = k.Seal(s[i].Value)
		}
	}
}

// LooksSecret reports whether a setting should be treated as sensitive though
// nobody marked it, by its name or by the format of its value. Providers do not
// mark every secret.
func LooksSecret(path string, v Value) bool {
	if v.text == "" {
		return false
	}
	rules := secretRules.Load()
	switch v.kind {
	case NumberKind:
		// Four digits and more: a PIN, or a password that its file has no quotes around.
		return len(v.text) >= 4 && isPasswordName(path) && !rules.exceptName(path)
	case StringKind:
	default:
		return false
	}
	if (isSecretName(path) || rules.addsName(path)) && !isReference(v.text) && !rules.exceptName(path) && !rules.exceptValue(v.text) {
		return true
	}
	return hasFormat(v.text) && !rules.exceptValue(v.text) || rules.matches(v.text)
}

// HoldsSecret reports whether a setting that enters should be sealed: because it
// [LooksSecret], because a secret stands inside its text (an argument --password=x,
// a line of a file of settings), or because its text is random and its name does not
// say that it is the kind of thing which is.
func HoldsSecret(path string, v Value) bool {
	if LooksSecret(path, v) {
		return true
	}
	if v.kind != StringKind || len(v.text) < 8 || isReference(v.text) {
		return false
	}
	rules := secretRules.Load()
	if rules.exceptName(path) || rules.exceptValue(v.text) || isEncrypted(path) {
		return false
	}
	return isRandomText(v.text) && !isPublicName(path) || mentionsNamed(v.text)
}

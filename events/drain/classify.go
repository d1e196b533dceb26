package drain

import "strings"

// classify returns the mask of a word, "" if it is one of the log's own.
func classify(p string) string {
	digits, slash, colon := 0, false, 0
	for i := 0; i < len(p); i++ {
		switch c := p[i]; {
		case isDigit(c):
			digits++
		case c == '/':
			slash = true
		case c == ':':
			colon++
		}
	}
	if slash {
		if i := strings.Index(p, "://"); i > 0 {
			return maskURL
		}
		if len(p) > 1 && (p[0] == '/' || strings.HasPrefix(p, "./") || strings.HasPrefix(p, "~/")) {
			return maskPath
		}
	}
	if digits == 0 && colon < 5 { // five are of a hardware address
		return ""
	}
	switch {
	case isIPv4(p) || colon >= 2 && isIPv6(p):
		return maskIP
	case len(p) == 36 && isUUID(p):
		return maskUUID
	case isHex(p, digits):
		return maskHex
	case isNumber(p):
		return maskNumber
	case isIdentifier(p):
		return maskID
	}
	return ""
}

// isIPv4 accepts an address with a port, a prefix length or a leading slash.
func isIPv4(p string) bool {
	dots, digits := 0, 0
	for i := 0; i < len(p); i++ {
		switch c := p[i]; {
		case isDigit(c):
			if digits++; digits > 3 {
				return false
			}
		case c == '.' && digits > 0 && dots < 3:
			dots, digits = dots+1, 0
		case (c == ':' || c == '/') && dots == 3 && digits > 0 && i+1 < len(p):
			return strings.Trim(p[i+1:], "0123456789") == ""
		default:
			return false
		}
	}
	return dots == 3 && digits > 0
}

// isIPv6 accepts hexadecimal groups with at least two colons, and so hardware
// addresses; a time of day has decimal groups of two.
func isIPv6(p string) bool {
	groups, long, hex := 1, false, false
	width := 0
	for i := 0; i < len(p); i++ {
		switch c := p[i]; {
		case c == ':':
			if i > 0 && p[i-1] == ':' {
				long = true
			}
			groups, width = groups+1, 0
		case isHexDigit(c):
			width++
			hex = hex || !isDigit(c)
		case c == '%' || c == '/':
			return long || groups >= 6
		default:
			return false
		}
		if width > 4 {
			return false
		}
	}
	return long || groups >= 6 || hex && groups > 3
}

func isUUID(p string) bool {
	for i := 0; i < len(p); i++ {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (p[i] == '-') || !dash && !isHexDigit(p[i]) {
			return false
		}
	}
	return true
}

func isHexDigit(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

// isHex accepts 0x…, and eight hexadecimal digits or more with a letter among
// them, perhaps behind the name of a digest.
func isHex(p string, digits int) bool {
	if len(p) > 2 && p[0] == '0' && p[1]|0x20 == 'x' {
		return allHex(p[2:])
	}
	if _, rest, found := strings.Cut(p, "sha256:"); found {
		p = rest
	}
	return len(p) >= 8 && digits < len(p) && allHex(p)
}

func allHex(p string) bool {
	for i := 0; i < len(p); i++ {
		if !isHexDigit(p[i]) {
			return false
		}
	}
	return len(p) > 0
}

// isNumber accepts what begins with a digit after perhaps a sign and holds
// digits, the marks of numbers, times and dates, and units of up to four letters:
// 17, -3.5, 1e-9, 64kB, 1m30.5s, 12:00:01, 2026-11-25T12:00:00Z.
func isNumber(p string) bool {
	if p[0] == '+' || p[0] == '-' || p[0] == '#' || p[0] == '$' || p[0] == '~' || p[0] == ':' {
		p = p[1:]
	}
	if p == "" || !isDigit(p[0]) {
		return false
	}
	letters := 0
	for i := 0; i < len(p); i++ {
		switch c := p[i]; {
		case isDigit(c):
			letters = 0
		case strings.IndexByte(".:+-/%*#", c) >= 0:
		case isLetter(c) || c >= 0x80: // µs
			if letters++; letters > 4 {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// isIdentifier accepts words of which a part is a number, or letters and digits
// in a mix that nobody says. Names such as eth0 and ssh2 are not among them.
func isIdentifier(p string) bool {
	parts, numbers, mixed := 0, false, false
	for begin := 0; begin <= len(p); {
		end := begin
		digits := 0
		for end < len(p) && strings.IndexByte("-_.:/@#+%", p[end]) < 0 {
			if isDigit(p[end]) {
				digits++
			}
			end++
		}
		n := end - begin
		parts++
		numbers = numbers || digits > 0 && digits == n
		mixed = mixed || digits >= 2 && n >= 5
		begin = end + 1
	}
	return mixed || numbers && parts > 1
}

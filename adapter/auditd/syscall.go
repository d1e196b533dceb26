package auditd

import "strconv"

// architectures are those whose numbers are known; on others the name is, if
// the log is enriched. The numbers are those of the kernel's unistd_64.h of
// x86 and asm-generic/unistd.h.
var architectures = map[string]map[string]string{
	"c000003e": { // x86_64
		"1": "write", "18": "pwrite64", "20": "writev", "296": "pwritev", "328": "pwritev2", "2": "open", "85": "creat", "257": "openat", "437": "openat2", "304": "open_by_handle_at",
		"76": "truncate", "77": "ftruncate", "285": "fallocate", "82": "rename", "264": "renameat", "316": "renameat2",
		"83": "mkdir", "258": "mkdirat", "84": "rmdir", "87": "unlink", "263": "unlinkat", "86": "link", "265": "linkat", "88": "symlink", "266": "symlinkat",
		"90": "chmod", "91": "fchmod", "268": "fchmodat", "452": "fchmodat2", "92": "chown", "93": "fchown", "94": "lchown", "260": "fchownat",
		"133": "mknod", "259": "mknodat", "188": "setxattr", "189": "lsetxattr", "190": "fsetxattr", "197": "removexattr", "198": "lremovexattr", "199": "fremovexattr",
		"132": "utime", "235": "utimes", "261": "futimesat", "280": "utimensat", "165": "mount", "166": "umount2", "429": "move_mount",
		"59": "execve", "322": "execveat", "159": "adjtimex", "164": "settimeofday", "227": "clock_settime", "305": "clock_adjtime",
		"170": "sethostname", "171": "setdomainname", "169": "reboot", "175": "init_module", "313": "finit_module", "176": "delete_module",
		"167": "swapon", "168": "swapoff", "321": "bpf", "101": "ptrace", "62": "kill", "42": "connect", "49": "bind", "44": "sendto", "41": "socket",
	},
	"c00000b7": { // aarch64
		"64": "write", "66": "writev", "68": "pwrite64", "56": "openat", "437": "openat2", "45": "truncate", "46": "ftruncate", "47": "fallocate",
		"38": "renameat", "276": "renameat2", "34": "mkdirat", "35": "unlinkat", "37": "linkat", "36": "symlinkat", "33": "mknodat",
		"52": "fchmod", "53": "fchmodat", "452": "fchmodat2", "54": "fchownat", "55": "fchown",
		"5": "setxattr", "6": "lsetxattr", "7": "fsetxattr", "14": "removexattr", "15": "lremovexattr", "16": "fremovexattr", "88": "utimensat",
		"40": "mount", "39": "umount2", "221": "execve", "281": "execveat", "171": "adjtimex", "170": "settimeofday", "112": "clock_settime",
		"161": "sethostname", "142": "reboot", "105": "init_module", "273": "finit_module", "106": "delete_module", "280": "bpf",
	},
}

// call is what a system call does to a file.
type call struct {
	verb string
	// at are the arguments that are folders which a relative name starts from.
	at []int
	// content marks that the file's content is another afterwards.
	content bool
	// mode, owner and group are the arguments with the new values; the others
	// are -1. A zero call has none.
	mode, owner, group int
}

// calls are the system calls that change files.
var calls = map[string]call{
	"write": {verb: "write", content: true}, "pwrite64": {verb: "write", content: true}, "writev": {verb: "write", content: true},
	"pwritev": {verb: "write", content: true}, "pwritev2": {verb: "write", content: true}, "fallocate": {verb: "write", content: true},
	"truncate": {verb: "truncate", content: true}, "ftruncate": {verb: "truncate", content: true},
	"open": {verb: "open"}, "openat": {verb: "open", at: []int{0}}, "openat2": {verb: "open", at: []int{0}}, "creat": {verb: "write", content: true},
	"open_by_handle_at": {verb: "open"},
	"rename":            {verb: "rename", content: true}, "renameat": {verb: "rename", at: []int{0, 2}, content: true}, "renameat2": {verb: "rename", at: []int{0, 2}, content: true},
	"mkdir": {verb: "mkdir"}, "mkdirat": {verb: "mkdir", at: []int{0}}, "rmdir": {verb: "rmdir"},
	"unlink": {verb: "unlink"}, "unlinkat": {verb: "unlink", at: []int{0}},
	"link": {verb: "link"}, "linkat": {verb: "link", at: []int{0, 2}}, "symlink": {verb: "symlink"}, "symlinkat": {verb: "symlink", at: []int{1}},
	"chmod": {verb: "chmod", mode: 1}, "fchmod": {verb: "chmod", mode: 1}, "fchmodat": {verb: "chmod", at: []int{0}, mode: 2}, "fchmodat2": {verb: "chmod", at: []int{0}, mode: 2},
	"chown": {verb: "chown", owner: 1, group: 2}, "fchown": {verb: "chown", owner: 1, group: 2}, "lchown": {verb: "chown", owner: 1, group: 2},
	"fchownat": {verb: "chown", at: []int{0}, owner: 2, group: 3},
	"mknod":    {verb: "mknod"}, "mknodat": {verb: "mknod", at: []int{0}},
	"setxattr": {verb: "setxattr"}, "lsetxattr": {verb: "setxattr"}, "fsetxattr": {verb: "setxattr"},
	"removexattr": {verb: "removexattr"}, "lremovexattr": {verb: "removexattr"}, "fremovexattr": {verb: "removexattr"},
	"utime": {verb: "utime"}, "utimes": {verb: "utime"}, "futimesat": {verb: "utime", at: []int{0}}, "utimensat": {verb: "utime", at: []int{0}},
	"mount": {verb: "mount"}, "umount2": {verb: "umount"}, "execve": {verb: "execute"}, "execveat": {verb: "execute", at: []int{0}},
}

// name returns the system call's name, "syscall 7" if it is not known.
func (s *syscallLine) name() string {
	if s.enriched != "" {
		return s.enriched
	}
	if name := architectures[s.arch][s.number]; name != "" {
		return name
	}
	return "syscall " + s.number
}

// opens returns what an open does: whether it can write, and whether it does
// so anew. known is false if its flags are not in the arguments.
func (s *syscallLine) opens(name string) (write, known bool) {
	at := -1
	switch name {
	case "open":
		at = 1
	case "openat", "open_by_handle_at":
		at = 2
	}
	if at < 0 {
		return true, false
	}
	flags, err := strconv.ParseUint(s.args[at], 16, 64)
	// O_ACCMODE, O_CREAT and O_TRUNC are the same on all architectures here.
	return flags&(3|0o100|0o1000) != 0, err == nil
}

// errnos are the reasons why a call on a file commonly fails.
var errnos = map[string]string{
	"-1": "EPERM", "-2": "ENOENT", "-5": "EIO", "-9": "EBADF", "-12": "ENOMEM", "-13": "EACCES", "-16": "EBUSY", "-17": "EEXIST", "-18": "EXDEV",
	"-20": "ENOTDIR", "-21": "EISDIR", "-22": "EINVAL", "-24": "EMFILE", "-26": "ETXTBSY", "-28": "ENOSPC", "-30": "EROFS", "-36": "ENAMETOOLONG",
	"-39": "ENOTEMPTY", "-40": "ELOOP", "-95": "EOPNOTSUPP", "-122": "EDQUOT",
}

// failed returns why the call failed, "" if it did not.
func (s *syscallLine) failed() string {
	switch {
	case s.success != "no":
		return ""
	case errnos[s.exit] != "":
		return errnos[s.exit]
	case s.exit != "":
		return "error " + s.exit
	}
	return "failed"
}

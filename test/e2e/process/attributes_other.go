//go:build unix && !linux

package process

import "syscall"

// attributes has no equivalent of Linux' parent death signal here: a test that is killed leaves its programs behind.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

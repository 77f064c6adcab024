package process

import "syscall"

// attributes makes the kernel kill the child when the thread that started it goes. The Go runtime ends a thread only with the process
// or with a goroutine that is locked to it, and nothing here locks one.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

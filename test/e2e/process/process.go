// Package process runs programs for the end-to-end tests: one log file each, ended for certain when the test ends.
//
// A program is started in a process group of its own, so that Ctrl-C reaches the test and not its children, and on Linux the kernel
// kills it when the test dies without having tidied up (a panic, a time-out, kill -9).
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"
)

// Command says what to run.
type Command struct {
	// Name is what messages and the log file call the program.
	Name string
	// Path is the binary.
	Path string
	Args []string
	// Env is the whole environment, as in [exec.Cmd]; nil inherits the caller's.
	Env []string
	// Log is the file that stdout and stderr are appended to; missing folders are made.
	Log string
}

// Process is a program that was started. Its methods can be called from several goroutines.
type Process struct {
	Command
	cmd    *exec.Cmd
	exited chan struct{} // closed once the program is gone and reaped; err may be read from then on
	err    error
	asked  atomic.Bool // somebody of ours told it to end
}

// Start starts the program and returns at once; whether it works is for the caller to find out, see [Process.Exited].
func Start(c Command) (*Process, error) {
	if err := os.MkdirAll(filepath.Dir(c.Log), 0o755); err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.Name, err)
	}
	log, err := os.OpenFile(c.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.Name, err)
	}
	defer log.Close() // the child has its own descriptor

	cmd := exec.Command(c.Path, c.Args...)
	cmd.Env = c.Env
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = attributes()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.Name, err)
	}
	p := &Process{Command: c, cmd: cmd, exited: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// Again starts the same command anew, after the earlier run has ended; its log goes on in the same file.
func (p *Process) Again() (*Process, error) {
	if p.Running() {
		return nil, fmt.Errorf("starting %s again: process %d is still running", p.Name, p.PID())
	}
	return Start(p.Command)
}

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Exited is closed when the program has ended, for whatever reason.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Running tells whether the program has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// ExitCode is the program's exit code; -1 while it runs and when a signal ended it.
func (p *Process) ExitCode() int {
	if p.Running() {
		return -1
	}
	return p.cmd.ProcessState.ExitCode()
}

// Crashed returns an error when the program ended without [Process.Terminate] or [Process.Kill] having been called.
func (p *Process) Crashed() error {
	if p.Running() || p.asked.Load() {
		return nil
	}
	cause := p.err
	if cause == nil {
		cause = errors.New("exit status 0")
	}
	return fmt.Errorf("%s ended by itself: %w; its log %s ends with:\n%s", p.Name, cause, p.Log, p.Tail(20))
}

// Signal sends a signal other than those that end the program, SIGSTOP and SIGCONT for instance.
func (p *Process) Signal(s syscall.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("sending %v to %s: %w", s, p.Name, err)
	}
	return nil
}

// Terminate asks the program to end (SIGTERM) and waits for it. When it has not ended within the limit it is killed, and that is an error.
func (p *Process) Terminate(limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	p.asked.Store(true)
	// A program that has just ended by itself can't be signalled any more: that is no error.
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
		return nil
	case <-ctx.Done():
		p.Kill()
		return fmt.Errorf("%s had not ended %v after SIGTERM and was killed", p.Name, limit)
	}
}

// Kill ends the program with SIGKILL, without a chance to tidy up, and returns when it is gone.
func (p *Process) Kill() {
	p.asked.Store(true)
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// Tail returns the last lines of the program's log; empty when there is none.
func (p *Process) Tail(lines int) string {
	content, err := os.ReadFile(p.Log)
	if err != nil {
		return ""
	}
	content = bytes.TrimRight(content, "\n")
	start := len(content)
	for range lines {
		if start = bytes.LastIndexByte(content[:start], '\n'); start < 0 {
			return string(content)
		}
	}
	return string(content[start+1:])
}

package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"gopkg.in/natefinch/lumberjack.v2"

	"github.com/poolkeeper/poolkeeper/config"
	"github.com/poolkeeper/poolkeeper/report"
	"github.com/poolkeeper/poolkeeper/report/notify"
)

// tellers are the audit log and the notifications, as far as they are wanted.
func (p *process) tellers() (audit io.Writer, decided func([]report.Decision), err error) {
	log, err := auditLog(p.config)
	if err != nil {
		return nil, nil, err
	}
	if log != nil {
		beside := newAside(log)
		audit, p.told = beside, append(p.told, beside.run)
	}
	if p.config.NotifyURLFile == "" {
		return audit, nil, nil
	}
	notifier, err := notify.New(notify.Options{
		URLFile: p.config.NotifyURLFile, All: p.config.NotifyAbout == config.NotifyDecisions, From: "Poolkeeper in namespace " + p.config.Namespace, After: p.clock.After,
		Trouble: func(err error) { p.reporter.Trouble(p.clock.Now(), "notify", err) },
	})
	if err != nil {
		return nil, nil, err
	}
	p.told = append(p.told, notifier.Run)
	return audit, notifier.Decided, nil
}

// tell runs those who are told, until the function that it gives back is called; that waits for their last words.
func (p *process) tell(ctx context.Context) (end func()) {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	for _, run := range p.told {
		running.Go(func() { run(ctx) })
	}
	return func() {
		stop()
		running.Wait()
	}
}

// auditLog is where the audit log goes; nil if nobody wants it. A file that can't be written is found here, not at the first decision.
func auditLog(c *config.Config) (io.Writer, error) {
	switch c.AuditLog {
	case "":
		return nil, nil //nolint:nilnil // there is none
	case "-":
		return os.Stdout, nil
	}
	file, err := os.OpenFile(c.AuditLog, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("--audit-log: %w", err)
	}
	return &lumberjack.Logger{Filename: c.AuditLog, MaxSize: c.AuditLogMaxSize, MaxBackups: c.AuditLogMaxBackups}, file.Close()
}

// errBehind is that lines come faster than they are written.
var errBehind = errors.New("it can't keep up, and a record is left out")

// aside writes lines beside the one who has them: a slow disk or pipe keeps nobody waiting. What finds no room is left out, with an error.
type aside struct {
	to    io.Writer
	lines chan []byte

	mu  sync.Mutex
	err error // of the last write, for the next one to tell
}

// linesWaiting is how many lines wait at most.
const linesWaiting = 1000

func newAside(to io.Writer) *aside { return &aside{to: to, lines: make(chan []byte, linesWaiting)} }

// Write implements io.Writer. An error is of this line, or of one before.
func (a *aside) Write(line []byte) (int, error) {
	select {
	case a.lines <- bytes.Clone(line):
	default:
		return 0, errBehind
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.err
	a.err = nil
	return len(line), err
}

// run writes until the context ends, and then what still waits.
func (a *aside) run(ctx context.Context) {
	for {
		select {
		case line := <-a.lines:
			a.write(line)
		case <-ctx.Done():
			for len(a.lines) > 0 {
				a.write(<-a.lines)
			}
			return
		}
	}
}

func (a *aside) write(line []byte) {
	if _, err := a.to.Write(line); err != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.err = err
	}
}

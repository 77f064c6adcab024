package simulation

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Level says how much goes into the log.
type Level int

// The levels, each with what the one before has.
const (
	// Brief: what people and the daemon do, machines that come, fall silent and go.
	Brief Level = iota
	// Normal: pods that are created, bound, evicted and gone as well.
	Normal
	// Full: what controllers write into statuses, taints and budgets as well.
	Full
)

// Log is what happened, a line a piece: the time since the beginning, two spaces, and a sentence.
type Log struct {
	level Level
	now   func() time.Duration
	lines []string
	live  io.Writer
}

// add writes a line if the log's level has it.
func (l *Log) add(level Level, format string, args ...any) {
	if level > l.level {
		return
	}
	line := stamp(l.now()) + "  " + fmt.Sprintf(format, args...)
	l.lines = append(l.lines, line)
	if l.live != nil {
		_, _ = io.WriteString(l.live, line+"\n")
	}
}

// Add writes a line of whoever uses the world, at every level.
func (l *Log) Add(format string, args ...any) { l.add(Brief, format, args...) }

// String is the whole log.
func (l *Log) String() string {
	if len(l.lines) == 0 {
		return ""
	}
	return strings.Join(l.lines, "\n") + "\n"
}

// Last are the last n lines.
func (l *Log) Last(n int) []string { return l.lines[max(0, len(l.lines)-n):] }

// stamp writes a moment as +hh:mm:ss.mmm since the beginning.
func stamp(at time.Duration) string {
	ms := at.Milliseconds()
	return fmt.Sprintf("+%02d:%02d:%02d.%03d", ms/3_600_000, ms/60_000%60, ms/1000%60, ms%1000)
}

package app

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper/config"
)

func TestAnAuditLogIsAppendedToAndItsFileIsFoundUnusableAtTheStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	if err := os.WriteFile(path, []byte("earlier\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := auditLog(&config.Config{AuditLog: path, AuditLogMaxSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Write([]byte("later\n")); err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(path); err != nil || string(content) != "earlier\nlater\n" {
		t.Errorf("the file has %q, %v", content, err)
	}
	if _, err := auditLog(&config.Config{AuditLog: filepath.Join(path, "under", "a", "file")}); err == nil || !strings.Contains(err.Error(), "--audit-log") {
		t.Errorf("a file that can't be made: %v", err)
	}
	if log, err := auditLog(&config.Config{AuditLog: "-"}); err != nil || log != os.Stdout {
		t.Errorf("- is %v, %v", log, err)
	}
}

// stuck takes a write and does not come back before it is let go.
type stuck struct {
	begun, free chan struct{}
	lines       []string
	err         error
}

func (s *stuck) Write(line []byte) (int, error) {
	s.begun <- struct{}{}
	<-s.free
	s.lines = append(s.lines, string(line))
	return len(line), s.err
}

func TestASlowPlaceKeepsNobodyWaitingAndWhatFindsNoRoomIsAnError(t *testing.T) {
	place := &stuck{begun: make(chan struct{}, 2*linesWaiting), free: make(chan struct{}), err: errors.New("disk full")}
	beside := newAside(place)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		beside.run(ctx)
	}()
	if _, err := beside.Write([]byte("first")); err != nil {
		t.Fatal(err)
	}
	<-place.begun // it hangs there
	for range linesWaiting {
		if _, err := beside.Write([]byte("next")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := beside.Write([]byte("one too many")); !errors.Is(err, errBehind) {
		t.Errorf("one too many: %v", err)
	}
	close(place.free)
	cancel()
	<-done
	if len(place.lines) != 1+linesWaiting || place.lines[0] != "first" {
		t.Errorf("%d lines were written in the end", len(place.lines))
	}
	if _, err := beside.Write([]byte("after")); err == nil || err.Error() != "disk full" {
		t.Errorf("a write that failed was told as %v", err)
	}
}

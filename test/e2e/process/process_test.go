package process_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/test/e2e/process"
)

const limit = 20 * time.Second

// shell starts a shell script with a log of its own.
func shell(t *testing.T, script string) *process.Process {
	t.Helper()
	p, err := process.Start(process.Command{
		Name: "script", Path: "/bin/sh", Args: []string{"-c", script}, Log: filepath.Join(t.TempDir(), "logs", "script.log"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

func wait(t *testing.T, p *process.Process) {
	t.Helper()
	select {
	case <-p.Exited():
	case <-time.After(limit):
		t.Fatalf("%s has not ended within %v", p.Name, limit)
	}
}

// untilLogged waits until the log ends with these lines: the script has got that far.
func untilLogged(t *testing.T, p *process.Process, lines string) {
	t.Helper()
	count := strings.Count(lines, "\n") + 1
	deadline, tick := time.After(limit), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for p.Tail(count) != lines {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("the log never ended with %q but with %q", lines, p.Tail(count))
		}
	}
}

func TestAProgramThatEndsByItselfIsReportedWithItsLastWords(t *testing.T) {
	p := shell(t, "echo first; echo no such flag >&2; exit 3")
	wait(t, p)
	if got := p.ExitCode(); got != 3 {
		t.Errorf("exit code %d, want 3", got)
	}
	err := p.Crashed()
	if err == nil {
		t.Fatal("no error for a program that ended by itself")
	}
	for _, want := range []string{"script", "exit status 3", "no such flag"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q doesn't mention %q", err, want)
		}
	}
	if got := p.Tail(1); got != "no such flag" {
		t.Errorf("last line %q", got)
	}
}

func TestTerminateGivesAProgramTheChanceToTidyUp(t *testing.T) {
	p := shell(t, `trap 'echo tidied; exit 0' TERM; echo ready; while :; do sleep 0.05; done`)
	untilLogged(t, p, "ready")
	if err := p.Terminate(limit); err != nil {
		t.Fatal(err)
	}
	if p.Running() || p.ExitCode() != 0 || p.Tail(1) != "tidied" {
		t.Errorf("running %v, exit code %d, last line %q", p.Running(), p.ExitCode(), p.Tail(1))
	}
	if err := p.Crashed(); err != nil {
		t.Errorf("a program that was asked to end counts as crashed: %v", err)
	}
}

func TestAProgramThatIgnoresSIGTERMIsKilledAndThatIsAnError(t *testing.T) {
	p := shell(t, `trap '' TERM; echo ready; while :; do sleep 0.05; done`)
	untilLogged(t, p, "ready")
	if err := p.Terminate(100 * time.Millisecond); err == nil {
		t.Error("no error")
	}
	if p.Running() {
		t.Error("still running")
	}
}

func TestAProgramCanBeStartedAgainOnceItHasEnded(t *testing.T) {
	p := shell(t, "echo run; exec sleep 600")
	untilLogged(t, p, "run")
	if _, err := p.Again(); err == nil {
		t.Error("a second copy was started beside the first")
	}
	p.Kill()
	again, err := p.Again()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(again.Kill)
	untilLogged(t, again, "run\nrun")
}

func TestAnUnknownBinaryIsAnErrorWithItsName(t *testing.T) {
	_, err := process.Start(process.Command{Name: "daemon", Path: "/no/such/binary", Log: filepath.Join(t.TempDir(), "log")})
	if err == nil || !strings.Contains(err.Error(), "daemon") {
		t.Errorf("error %v", err)
	}
}

// The test binary runs itself: the first copy starts a program and is killed without any chance to tidy up.
func TestProgramsDieWithTheTestThatStartedThem(t *testing.T) {
	if pids := os.Getenv("PROCESS_TEST_PIDS"); pids != "" {
		p, err := process.Start(process.Command{Name: "orphan", Path: "/bin/sleep", Args: []string{"600"}, Log: pids + ".log"})
		if err == nil {
			err = os.WriteFile(pids, []byte(strconv.Itoa(p.PID())+"\n"), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		<-p.Exited()
		return
	}
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has a parent death signal")
	}

	pids := filepath.Join(t.TempDir(), "pids")
	test, err := process.Start(process.Command{
		Name: "test", Path: os.Args[0], Args: []string{"-test.run=^" + t.Name() + "$"},
		Env: append(os.Environ(), "PROCESS_TEST_PIDS="+pids), Log: filepath.Join(t.TempDir(), "log"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(test.Kill)

	deadline, tick := time.After(limit), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	orphan := 0
	for orphan == 0 {
		select {
		case <-tick.C:
			if content, err := os.ReadFile(pids); err == nil && strings.HasSuffix(string(content), "\n") {
				orphan, _ = strconv.Atoi(strings.TrimSpace(string(content)))
			}
		case <-deadline:
			t.Fatalf("the inner test never started its program:\n%s", test.Tail(20))
		}
	}
	test.Kill()
	for alive(orphan) {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("process %d outlived the test that started it", orphan)
		}
	}
}

// alive tells whether a process exists and is more than an entry that nobody has reaped.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	return err != nil || !strings.Contains(string(stat), ") Z ")
}

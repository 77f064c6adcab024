package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/test/mutants/chosen"
)

// hunter is a test binary that may notice a mutant.
type hunter struct {
	what, folder string
	arguments    []string
	// caught finds what noticed it in what the binary printed.
	caught *regexp.Regexp
}

// failedTest is the innermost test that failed: go test prints the outer one first, so the last of the first block is taken.
var failedTest = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)

// hunters are asked in this order; the first that notices is named. The days come first: they are what the promise is made by. With daysLast what is quick comes first.
func hunters(seeds int, daysLast bool) []hunter {
	days := hunter{
		"random day", "test/faults",
		[]string{"-test.run=EveryDayEndsAtRest", fmt.Sprintf("-seeds=%d", seeds), "-find"},
		regexp.MustCompile(`(?m)(seed \d+: .*)$`),
	}
	scenarios := hunter{"scenario", "test/scenarios", []string{"-test.failfast"}, failedTest}
	var units []hunter
	for _, unit := range []string{"arbiter", "actuator", "app", "ledger/store"} {
		units = append(units, hunter{"unit test", unit, []string{"-test.failfast"}, failedTest})
	}
	if daysLast {
		return append(units, days, scenarios)
	}
	return append([]hunter{days, scenarios}, units...)
}

// build builds the hunters with all mutants in them.
func build(ctx context.Context, root, folder, overlay string, all []hunter) error {
	for _, h := range all {
		cmd := exec.CommandContext(ctx, "go", "test", "-c", "-overlay", overlay, "-o", binary(folder, h), "./"+h.folder)
		cmd.Dir, cmd.Stderr = root, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("build %s with the mutants in it: %w", h.folder, err)
		}
	}
	return nil
}

func binary(folder string, h hunter) string {
	return filepath.Join(folder, strings.ReplaceAll(h.folder, "/", "-")+".test")
}

// limit is how long a hunter may take: a mutant that never ends is noticed, too.
const limit = 20 * time.Minute

// hunt lets a hunter look for a mutant; it gives what noticed it, or nothing.
func hunt(ctx context.Context, root, folder string, h hunter, mutant string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary(folder, h), h.arguments...)
	cmd.Dir = filepath.Join(root, h.folder)
	cmd.Env = append(os.Environ(), chosen.Variable+"="+mutant)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return "", nil
	case ctx.Err() != nil && errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return fmt.Sprintf("%s: it did not end within %v", h.folder, limit), nil
	case !errors.As(err, &exit):
		return "", err
	}
	if found := h.caught.FindSubmatch(out); found != nil {
		return strings.TrimSpace(string(found[1])), nil
	}
	return h.folder + ": " + lastLine(string(out)), nil
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

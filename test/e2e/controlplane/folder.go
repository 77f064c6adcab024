package controlplane

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// folderPrefix begins the names of the temporary folders; the id of the process that uses the folder follows.
const folderPrefix = "poolkeeper-e2e-"

// makeFolder makes a temporary folder, and removes those of tests that were killed before they could do it.
func makeFolder() (string, error) {
	abandoned, err := filepath.Glob(filepath.Join(os.TempDir(), folderPrefix+"[0-9]*-*"))
	if err != nil {
		return "", err
	}
	for _, folder := range abandoned {
		var pid int
		_, err := fmt.Sscanf(strings.TrimPrefix(filepath.Base(folder), folderPrefix), "%d-", &pid)
		if err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			_ = os.RemoveAll(folder)
		}
	}
	return os.MkdirTemp("", fmt.Sprintf("%s%d-", folderPrefix, os.Getpid()))
}

// LogFolder holds the log of each process, and goes with the control plane.
func (c *ControlPlane) LogFolder() string { return c.file("logs") }

// KeepLogs moves the logs, and the audit log, to a folder that outlives the control plane, and returns its path. Processes that still run
// go on writing there.
func (c *ControlPlane) KeepLogs() string {
	kept, err := os.MkdirTemp("", folderPrefix+"failed-")
	if err != nil {
		return err.Error()
	}
	for _, name := range []string{"logs", "audit.log"} {
		if err := os.Rename(c.file(name), filepath.Join(kept, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err.Error()
		}
	}
	return kept
}

// Tails are the last lines of every log, very long ones shortened, for a person who reads why a test failed.
func (c *ControlPlane) Tails(lines int) string {
	const longest = 300
	var out strings.Builder
	for _, p := range c.all() {
		fmt.Fprintf(&out, "---- the end of the log of %s\n", p.Name)
		for line := range strings.Lines(p.Tail(lines)) {
			line = strings.TrimSuffix(line, "\n")
			if len(line) > longest {
				line = line[:longest] + "..."
			}
			fmt.Fprintln(&out, line)
		}
	}
	return out.String()
}

package controlplane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Tree is the root folder of the source tree that the working directory lies in.
func Tree() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for folder := start; ; folder = filepath.Dir(folder) {
		if _, err := os.Stat(filepath.Join(folder, "tools", "tool")); err == nil {
			return folder, nil
		}
		if folder == filepath.Dir(folder) {
			return "", fmt.Errorf("no folder above %s has tools/tool: run this inside the source tree", start)
		}
	}
}

// Tool is the path of a program that a module below tools/ builds. The first call on a machine builds it, which takes minutes: `make tools`
// does that ahead, outside the time limit of a test.
func Tool(ctx context.Context, module, program string) (string, error) {
	tree, err := Tree()
	if err != nil {
		return "", err
	}
	script := filepath.Join(tree, "tools", "tool")
	output, err := exec.CommandContext(ctx, script, module).Output()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(failed.Stderr))
	}
	if err != nil {
		return "", fmt.Errorf("tools/tool %s: %w", module, err)
	}
	path := filepath.Join(strings.TrimSpace(string(output)), program)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("tools/%s builds no program called %s: %w", module, program, err)
	}
	return path, nil
}

// Command reference writes the pages of docs/reference that are made from code into the folder that is its one argument.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/poolkeeper/poolkeeper/report"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "reference:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want one argument, the folder to write into; got %d", len(args))
	}
	if err := os.MkdirAll(args[0], 0o755); err != nil {
		return err
	}
	pages := report.ReferencePages()
	marks, err := annotationsPage(filepath.Join(args[0], "..", ".."))
	if err != nil {
		return err
	}
	pages["annotations.md"] = marks
	for name, text := range pages {
		if err := os.WriteFile(filepath.Join(args[0], name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

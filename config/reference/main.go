// Command reference writes docs/reference/flags.md into the folder that is its one argument.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/poolkeeper/poolkeeper/config"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "reference: want one argument, the folder to write into")
		os.Exit(1)
	}
	if err := os.WriteFile(filepath.Join(os.Args[1], "flags.md"), []byte(config.ReferencePage()), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "reference:", err)
		os.Exit(1)
	}
}

package main

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper/cmd/command"
)

func TestThePluginSendsToTheProgramWhatOnlyTheProgramCan(t *testing.T) {
	var errs bytes.Buffer
	plugin := command.Options{Name: "kubectl poolkeeper", Out: io.Discard, Err: &errs}
	shared := map[string]bool{}
	for _, c := range command.Root(plugin).Commands() {
		shared[c.Name()] = true
	}
	sent := 0
	for _, c := range commands(io.Discard, io.Discard).Commands() {
		if shared[c.Name()] {
			continue
		}
		errs.Reset()
		code := command.Execute(t.Context(), command.Root(plugin), []string{c.Name(), "--x"})
		if want := "poolkeeper " + c.Name(); code == 0 || !strings.Contains(errs.String(), want) || !strings.Contains(errs.String(), "daemon's own program") {
			t.Errorf("%s: exit %d, %q, want a word of %q", c.Name(), code, errs.String(), want)
		}
		sent++
	}
	if sent == 0 {
		t.Error("the program has no command of its own: nothing was tried")
	}
}

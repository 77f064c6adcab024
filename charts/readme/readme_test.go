package main

import (
	"strings"
	"testing"
)

func TestEveryValueIsALineWithItsDefaultAndItsComment(t *testing.T) {
	text, err := page([]byte("# The file.\n\n# How many\n# there are.\nreplicas: 2\nimage:\n  # Where a|b.\n  repository: r\n# All of it.\nlimits:\n  cpu: 1\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"| `replicas` | `2` | How many there are. |", "| `image.repository` | `\"r\"` | Where a\\|b. |", "| `limits` | `{\"cpu\":1}` | All of it. |",
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no line %s in:\n%s", line, text)
		}
	}
}

func TestAValueWithoutACommentIsNamedWithItsLine(t *testing.T) {
	_, err := page([]byte("# One.\na: 1\nb: 2\n"))
	if err == nil || !strings.Contains(err.Error(), "line 3: b needs a comment") {
		t.Errorf("got %v", err)
	}
}

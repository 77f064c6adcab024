package explain

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Text writes the answer for a terminal.
func (a Answer) Text(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s, as of %s\n", strings.ToLower(string(a.Kind)), a.Name, a.Time.Format("2006-01-02 15:04:05 MST"))
	for _, fact := range a.Facts {
		fmt.Fprintf(&b, "  %s\n", fact)
	}
	for _, word := range a.Words {
		fmt.Fprintf(&b, "\n  %s: %s [%s]\n", word.Owner, word.Text, word.Reason)
		for _, detail := range word.Details {
			fmt.Fprintf(&b, "      %s\n", detail)
		}
		if !word.Since.IsZero() {
			fmt.Fprintf(&b, "      since %s\n", word.Since.UTC().Format("2006-01-02 15:04:05 MST"))
		}
		if !word.Due.IsZero() {
			layout := "15:04:05 MST"
			if word.Due.Sub(a.Time) > 12*time.Hour {
				layout = "2006-01-02 15:04:05 MST"
			}
			fmt.Fprintf(&b, "      looks again at %s\n", word.Due.UTC().Format(layout))
		}
		if word.Remedy != "" {
			fmt.Fprintf(&b, "      what you can do: %s\n", word.Remedy)
		}
	}
	if len(a.Words) == 0 {
		b.WriteString("\n  No job has anything to say about it.\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

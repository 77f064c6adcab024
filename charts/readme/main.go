// Command readme writes the README of a chart from its Chart.yaml and the comments of its values.yaml.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:generate go run . ../poolkeeper

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "readme:", err)
		os.Exit(1)
	}
}

// run writes README.md into the chart's folder, which is the one argument.
func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want one argument, the chart's folder; got %d", len(args))
	}
	values, err := os.ReadFile(filepath.Join(args[0], "values.yaml"))
	if err != nil {
		return err
	}
	text, err := page(values)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(args[0], "values.yaml"), err)
	}
	return os.WriteFile(filepath.Join(args[0], "README.md"), []byte(text), 0o644)
}

const intro = `# The chart

Made from ` + "`values.yaml`" + ` by ` + "`make generate`" + `; don't edit.

Three values are enough:

` + "```sh" + `
helm install poolkeeper charts/poolkeeper --namespace poolkeeper --create-namespace \
  --set provider=scaleway --set cloudConfigSecret=poolkeeper-cloud --set mode=observe
` + "```" + `

| mode | does | may write |
|---|---|---|
| ` + "`observe`" + ` (the default) | decides everything, does nothing | Events, its Lease, ConfigMaps of its own namespace; after an upgrade Nodes too, to take its own marks away |
| ` + "`protect`" + ` | adds capacity, repairs nodes | Nodes and evictions too |
| ` + "`act`" + ` | removes, consolidates and upgrades nodes too | the same |

The kwok provider plays the cloud in every mode: it makes and deletes Node objects.

Kubernetes has to be 1.34 or newer. Where Helm sees no cluster (` + "`helm template`" + `) it renders for the version that it was made for itself: one that is older, or was built
without saying (` + "`go install`" + ` of Helm 3), refuses the chart with "incompatible with Kubernetes v1.20.0" or the like. Say for which version then:

` + "```sh" + `
helm template poolkeeper charts/poolkeeper --kube-version 1.36.0 --set provider=scaleway --set cloudConfigSecret=poolkeeper-cloud
` + "```" + `

| value | default | is |
|---|---|---|
`

// page is the README for a values.yaml.
func page(values []byte) (string, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(values, &document); err != nil {
		return "", err
	}
	if len(document.Content) != 1 || document.Content[0].Kind != yaml.MappingNode {
		return "", fmt.Errorf("is not a map of values")
	}
	var b strings.Builder
	b.WriteString(intro)
	err := rows(&b, "", document.Content[0])
	return b.String(), err
}

// rows writes a line for each value of a map. A map whose values have comments is told value by value.
func rows(b *strings.Builder, above string, values *yaml.Node) error {
	for i := 0; i+1 < len(values.Content); i += 2 {
		key, value := values.Content[i], values.Content[i+1]
		name := above + key.Value
		if value.Kind == yaml.MappingNode && len(value.Content) > 0 && value.Content[0].HeadComment != "" {
			if err := rows(b, name+".", value); err != nil {
				return err
			}
			continue
		}
		comment := sentence(key.HeadComment)
		if comment == "" {
			return fmt.Errorf("line %d: %s needs a comment above it: it is what the README says of it", key.Line, name)
		}
		var set any
		if err := value.Decode(&set); err != nil {
			return fmt.Errorf("line %d: %s: %w", value.Line, name, err)
		}
		text, err := json.Marshal(set)
		if err != nil {
			return fmt.Errorf("line %d: %s: %w", value.Line, name, err)
		}
		fmt.Fprintf(b, "| `%s` | `%s` | %s |\n", name, text, strings.ReplaceAll(comment, "|", `\|`))
	}
	return nil
}

// sentence is the last paragraph of a comment, on one line.
func sentence(comment string) string {
	paragraphs := strings.Split(comment, "\n\n")
	var words []string
	for line := range strings.SplitSeq(paragraphs[len(paragraphs)-1], "\n") {
		words = append(words, strings.TrimSpace(strings.TrimPrefix(line, "#")))
	}
	return strings.Join(words, " ")
}

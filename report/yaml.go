package report

import (
	"bytes"
	"encoding/json"

	"go.yaml.in/yaml/v3"
)

// asYAML writes a value as YAML by its JSON tags, with the fields in the order in which the type has them: people read it from the top.
func asYAML(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var node yaml.Node // JSON is YAML, and a node keeps the order
	if err := yaml.Unmarshal(text, &node); err != nil {
		return nil, err
	}
	inBlocks(&node)
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	err = encoder.Encode(&node)
	return b.Bytes(), err
}

// inBlocks takes JSON's brackets and quotes away; quotes that are needed are written again.
func inBlocks(node *yaml.Node) {
	node.Style = 0
	for _, child := range node.Content {
		inBlocks(child)
	}
}

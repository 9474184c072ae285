package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"go.yaml.in/yaml/v3"
)

// maxFile bounds a configuration file, in bytes.
const maxFile = 1 << 20

// setting is one key of a file.
type setting struct {
	at     string // FILE:LINE
	key    string
	values []string // exactly one unless list
	list   bool
}

func readFile(name string) ([]setting, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s: larger than %d bytes", name, maxFile)
	}
	return parse(name, data)
}

// parse reads a mapping of keys to values or lists of values, and nothing else of
// what YAML can say.
func parse(name string, data []byte) ([]setting, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	err := decoder.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: more than one document", name)
	}
	if len(doc.Content) != 1 {
		return nil, nil
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return nil, nil // comments only
	}
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s:%d: want lines of the form key: value", name, root.Line)
	}
	return parseMapping(name, root)
}

func parseMapping(name string, root *yaml.Node) ([]setting, error) {
	settings := make([]setting, 0, len(root.Content)/2)
	seen := make(map[string]int, len(root.Content)/2)
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		at := fmt.Sprintf("%s:%d", name, key.Line)
		if key.Kind != yaml.ScalarNode || key.Value == "" {
			return nil, fmt.Errorf("%s: a key must be a name", at)
		}
		if line, ok := seen[key.Value]; ok {
			return nil, fmt.Errorf("%s: %s: given before, in line %d", at, key.Value, line)
		}
		seen[key.Value] = key.Line
		s := setting{at: at, key: key.Value}
		if err := s.parseValue(value); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", at, key.Value, err)
		}
		settings = append(settings, s)
	}
	return settings, nil
}

func (s *setting) parseValue(value *yaml.Node) error {
	items := []*yaml.Node{value}
	if value.Kind == yaml.SequenceNode {
		s.list, items = true, value.Content
	}
	for _, item := range items {
		if item.Kind != yaml.ScalarNode {
			return errors.New("want a value or a list of values")
		}
		if item.Tag == "!!null" {
			return errors.New("has no value")
		}
		s.values = append(s.values, item.Value)
	}
	return nil
}

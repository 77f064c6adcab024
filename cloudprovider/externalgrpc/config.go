package externalgrpc

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Config says where the server is and how to talk to it. Its file has the keys of the cluster-autoscaler's.
type Config struct {
	// Address is host:port, or unix:///path.
	Address string
	// Files are the keys key, cert and cacert. Without any the connection is not encrypted.
	Files Files
	// Timeout is the longest that one call may take (grpc_timeout).
	Timeout time.Duration
}

// DefaultTimeout is grpc_timeout where the file has none; it is the cluster-autoscaler's.
const DefaultTimeout = 5 * time.Second

// ReadConfig reads the file of --cloud-config. The error is everything that is wrong, one thing a line, each with file, line, field and remedy.
func ReadConfig(path string) (Config, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("read the configuration: %w; name the file with --cloud-config", err)
	}
	config, problems := parseConfig(content)
	for i, problem := range problems {
		problems[i] = fmt.Errorf("%s:%w", path, problem)
	}
	return config, errors.Join(problems...)
}

// keys are the fields of the file.
const keys = "address, key, cert, cacert and grpc_timeout"

// parseConfig reads the file's text. Each problem begins with the line.
func parseConfig(content []byte) (config Config, problems []error) {
	config.Timeout = DefaultTimeout
	wrong := func(line int, format string, args ...any) {
		problems = append(problems, fmt.Errorf("%d: %s", line, fmt.Sprintf(format, args...)))
	}
	var document yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	if err := decoder.Decode(&document); err != nil {
		wrong(1, "this is no YAML: %v", err)
		return config, problems
	}
	if err := decoder.Decode(new(yaml.Node)); err == nil {
		wrong(1, `there is a second document after "---"; the file has one`)
	}
	root := document.Content[0]
	if root.Kind != yaml.MappingNode {
		wrong(root.Line, "the file has to be fields with values, one in a line: %s", keys)
		return config, problems
	}
	lines := map[string]int{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		at, twice := lines[key.Value]
		lines[key.Value] = key.Line
		switch {
		case twice:
			wrong(key.Line, "%s: is in line %d already; keep one of the two", key.Value, at)
		case value.Kind != yaml.ScalarNode:
			wrong(value.Line, "%s: has to be a single value", key.Value)
		default:
			if err := config.set(key.Value, value.Value); err != nil {
				wrong(key.Line, "%s: %v", key.Value, err)
			}
		}
	}
	return config, append(problems, config.check(lines)...)
}

func (c *Config) set(key, value string) (err error) {
	switch key {
	case "address":
		c.Address, err = value, checkAddress(value)
	case "key":
		c.Files.Key = value
	case "cert":
		c.Files.Cert = value
	case "cacert":
		c.Files.CA = value
	case "grpc_timeout":
		c.Timeout, err = time.ParseDuration(value)
		if err != nil || c.Timeout <= 0 {
			c.Timeout, err = DefaultTimeout, fmt.Errorf("%q is not a time above zero; write it as in 5s", value)
		}
	default:
		err = fmt.Errorf("there is no such field; there are %s", keys)
	}
	return err
}

// check looks at what belongs together. Lines are those of the fields that there are.
func (c *Config) check(lines map[string]int) (problems []error) {
	if _, given := lines["address"]; !given {
		problems = append(problems, errors.New("1: address: is missing; write where the provider listens, as in address: provider.kube-system.svc:8086"))
	}
	switch {
	case c.Files.Cert != "" && c.Files.Key == "":
		problems = append(problems, fmt.Errorf("%d: cert: needs its key; write the file of the private key as key", lines["cert"]))
	case c.Files.Key != "" && c.Files.Cert == "":
		problems = append(problems, fmt.Errorf("%d: key: needs its certificate; write the file as cert", lines["key"]))
	}
	return problems
}

func checkAddress(address string) error {
	if strings.HasPrefix(address, "unix:") {
		return nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || port == "" || strings.Contains(address, "/") {
		return fmt.Errorf("%q is not host:port; write it as in provider.kube-system.svc:8086", address)
	}
	return nil
}

// serverName is the name that the server's certificate must have.
func (c *Config) serverName() string {
	host, _, err := net.SplitHostPort(c.Address)
	if err != nil {
		return "localhost" // a Unix socket
	}
	return host
}

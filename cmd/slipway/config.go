package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

// configFile is a file of flags: "support-url: https://…".
type configFile map[string]any

// loadConfig reads a configuration file in YAML or JSON.
func loadConfig(r io.Reader) (kong.Resolver, error) {
	c := configFile{}
	if err := yaml.NewDecoder(r).Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the configuration file: %w", err)
	}
	return c, nil
}

// Validate refuses names other than flags, so typing errors are found.
func (c configFile) Validate(app *kong.Application) error {
	known := flagNames(app.Node)
	for _, name := range slices.Sorted(maps.Keys(c)) {
		if !slices.Contains(known, name) {
			return fmt.Errorf("the configuration file sets %q, which is no flag", name)
		}
	}
	return nil
}

// flagNames returns the names of all flags below n.
func flagNames(n *kong.Node) []string {
	var names []string
	for _, f := range n.Flags {
		names = append(names, f.Name)
	}
	for _, child := range n.Children {
		names = append(names, flagNames(child)...)
	}
	return names
}

// Resolve returns the file's value of a flag, for flags set neither on the
// command line nor in the environment.
func (c configFile) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	list, ok := c[flag.Name].([]any)
	if !ok {
		return c[flag.Name], nil
	}
	words := make([]string, len(list))
	for i, v := range list {
		words[i] = fmt.Sprint(v)
	}
	return strings.Join(words, ","), nil
}

// size is a number of bytes, as "1GiB", "500MB" or "1024".
type size int64

// sizeUnits are the accepted units; a longer name stands before its suffix.
var sizeUnits = []struct {
	name  string
	bytes float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}, {"", 1},
}

// UnmarshalText parses a size.
func (s *size) UnmarshalText(text []byte) error {
	for _, u := range sizeUnits {
		number, ok := strings.CutSuffix(string(text), u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || n < 0 || n*u.bytes > 1<<60 {
			return fmt.Errorf("%q is not a size; one looks like 1GiB or 500MB", text)
		}
		*s = size(n * u.bytes)
		return nil
	}
	return nil // unreachable: every text ends in ""
}

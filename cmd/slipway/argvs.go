package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/alecthomas/kong"
)

// argvs are commands by name, in the form of the configuration file:
//
// apply-commands: {compose: [docker, compose, up, -d]}
type argvs map[string][]string

// errArgvs describes the syntax of commands.
var errArgvs = errors.New("commands are lists of words by name, best in the configuration file: {compose: [docker, compose, up, -d]}")

// Decode reads commands from the configuration file, or as JSON from the
// command line.
func (a *argvs) Decode(ctx *kong.DecodeContext) error {
	token, err := ctx.Scan.PopValue("commands")
	if err != nil {
		return err
	}
	text, ok := token.Value.(string)
	if !ok {
		b, err := json.Marshal(token.Value)
		if err != nil {
			return errArgvs
		}
		text = string(b)
	}
	if err := json.Unmarshal([]byte(text), a); err != nil {
		return errArgvs
	}
	for name, argv := range *a {
		if len(argv) == 0 || argv[0] == "" {
			return fmt.Errorf("the command %q names no program; %w", name, errArgvs)
		}
	}
	return nil
}

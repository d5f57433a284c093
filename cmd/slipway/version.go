package main

import (
	"fmt"
	"runtime/debug"
)

// version is set by the release's build: -ldflags "-X main.version=1.2.3".
var version string

// programVersion returns the program's version: of the release, the module, or
// the commit; otherwise "dev" or "unknown".
func programVersion() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "dev-" + s.Value[:12]
		}
	}
	return "dev"
}

// versionCommand prints the program's version.
type versionCommand struct{}

// Run is the command.
func (versionCommand) Run(c console) error {
	_, err := fmt.Fprintln(c.out, "slipway "+programVersion())
	return err
}

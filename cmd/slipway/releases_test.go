package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway/internal/slipway"
)

func TestRuntimeReleases(t *testing.T) {
	dir := t.TempDir()
	for name, tt := range map[string]struct {
		text string
		want []slipway.Release
		err  string
	}{
		"two":   {text: "3.2-1\n# ours\n12.99.0-base\n", want: []slipway.Release{"3.2-1", "12.99.0-base"}},
		"wrong": {text: "3.2-1\nlatest\n", err: `line 2: "latest" is no version`},
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := serveCommand{RuntimeReleases: file}.releases()
		if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) || !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := (serveCommand{RuntimeReleases: filepath.Join(dir, "none")}).releases(); err == nil {
		t.Error("a file that is not there was read")
	}
	if got, err := (serveCommand{}).releases(); err != nil || got != nil {
		t.Errorf("without a file: %v, %v", got, err)
	}
}

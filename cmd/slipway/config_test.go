package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestConfigFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if _, err := call(t, password, "user", "add", "ada@example.com", "--data", dir, "--password-stdin"); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		file, text, says string
	}{
		"YAML":        {file: "c.yaml", text: "data: " + dir + "\ntrusted-proxies: [10.0.0.0/8, 192.168.0.0/16]\nreserve: 2GiB\n"},
		"JSON":        {file: "c.json", text: `{"data": "` + dir + `", "max-files": 5}`},
		"typing slip": {file: "c.yaml", text: "dta: " + dir, says: `sets "dta", which is no flag`},
		"no YAML":     {file: "c.yaml", text: "data: [", says: "read the configuration file"},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := call(t, "", "--config", write(tt.file, tt.text), "user", "list")
			if tt.says != "" {
				wantError(t, err, tt.says)
				return
			}
			if err != nil || !strings.Contains(text, "ada@example.com") {
				t.Errorf("list %q, %v", text, err)
			}
		})
	}
	t.Setenv("SLIPWAY_DATA", dir)
	if text, err := call(t, "", "user", "list"); err != nil || !strings.Contains(text, "ada@example.com") {
		t.Errorf("by the environment: %q, %v", text, err)
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]size{"1GiB": 1 << 30, "500MB": 500e6, "1.5 KiB": 1536, "1024": 1024, "0": 0, "7B": 7} {
		var got size
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%s: %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "x", "-1", "1XB", "9999999TiB"} {
		var got size
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is %d", text, got)
		}
	}
}

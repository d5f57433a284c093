package deploy_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/deploy"
	"slipway/internal/deploy/deploytest"
)

// applying returns an installation, running, whose Sales has an apply command.
func applying(t *testing.T, change ...func(*deploy.Config)) *app {
	t.Helper()
	a := unstarted(t, change...)
	a.Run(t)
	return a
}

// unstarted is applying before the engine runs.
func unstarted(t *testing.T, change ...func(*deploy.Config)) *app {
	t.Helper()
	return &app{deploytest.NewWithImages(t, change...)}
}

// applied returns the images that the apply command was run with, by digest.
func (a *app) applied(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(a.Dir, "applied"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var all []string
	for line := range strings.Lines(string(b)) {
		ref, _, _ := strings.Cut(line, " ")
		_, digest, _ := strings.Cut(ref, "@")
		all = append(all, digest)
	}
	return all
}

func (a *app) imageEnv(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(a.Engine.MountDir(a.Sales), "image.env"))
	if os.IsNotExist(err) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (a *app) log(t *testing.T, number int) string {
	t.Helper()
	lines, err := a.Engine.Log(t.Context(), a.Sales.ID, number, a.Mia, 0)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.Text + "\n")
	}
	return b.String()
}

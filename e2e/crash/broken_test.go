package crash

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/e2e/program"
)

// broken are faults that a build can have. Each is put into a copy of the
// source, where the variable SLIPWAY_BROKEN turns it on.
var broken = []struct {
	name, file, old, new string
	kill                 bool // kills find it too; the others only a power cut would
	answers              bool // kills find it by what was answered, and a power cut does not
}{
	{
		name: "a pack is not synced", file: "internal/bundle/disk.go",
		old: "errors.Join(f.Sync(), f.Close())",
		new: `errors.Join(unlessOf("a pack is not synced", packsKind, name, f.Sync), f.Close())`,
	},
	{
		name: "a manifest is not synced", file: "internal/bundle/disk.go",
		old: "name, f.Sync), f.Close())", // as the fault before has made it
		new: `name, func() error { return unlessOf("a manifest is not synced", bundlesKind, name, f.Sync) }), f.Close())`,
	},
	{
		name: "a folder is not synced after a rename", file: "internal/durable/durable.go",
		old: "	return SyncPath(filepath.Dir(to))",
		new: `	return unless("a folder is not synced after a rename", func() error { return SyncPath(filepath.Dir(to)) })`,
	},
	{
		name: "a version is not synced", file: "internal/mount/staging.go",
		old: "err := s.sync(ctx); err != nil",
		new: `err := unless("a version is not synced", func() error { return s.sync(ctx) }); err != nil`,
	},
	{
		name: "the folder of versions is not synced", file: "internal/mount/staging.go",
		old: "	return durable.SyncPath(m.versions())",
		new: `	return unless("the folder of versions is not synced", func() error { return durable.SyncPath(m.versions()) })`,
	},
	{
		name: "current is not synced", file: "internal/mount/current.go",
		old: "	return durable.SyncPath(filepath.Dir(path))",
		new: `	return unless("current is not synced", func() error { return durable.SyncPath(filepath.Dir(path)) })`,
	},
	{
		name: "current turns before the version is complete", file: "internal/mount/mount.go", kill: true,
		old: "	found, err := m.condition(v)",
		new: `	if isBroken("current turns before the version is complete") {
		if err := m.turn(versionsName + "/" + v.Dir()); err != nil {
			return err
		}
	}
	found, err := m.condition(v)`,
	},
	{
		name: "a version is written in place", file: "internal/mount/staging.go", kill: true,
		old: "	dir, err := os.MkdirTemp(versions, durable.TempPattern)",
		new: `	dir, err := os.MkdirTemp(versions, durable.TempPattern)
	if err == nil && isBroken("a version is written in place") {
		err = errors.Join(os.Remove(dir), os.Mkdir(filepath.Join(versions, v.Dir()), 0o700))
		dir = filepath.Join(versions, v.Dir())
	}`,
	},
	{
		name: "a version is recorded before its manifest is there", file: "internal/deploy/publisher.go", kill: true,
		old: "	if w.Purpose() != slipway.ForReturn {\n		if r, err = p.versions.storeVersion(ctx, d, w, r); err != nil {",
		new: `	if isBroken("a version is recorded before its manifest is there") {
		return p.recordFirst(ctx, d, w, r)
	}
	if w.Purpose() != slipway.ForReturn {
		if r, err = p.versions.storeVersion(ctx, d, w, r); err != nil {`,
	},
	{
		name: "an upload is not synced", file: "internal/deploy/uploads.go",
		old: "err = errors.Join(durable.SyncPath(",
		new: `err = errors.Join(unlessPath("an upload is not synced",`,
	},
	{
		name: "deploys are queued without waiting for each other", file: "internal/deploy/queue.go", kill: true, answers: true,
		old: "	defer release()\n	for range planTries {",
		new: `	if isBroken("deploys are queued without waiting for each other") {
		release()
		if err := try(); !errors.Is(err, errQueueChanged) {
			return err
		}
		return slipway.ErrBaseChanged
	}
	defer release()
	for range planTries {`,
	},
	{
		name: "a refused deploy stays staged", file: "internal/deploy/finalize.go", kill: true, answers: true,
		old: "	if !failsDeploy(err) {",
		new: `	if !failsDeploy(err) || isBroken("a refused deploy stays staged") {`,
	},
	{
		name: "the database does not sync", file: "store/store.go",
		old: "&_pragma=synchronous(FULL)",
		new: `&_pragma=synchronous(" + syncLevel("the database does not sync") + ")`,
	},
}

// brokenHelper is what a fault needs in a package of files.
func brokenHelper(name string) string {
	return "package " + name + `

import (
	"os"
	"strings"
)

var _ = strings.HasPrefix // which only some need

func isBroken(name string) bool { return os.Getenv("SLIPWAY_BROKEN") == name }

func unless(name string, fn func() error) error {
	if isBroken(name) {
		return nil
	}
	return fn()
}
`
}

// unlessOf leaves fn out for the files of one kind.
const unlessOf = `
func unlessOf(fault, kind, name string, fn func() error) error {
	if !strings.HasPrefix(name, kind+"/") {
		return fn()
	}
	return unless(fault, fn)
}
`

// helpers are what the faults need in the packages that they are in.
var helpers = map[string]string{
	"internal/bundle/broken.go":  brokenHelper("bundle") + unlessOf,
	"internal/durable/broken.go": brokenHelper("durable"),
	"internal/mount/broken.go":   brokenHelper("mount"),
	"store/broken.go": `package store

import "os"

func syncLevel(name string) string {
	if os.Getenv("SLIPWAY_BROKEN") == name {
		return "OFF"
	}
	return "FULL"
}
`,
	"internal/deploy/broken.go": `package deploy

import (
	"context"
	"errors"
	"os"

	"slipway/internal/durable"
	"slipway/internal/slipway"
	"slipway/store"
)

func isBroken(name string) bool { return os.Getenv("SLIPWAY_BROKEN") == name }

func unlessPath(name, path string) error {
	if isBroken(name) {
		return nil
	}
	return durable.SyncPath(path)
}

func (p *publisher) recordFirst(ctx context.Context, d slipway.Deployment, w slipway.Deploy, r versionChange) (live slipway.Deploy, err error) {
	err = p.store.Update(ctx, func(tx *store.Tx) error {
		live, err = commit(tx, w, r)
		return err
	})
	if err == nil && w.ReturnTo == 0 {
		_, err = p.bundles.PutManifest(d.Namespace, slipway.Manifest{Version: w.Version, Files: r.files})
	}
	p.watchers.notify(d.ID)
	return live, errors.Join(err)
}
`,
}

// brokenBuild returns a binary that has each of the faults, turned off.
func brokenBuild(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	sources := map[string]string{}
	for name, text := range helpers {
		sources[name] = text
	}
	for _, b := range broken {
		text, known := sources[b.file]
		if !known {
			all, err := os.ReadFile(filepath.Join(root, b.file))
			if err != nil {
				t.Fatal(err)
			}
			text = string(all)
		}
		if strings.Count(text, b.old) != 1 {
			t.Fatalf("%s does not hold %q once: the fault %q must be put in anew", b.file, b.old, b.name)
		}
		sources[b.file] = strings.Replace(text, b.old, b.new, 1)
	}
	return program.Build(t, "slipway-broken", "-overlay", overlay(t, root, sources))
}

// overlay writes what go build takes instead of the files below root.
func overlay(t *testing.T, root string, sources map[string]string) string {
	t.Helper()
	replace, dir := map[string]string{}, t.TempDir()
	for name, text := range sources {
		copied := filepath.Join(dir, strings.ReplaceAll(name, "/", "-"))
		if err := os.WriteFile(copied, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		replace[filepath.Join(root, name)] = copied
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

package crash

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"slipway/internal/bundle"
	"slipway/internal/slipway"
	"slipway/store"
)

// disk is a data folder, looked at from outside.
type disk struct {
	data  string
	store *bundle.Store
	packs map[string]map[string]slipway.File // contents of a pack whose sum was checked, by SHA-256
}

func newDisk(data string) *disk {
	return &disk{data: data, store: bundle.Attach(data), packs: map[string]map[string]slipway.File{}}
}

// contentsOf reads a pack once and checks its sum and those in it.
func (k *disk) contentsOf(ctx context.Context, ns, pack string) (map[string]slipway.File, error) {
	path := filepath.Join(k.data, "packs", ns, pack+".tar.zst")
	if _, err := os.Stat(path); err != nil {
		delete(k.packs, path)
		return nil, err
	}
	if all := k.packs[path]; all != nil {
		return all, nil
	}
	all := map[string]slipway.File{}
	err := k.store.CheckPack(ctx, ns, pack, func(f slipway.File) { all[f.SHA256] = f })
	if err == nil {
		k.packs[path] = all
	}
	return all, err
}

// check looks at all that the records name: versions with their manifests and
// packs, and what is mounted.
func (k *disk) check(ctx context.Context, f facts, m *model) (wrong []string) {
	for _, d := range f.deployments {
		for _, p := range f.packs[d.ID] {
			if _, err := k.contentsOf(ctx, d.Namespace, p.SHA256); err != nil {
				wrong = append(wrong, fmt.Sprintf("pack %s of %s: %v", p.SHA256, d.Namespace, err))
			}
		}
		for _, v := range f.versions[d.ID] {
			wrong = append(wrong, k.version(ctx, d, v.Version, m)...)
		}
		for _, w := range f.deploys[d.ID] {
			// An image with DAGs is mounted before its records are written.
			if wanted := d.Wanted(&w); w.Status == slipway.Deploying && wanted.Mounted && wanted.Version == w.Version {
				wrong = append(wrong, k.version(ctx, d, w.Version, m)...)
			}
		}
		if d.Version != "" && !slices.ContainsFunc(f.versions[d.ID], func(v store.BundleVersion) bool { return v.Version == d.Version }) {
			wrong = append(wrong, fmt.Sprintf("%s wants version %s, which has no record", d.Namespace, d.Version))
		}
		wrong = append(wrong, k.mount(d, m)...)
		wrong = append(wrong, k.image(d)...)
	}
	return wrong
}

// version checks that a manifest is the one that was seen first, and that each
// of its contents lies where it says.
func (k *disk) version(ctx context.Context, d slipway.Deployment, v slipway.Version, m *model) (wrong []string) {
	man, err := k.store.Manifest(d.Namespace, v)
	if err != nil {
		return []string{fmt.Sprintf("manifest %s of %s: %v", v, d.Namespace, err)}
	}
	key, now := versionKey{d.ID, v}, listingOf(man.Files)
	if first, seen := m.versions[key]; !seen {
		m.versions[key] = now
	} else if diff := differ(now, first); diff != "" {
		wrong = append(wrong, fmt.Sprintf("version %s of %s has changed: it %s", v, d.Namespace, diff))
	}
	for _, f := range man.Files {
		if f.Link != "" {
			continue
		}
		in, err := k.contentsOf(ctx, d.Namespace, f.Pack)
		if err != nil {
			return append(wrong, fmt.Sprintf("version %s of %s needs pack %s: %v", v, d.Namespace, f.Pack, err))
		}
		if at := in[f.SHA256]; at.Place != f.Place || at.Size != f.Size {
			wrong = append(wrong, fmt.Sprintf("version %s of %s: %s is not where its manifest says", v, d.Namespace, f.Path))
		}
	}
	return wrong
}

// mount checks that current is the image or a version, and that every version
// on disk is complete.
func (k *disk) mount(d slipway.Deployment, m *model) (wrong []string) {
	dir := filepath.Join(k.data, "mounts", d.Namespace)
	to, err := os.Readlink(filepath.Join(dir, "current"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return []string{err.Error()}
	}
	name, isVersion := strings.CutPrefix(to, "versions/")
	if to != "" && to != "image" && !isVersion {
		wrong = append(wrong, fmt.Sprintf("current of %s is %q", d.Namespace, to))
	}
	if err := isDir(filepath.Join(dir, to)); isVersion && err != nil {
		wrong = append(wrong, fmt.Sprintf("current of %s: %v", d.Namespace, err))
	}
	entries, err := os.ReadDir(filepath.Join(dir, "versions"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return append(wrong, err.Error())
	}
	for _, e := range entries {
		v, ok := slipway.VersionOfDir(e.Name())
		if !ok || !e.IsDir() {
			continue
		}
		want, known := m.versions[versionKey{d.ID, v}]
		path := filepath.Join(dir, "versions", e.Name())
		got, err := mountedFiles(filepath.Join(path, "dags"))
		diff := differ(got, want)
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			continue // it was pruned meanwhile, which takes it away at once
		}
		if err != nil || diff != "" || !known {
			wrong = append(wrong, fmt.Sprintf("mounted version %s of %s (current %t, known %t): it %s, %v", v, d.Namespace, e.Name() == name, known, diff, err))
		}
	}
	return wrong
}

func isDir(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is no folder", path)
	}
	return err
}

// mountedFiles reads and hashes every file below dir.
func mountedFiles(dir string) (listing, error) {
	all := listing{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if d.Type()&fs.ModeSymlink != 0 {
			to, err := os.Readlink(path)
			all[name] = described("", to, false)
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		sum := sha256.Sum256(content)
		all[name] = described(hex.EncodeToString(sum[:]), "", info.Mode()&0o111 != 0)
		if info.Mode()&0o222 != 0 {
			all[name] += " writable"
		}
		return nil
	})
	return all, err
}

// leftovers lists what no record names, in a portal that has come to rest.
func (k *disk) leftovers(f facts, temp string) (left []string) {
	named, may := map[string]bool{}, map[string]bool{}
	for _, u := range f.uploads {
		named[filepath.Join("uploads", u.ID)] = true
		may[filepath.Join("uploads", u.ID+".d")] = true // its blocks, as long as it is not complete
	}
	for _, d := range f.deployments {
		for _, p := range f.packs[d.ID] {
			named[filepath.Join("packs", d.Namespace, p.SHA256+".tar.zst")] = true
		}
		for _, v := range f.versions[d.ID] {
			named[filepath.Join("bundles", d.Namespace, v.Version.Dir()+".json.zst")] = true
		}
	}
	for _, pattern := range []string{"uploads/*", "packs/*/*", "bundles/*/*"} {
		for _, name := range k.glob(k.data, pattern) {
			if !named[name] && !may[name] {
				left = append(left, name)
			}
			delete(named, name)
		}
	}
	for name := range named {
		left = append(left, name+" is missing")
	}
	left = append(left, k.glob(k.data, "mounts/*/.tmp-*")...)
	left = append(left, k.glob(k.data, "mounts/*/versions/.tmp-*")...)
	return append(left, k.glob(temp, "slipway-*")...)
}

// glob returns what matches, by its name in dir.
func (k *disk) glob(dir, pattern string) (names []string) {
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		return []string{err.Error()}
	}
	for _, path := range found {
		names = append(names, strings.TrimPrefix(path, dir+"/"))
	}
	return names
}

// current checks that what is mounted is what is wanted.
func (k *disk) current(d slipway.Deployment) []string {
	want := "image"
	if d.Mounted {
		want = "versions/" + d.Version.Dir()
	}
	got, err := os.Readlink(filepath.Join(k.data, "mounts", d.Namespace, "current"))
	if err != nil || got != want {
		return []string{fmt.Sprintf("current of %s is %q, %v; want %s", d.Namespace, got, err, want)}
	}
	return nil
}

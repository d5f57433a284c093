package image

import (
	"archive/tar"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"

	"slipway/internal/slipway"
)

// Dags are files for the dags folder of an image.
type Dags struct {
	Path  string    // of the folder in the image
	At    time.Time // of the version: the time of all files and new folders
	Files []DagFile
}

// DagFile is a file for the dags folder of an image.
type DagFile struct {
	Path string // relative to the folder, with slashes
	Mode uint32 // only the executable bits count
	Size int64
	Link string // target of a symlink without content
	Open func() (io.ReadCloser, error)
}

// copyLayer makes a layer one of the repository's.
func (f *inspected) copyLayer(ctx context.Context, to *ownRepo, l descriptor) error {
	if here, err := to.has(ctx, l); here || err != nil {
		return err
	}
	if own, ok := f.from.(*ownRepo); ok {
		return to.mount(ctx, own.name, l)
	}
	blob, err := f.from.blob(ctx, l)
	if err != nil {
		return err
	}
	defer blob.Close()
	return to.put(ctx, l, blob)
}

// layerFiles returns the real dags folder and the entries of the added layer:
// the folders above the dags folder, with the image's owners and modes (Docker
// would make missing ones without rights); the dags folder, emptied; and the
// files.
func (f *inspected) layerFiles(ctx context.Context, dags Dags) (dir string, all []layerFile, err error) {
	dir, v, _, err := f.folder(ctx, dags.Path)
	if err != nil {
		return dir, nil, err
	}
	at := layerTime(dags.At)
	for _, p := range chain(dir) {
		if n := v.paths[p]; n.exists && !n.isFolder() {
			return dir, nil, slipway.Errorf(slipway.Invalid, "%s is no folder in this image. Set the dags folder of the image in the Deployment's settings.", p)
		}
		all = append(all, folderFile(p, at, v.paths[p].Header))
	}
	all[len(all)-1].ModTime = at // the folder's contents are new
	all = append(all, layerFile{Header: tar.Header{Typeflag: tar.TypeReg, Name: path.Join(dir, opaque), Mode: 0o644, ModTime: at}})
	files, err := dagFiles(dir, at, dags.Files)
	if err != nil {
		return dir, nil, err
	}
	return dir, append(all, files...), nil
}

// layerTime is the time of files in a layer, in whole seconds as in images of
// others. Zip files hold no time before 1980, and Python's zipfile refuses such
// files, in any time zone.
func layerTime(at time.Time) time.Time {
	if earliest := time.Date(1980, 1, 2, 0, 0, 0, 0, time.UTC); at.Before(earliest) {
		return earliest
	}
	return at.UTC().Truncate(time.Second)
}

// layerFile is an entry of the added layer.
type layerFile struct {
	tar.Header
	open func() (io.ReadCloser, error)
}

// folderFile is a folder with owner, mode and time of h; without h, of the time
// at.
func folderFile(p string, at time.Time, h *tar.Header) layerFile {
	f := layerFile{Header: tar.Header{Typeflag: tar.TypeDir, Name: p + "/", Mode: 0o755, ModTime: at}}
	if h != nil {
		f.Mode, f.Uid, f.Gid, f.Uname, f.Gname, f.ModTime = h.Mode, h.Uid, h.Gid, h.Uname, h.Gname, h.ModTime.Truncate(time.Second)
	}
	return f
}

// dagFiles returns the entries of files in dir and of the folders between,
// sorted.
func dagFiles(dir string, at time.Time, files []DagFile) ([]layerFile, error) {
	all := map[string]layerFile{}
	for _, f := range files {
		if f.Path == "" || path.Clean("/"+f.Path) != "/"+f.Path || strings.HasPrefix(path.Base(f.Path), whiteout) {
			return nil, slipway.Errorf(slipway.Invalid, "A file of the name %q cannot be put into an image.", f.Path)
		}
		l := layerFile{Header: tar.Header{Typeflag: tar.TypeReg, Name: path.Join(dir, f.Path), Mode: 0o644, Size: f.Size, ModTime: at}, open: f.Open}
		if f.Mode&0o111 != 0 {
			l.Mode = 0o755
		}
		if f.Link != "" {
			l.Typeflag, l.Linkname, l.Mode, l.Size, l.open = tar.TypeSymlink, f.Link, 0o777, 0, nil
		}
		all[l.Name] = l
		for p := path.Dir(l.Name); p != dir; p = path.Dir(p) {
			all[p] = folderFile(p, at, nil)
		}
	}
	return slices.SortedFunc(maps.Values(all), func(a, b layerFile) int {
		return cmp.Compare(strings.TrimSuffix(a.Name, "/"), strings.TrimSuffix(b.Name, "/"))
	}), nil
}

// addedBy begins the history of a layer that was added by WithDags.
const addedBy = "slipway: "

// dropAdded removes the upper layers that WithDags added before, and that hold
// nothing but the dags folder: a new layer empties the folder anyway, and files
// removed long ago would stay below.
func (f *inspected) dropAdded(ctx context.Context, dir string) error {
	for n := len(f.content.Layers) - 1; n >= 0 && addedLast(f.raw, n+1); n-- {
		others := false
		err := f.eachEntry(ctx, n, func(e entry, _ io.Reader) error {
			way := e.hide == "" && e.Typeflag == tar.TypeDir && within(dir, e.path)
			others = others || !way && !within(cmp.Or(e.hide, e.path), dir)
			return nil
		})
		if err != nil || others {
			return err
		}
		if f.raw, err = withoutDiff(f.raw); err != nil {
			return err
		}
		if f.manifest.raw, err = withoutLayer(f.manifest.raw); err != nil {
			return err
		}
		f.content.Layers = f.content.Layers[:n]
	}
	return nil
}

// append stores the layer and a configuration with the layer and a history
// entry by, and updates f's manifest.
func (f *inspected) append(ctx context.Context, to *ownRepo, files []layerFile, by string) error {
	var diff digest.Digest
	blob, err := to.write(ctx, "", func(w io.Writer) (err error) {
		diff, err = writeLayer(w, files)
		return err
	})
	if err != nil {
		return err
	}
	blob.MediaType = string(types.OCILayer)
	if f.manifest.mediaType == string(types.DockerManifestSchema2) {
		blob.MediaType = string(types.DockerLayer)
	}
	if f.raw, err = withDiff(f.raw, diff, by); err != nil {
		return err
	}
	config, err := to.write(ctx, "", func(w io.Writer) error { _, err := w.Write(f.raw); return err })
	if err != nil {
		return err
	}
	config.MediaType = f.content.Config.MediaType
	f.manifest.raw, err = withLayer(f.manifest.raw, config, blob)
	return err
}

// writeLayer writes files as a compressed layer, and returns the digest of
// the uncompressed tar.
func writeLayer(w io.Writer, files []layerFile) (digest.Digest, error) {
	packed, sum := gzip.NewWriter(w), digest.SHA256.Digester()
	archive := tar.NewWriter(io.MultiWriter(packed, sum.Hash()))
	for _, f := range files {
		if err := writeLayerFile(archive, f); err != nil {
			return "", fmt.Errorf("write layer: %s: %w", f.Name, err)
		}
	}
	if err := errors.Join(archive.Close(), packed.Close()); err != nil {
		return "", fmt.Errorf("write layer: %w", err)
	}
	return sum.Digest(), nil
}

func writeLayerFile(archive *tar.Writer, f layerFile) error {
	h := f.Header
	h.Name = strings.TrimPrefix(h.Name, "/")
	if err := archive.WriteHeader(&h); err != nil || f.open == nil {
		return err
	}
	content, err := f.open()
	if err != nil {
		return err
	}
	_, err = io.Copy(archive, content)
	return errors.Join(err, content.Close())
}

// layeredConfig is a configuration with the parts about layers.
type layeredConfig struct {
	all     map[string]json.RawMessage
	ids     []string
	history []json.RawMessage
}

func parseLayered(raw []byte) (c layeredConfig, err error) {
	var fs map[string]json.RawMessage
	err = errors.Join(json.Unmarshal(raw, &c.all), unmarshalAt(c.all, "rootfs", &fs), unmarshalAt(c.all, "history", &c.history))
	if err = errors.Join(err, unmarshalAt(fs, "diff_ids", &c.ids)); err != nil {
		return c, damaged("its configuration cannot be read (%v)", err)
	}
	return c, nil
}

// marshal returns c with other layers. All other fields stay, unknown ones too.
func (c layeredConfig) marshal(ids []string, history []json.RawMessage) ([]byte, error) {
	return marshalled(c.all, map[string]any{"rootfs": map[string]any{"type": "layers", "diff_ids": ids}, "history": history})
}

// last returns the index of the newest entry of the history with a layer, the
// creator of that layer, and the number of all such entries.
func (c layeredConfig) last() (index int, by string, layers int) {
	index = -1
	for n, raw := range c.history {
		var h struct {
			By    string `json:"created_by"`
			Empty bool   `json:"empty_layer"`
		}
		if json.Unmarshal(raw, &h) == nil && !h.Empty {
			index, by, layers = n, h.By, layers+1
		}
	}
	return index, by, layers
}

// addedLast reports whether WithDags added the uppermost of n layers.
func addedLast(raw []byte, n int) bool {
	c, err := parseLayered(raw)
	if err != nil {
		return false
	}
	_, by, layers := c.last()
	return strings.HasPrefix(by, addedBy) && layers == n && len(c.ids) == n
}

// withoutDiff returns a configuration without the uppermost layer.
func withoutDiff(raw []byte) ([]byte, error) {
	c, err := parseLayered(raw)
	if err != nil {
		return nil, err
	}
	n, _, _ := c.last()
	return c.marshal(c.ids[:len(c.ids)-1], slices.Delete(slices.Clone(c.history), n, n+1))
}

// withDiff returns a configuration with one more layer.
func withDiff(raw []byte, diff digest.Digest, by string) ([]byte, error) {
	c, err := parseLayered(raw)
	if err != nil {
		return nil, err
	}
	entry := map[string]any{"created_by": by}
	if created, ok := c.all["created"]; ok {
		entry["created"] = created // the base image's time: equal input makes equal images
	}
	return c.marshal(append(c.ids, diff.String()), append(slices.Clone(c.history), mustJSON(entry)))
}

// withLayer returns a manifest with another configuration and one more layer.
func withLayer(raw []byte, config, layer descriptor) ([]byte, error) {
	m, layers, err := manifestLayers(raw)
	if err != nil {
		return nil, err
	}
	return marshalled(m, map[string]any{"config": config, "layers": append(layers, mustJSON(layer))})
}

// withoutLayer returns a manifest without the uppermost layer.
func withoutLayer(raw []byte) ([]byte, error) {
	m, layers, err := manifestLayers(raw)
	if err != nil {
		return nil, err
	}
	return marshalled(m, map[string]any{"layers": layers[:len(layers)-1]})
}

func manifestLayers(raw []byte) (m map[string]json.RawMessage, layers []json.RawMessage, err error) {
	if err := errors.Join(json.Unmarshal(raw, &m), unmarshalAt(m, "layers", &layers)); err != nil {
		return nil, nil, damaged("its manifest cannot be read (%v)", err)
	}
	return m, layers, nil
}

func unmarshalAt(m map[string]json.RawMessage, key string, to any) error {
	if m[key] == nil {
		return nil
	}
	return json.Unmarshal(m[key], to)
}

// marshalled returns m with some values replaced.
func marshalled(m map[string]json.RawMessage, with map[string]any) ([]byte, error) {
	m = maps.Clone(m)
	for key, value := range with {
		m[key] = mustJSON(value)
	}
	return json.Marshal(m)
}

// mustJSON marshals maps, lists and texts.
func mustJSON(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return raw
}

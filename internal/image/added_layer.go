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

// layerFiles returns the entries of the added layer: the folders above the
// dags folder, with the image's owners and modes (Docker would make missing
// ones without rights); the dags folder, emptied; and the files.
func (f *inspected) layerFiles(ctx context.Context, dagsPath string, dags []DagFile) ([]layerFile, error) {
	dir, v, _, err := f.folder(ctx, dagsPath)
	if err != nil {
		return nil, err
	}
	var all []layerFile
	for _, p := range chain(dir) {
		if n := v.paths[p]; n.exists && !n.isFolder() {
			return nil, slipway.Errorf(slipway.Invalid, "%s is no folder in this image. Set the dags folder of the image in the Deployment's settings.", p)
		}
		all = append(all, folderFile(p, v.paths[p].Header))
	}
	all = append(all, layerFile{Header: tar.Header{Typeflag: tar.TypeReg, Name: path.Join(dir, opaque), Mode: 0o644}})
	files, err := dagFiles(dir, dags)
	if err != nil {
		return nil, err
	}
	return append(all, files...), nil
}

// layerFile is an entry of the added layer.
type layerFile struct {
	tar.Header
	open func() (io.ReadCloser, error)
}

// folderFile is a folder with owner, mode and time of h.
func folderFile(p string, h *tar.Header) layerFile {
	f := layerFile{Header: tar.Header{Typeflag: tar.TypeDir, Name: p + "/", Mode: 0o755}}
	if h != nil {
		f.Mode, f.Uid, f.Gid, f.Uname, f.Gname, f.ModTime = h.Mode, h.Uid, h.Gid, h.Uname, h.Gname, h.ModTime
	}
	return f
}

// dagFiles returns the entries of files in dir and of the folders between,
// sorted.
func dagFiles(dir string, files []DagFile) ([]layerFile, error) {
	all := map[string]layerFile{}
	for _, f := range files {
		if f.Path == "" || path.Clean("/"+f.Path) != "/"+f.Path || strings.HasPrefix(path.Base(f.Path), whiteout) {
			return nil, slipway.Errorf(slipway.Invalid, "A file of the name %q cannot be put into an image.", f.Path)
		}
		l := layerFile{Header: tar.Header{Typeflag: tar.TypeReg, Name: path.Join(dir, f.Path), Mode: 0o644, Size: f.Size}, open: f.Open}
		if f.Mode&0o111 != 0 {
			l.Mode = 0o755
		}
		if f.Link != "" {
			l.Typeflag, l.Linkname, l.Mode, l.Size, l.open = tar.TypeSymlink, f.Link, 0o777, 0, nil
		}
		all[l.Name] = l
		for p := path.Dir(l.Name); p != dir; p = path.Dir(p) {
			all[p] = folderFile(p, nil)
		}
	}
	return slices.SortedFunc(maps.Values(all), func(a, b layerFile) int {
		return cmp.Compare(strings.TrimSuffix(a.Name, "/"), strings.TrimSuffix(b.Name, "/"))
	}), nil
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
	if h.ModTime.IsZero() {
		h.ModTime = time.Unix(0, 0)
	}
	h.ModTime = h.ModTime.Truncate(time.Second)
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

// withDiff returns a configuration with one more layer. All other fields
// stay, unknown ones too.
func withDiff(raw []byte, diff digest.Digest, by string) ([]byte, error) {
	var c map[string]json.RawMessage
	var fs map[string]json.RawMessage
	var ids []string
	var history []json.RawMessage
	err := errors.Join(json.Unmarshal(raw, &c), unmarshalAt(c, "rootfs", &fs), unmarshalAt(c, "history", &history))
	if err = errors.Join(err, unmarshalAt(fs, "diff_ids", &ids)); err != nil {
		return nil, damaged("its configuration cannot be read (%v)", err)
	}
	entry := map[string]any{"created_by": by}
	if created, ok := c["created"]; ok {
		entry["created"] = created // the base image's time: equal input makes equal images
	}
	return marshalled(c, map[string]any{
		"rootfs":  map[string]any{"type": "layers", "diff_ids": append(ids, diff.String())},
		"history": append(slices.Clone(history), mustJSON(entry)),
	})
}

// withLayer returns a manifest with another configuration and one more layer.
func withLayer(raw []byte, config, layer descriptor) ([]byte, error) {
	var m map[string]json.RawMessage
	var layers []json.RawMessage
	if err := errors.Join(json.Unmarshal(raw, &m), unmarshalAt(m, "layers", &layers)); err != nil {
		return nil, damaged("its manifest cannot be read (%v)", err)
	}
	return marshalled(m, map[string]any{"config": config, "layers": append(layers, mustJSON(layer))})
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

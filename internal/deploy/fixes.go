package deploy

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"

	"slipway/internal/archive"
	"slipway/internal/slipway"
	"slipway/store"
)

// Fixable is a file that a person may edit on a page.
type Fixable struct {
	Deployment slipway.Deployment // in the present state
	File       slipway.File       // at the end of the queue; zero if the file does not exist at the end
	Refusal    error              // why the person may not deploy the file now; nil for permission
}

// fixes makes deploys of files from the editor in the browser.
type fixes struct {
	*base
	contents *contents
	uploads  *uploads
}

// Fixable returns the file at path of a Deployment.
func (x *fixes) Fixable(ctx context.Context, of slipway.DeploymentID, path string, by slipway.Actor) (f Fixable, err error) {
	var b queueState
	err = x.store.View(ctx, func(tx *store.Tx) error {
		b, err = readQueue(tx, of, by)
		return err
	})
	if err != nil {
		return f, err
	}
	f.Deployment, f.Refusal = b.now, b.projected.MayDeploy(slipway.DAGOnly, b.role, by)
	files, err := x.contents.projectedFiles(b)
	if err != nil {
		return f, err
	}
	i, found := slices.BinarySearchFunc(files, path, func(f slipway.File, path string) int { return strings.Compare(f.Path, path) })
	if found {
		f.File = files[i]
	}
	return f, nil
}

// FixText returns the text of f, or an error with the reason why f cannot be edited.
// A text that a form cannot keep is returned as well.
func (x *fixes) FixText(ctx context.Context, f Fixable) (string, error) {
	switch {
	case f.File.Link != "":
		return "", slipway.Errorf(slipway.Invalid, "A link has no content of its own. Mend the file that it leads to.")
	case f.File.Path == "":
		return "", nil
	case f.File.Size > slipway.FixMax:
		return "", slipway.Editable(make([]byte, slipway.FixMax+1))
	}
	b, err := x.contents.text(ctx, f.Deployment, f.File)
	if err == nil {
		err = slipway.Editable(b)
	}
	return string(b), err
}

// NewFix is another content for one file.
type NewFix struct {
	Path        string
	Base        string // sha256 of the content before the edit; "" for no file
	Description string
	Text        string            // from the text field
	Content     *io.SectionReader // replaces the file; nil for Text
}

// ErrFileChanged is the error of Fix for a file that changed during the edit.
var ErrFileChanged = &slipway.Error{Kind: slipway.Conflict, Text: "The file was changed while you were at it. Look at the change, then send yours again."}

// Fix makes a deploy that adds or changes one file. Like any other, the deploy
// waits for a confirmation.
func (x *fixes) Fix(ctx context.Context, of slipway.DeploymentID, by slipway.Actor, n NewFix) (slipway.Deploy, error) {
	f, err := x.Fixable(ctx, of, n.Path, by)
	if err == nil {
		err = f.Refusal
	}
	if err == nil {
		err = x.mayFix(f, n)
	}
	if err != nil {
		return slipway.Deploy{}, err
	}
	content, err := x.fixed(ctx, f, n)
	if err != nil {
		return slipway.Deploy{}, err
	}
	h := &tar.Header{Name: "dags/" + n.Path, Mode: 0o644, Size: content.Size()}
	if f.File.Exec {
		h.Mode = 0o755
	}
	r, w := io.Pipe()
	defer r.Close() // ends tarOf, should nobody read on
	go func() { w.CloseWithError(tarOf(w, h, content)) }()
	return x.uploads.Receive(ctx, of, by, NewUpload{
		Length: -1, Name: "one-file fix of dags/" + slipway.Visible(n.Path), Fix: n.Path, Merge: slipway.AddFiles, Description: n.Description,
	}, r)
}

func (x *fixes) mayFix(f Fixable, n NewFix) error {
	switch {
	case f.File.Link != "":
		return slipway.Errorf(slipway.Invalid, "A link has no content of its own. Mend the file that it leads to.")
	case f.File.SHA256 != n.Base:
		return ErrFileChanged
	}
	return archive.CheckVersion([]slipway.File{{Path: n.Path}}, x.cfg.Limits)
}

// fixed returns the new content of f. A content equal to the old one is
// refused.
func (x *fixes) fixed(ctx context.Context, f Fixable, n NewFix) (*io.SectionReader, error) {
	content := n.Content
	if content == nil {
		old, err := x.FixText(ctx, f)
		if err != nil {
			return nil, err
		}
		text, err := slipway.Retyped(old, n.Text)
		if err != nil {
			return nil, err
		}
		content = io.NewSectionReader(strings.NewReader(text), 0, int64(len(text)))
	}
	if content.Size() == 0 {
		return nil, slipway.Errorf(slipway.Invalid, "The file is empty. To remove dags/%s, deploy without it.", slipway.Visible(n.Path))
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(content, 0, content.Size())); err != nil {
		return nil, fmt.Errorf("hash fix of %s: %w", n.Path, err)
	}
	if hex.EncodeToString(sum.Sum(nil)) == f.File.SHA256 {
		return nil, slipway.Errorf(slipway.Invalid, "Nothing is changed: dags/%s is as it was.", slipway.Visible(n.Path))
	}
	return content, nil
}

// tarOf writes an archive of one file.
func tarOf(w io.Writer, h *tar.Header, content io.Reader) error {
	out := tar.NewWriter(w)
	if err := out.WriteHeader(h); err != nil {
		return fmt.Errorf("pack %s: %w", h.Name, err)
	}
	if _, err := io.Copy(out, content); err != nil {
		return fmt.Errorf("pack %s: %w", h.Name, err)
	}
	return out.Close()
}

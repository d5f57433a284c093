package api

import (
	"bufio"
	"errors"
	"io"
	"mime/multipart"
	"strings"
	"time"

	"slipway/internal/deploy"
	"slipway/internal/slipway"
)

// maxWait is the longest that a request may wait for the outcome.
const maxWait = 10 * time.Minute

// maxField is how many bytes a field of a form may have.
const maxField = 64 << 10

// uploadWish is what a request to deploy an archive says beside the archive.
type uploadWish struct {
	deploy.NewUpload
	kind  slipway.DeployKind
	image string           // reference of the image that it brings; "" for none
	base  *slipway.Version // that has to be the wanted one; nil for whichever it is
	wait  time.Duration
}

// set takes a field of the query or the form.
func (u *uploadWish) set(name, value string) (err error) {
	switch name {
	case "type":
		u.kind = slipway.DeployKind(value)
	case "image":
		u.image = strings.TrimSpace(value)
	case "description":
		u.Description = shortened(value)
	case "merge":
		u.Merge = slipway.Merge(value)
	case "folder":
		u.Folder = strings.Trim(strings.TrimSpace(value), "/")
	case "name":
		u.Name = shortened(value)
	case "base":
		u.base, err = baseNamed(value)
	case "wait":
		u.wait, err = waitNamed(value)
	case "commit":
		u.Git.Commit = shortened(value)
	case "branch":
		u.Git.Branch = shortened(value)
	case "repository":
		u.Git.Repository = shortened(value)
	case "url":
		u.Git.URL = shortened(value)
	case "author":
		u.Git.Author = shortened(value)
	default:
		return slipway.Errorf(slipway.Invalid, "There is no field %q here. The fields are archive, type, image, description, merge, folder, name, base, wait, commit, branch, repository, url and author.", name)
	}
	return err
}

// noBase is how a client says that it expects no bundle version at all.
const noBase = "none"

func baseNamed(value string) (*slipway.Version, error) {
	v := slipway.Version(value)
	if value == noBase {
		v = ""
	} else if _, isVersion := v.Time(); !isVersion {
		return nil, slipway.Errorf(slipway.Invalid, "base is a bundle version, like 2026-11-22T14:03:51.2040000Z, or none; not %q.", value)
	}
	return &v, nil
}

func waitNamed(value string) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 || d > maxWait {
		return 0, slipway.Errorf(slipway.Invalid, "wait is a time up to %s, like 30s, not %q.", maxWait, value)
	}
	return d, nil
}

// orNone returns r, or nil if nothing comes from it.
func orNone(r io.Reader) io.Reader {
	b := bufio.NewReader(r)
	if _, err := b.Peek(1); errors.Is(err, io.EOF) {
		return nil
	}
	return b
}

// check says what does not go together.
func (u *uploadWish) check(body archive) error {
	switch {
	case u.kind.HasImage() && u.image == "":
		return slipway.Errorf(slipway.Invalid, "Say by the field image which image it is: a tag that was pushed to this portal, or a reference like quay.io/team/airflow:1.2.")
	case !u.kind.HasImage() && u.image != "":
		return slipway.Errorf(slipway.Invalid, "A deploy of the kind %s brings no image. Say by type=IMAGE_ONLY or type=IMAGE_AND_DAG that this one does.", u.kind)
	case u.kind == slipway.ImageOnly && body.Reader != nil:
		return slipway.Errorf(slipway.Invalid, "A deploy of the kind IMAGE_ONLY changes no DAGs. Leave the archive out, or say type=IMAGE_AND_DAG.")
	}
	return nil
}

// archive is the archive of a request as it comes.
type archive struct {
	io.Reader
	form *multipart.Reader // that it is in; nil for none
}

// ended reports what comes behind the archive, which must be nothing: it would
// be too late to heed it.
func (a archive) ended() error {
	if a.form == nil {
		return nil
	}
	p, err := a.form.NextPart()
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return brokenForm(err)
	}
	return slipway.Errorf(slipway.Invalid, "The field %q comes after the archive. Send the archive last.", p.FormName())
}

func brokenForm(err error) error {
	return errors.Join(slipway.Errorf(slipway.Invalid, "The form cannot be read, or broke off. Send it again."), err)
}

// form reads the fields before the archive, and returns the archive.
func (u *uploadWish) form(r *multipart.Reader) (archive, error) {
	for {
		p, err := r.NextPart()
		if errors.Is(err, io.EOF) && u.kind.HasImage() {
			return archive{}, nil
		}
		if errors.Is(err, io.EOF) {
			return archive{}, slipway.Errorf(slipway.Invalid, "The form has no field archive with a file in it.")
		}
		if err != nil {
			return archive{}, brokenForm(err)
		}
		if p.FormName() == "archive" {
			if name := p.FileName(); name != "" {
				u.Name = shortened(name)
			}
			return archive{p, r}, nil
		}
		text, err := io.ReadAll(io.LimitReader(p, maxField+1))
		if err != nil {
			return archive{}, brokenForm(err)
		}
		if len(text) > maxField {
			return archive{}, slipway.Errorf(slipway.TooLarge, "The field %q is too long: it may have at most %d KiB.", p.FormName(), maxField>>10)
		}
		if err := u.set(p.FormName(), string(text)); err != nil {
			return archive{}, err
		}
	}
}

package api

import (
	"bufio"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"mime/multipart"
	"slices"
	"strings"
	"time"

	"slipway/internal/deploy"
	"slipway/internal/slipway"
)

// maxWait is the limit for the field wait.
const maxWait = 10 * time.Minute

// maxField is the limit for a field of a form, in bytes.
const maxField = 64 << 10

// uploadRequest is the fields of a request to deploy, without the archive.
type uploadRequest struct {
	deploy.NewUpload
	kind  slipway.DeployKind
	image string           // reference of the image; "" for none
	base  *slipway.Version // expected version of the Deployment, "" for none; nil for any
	wait  time.Duration
	seen  map[string]bool // fields that were sent

	at     string        // Folder as placed, for an idempotency key
	effect slipway.Merge // Merge as placed
}

// setField sets a field from the query or the form. An unknown field is an error:
// a misspelt one would otherwise be ignored. So is a repeated one.
func (u *uploadRequest) setField(name, value string) (err error) {
	if u.seen[name] {
		return slipway.Errorf(slipway.Invalid, "The field %q was sent twice. Send it once, in the query or in the form.", name)
	}
	if u.seen == nil {
		u.seen = map[string]bool{}
	}
	u.seen[name] = true
	switch name {
	case "type":
		u.kind = slipway.DeployKind(value)
	case "image":
		u.image = strings.TrimSpace(value)
	case "description":
		u.Description = cleanText(value)
	case "merge":
		u.Merge = slipway.Merge(value)
	case "folder":
		u.Folder = strings.TrimSpace(value)
	case "dagsPath":
		u.Root = strings.TrimSpace(value)
	case "name":
		u.Name = cleanText(value)
	case "base":
		u.base, err = parseBase(value)
	case "wait":
		u.wait, err = parseWait(value)
	case "commit":
		u.Git.Commit = cleanText(value)
	case "branch":
		u.Git.Branch = cleanText(value)
	case "repository":
		u.Git.Repository = cleanText(value)
	case "url":
		u.Git.URL = cleanText(value)
	case "author":
		u.Git.Author = cleanText(value)
	default:
		return slipway.Errorf(slipway.Invalid, "There is no field %q here. The fields are archive, type, image, description, merge, folder, dagsPath, name, base, wait, commit, branch, repository, url and author.", name)
	}
	return err
}

// archiveField is the name of the archive in a form.
const archiveField = "archive"

// content returns the fields of a request that an idempotency key is bound to.
// Left out are wait and base, which change between attempts, and name, as
// temporary files have random ones. archive is a SHA-256, "" for none.
func (u *uploadRequest) content(archive string) map[string]string {
	return map[string]string{
		archiveField: archive, "type": string(u.kind), "image": u.image, "merge": string(u.effect), "folder": u.at, "dagsPath": u.Root, "description": u.Description,
		"commit": u.Git.Commit, "branch": u.Git.Branch, "repository": u.Git.Repository, "url": u.Git.URL, "author": u.Git.Author,
	}
}

// differing returns the names of the fields that differ from an earlier
// request, "" for none. An unknown earlier request, nil, does not differ.
func (u *uploadRequest) differing(earlier map[string]string, archive string) string {
	var names []string
	for name, value := range u.content(archive) {
		if earlier != nil && earlier[name] != value {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// noBase is the value of base for a Deployment without a bundle version.
const noBase = "none"

// parseBase returns the version in the field base.
func parseBase(value string) (*slipway.Version, error) {
	v := slipway.Version(value)
	if value == noBase {
		v = ""
	} else if _, isVersion := v.Time(); !isVersion {
		return nil, slipway.Errorf(slipway.Invalid, "base is a bundle version, like 2026-11-22T14:03:51.2040000Z, or none; not %q.", value)
	}
	return &v, nil
}

// parseWait returns the duration in the field wait, up to maxWait.
func parseWait(value string) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 || d > maxWait {
		return 0, slipway.Errorf(slipway.Invalid, "wait is a time up to %s, like 30s, not %q.", maxWait, value)
	}
	return d, nil
}

// nilIfEmpty returns r with the same bytes, or nil if r is empty.
func nilIfEmpty(r io.Reader) io.Reader {
	b := bufio.NewReader(r)
	if _, err := b.Peek(1); errors.Is(err, io.EOF) {
		return nil
	}
	return b
}

// check returns an error for a contradiction between kind, image and archive.
func (u *uploadRequest) check(body archive) error {
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

// archive is the archive in a request, unread.
type archive struct {
	io.Reader
	form *multipart.Reader // the form around the archive; nil for none
}

// sum returns the SHA-256 of the archive, by the hash of all bytes read; "" for
// no archive.
func (a archive) sum(h hash.Hash) string {
	if a.Reader == nil {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil))
}

// checkLast refuses a field after the archive in the form. The archive must be
// read first.
func (a archive) checkLast() error {
	if a.form == nil {
		return nil
	}
	p, err := a.form.NextPart()
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return formError(err)
	}
	return slipway.Errorf(slipway.Invalid, "The field %q comes after the archive. Send the archive last.", p.FormName())
}

// formError adds a sentence for the client to an error of reading a form.
func formError(err error) error {
	return errors.Join(slipway.Errorf(slipway.Invalid, "The form cannot be read, or broke off. Send it again."), err)
}

// readForm reads the fields before the archive, and returns the archive unread.
// Only a deploy with an image may come without an archive.
func (u *uploadRequest) readForm(r *multipart.Reader) (archive, error) {
	for {
		p, err := r.NextPart()
		if errors.Is(err, io.EOF) && u.kind.HasImage() {
			return archive{}, nil
		}
		if errors.Is(err, io.EOF) {
			return archive{}, slipway.Errorf(slipway.Invalid, "The form has no field archive with a file in it.")
		}
		if err != nil {
			return archive{}, formError(err)
		}
		if p.FormName() == archiveField {
			if name := p.FileName(); name != "" {
				u.Name = cleanText(name)
			}
			return archive{p, r}, nil
		}
		text, err := io.ReadAll(io.LimitReader(p, maxField+1))
		if err != nil {
			return archive{}, formError(err)
		}
		if len(text) > maxField {
			return archive{}, slipway.Errorf(slipway.TooLarge, "The field %q is too long: it may have at most %d KiB.", p.FormName(), maxField>>10)
		}
		if err := u.setField(p.FormName(), string(text)); err != nil {
			return archive{}, err
		}
	}
}

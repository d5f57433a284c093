package mount

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"

	"slipway/internal/bundle"

	"golang.org/x/sys/unix"
)

// unlinkable reports whether err says that a file cannot have another name
// there, while it could still be copied.
func unlinkable(err error) bool {
	return errors.Is(err, unix.EMLINK) || errors.Is(err, unix.EXDEV) ||
		errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOTSUP)
}

// verified fills a file with r, and fails unless that is f's content.
func verified(f recorded, r io.Reader) func(io.Writer) error {
	return func(w io.Writer) error {
		sum := sha256.New()
		if _, err := io.Copy(io.MultiWriter(w, sum), r); err != nil {
			return err
		}
		if got := hex.EncodeToString(sum.Sum(nil)); got != f.SHA256 {
			return bundle.ContentError(f.SHA256, got)
		}
		return nil
	}
}

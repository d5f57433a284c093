package slipway

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
)

// IsDiskFull reports whether the cause of err is a full disk or a used up quota.
func IsDiskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// DiskFull returns cause, kept for the log, with the sentence for people about
// a full disk of the portal.
func DiskFull(cause error) error {
	return errors.Join(Errorf(NoSpace, "The disk of the portal is full. Ask the administrator for space."), cause)
}

// NoInodes returns cause, kept for the log, with the sentence for people about a
// disk of the portal that has bytes left, but no room for another file.
func NoInodes(cause error) error {
	return errors.Join(Errorf(NoSpace, "The disk of the portal has no room for more files: its inodes are used up. Ask the administrator to delete files there."), cause)
}

// DiskReadOnly returns cause, kept for the log, with the sentence for people
// about a read-only or failing disk of the portal.
func DiskReadOnly(cause error) error {
	return errors.Join(Errorf(NoSpace, "The disk of the portal cannot be written to. Ask the administrator to look at it."), cause)
}

// Limits of unfinished deploys: uploads that arrive, or that wait for a
// confirmation.
const (
	PersonUploads    = 500
	WorkspaceUploads = 2000
)

// DiskUse is the disk space of some unfinished deploys, and their number.
type DiskUse struct {
	Bytes   int64
	Uploads int
}

// Plus returns the sum of two uses.
func (u DiskUse) Plus(v DiskUse) DiskUse {
	return DiskUse{Bytes: u.Bytes + v.Bytes, Uploads: u.Uploads + v.Uploads}
}

// UploadSpace is the disk of the portal as an upload finds it.
type UploadSpace struct {
	Free, Reserve int64 // bytes free, and bytes of them to stay free
	Promised      int64 // announced by unfinished uploads, and not written yet
	Held          int64 // bytes of unfinished deploys on the disk

	Person, Workspace DiskUse  // unfinished deploys of the person and of the Workspace: the bytes of all, the number of others
	Names             []string // the sender's other unfinished deploys, for people
}

// Fits refuses n bytes more if the free space would fall under the reserve.
func (s UploadSpace) Fits(n int64) error {
	if s.Free-n >= s.Reserve {
		return nil
	}
	return s.full()
}

// full is the refusal of a disk without room.
func (s UploadSpace) full() error {
	return Errorf(NoSpace, "The disk of the portal is nearly full: %d MiB are free, and %d MiB of them stay in reserve. Ask the administrator for space.",
		max(s.Free, 0)>>20, s.Reserve>>20)
}

// scarce is a capacity in bytes below which shares are too small to speak of: to
// confirm or cancel deploys does not help.
const scarce = 2 << 20

// PersonShare is the space for all unfinished uploads of one person: half of the
// disk above the reserve. An upload beyond half could not be unpacked either.
func (s UploadSpace) PersonShare() int64 { return s.capacity() / 2 }

// WorkspaceShare is the space for all unfinished uploads of one Workspace: three
// quarters of the disk above the reserve.
func (s UploadSpace) WorkspaceShare() int64 { return s.capacity() / 4 * 3 }

func (s UploadSpace) capacity() int64 { return max(s.Free+s.Held-s.Reserve, 0) }

// Admit refuses a new upload of n bytes, 0 when unknown, beyond the disk, the
// shares or the numbers.
func (s UploadSpace) Admit(n int64) error {
	switch {
	case s.Person.Uploads >= PersonUploads:
		return Errorf(TooLarge, "One person, with all tokens that the person issued, may have %d unfinished deploys at once. Confirm or cancel some of them first%s.", PersonUploads, s.named())
	case s.Workspace.Uploads >= WorkspaceUploads:
		return Errorf(TooLarge, "A Workspace may have %d unfinished deploys at once. Confirm or cancel some of them first.", WorkspaceUploads)
	}
	return s.Grow(n)
}

// Grow refuses n bytes more of an upload beyond the disk or the shares.
func (s UploadSpace) Grow(n int64) error {
	free := s
	free.Free -= s.Promised
	if err := free.Fits(n); err != nil {
		return err
	}
	person, workspace := s.PersonShare(), s.WorkspaceShare()
	switch {
	case s.capacity() < scarce && (s.Person.Bytes+n > person || s.Workspace.Bytes+n > workspace):
		return s.full()
	case n > person, s.Person.Bytes+n > person && s.Person.Uploads == 0:
		return Errorf(NoSpace, "The disk of the portal has too little room for this upload: the unfinished uploads of one person may take %s now. Ask the administrator for space.", bytesText(person))
	case s.Person.Bytes+n > person:
		return Errorf(TooLarge, "The unfinished uploads of one person, with those of all tokens that the person issued, may take %s of the portal's disk. Confirm or cancel some of them first%s.", bytesText(person), s.named())
	case s.Workspace.Bytes+n > workspace:
		return Errorf(TooLarge, "The unfinished uploads of a Workspace may take %s of the portal's disk. Confirm or cancel some of them first.", bytesText(workspace))
	}
	return nil
}

// Push refuses n bytes more of images pushed to the registry beyond the disk or the
// shares, which unfinished uploads have as well.
func (s UploadSpace) Push(n int64) error {
	free := s
	free.Free -= s.Promised
	if err := free.Fits(n); err != nil {
		return err
	}
	switch person, workspace := s.PersonShare(), s.WorkspaceShare(); {
	case s.Person.Bytes+n > person:
		return Errorf(NoSpace, "The pushes of one person and of all tokens that the person issued, in 24 hours and with unfinished uploads, may take %s of the portal's disk. Push again later, or ask the administrator for space.", bytesText(person))
	case s.Workspace.Bytes+n > workspace:
		return Errorf(NoSpace, "The pushes to a Workspace in 24 hours, with unfinished uploads, may take %s of the portal's disk. Push again later, or ask the administrator for space.", bytesText(workspace))
	}
	return nil
}

// maxNamedUploads is the number of uploads named in a refusal.
const maxNamedUploads = 3

// named lists uploads of the person: ": #12 of sales, #13 of sales".
func (s UploadSpace) named() string {
	switch n := len(s.Names); {
	case n == 0:
		return ""
	case n > maxNamedUploads:
		return ": " + strings.Join(s.Names[:maxNamedUploads], ", ") + fmt.Sprintf(" and %d more", n-maxNamedUploads)
	}
	return ": " + strings.Join(s.Names, ", ")
}

// bytesText returns a size in MiB, or in KiB below one MiB.
func bytesText(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

// Disk is the disk of the data folder, in bytes.
type Disk struct {
	Total, Free int64
	Reserve     int64 // that uploads leave free
}

// ForUploads is how much uploads may still write.
func (d Disk) ForUploads() int64 { return max(d.Free-d.Reserve, 0) }

// Share returns the part of d that n bytes take, of whole; 0 for an unknown size.
func (d Disk) Share(n, whole int64) int64 {
	if d.Total <= 0 {
		return 0
	}
	return min(max(int64(float64(n)/float64(d.Total)*float64(whole)), 0), whole)
}

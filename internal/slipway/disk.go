package slipway

import (
	"errors"
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

// DiskReadOnly returns cause, kept for the log, with the sentence for people
// about a read-only or failing disk of the portal.
func DiskReadOnly(cause error) error {
	return errors.Join(Errorf(NoSpace, "The disk of the portal cannot be written to. Ask the administrator to look at it."), cause)
}

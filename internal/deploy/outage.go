package deploy

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"slipway/internal/datadir"
	"slipway/internal/slipway"
)

// outage says to people what is wrong when it is the disk. The cause stays for
// the log.
func outage(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return errors.Join(slipway.Errorf(slipway.NoSpace, "The disk of the portal is full. Ask the administrator for space."), err)
	case errors.Is(err, syscall.EROFS), errors.Is(err, syscall.EIO):
		return errors.Join(slipway.Errorf(slipway.NoSpace, "The disk of the portal cannot be written to. Ask the administrator to look at it."), err)
	}
	return err
}

// passes reports whether an outage ends without anybody's doing in Slipway: what
// was confirmed waits for that.
func passes(k slipway.Kind) bool { return k == slipway.NoSpace || k == slipway.Unavailable }

// writable returns nil if the data folder can be written to.
func (e *Engine) writable() error {
	f, err := os.CreateTemp(filepath.Join(e.cfg.Dir, datadir.Uploads), "ready-*")
	if err != nil {
		return outage(err)
	}
	_, err = f.WriteString("?")
	return outage(errors.Join(err, f.Close(), os.Remove(f.Name())))
}

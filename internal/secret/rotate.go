package secret

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"slipway/internal/datadir"
	"slipway/internal/durable"
	"slipway/internal/slipway"
	"slipway/store"
)

// Rotation is the result of Rotate.
type Rotation struct {
	Sealed     int                   // passwords sealed with the new key
	Unreadable []store.RegistryLogin // sealed with an earlier, lost key
}

// Rotate replaces the key of the data folder dir, and seals all passwords anew.
// also runs in the same transaction. The new key lies beside the old one until
// the records name it: after a crash at any point, Open finds the key that the
// records name.
func Rotate(ctx context.Context, dir string, st *store.Store, also func(*store.Tx) error) (r Rotation, err error) {
	old, err := Open(ctx, dir, st)
	if err != nil {
		return r, err
	}
	err = replace(ctx, dir, st, func(tx *store.Tx, next *Key) error {
		r, err = reseal(tx, old, next)
		return errors.Join(err, also(tx))
	})
	return r, err
}

// New gives dir a new key after the loss of the old one, and returns the logins
// whose passwords are lost.
func New(ctx context.Context, dir string, st *store.Store) ([]store.RegistryLogin, error) {
	known, logins, err := recorded(ctx, st)
	if err != nil {
		return nil, err
	}
	if err := finishRotation(dir, known); err != nil {
		return nil, err
	}
	switch _, fault, err := read(dir, known); {
	case err != nil:
		return nil, err
	case fault == "":
		return nil, slipway.Errorf(slipway.Conflict, "The key %s is in its place. slipway key rotate makes a new one and loses nothing.", filepath.Join(dir, datadir.SecretKey))
	}
	return logins, replace(ctx, dir, st, func(*store.Tx, *Key) error { return nil })
}

// replace makes a new key, records the key together with change, and moves the
// key to its place.
func replace(ctx context.Context, dir string, st *store.Store, change func(*store.Tx, *Key) error) error {
	next, err := create(filepath.Join(dir, datadir.NextKey))
	if err != nil {
		return err
	}
	err = st.Update(ctx, func(tx *store.Tx) error {
		leased, err := tx.Leased()
		if err != nil {
			return err
		}
		if leased {
			return slipway.Errorf(slipway.Conflict, "A backup is being written: it would hold records and key that do not belong together. Try again when it is complete.")
		}
		if err := change(tx, next); err != nil {
			return err
		}
		return tx.SetSetting(keySetting, []byte(next.print))
	})
	known, _, err2 := recorded(context.WithoutCancel(ctx), st) // a commit may have failed after it took place
	if err2 != nil {
		return errors.Join(err, err2)
	}
	return errors.Join(err, finishRotation(dir, known))
}

// reseal seals all passwords with the key next.
func reseal(tx *store.Tx, old, next *Key) (r Rotation, err error) {
	all, err := tx.AllRegistryLogins()
	if err != nil {
		return r, err
	}
	for _, l := range all {
		password, err := old.Open(l.Workspace, l.Host, l.Sealed)
		if err != nil {
			r.Unreadable = append(r.Unreadable, l)
			continue
		}
		l.Sealed = next.Seal(l.Workspace, l.Host, password)
		if err := tx.ResealRegistryLogin(l); err != nil {
			return r, err
		}
		r.Sealed++
	}
	return r, nil
}

// finishRotation completes or undoes a rotation that was interrupted. known is
// the fingerprint in the records.
func finishRotation(dir, known string) error {
	next := filepath.Join(dir, datadir.NextKey)
	b, err := os.ReadFile(next)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	k, err := newKey(b)
	if err == nil && k.print == known {
		err = os.Rename(next, filepath.Join(dir, datadir.SecretKey))
	} else {
		err = os.Remove(next) // the records never named it
	}
	return errors.Join(err, durable.SyncPath(dir))
}

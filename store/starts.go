package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"slipway"
)

// startsSetting is the name under which the starts are counted.
const startsSetting = "starts"

// CountStart counts a start of the portal and returns its number. last is the
// number that the caller has noted of the start before, outside of the database:
// one with a lower number is an older one that somebody put there, and Everything
// is set aside in it, unless it was made only now.
//
// The new number is in the database file itself, and not only in its -wal; whole
// is false if someone who reads kept that from being so.
func (s *Store) CountStart(ctx context.Context, last int64, made bool) (n int64, whole bool, err error) {
	err = s.Update(ctx, func(tx *Tx) error {
		if n, err = tx.starts(); err != nil {
			return err
		}
		if n < last && !made {
			err = errors.Join(tx.DropAside(slipway.Everything), tx.SetAside(slipway.Everything))
		}
		n = max(n, last) + 1
		return errors.Join(err, tx.SetSetting(startsSetting, strconv.AppendInt(nil, n, 10)))
	})
	if err != nil {
		return 0, false, fmt.Errorf("count the start: %w", err)
	}
	var busy, pages, moved int
	err = s.write.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &pages, &moved)
	return n, busy == 0, err
}

func (tx *Tx) starts() (int64, error) {
	text, err := tx.Setting(startsSetting)
	if err != nil || text == nil {
		return 0, err
	}
	return strconv.ParseInt(string(text), 10, 64)
}

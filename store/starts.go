package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"slipway/internal/slipway"
)

// startsSetting is the name under which starts, stops and rounds are counted.
const startsSetting = "starts"

// CountStart counts a start of the portal and returns its number. last is the
// number that the caller has noted last, outside of the database: a database with
// a lower one is an older copy that somebody put there, and Everything is set
// aside in it, unless it was made only now.
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
		return errors.Join(err, tx.setStarts(n))
	})
	if err != nil {
		return 0, false, fmt.Errorf("count the start: %w", err)
	}
	var busy, pages, moved int
	err = s.write.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &pages, &moved)
	return n, busy == 0, err
}

// CountRound counts on before files are deleted that records no longer name, so
// that a copy of the database from before is known as older, and at a stop. It
// waits for no one who reads.
func (s *Store) CountRound(ctx context.Context) (n int64, whole bool, err error) {
	err = s.Update(ctx, func(tx *Tx) error {
		if n, err = tx.starts(); err != nil {
			return err
		}
		n++
		return tx.setStarts(n)
	})
	if err != nil {
		return 0, false, fmt.Errorf("count a round: %w", err)
	}
	var busy, pages, moved int
	err = s.write.QueryRowContext(ctx, `PRAGMA wal_checkpoint(PASSIVE)`).Scan(&busy, &pages, &moved)
	return n, busy == 0 && pages == moved, err
}

func (tx *Tx) setStarts(n int64) error {
	return tx.SetSetting(startsSetting, strconv.AppendInt(nil, n, 10))
}

func (tx *Tx) starts() (int64, error) {
	text, err := tx.Setting(startsSetting)
	if err != nil || text == nil {
		return 0, err
	}
	return strconv.ParseInt(string(text), 10, 64)
}

package store

import (
	"strconv"
)

// startsSetting is the name under which starts, stops and rounds are counted.
const startsSetting = "starts"

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

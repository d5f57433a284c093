package deploy

import (
	"context"
	"sort"
	"strings"

	"slipway/internal/quota"
	"slipway/internal/slipway"
	"slipway/store"
)

// Counted returns the bytes that count for a person, if the free space of the disk
// is always free and no reserve is kept: from the most that the person may still
// send.
func (e *Engine) Counted(person string, free int64) int64 {
	h := quota.Holder{Person: person, Deploy: "probe"}
	most := sort.Search(int(free), func(n int) bool {
		err := e.uploadFiles.ledger.Open("probe", h, int64(n))
		e.uploadFiles.ledger.Close("probe")
		return err != nil
	}) - 1
	return free - 2*int64(most)
}

// WriteLate is what a request does to the files of an upload in blocks after its
// checks: a block, then the whole archive.
func (e *Engine) WriteLate(u store.Upload, w slipway.Deploy) (block, whole error) {
	block = e.blocks.writeBlock(u, w, e.blockPath(u.ID, "late"), strings.NewReader("late"))
	_, whole = e.blocks.fillUpload(u, w, wholeUpload{})
	return block, whole
}

// UploadOf returns the upload of a deploy.
func (e *Engine) UploadOf(ctx context.Context, w slipway.Deploy) (u store.Upload, err error) {
	u, _, _, err = e.Arriving(ctx, w.ID)
	return u, err
}

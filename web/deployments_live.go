package web

import (
	"strconv"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// liveDeploy is the card of the deploy whose state is wanted now, nil before the
// first.
func liveDeploy(tx *store.Tx, sc scene) (*views.LiveDeploy, error) {
	w := sc.live
	if w.Number == 0 {
		return nil, nil
	}
	path := deployPath(sc.ID, w.Number)
	l := views.LiveDeploy{
		Number: w.Number, URL: path, Title: views.LiveTitle(w), By: w.By.Title(), Since: sc.at(w.LiveAt), Took: views.TookText(w), ChangesURL: path + "#deploy-changes",
	}
	l.Commit, l.CommitURL, l.Branch = commit(w.Git)
	if bringsVersion(w) != "" {
		l.Counts = &w.Counts
	}
	if w.Kind.HasImage() {
		l.Image = views.ImageTag(w.After)
	}
	if w.ReturnTo > 0 {
		l.ReturnedTo = views.Link{Text: "returned to #" + strconv.Itoa(w.ReturnTo), URL: deployPath(sc.ID, w.ReturnTo)}
	}
	if w.Status == slipway.Failed {
		l.Failed = w.Reason
	}
	if sc.Mounted {
		l.FilesURL = versionPath(sc.ID, sc.Version)
	}
	var err error
	l.Undo, l.CompareURL, err = undo(tx, sc)
	return &l, err
}

// undo is the way back from the live deploy to the deploy before, with the
// address where the two are compared, "" where nothing can be compared.
func undo(tx *store.Tx, sc scene) (u views.Undo, compare string, err error) {
	if sc.live.Number == 0 {
		return u, "", nil
	}
	before, found, err := tx.LiveBefore(sc.live)
	if err != nil || !found {
		return u, "", err
	}
	was, is := before.After.Version, sc.live.After.Version
	kept, err := tx.RetainedOf(sc.ID, []slipway.Version{was, is})
	if err != nil {
		return u, "", err
	}
	u = views.Undo{To: before.Number, URL: returnURL(sc, before, kept[was])}
	if sc.live.ReturnTo > 0 && before.Number > sc.live.ReturnTo {
		u.UndoneBy = sc.live.Number
	}
	if was != is && kept[was] && kept[is] {
		compare = compareURL(sc.ID, was, is)
	}
	return u, compare, nil
}

// undoneBy is the number of the one deploy that a return to the deploy of a
// number takes back, 0 for several.
func undoneBy(tx *store.Tx, sc scene, number int) (int, error) {
	if len(sc.queue) > 0 {
		return 0, nil
	}
	u, _, err := undo(tx, sc)
	if err != nil || u.To != number {
		return 0, err
	}
	return sc.live.Number, nil
}

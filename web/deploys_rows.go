package web

import (
	"slices"
	"strconv"
	"time"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// namedFiles is the number of changed files that a row of a list names.
const namedFiles = 3

// times is the time from one moment up to another.
type times struct{ from, until time.Time }

// rows returns deploys as rows of a list, newest first, with the switches of a time
// between the deploys.
func rows(tx *store.Tx, sc scene, deploys []slipway.Deploy, shown times) ([]views.HistoryRow, error) {
	var versions []slipway.Version
	var positions []int64
	for _, w := range deploys {
		versions = append(versions, w.Version, w.After.Version)
		if w.WentLive() {
			positions = append(positions, w.Position)
		}
	}
	kept, err := tx.RetainedOf(sc.ID, versions)
	if err != nil {
		return nil, err
	}
	changed, err := tx.ChangedFiles(sc.ID, positions)
	if err != nil {
		return nil, err
	}
	var all []views.HistoryRow
	for _, w := range deploys {
		r := row(sc, w, kept)
		r.Files, r.More = names(changed[w.Position])
		all = append(all, r)
	}
	switches, err := tx.SwitchesBetween(sc.ID, shown.from, shown.until)
	if err != nil {
		return all, err
	}
	for _, o := range switches {
		all = append(all, views.HistoryRow{Switch: "DAG-only deploys turned " + slipway.OnOff(o.On), At: sc.at(o.AppliedAt), By: o.By.Title()})
	}
	slices.SortStableFunc(all, func(a, b views.HistoryRow) int {
		if a.Number > 0 && b.Number > 0 {
			return b.Number - a.Number
		}
		return b.At.At.Compare(a.At.At)
	})
	return all, nil
}

// names returns the first changed files, and the number of the others.
func names(changes []slipway.Change) (first []string, more int) {
	for _, c := range changes[:min(len(changes), namedFiles)] {
		first = append(first, slipway.Visible(c.Path))
	}
	return first, len(changes) - len(first)
}

// row is the row of a deploy in a list. kept has the retained versions.
func row(sc scene, w slipway.Deploy, kept map[slipway.Version]bool) views.HistoryRow {
	r := views.HistoryRow{
		Number: w.Number, URL: deployPath(sc.ID, w.Number), At: sc.at(w.CreatedAt), Current: w.Number == sc.live.Number,
		Kind: w.Kind, Status: w.Status, Description: w.Description, Fix: w.Fix != "", Reason: w.Reason, By: w.By.Title(),
		UndoneBy: w.UndoneBy, ReturnTo: w.ReturnTo, ReturnURL: returnURL(sc, w, kept[w.After.Version]),
	}
	r.Commit, r.CommitURL, r.Branch = commit(w.Git)
	r.Version = bringsVersion(w)
	if kept[w.Version] && r.Version != "" {
		r.VersionURL = versionPath(sc.ID, w.Version)
		r.DownloadURL = r.VersionURL + "/archive"
	}
	if w.WentLive() && kept[w.After.Version] {
		r.Ticks, r.CompareURL = true, compareWith(sc, w)
	}
	if w.Kind != slipway.DAGOnly {
		r.Image, r.Digest, r.Runtime = views.ImageTag(w.After), views.ShortDigest(w.After.Image), w.After.Runtime
	}
	if w.UndoneBy > 0 {
		r.UndoneURL = deployPath(sc.ID, w.UndoneBy)
	}
	if w.ReturnTo > 0 {
		r.ReturnToURL = deployPath(sc.ID, w.ReturnTo)
		if r.Description == "" {
			r.Description = "Return to #" + strconv.Itoa(w.ReturnTo)
		}
	}
	if w.WentLive() || w.Status == slipway.Staged || w.Status.Active() {
		r.Counts = &w.Counts
	}
	if w.Status == slipway.Deployed {
		r.Took = views.Duration(w.EndedAt.Sub(w.QueuedAt))
	}
	return r
}

// compareWith is the address of the comparison of w with the live version; for the
// live deploy, with the version before.
func compareWith(sc scene, w slipway.Deploy) string {
	number := strconv.Itoa(w.Number)
	if w.Number == sc.live.Number {
		return comparePath(sc.ID) + "?to=" + w.After.Version.Dir()
	}
	return comparePath(sc.ID) + "?from=" + number + "&to=" + strconv.Itoa(sc.live.Number)
}

// comparable counts the rows with a tick.
func comparable(all []views.HistoryRow) (n int) {
	for _, r := range all {
		if r.Ticks {
			n++
		}
	}
	return n
}

// foldDiscarded puts each run of two or more discarded deploys of one person on one
// day into one row.
func foldDiscarded(all []views.HistoryRow) (folded []views.HistoryRow) {
	for len(all) > 0 {
		n := 1
		for n < len(all) && discarded(all[0]) && discarded(all[n]) && all[0].By == all[n].By && dayOf(all[0]).Equal(dayOf(all[n])) {
			n++
		}
		if n == 1 {
			folded = append(folded, all[0])
		} else {
			folded = append(folded, views.HistoryRow{Folded: all[:n], By: all[0].By, At: all[0].At})
		}
		all = all[n:]
	}
	return folded
}

func discarded(r views.HistoryRow) bool { return r.Status == slipway.Cancelled }

// dayOf is the beginning of the day of a row.
func dayOf(r views.HistoryRow) time.Time { return r.At.At.UTC().Truncate(24 * time.Hour) }

// days puts rows below the days. The counts are of every deploy on a day; with
// filtered, of deploys alone.
func days(tx *store.Tx, sc scene, deploys []slipway.Deploy, all []views.HistoryRow, filtered bool) (found []views.DaySection, err error) {
	var sums []slipway.DaySum
	if len(deploys) > 0 && !filtered {
		if sums, err = tx.DaySums(sc.ID, deploys[len(deploys)-1].CreatedAt, deploys[0].CreatedAt); err != nil {
			return nil, err
		}
	}
	counts := map[time.Time]slipway.DaySum{}
	for _, s := range sums {
		counts[s.Day] = s
	}
	for _, r := range all {
		at := dayOf(r)
		title := views.DayTitle(at, sc.now)
		if n := len(found); n > 0 && found[n-1].Title == title {
			found[n-1].Rows = append(found[n-1].Rows, r)
			continue
		}
		d := views.DaySection{ID: "day-" + strconv.Itoa(len(found)+1), Title: title, Rows: []views.HistoryRow{r}}
		if s, ok := counts[at]; ok {
			d.Counts = views.DayCounts(s)
		}
		found = append(found, d)
	}
	return found, nil
}

// bringsVersion returns the DAG bundle version mounted by w, "" for none.
func bringsVersion(w slipway.Deploy) slipway.Version {
	switch {
	case w.Kind == slipway.ImageOnly:
		return ""
	case w.WentLive() && w.After.Version == w.Version && w.After.Mounted, !w.WentLive() && !w.Status.Ended() && !w.Kind.HasImage():
		return w.Version
	}
	return ""
}

// returnURL is the address for returning to w, "" where the rule refuses.
func returnURL(sc scene, w slipway.Deploy, kept bool) string {
	if _, err := sc.projected.Return(w, sc.role, kept); err != nil || w.Number == sc.live.Number {
		return ""
	}
	return deployPath(sc.ID, w.Number) + "/return"
}

// commit returns a commit's short name, an address if safe to follow, and the
// branch.
func commit(g slipway.Git) (short, address, branch string) {
	address, err := slipway.CheckURL(g.URL)
	if err != nil {
		address = "" // stored by an earlier version
	}
	return g.Commit[:min(7, len(g.Commit))], address, g.Branch
}

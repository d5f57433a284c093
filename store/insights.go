package store

import (
	"context"
	"slices"
	"strconv"
	"time"

	"slipway/internal/insights"
	"slipway/internal/slipway"
)

// insightsBatch is how many deploys CountInsights counts in a transaction: others
// wait for some tens of milliseconds.
const insightsBatch = 200

// CountInsights brings the sums for Insights up to date with the deploys that ended
// or changed, and with those of before the sums were kept, in small transactions:
// one for each call. more is true while others are left.
func (s *Store) CountInsights(ctx context.Context) (more bool, err error) {
	var any bool
	if err := s.View(ctx, func(tx *Tx) error {
		any, err = tx.uncounted()
		return err
	}); err != nil || !any {
		return false, err
	}
	err = s.Update(ctx, func(tx *Tx) error {
		n, err := tx.countChanged()
		if err == nil && n == 0 {
			n, err = tx.countOld()
		}
		more = n > 0
		return err
	})
	return more, err
}

func (tx *Tx) uncounted() (bool, error) {
	n, err := tx.count("uncounted deploys", `SELECT EXISTS (SELECT 1 FROM insights_changed) OR EXISTS (SELECT 1 FROM insights_fill)`)
	return n > 0, err
}

// place names a deploy by its Deployment and number.
type place struct {
	of     slipway.DeploymentID
	number int
}

// countChanged counts deploys that ended or changed, and their neighbours: a deploy
// restores what the deploys before broke.
func (tx *Tx) countChanged() (int, error) {
	changed, err := list(tx, "changed deploys", func(r row) (p place, err error) {
		err = r.Scan(&p.of, &p.number)
		return p, err
	}, `SELECT deployment, number FROM insights_changed LIMIT ?`, insightsBatch)
	if err != nil || len(changed) == 0 {
		return 0, err
	}
	for _, of := range grouped(changed) {
		numbers, err := tx.withNeighbours(of[0].of, of)
		if err != nil {
			return 0, err
		}
		if err := tx.countAgain(of[0].of, numbers); err != nil {
			return 0, err
		}
		if err := tx.exec("counted", `
			DELETE FROM insights_changed WHERE deployment = ? AND number IN (SELECT value FROM json_each(?))`, of[0].of, asJSON(numbersOf(of))); err != nil {
			return 0, err
		}
	}
	return len(changed), nil
}

// grouped divides places, in the order of Deployments, by Deployment.
func grouped(all []place) (groups [][]place) {
	for len(all) > 0 {
		n := slices.IndexFunc(all, func(p place) bool { return p.of != all[0].of })
		if n < 0 {
			n = len(all)
		}
		groups, all = append(groups, all[:n]), all[n:]
	}
	return groups
}

func numbersOf(all []place) (numbers []int) {
	for _, p := range all {
		numbers = append(numbers, p.number)
	}
	return numbers
}

// withNeighbours returns the numbers of deploys, of the deploy that was live before
// each, and of those after each up to the first good one.
func (tx *Tx) withNeighbours(of slipway.DeploymentID, changed []place) ([]int, error) {
	numbers := numbersOf(changed)
	wanted := map[int]bool{}
	for _, n := range numbers {
		wanted[n] = true
	}
	before, err := list(tx, "neighbours", func(r row) (n [2]int, err error) {
		err = r.Scan(&n[0], &n[1])
		return n, err
	}, liveNeighbours, of, asJSON(numbers))
	if err != nil {
		return nil, err
	}
	for _, n := range before {
		wanted[n[0]] = true
		if next := n[1]; next > 0 && !wanted[next] {
			after, err := list(tx, "run of deploys", scanBefore, runAfter, of, next, insights.RunMax)
			if err != nil {
				return nil, err
			}
			for i, b := range after {
				wanted[b.Number] = true
				if i+1 < len(after) && !b.Bad(after[i+1].Number) {
					break
				}
			}
		}
	}
	delete(wanted, 0)
	all := make([]int, 0, len(wanted))
	for n := range wanted {
		all = append(all, n)
	}
	slices.Sort(all)
	return all, nil
}

// countOld counts deploys of before the sums were kept.
func (tx *Tx) countOld() (int, error) {
	p, found, err := first(list(tx, "deploys to count", func(r row) (p place, err error) {
		err = r.Scan(&p.of, &p.number)
		return p, err
	}, `SELECT deployment, last FROM insights_fill LIMIT 1`))
	if err != nil || !found {
		return 0, err
	}
	var numbers []int
	for n := p.number; n > 0 && len(numbers) < insightsBatch; n-- {
		numbers = append(numbers, n)
	}
	if err := tx.countAgain(p.of, numbers); err != nil {
		return 0, err
	}
	left := p.number - len(numbers)
	if left <= 0 {
		err = tx.exec("all counted", `DELETE FROM insights_fill WHERE deployment = ?`, p.of)
	} else {
		err = tx.exec("counted up to", `UPDATE insights_fill SET last = ? WHERE deployment = ?`, left, p.of)
	}
	return max(len(numbers), 1), err
}

// sumsKey names sums of a Deployment.
type sumsKey struct {
	day  int
	kind slipway.DeployKind
}

// countAgain takes deploys away from the sums as they were counted, and adds them as
// they are now.
func (tx *Tx) countAgain(of slipway.DeploymentID, numbers []int) error {
	all, err := tx.weights(of, numbers)
	if err != nil {
		return err
	}
	sums := map[sumsKey]*insights.Sums{}
	change := func(w insights.Weight, apply func(*insights.Sums, insights.Weight)) error {
		if !w.Counts() {
			return nil
		}
		key := sumsKey{w.Day, w.Kind}
		if sums[key] == nil {
			sums[key] = &insights.Sums{}
			if err := tx.loadSums(of, key, sums[key]); err != nil {
				return err
			}
		}
		apply(sums[key], w)
		return nil
	}
	for _, w := range all {
		if slices.Equal(w.was, w.now.Encode()) {
			continue
		}
		was, err := insights.DecodeWeight(w.was)
		if err != nil {
			return err
		}
		if err := change(was, (*insights.Sums).Drop); err != nil {
			return err
		}
		if err := change(w.now, (*insights.Sums).Add); err != nil {
			return err
		}
		if err := tx.saveWeight(of, w.number, w.now); err != nil {
			return err
		}
	}
	for key, s := range sums {
		if err := tx.saveSums(of, key, s); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) loadSums(of slipway.DeploymentID, key sumsKey, into *insights.Sums) error {
	_, err := list(tx, "sums of a day", func(r row) (_ struct{}, err error) {
		var b []byte
		if err = r.Scan(&b); err == nil {
			err = into.MergeEncoded(b)
		}
		return struct{}{}, err
	}, `SELECT sums FROM insights WHERE deployment = ? AND day = ? AND kind = ?`, of, key.day, key.kind)
	return err
}

func (tx *Tx) saveSums(of slipway.DeploymentID, key sumsKey, s *insights.Sums) error {
	if s.All() == 0 {
		return tx.exec("drop sums", `DELETE FROM insights WHERE deployment = ? AND day = ? AND kind = ?`, of, key.day, key.kind)
	}
	return tx.exec("save sums", `
		INSERT INTO insights (deployment, day, kind, sums) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET sums = excluded.sums`, of, key.day, key.kind, s.Encode())
}

func (tx *Tx) saveWeight(of slipway.DeploymentID, number int, w insights.Weight) error {
	if !w.Counts() {
		return tx.exec("drop weight", `DELETE FROM insights_counted WHERE deployment = ? AND number = ?`, of, number)
	}
	return tx.exec("save weight", `
		INSERT INTO insights_counted (deployment, number, weight) VALUES (?, ?, ?)
		ON CONFLICT DO UPDATE SET weight = excluded.weight`, of, number, w.Encode())
}

// weighed is a deploy with its weight now, and as it was counted; nil for never.
type weighed struct {
	number int
	was    []byte
	now    insights.Weight
}

// weights returns what deploys count for.
func (tx *Tx) weights(of slipway.DeploymentID, numbers []int) (all []weighed, err error) {
	type found struct {
		w      slipway.Deploy
		was    []byte
		next   int
		broken bool // the deploy that was live before is bad
	}
	deploys, err := list(tx, "deploys to count", func(r row) (f found, err error) {
		w := &f.w
		var bytes int64
		err = r.Scan(&w.Number, &w.Kind, &w.Status, &w.By.User, &w.By.Token, &w.UndoneBy, &w.Position, &bytes,
			millis{&w.CreatedAt}, millis{&w.UploadedAt}, millis{&w.StagedAt}, millis{&w.QueuedAt}, millis{&w.DeployingAt},
			millis{&w.StoredAt}, millis{&w.LiveAt}, millis{&w.EndedAt}, &f.was, &f.next, &f.broken)
		w.Counts.NewBytes = bytes
		return f, err
	}, deploysToCount, of, asJSON(numbers))
	if err != nil {
		return nil, err
	}
	for _, f := range deploys {
		var before []insights.Before
		if f.broken {
			if before, err = list(tx, "run of deploys", scanBefore, runBefore, of, f.w.Position, insights.RunMax); err != nil {
				return nil, err
			}
		}
		all = append(all, weighed{f.w.Number, f.was, insights.WeightOf(f.w, before, f.next)})
	}
	return all, nil
}

func scanBefore(r row) (b insights.Before, err error) {
	err = r.Scan(&b.Number, &b.UndoneBy, &b.Status, millis{&b.LiveAt})
	return b, err
}

const (
	deploysToCount = `SELECT w.number, w.kind, w.status, w.by_user, w.by_token, w.undone_by, w.position,
		IIF(w.counts = '', 0, COALESCE(w.counts ->> '$.NewBytes', 0)),
		w.created_at, w.uploaded_at, w.staged_at, w.queued_at, w.deploying_at, w.stored_at, w.live_at, w.ended_at,
		(SELECT c.weight FROM insights_counted c WHERE c.deployment = w.deployment AND c.number = w.number),
		IIF(w.live_at = 0, 0, COALESCE((SELECT n.number FROM deploys n INDEXED BY deploys_live
			WHERE n.deployment = w.deployment AND n.live_at > 0 AND n.position > w.position ORDER BY n.position LIMIT 1), 0)),
		IIF(w.live_at = 0, 0, COALESCE((SELECT b.status = 'failed' OR b.undone_by = w.number FROM deploys b INDEXED BY deploys_live
			WHERE b.deployment = w.deployment AND b.live_at > 0 AND b.position < w.position ORDER BY b.position DESC LIMIT 1), 0))
		FROM json_each(?2) j CROSS JOIN deploys w ON w.deployment = ?1 AND w.number = j.value`
	liveNeighbours = `SELECT
		COALESCE((SELECT b.number FROM deploys b INDEXED BY deploys_live
			WHERE b.deployment = w.deployment AND b.live_at > 0 AND b.position < w.position ORDER BY b.position DESC LIMIT 1), 0),
		COALESCE((SELECT n.number FROM deploys n INDEXED BY deploys_live
			WHERE n.deployment = w.deployment AND n.live_at > 0 AND n.position > w.position ORDER BY n.position LIMIT 1), 0)
		FROM json_each(?2) j CROSS JOIN deploys w ON w.deployment = ?1 AND w.number = j.value
		WHERE w.position > 0`
	runBefore = `SELECT w.number, w.undone_by, w.status, w.live_at FROM deploys w INDEXED BY deploys_live
		WHERE w.deployment = ? AND w.live_at > 0 AND w.position < ? ORDER BY w.position DESC LIMIT ?`
	runAfter = `SELECT w.number, w.undone_by, w.status, w.live_at FROM deploys w INDEXED BY deploys_live
		WHERE w.deployment = ?1 AND w.live_at > 0
			AND w.position >= (SELECT position FROM deploys WHERE deployment = ?1 AND number = ?2) ORDER BY w.position LIMIT ?3`
)

// InsightScope is what Insights are about: a Deployment, the Deployments of a
// Workspace, or for the zero value the whole installation.
type InsightScope struct {
	Deployment slipway.DeploymentID
	Workspace  slipway.WorkspaceID
}

// where returns the condition on deployments d, and its values.
func (s InsightScope) where() (string, []any) {
	switch {
	case s.Deployment != "":
		return `d.id = ?`, []any{s.Deployment}
	case s.Workspace != "":
		return `d.deleted_at = 0 AND d.workspace = ?`, []any{s.Workspace}
	}
	return `d.deleted_at = 0`, nil
}

// InsightSums calls each with the sums of each Deployment, day and kind in a scope,
// on the days from first to last. encoded is for Sums.MergeEncoded, and valid until each
// returns.
func (tx *Tx) InsightSums(of InsightScope, first, last int, each func(d slipway.DeploymentID, day int, kind slipway.DeployKind, encoded []byte) error) error {
	where, args := of.where()
	_, err := list(tx, "sums for insights", func(r row) (_ struct{}, err error) {
		var d slipway.DeploymentID
		var day int
		var kind slipway.DeployKind
		var b []byte
		if err = r.Scan(&d, &day, &kind, &b); err == nil {
			err = each(d, day, kind, b)
		}
		return struct{}{}, err
	}, `SELECT s.deployment, s.day, s.kind, s.sums FROM deployments d CROSS JOIN insights s ON s.deployment = d.id
		WHERE `+where+` AND s.day BETWEEN ? AND ? ORDER BY s.deployment, s.day`, append(args, first, last)...)
	return err
}

// InsightNames returns the names of all who deployed in a scope, by id: titles of
// people and tokens.
func (tx *Tx) InsightNames(of InsightScope) (map[string]string, error) {
	where, args := of.where()
	all, err := list(tx, "names for insights", func(r row) (d Deployer, err error) {
		err = r.Scan(&d.ID, &d.Name, &d.Token)
		return d, err
	}, `SELECT n.id, n.name, n.token FROM deployments d CROSS JOIN deployers n ON n.deployment = d.id WHERE `+where, args...)
	names := map[string]string{}
	for _, d := range all {
		by := slipway.Actor{Name: d.Name}
		if d.Token {
			by.Token = slipway.TokenID(d.ID)
		}
		names[d.ID] = by.Title()
	}
	return names, err
}

// uncountedMax is where InsightsUncounted stops.
const uncountedMax = 1000

// InsightsUncounted returns how many deploys of a scope the sums lack: those of
// before the sums were kept, and up to 1,000 that ended or changed just now.
func (tx *Tx) InsightsUncounted(of InsightScope) (old, fresh int, err error) {
	where, args := of.where()
	if old, err = tx.count("old deploys to count", `SELECT COALESCE(SUM(f.last), 0) FROM insights_fill f JOIN deployments d ON d.id = f.deployment WHERE `+where, args...); err != nil {
		return 0, 0, err
	}
	fresh, err = tx.count("new deploys to count", `SELECT COUNT(*) FROM (
		SELECT 1 FROM insights_changed c JOIN deployments d ON d.id = c.deployment WHERE `+where+` LIMIT `+strconv.Itoa(uncountedMax)+`)`, args...)
	return old, fresh, err
}

// FilesAt returns the number of files in the version of a Deployment that was live
// just before each time; -1 for not known.
func (tx *Tx) FilesAt(of slipway.DeploymentID, times []time.Time) ([]int, error) {
	at := make([]int64, len(times))
	for i, t := range times {
		at[i] = ms(t)
	}
	return list(tx, "files over time", func(r row) (n int, err error) {
		err = r.Scan(&n)
		return n, err
	}, filesAt, of, asJSON(at))
}

// filesAt passes over at most some deploys of an image alone, which have no files.
const filesAt = `SELECT COALESCE((SELECT f.files FROM (
		SELECT w.kind, IIF(w.counts = '', NULL, w.counts ->> '$.Files') files, w.after ->> '$.Mounted' mounted FROM deploys w INDEXED BY deploys_live_at
		WHERE w.deployment = ?1 AND w.live_at > 0 AND w.live_at + 0 < j.value ORDER BY w.live_at + 0 DESC, w.position DESC LIMIT 20) f
	WHERE f.kind <> 'IMAGE_ONLY' LIMIT 1), -1)
	FROM json_each(?2) j ORDER BY j.key`

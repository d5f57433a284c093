package store

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"slipway/internal/slipway"
)

// deploys is the table of deploys. The fixed columns are written once: sender,
// time, number and version.
var deploys = table[slipway.Deploy]{"deploys", "w", []column[slipway.Deploy]{
	{"id", fixed, func(w *slipway.Deploy) any { return &w.ID }},
	{"deployment", fixed, func(w *slipway.Deploy) any { return &w.Deployment }},
	{"number", fixed, func(w *slipway.Deploy) any { return &w.Number }},
	{"kind", fixed, func(w *slipway.Deploy) any { return &w.Kind }},
	{"status", progress, func(w *slipway.Deploy) any { return &w.Status }},
	{"reason", progress, func(w *slipway.Deploy) any { return &w.Reason }},
	{"note", progress, func(w *slipway.Deploy) any { return &w.Note }},
	{"description", progress, func(w *slipway.Deploy) any { return &w.Description }},
	{"by_user", fixed, func(w *slipway.Deploy) any { return &w.By.User }},
	{"by_token", fixed, func(w *slipway.Deploy) any { return &w.By.Token }},
	{"by_name", fixed, func(w *slipway.Deploy) any { return &w.By.Name }},
	{"by_via", fixed, func(w *slipway.Deploy) any { return &w.By.Via }},
	{"by_ip", fixed, func(w *slipway.Deploy) any { return &w.By.IP }},
	{"confirmed_by", progress, func(w *slipway.Deploy) any { return jsonText{&w.ConfirmedBy} }},
	{"git", fixed, func(w *slipway.Deploy) any { return jsonText{&w.Git} }},
	{"version", fixed, func(w *slipway.Deploy) any { return &w.Version }},
	{"root", progress, func(w *slipway.Deploy) any { return jsonText{&w.Root} }},
	{"landing", progress, func(w *slipway.Deploy) any { return jsonText{&w.Landing} }},
	{"merge", progress, func(w *slipway.Deploy) any { return &w.Merge }},
	{"folder", progress, func(w *slipway.Deploy) any { return &w.Folder }},
	{"upload", progress, func(w *slipway.Deploy) any { return &w.Upload }},
	{"fix", fixed, func(w *slipway.Deploy) any { return &w.Fix }},
	{"bytes", progress, func(w *slipway.Deploy) any { return &w.Bytes }},
	{"resumes", progress, func(w *slipway.Deploy) any { return &w.Resumes }},
	{"base", progress, func(w *slipway.Deploy) any { return &w.Base }},
	{"return_to", fixed, func(w *slipway.Deploy) any { return &w.ReturnTo }},
	{"undone_by", progress, func(w *slipway.Deploy) any { return &w.UndoneBy }},
	{"after", progress, func(w *slipway.Deploy) any { return jsonText{&w.After} }},
	{"counts", progress, func(w *slipway.Deploy) any { return jsonText{&w.Counts} }},
	{"position", progress, func(w *slipway.Deploy) any { return &w.Position }},
	{"created_at", fixed, func(w *slipway.Deploy) any { return millis{&w.CreatedAt} }},
	{"uploaded_at", progress, func(w *slipway.Deploy) any { return millis{&w.UploadedAt} }},
	{"staged_at", progress, func(w *slipway.Deploy) any { return millis{&w.StagedAt} }},
	{"queued_at", progress, func(w *slipway.Deploy) any { return millis{&w.QueuedAt} }},
	{"deploying_at", progress, func(w *slipway.Deploy) any { return millis{&w.DeployingAt} }},
	{"stored_at", progress, func(w *slipway.Deploy) any { return millis{&w.StoredAt} }},
	{"live_at", progress, func(w *slipway.Deploy) any { return millis{&w.LiveAt} }},
	{"ended_at", progress, func(w *slipway.Deploy) any { return millis{&w.EndedAt} }},
	{"image", progress, func(w *slipway.Deploy) any { return jsonText{&w.Image} }},
	{"source", progress, func(w *slipway.Deploy) any { return &w.Source }},
	{"tag", fixed, func(w *slipway.Deploy) any { return &w.Tag }},
	{"wants_dags", progress, func(w *slipway.Deploy) any { return &w.WantsDAG }},
	{"safe_switch", progress, func(w *slipway.Deploy) any { return jsonText{&w.Switch} }},
	{"by_hand", progress, func(w *slipway.Deploy) any { return &w.ByHand }},
	{"rolling_at", progress, func(w *slipway.Deploy) any { return millis{&w.RollingAt} }},
	{"mounting_at", progress, func(w *slipway.Deploy) any { return millis{&w.MountingAt} }},
}}

var (
	deployColumns = deploys.selected()
	scanDeploy    = deploys.scan
)

func noDeploy(of slipway.DeploymentID, number int) error {
	return slipway.Errorf(slipway.NotFound, "There is no deploy #%d of Deployment %s.", number, of)
}

// AddDeploy records w with the next number of its Deployment and returns w with
// id, number and time. A deploy with DAGs gets a new bundle version, except for
// a return.
func (tx *Tx) AddDeploy(w slipway.Deploy) (slipway.Deploy, error) {
	var last slipway.Version
	err := tx.tx.QueryRowContext(tx.ctx, `
		UPDATE deployments SET last_number = last_number + 1 WHERE id = ? AND deleted_at = 0
		RETURNING last_number, last_version`, w.Deployment).Scan(&w.Number, &last)
	if errors.Is(err, sql.ErrNoRows) {
		return w, noDeployment(w.Deployment)
	}
	if err != nil {
		return w, fmt.Errorf("number deploy: %w", err)
	}
	w.ID, w.CreatedAt = slipway.DeployID(tx.newID()), tx.Now
	if w.Version == "" && w.Purpose() != slipway.ForReturn && w.Kind != slipway.ImageOnly {
		w.Version = slipway.NextVersion(tx.Now, last)
		if err := tx.exec("mint version", `UPDATE deployments SET last_version = ? WHERE id = ?`, w.Version, w.Deployment); err != nil {
			return w, err
		}
	}
	if w.Status == slipway.Queued {
		if w, err = tx.enqueue(w); err != nil {
			return w, err
		}
	}
	return w, tx.insertDeploy(w)
}

func (tx *Tx) insertDeploy(w slipway.Deploy) error {
	query, values := deploys.insert(&w)
	return tx.exec("add deploy", query, values...)
}

// SaveDeploy saves the progress columns of w. Sender, creation time, number and
// version never change. The first save with a status sets the time of the
// status to the transaction's.
func (tx *Tx) SaveDeploy(w slipway.Deploy) (slipway.Deploy, error) {
	w = tx.stamped(w)
	set, values := deploys.update(progress, &w)
	n, err := tx.changed("save deploy", `UPDATE deploys SET `+set+` WHERE id = ?`, append(values, w.ID)...)
	if err == nil && n == 0 {
		err = noDeploy(w.Deployment, w.Number)
	}
	return w, err
}

func (tx *Tx) stamped(w slipway.Deploy) slipway.Deploy {
	at := map[slipway.Status]*time.Time{
		slipway.Staged: &w.StagedAt, slipway.Queued: &w.QueuedAt, slipway.Deploying: &w.DeployingAt,
		slipway.Deployed: &w.EndedAt, slipway.Failed: &w.EndedAt, slipway.Cancelled: &w.EndedAt,
	}[w.Status]
	if at != nil && at.IsZero() {
		*at = tx.Now
	}
	return w
}

// Enqueue gives w the next position in the queue of its Deployment and saves w.
func (tx *Tx) Enqueue(w slipway.Deploy) (slipway.Deploy, error) {
	w, err := tx.enqueue(w)
	if err != nil {
		return w, err
	}
	return tx.SaveDeploy(w)
}

func (tx *Tx) enqueue(w slipway.Deploy) (_ slipway.Deploy, err error) {
	w.Position, err = tx.nextPosition(w.Deployment)
	return tx.stamped(w), err
}

func (tx *Tx) nextPosition(of slipway.DeploymentID) (int64, error) {
	return one(tx, "next position", noDeployment(of), func(r row) (n int64, err error) {
		err = r.Scan(&n)
		return n, err
	}, `UPDATE deployments SET last_position = last_position + 1 WHERE id = ? RETURNING last_position`, of)
}

// Deploy returns a deploy of a Deployment by its number. The caller has asked
// for the Deployment with a role.
func (tx *Tx) Deploy(of slipway.DeploymentID, number int) (slipway.Deploy, error) {
	return one(tx, "deploy", noDeploy(of, number), scanDeploy,
		`SELECT `+deployColumns+` FROM deploys w WHERE w.deployment = ? AND w.number = ?`, of, number)
}

// LoadDeploy returns a deploy by id for the engine.
func (tx *Tx) LoadDeploy(id slipway.DeployID) (slipway.Deploy, error) {
	return one(tx, "load deploy", slipway.Errorf(slipway.NotFound, "There is no such deploy."), scanDeploy,
		`SELECT `+deployColumns+` FROM deploys w JOIN deployments d ON d.id = w.deployment AND d.deleted_at = 0 WHERE w.id = ?`, id)
}

// Deploys returns up to limit deploys of a Deployment, newest first, with
// numbers below before; 0 for the newest.
func (tx *Tx) Deploys(of slipway.DeploymentID, before, limit int) ([]slipway.Deploy, error) {
	return list(tx, "deploys", scanDeploy, `
		SELECT `+deployColumns+` FROM deploys w
		WHERE w.deployment = ?1 AND (?2 = 0 OR w.number < ?2) ORDER BY w.number DESC LIMIT ?3`, of, before, limit)
}

// CountDeploys counts the deploys of a Deployment by one look-up: numbers have
// no gaps, and no deploy is deleted alone.
func (tx *Tx) CountDeploys(of slipway.DeploymentID) (int, error) {
	return tx.count("deploys", `SELECT COALESCE(MAX(number), 0) FROM deploys WHERE deployment = ?`, of)
}

// LastDeploy returns the newest deploy of a Deployment, false for none.
func (tx *Tx) LastDeploy(of slipway.DeploymentID) (slipway.Deploy, bool, error) {
	return first(tx.Deploys(of, 0, 1))
}

// LastQueued returns the last deploy of queue, or the live deploy without any;
// false for none.
func (tx *Tx) LastQueued(of slipway.DeploymentID, queue []slipway.Turn) (slipway.Deploy, bool, error) {
	for _, t := range slices.Backward(queue) {
		if t.Deploy != nil {
			return *t.Deploy, true, nil
		}
	}
	return tx.LiveDeploy(of)
}

// LiveDeploy returns the deploy whose state is the desired one now, false if no
// deploy ever went live.
func (tx *Tx) LiveDeploy(of slipway.DeploymentID) (slipway.Deploy, bool, error) {
	return first(list(tx, "live deploy", scanDeploy, `
		SELECT `+deployColumns+` FROM deploys w INDEXED BY deploys_live
		WHERE w.deployment = ? AND w.live_at > 0 ORDER BY w.position DESC LIMIT 1`, of))
}

// RunningDeploy returns the deploy going live now, false for none.
func (tx *Tx) RunningDeploy(of slipway.DeploymentID) (slipway.Deploy, bool, error) {
	return first(list(tx, "running deploy", scanDeploy, `
		SELECT `+deployColumns+` FROM deploys w WHERE w.deployment = ? AND w.status = 'deploying'`, of))
}

// ToConfirm is how many deploys of a Deployment wait to be confirmed.
type ToConfirm struct {
	Count int
	First int // number of the oldest one
}

// ToConfirm returns the Deployments of a Workspace with staged deploys.
func (tx *Tx) ToConfirm(w slipway.WorkspaceID) (map[slipway.DeploymentID]ToConfirm, error) {
	type counted struct {
		of slipway.DeploymentID
		ToConfirm
	}
	all, err := list(tx, "deploys to confirm", func(r row) (c counted, err error) {
		err = r.Scan(&c.of, &c.Count, &c.First)
		return c, err
	}, `
		SELECT w.deployment, COUNT(*), MIN(w.number) FROM deploys w INDEXED BY deploys_unfinished JOIN deployments d ON d.id = w.deployment
		WHERE w.status IN ('initialized', 'staged') AND w.status = 'staged' AND d.workspace = ? GROUP BY w.deployment`, w)
	of := map[slipway.DeploymentID]ToConfirm{}
	for _, c := range all {
		of[c.of] = c.ToConfirm
	}
	return of, err
}

// LiveBefore returns the deploy replaced by w, false for none.
func (tx *Tx) LiveBefore(w slipway.Deploy) (slipway.Deploy, bool, error) {
	return first(list(tx, "live deploy before", scanDeploy, `
		SELECT `+deployColumns+` FROM deploys w INDEXED BY deploys_live
		WHERE w.deployment = ? AND w.live_at > 0 AND w.position < ? ORDER BY w.position DESC LIMIT 1`, w.Deployment, w.Position))
}

// Rolling returns the image deploy in rollout, false for none.
func (tx *Tx) Rolling(of slipway.DeploymentID) (slipway.Deploy, bool, error) {
	return first(list(tx, "rolling deploy", scanDeploy, `
		SELECT `+deployColumns+` FROM deploys w INDEXED BY deploys_queue
		WHERE w.deployment = ? AND w.status IN ('queued', 'deploying') AND w.status = 'deploying' AND w.rolling_at > 0`, of))
}

// VersionDeploy returns the deploy whose upload made a bundle version, false for
// none. Returns to the version are other deploys.
func (tx *Tx) VersionDeploy(of slipway.DeploymentID, v slipway.Version) (slipway.Deploy, bool, error) {
	return first(list(tx, "deploy of version", scanDeploy, `
		SELECT `+deployColumns+` FROM deploys w JOIN versions v ON v.deploy = w.id
		WHERE v.deployment = ? AND v.version = ?`, of, v))
}

// Unfinished returns every deploy waiting for files or for a person, for the
// engine.
func (tx *Tx) Unfinished() ([]slipway.Deploy, error) {
	return list(tx, "unfinished deploys", scanDeploy, `
		SELECT `+deployColumns+` FROM deploys w JOIN deployments d ON d.id = w.deployment AND d.deleted_at = 0
		WHERE w.status IN ('initialized', 'staged') ORDER BY w.created_at`)
}

// RecentDeployers returns the newest DAG deploy since a time of each person and
// each token.
func (tx *Tx) RecentDeployers(of slipway.DeploymentID, since time.Time) ([]slipway.Deploy, error) {
	return list(tx, "recent deployers", scanDeploy, `
		SELECT `+deployColumns+` FROM deploys w
		WHERE w.deployment = ?1 AND w.number IN (
			SELECT MAX(number) FROM deploys
			WHERE deployment = ?1 AND kind = 'DAG_ONLY' AND queued_at >= ?2 GROUP BY by_user, by_token)
		ORDER BY w.number DESC LIMIT 20`, of, ms(since))
}

// StagedFor returns the deploys of a Deployment waiting for confirmation,
// newest first: the user's own, and all of tokens, because anyone may confirm a
// token's.
func (tx *Tx) StagedFor(of slipway.DeploymentID, user slipway.UserID) ([]slipway.Deploy, error) {
	return list(tx, "staged deploys", scanDeploy, `
		SELECT `+deployColumns+` FROM deploys w INDEXED BY deploys_open
		WHERE w.deployment = ? AND w.status IN ('initialized', 'staged') AND w.status = 'staged' AND (w.by_user = ? OR w.by_token <> '')
		ORDER BY w.number DESC LIMIT 10`, of, user)
}

// Undo records the return number by to deploy number after: every deploy live
// in between is undone by the return.
func (tx *Tx) Undo(of slipway.DeploymentID, after, by int) error {
	return tx.exec("undo", `
		UPDATE deploys INDEXED BY deploys_live SET undone_by = ?1
		WHERE deployment = ?2 AND live_at > 0 AND undone_by = 0
			AND position > (SELECT position FROM deploys WHERE deployment = ?2 AND number = ?3)
			AND position < (SELECT position FROM deploys WHERE deployment = ?2 AND number = ?1)`,
		by, of, after)
}

func first[T any](all []T, err error) (T, bool, error) {
	if err != nil || len(all) == 0 {
		var zero T
		return zero, false, err
	}
	return all[0], true, nil
}

// LogLine is a line of the log of a deploy's rollout.
type LogLine struct {
	Line int // counts from 1
	At   time.Time
	Text string
}

// AddLog appends lines to the log of a deploy.
func (tx *Tx) AddLog(id slipway.DeployID, lines []string) error {
	for _, text := range lines {
		err := tx.exec("add log", `
			INSERT INTO deploy_log (deploy, line, at, text)
			SELECT ?1, COALESCE(MAX(line), 0) + 1, ?2, ?3 FROM deploy_log WHERE deploy = ?1`, id, ms(tx.Now), text)
		if err != nil {
			return err
		}
	}
	return nil
}

// Log returns up to limit lines of the log of a deploy, starting behind a line.
func (tx *Tx) Log(id slipway.DeployID, after, limit int) ([]LogLine, error) {
	return list(tx, "log", func(r row) (l LogLine, err error) {
		err = r.Scan(&l.Line, millis{&l.At}, &l.Text)
		return l, err
	}, `SELECT line, at, text FROM deploy_log WHERE deploy = ? AND line > ? ORDER BY line LIMIT ?`, id, after, limit)
}

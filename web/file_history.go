package web

import (
	"errors"
	"net/http"
	"net/url"
	"path"
	"strconv"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// historyPath is the address of the history of a file, safe for every path.
func historyPath(of slipway.DeploymentID, path string) string {
	return deploymentPath(of) + "/history/" + (&url.URL{Path: path}).EscapedPath()
}

// showFileHistory serves GET /deployments/:deployment/history/*: the deploys with
// a change of a file, and the difference between two steps.
func (s *Server) showFileHistory(c echo.Context) error {
	p := views.FileHistoryPage{Path: pathBelow(c, "history")}
	p.Name, p.Action = path.Base(p.Path), historyPath(deploymentID(c), p.Path)
	var d slipway.Deployment
	var two [2]*store.FileStep
	err := s.viewScene(c, func(tx *store.Tx, sc scene) (err error) {
		d = sc.Deployment
		if err := fileHistory(c, tx, sc, &p); err != nil {
			return err
		}
		for i, name := range []string{"from", "to"} {
			if two[i], err = requestedStep(tx, sc, p.Path, queryNumber(c, name)); err != nil {
				return err
			}
		}
		p.Frame, err = s.frameOf(c, tx, sc, "History of "+slipway.Visible(p.Name), "")
		p.Frame.Page.Files = true
		return err
	})
	if err != nil {
		return err
	}
	if two[0] != nil && two[1] != nil {
		if err := s.compareSteps(c, d, *two[0], *two[1], &p); err != nil {
			return err
		}
	}
	if wantsPartial(c) && p.Diff != nil {
		return render(c, http.StatusOK, views.FileStepBody(p))
	}
	return render(c, http.StatusOK, views.FileHistory(p))
}

// fileHistory fills in a page of the file's changes by deploys.
func fileHistory(c echo.Context, tx *store.Tx, sc scene, p *views.FileHistoryPage) error {
	steps, newer, older, err := stepsPage(tx, sc.ID, p.Path, queryNumber(c, "before"), queryNumber(c, "after"))
	if err != nil {
		return err
	}
	if len(steps) == 0 {
		return slipway.Errorf(slipway.NotFound, views.NoFileEver, p.Path)
	}
	if newer {
		p.Newer = pageOf(p.Action, "after", steps[0].Deploy.Number)
	}
	if older {
		p.Older = pageOf(p.Action, "before", steps[len(steps)-1].Deploy.Number)
	}
	if !newer && steps[0].Op != slipway.Removed && sc.projected.MayDeploy(slipway.DAGOnly, sc.role, sc.by) == nil {
		p.FixURL = fixPath(sc.ID, p.Path)
	}
	kept, err := tx.RetainedOf(sc.ID, versionsOf(steps))
	if err != nil {
		return err
	}
	for _, step := range steps {
		p.Rows = append(p.Rows, fileStepRow(sc, p.Path, step, kept))
	}
	p.From, p.To = stepOptions(steps, max(queryNumber(c, "from"), 0), 1), stepOptions(steps, max(queryNumber(c, "to"), 0), 0)
	return nil
}

// stepsPage returns a page of a file's steps, and whether newer and older ones
// exist.
func stepsPage(tx *store.Tx, of slipway.DeploymentID, path string, before, after int) (steps []store.FileStep, newer, older bool, err error) {
	if after > 0 {
		if steps, err = tx.FileHistoryAfter(of, path, after, pageSize+1); err != nil {
			return nil, false, false, err
		}
		if newer = len(steps) > pageSize; newer {
			steps = steps[1:]
		}
		return steps, newer, len(steps) > 0, nil
	}
	if steps, err = tx.FileHistory(of, path, before, pageSize+1); err != nil {
		return nil, false, false, err
	}
	if older = len(steps) > pageSize; older {
		steps = steps[:pageSize]
	}
	return steps, before > 0, older, nil
}

// versionsOf returns the versions before and after each step.
func versionsOf(steps []store.FileStep) (all []slipway.Version) {
	for _, s := range steps {
		all = append(all, s.Deploy.After.Version, s.Deploy.Base)
	}
	return all
}

// fileStepRow is the row of a step, with links to retained versions only. After a
// removal, the link leads to the last content.
func fileStepRow(sc scene, path string, step store.FileStep, kept map[slipway.Version]bool) views.FileStepRow {
	w := step.Deploy
	row := views.FileStepRow{
		Op: step.Op, Number: w.Number, DeployURL: deployPath(sc.ID, w.Number), At: sc.at(w.LiveAt), By: w.By.Title(),
		Description: w.Description, Current: w.Number == sc.live.Number, Fix: w.Fix != "", SHA256: step.SHA256, Mode: views.ModeWords(step.OldMode, step.Mode),
		Link: step.SHA256 == "" && step.Op != slipway.Removed,
	}
	if kept[w.After.Version] && (w.Base == "" || kept[w.Base]) {
		row.DiffURL = row.DeployURL + "?" + url.Values{"file": {path}}.Encode() + "#" + anchor(path)
	}
	then := w.After.Version
	if step.Op == slipway.Removed {
		then = w.Base
	}
	if kept[then] {
		row.ThenURL = filePath(sc.ID, then, path)
	}
	return row
}

// stepOptions are the comparable steps. asked is the number of the chosen
// deploy; with 0 the step at place otherwise is chosen.
func stepOptions(steps []store.FileStep, asked, otherwise int) (all []views.Option) {
	listed := false
	for _, s := range steps {
		if s.SHA256 == "" && s.Op != slipway.Removed {
			continue // a link
		}
		text := views.StepOption(s.Deploy.Number, s.Deploy.LiveAt)
		listed = listed || s.Deploy.Number == asked
		all = append(all, views.Option{Value: strconv.Itoa(s.Deploy.Number), Text: text, Chosen: s.Deploy.Number == asked})
	}
	if asked > 0 && !listed {
		n := strconv.Itoa(asked)
		return append(all, views.Option{Value: n, Text: "#" + n, Chosen: true})
	}
	if asked == 0 && otherwise < len(all) {
		all[otherwise].Chosen = true
	}
	return all
}

// requestedStep returns the step of deploy number, nil if none is asked for.
func requestedStep(tx *store.Tx, sc scene, path string, number int) (*store.FileStep, error) {
	if number == 0 {
		return nil, nil
	}
	step, err := tx.FileStep(sc.ID, path, number)
	if err != nil {
		return nil, err
	}
	return &step, nil
}

// compareSteps fills in the difference of the file after two deploys.
func (s *Server) compareSteps(c echo.Context, d slipway.Deployment, from, to store.FileStep, p *views.FileHistoryPage) error {
	p.Title = views.StepTitle(from.Deploy.Number, to.Deploy.Number)
	isLink := func(f store.FileStep) bool { return f.SHA256 == "" && f.Op != slipway.Removed }
	switch {
	case isLink(from) || isLink(to):
		p.Problem = views.StepLink
		return nil
	case from.SHA256 == to.SHA256 && from.Mode != "" && to.Mode != "" && from.Mode != to.Mode:
		p.Problem = views.StepModes(from.Deploy.Number, to.Deploy.Number, from.Mode, to.Mode)
		return nil
	case from.SHA256 == to.SHA256:
		p.Problem = views.StepAlike(from.Deploy.Number, to.Deploy.Number)
		return nil
	}
	ask := fileAskOf(c, p.Action)
	ask.with, ask.file = url.Values{"from": {strconv.Itoa(from.Deploy.Number)}, "to": {strconv.Itoa(to.Deploy.Number)}}, ""
	diff, err := s.contentChange(c, d, p.Path, from.SHA256, to.SHA256, slipway.Look{Lines: ask.lines, Inked: true})
	if errors.Is(err, slipway.ErrNotFound) {
		_, p.Problem = slipway.Explain(err)
		return nil
	}
	if p.Diff = diff; err != nil {
		return err
	}
	p.Look = ask.look()
	p.Look.Key = string(d.ID) + "/history/" + p.Path
	p.Diff.Mode, p.Diff.Anchor, p.Diff.Split = views.ModeWords(from.Mode, to.Mode), "difference", ask.split
	p.Diff.Gaps = gapLinks(*diff.Diff, false, func(r slipway.LineRange) string { return ask.alone("", r) })
	return nil
}

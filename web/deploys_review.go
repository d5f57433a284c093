package web

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// review is the form to confirm r, in the parts common to a deploy and a
// return.
func review(r deploy.Review, t confirmForm) views.Review {
	v := views.Review{
		Base: r.Base, Tag: r.Deploy.ReviewTag(), Against: views.AgainstText(r.BaseDeploy), Notice: t.notice, Description: r.Deploy.Description, Reason: t.reason, Ticks: t.ticks,
		Counts: r.Plan.Counts, NewBytes: r.NewBytes, RemovedDAGs: r.Plan.RemovedDAGs, NoDAGs: r.Plan.Ticks().NoDAGs,
		StoppedDAGs: r.Plan.StoppedDAGs, Pointers: r.Plan.Pointers, Bidi: r.Plan.Bidi, Invisible: r.Plan.Invisible, Unjudged: r.Plan.Unjudged,
		LeftOut: omissions(r.Report), Outside: r.Report.Outside, Left: views.LeftFiles{Out: r.Deploy.Counts.LeftOut, Outside: r.Deploy.Counts.Outside},
		DAGs: r.Plan.DAGs, Wipe: wipe(r, t), ToImage: r.Projected.RemovesDAGs(r.Deploy),
	}
	if t.description != nil {
		v.Description = *t.description
	}
	if r.Refusal != nil {
		var kind slipway.Kind
		kind, v.Refusal = slipway.Explain(r.Refusal)
		v.Faulty = (kind == slipway.Invalid || kind == slipway.TooLarge) && r.Deploy.Settled() == nil
	}
	if len(r.Plan.Changes) == 0 && r.Plan.Counts.Files > 0 && (r.Deploy.Purpose() == slipway.ForReturn || r.Projected.Brings(r.Deploy)) {
		v.Same = views.SameText(r.Same)
	}
	if r.Projected.Bundles(r.Deploy) {
		v.Against = views.AgainstImage
	}
	v.Older, v.MoreOlder = older(r)
	addImage(&v, r)
	return v
}

// wipe is the question before a deploy that takes many DAG files, nil for others.
func wipe(r deploy.Review, t confirmForm) *views.Wipe {
	if !r.Plan.Wipes() {
		return nil
	}
	w := views.Wipe{Name: r.Plan.Deployment, Typed: t.ticks.Name, Lost: r.Plan.Lost(), Upload: r.Deploy.Upload, Files: r.Plan.Counts.Files}
	for _, c := range r.Plan.Changes {
		if c.Op != slipway.Removed && len(w.Some) < 3 {
			w.Some = append(w.Some, c.Path)
		}
	}
	if r.Projected.RemovesDAGs(r.Deploy) { // no archive of DAGs was chosen
		w.Upload = ""
	}
	return &w
}

// maxOlder is the most files listed that get an older content.
const maxOlder = 8

// older lists the changes of r back to a content of an earlier deploy, and counts
// those left out.
func older(r deploy.Review) (all []views.OlderFile, more int) {
	for _, path := range slices.Sorted(maps.Keys(r.SameAs)) {
		if len(all) == maxOlder {
			return all, len(r.SameAs) - maxOlder
		}
		w := r.SameAs[path]
		all = append(all, views.OlderFile{Path: path, Deploy: fmt.Sprintf("#%d (%s, %s)", w.Number, w.By.Title(), w.CreatedAt.UTC().Format("2 Jan 2006")), URL: deployPath(r.Deployment.ID, w.Number)})
	}
	return all, 0
}

// chooseLanding serves POST /deployments/:deployment/deploys/:number/landing.
func (s *Server) chooseLanding(c echo.Context) error {
	n, err := number(c)
	if err != nil {
		return err
	}
	form, err := c.FormParams()
	if err != nil {
		return fmt.Errorf("read form: %w", err)
	}
	if form.Has("description") {
		if err := s.engine.Describe(c.Request().Context(), deploymentID(c), n, actorOf(c), form.Get("description")); err != nil {
			return err
		}
	}
	folder := strings.TrimPrefix(c.FormValue("to"), "in:")
	w, err := s.engine.ChooseLanding(c.Request().Context(), deploymentID(c), n, actorOf(c), c.FormValue("name"), folder)
	if err != nil {
		return err
	}
	return seeOther(c, deployPath(w.Deployment, w.Number))
}

// needsReview reports whether the answer to err is the page with the changes
// again.
func needsReview(err error) bool {
	return errors.Is(err, slipway.ErrInvalid) || errors.Is(err, slipway.ErrBaseChanged) || errors.Is(err, slipway.ErrReviewChanged)
}

// reviewAgain shows the page of a refused confirmation again, with the reason
// and the input.
func (s *Server) reviewAgain(c echo.Context, err error, t confirmForm, page func(echo.Context, int, confirmForm) error) error {
	status, text := explain(err)
	t.notice = text
	if errors.Is(err, slipway.ErrReviewChanged) {
		t.ticks = slipway.Ticks{}
	}
	if errors.Is(err, slipway.ErrBaseChanged) {
		t.ticks = slipway.Ticks{} // the given ticks were for other changes
		if w, ok := s.newestDeploy(c); ok {
			t.notice = views.BaseChangedText(w)
		}
	}
	return page(c, status, t)
}

// newestDeploy returns the newest deploy of the queue, else the live deploy; ok
// is false for none.
func (s *Server) newestDeploy(c echo.Context) (w slipway.Deploy, ok bool) {
	err := s.viewScene(c, func(_ *store.Tx, sc scene) error {
		w = sc.live
		for _, t := range sc.queue {
			if t.Deploy != nil {
				w = *t.Deploy
			}
		}
		return nil
	})
	return w, err == nil && w.Number > 0 // the sentence without a name is right too
}

// cancel serves POST /deployments/:deployment/deploys/:number/cancel.
func (s *Server) cancel(c echo.Context) error {
	n, err := number(c)
	if err != nil {
		return err
	}
	w, err := s.engine.Cancel(c.Request().Context(), deploymentID(c), n, actorOf(c))
	if err != nil {
		return err
	}
	return s.done(c, deploymentPath(w.Deployment), views.DoneCancelled, n)
}

// showReturn serves GET /deployments/:deployment/deploys/:number/return.
func (s *Server) showReturn(c echo.Context) error {
	return s.returnPage(c, http.StatusOK, confirmForm{})
}

// returnPage renders the form to return to a deploy. t has the input after a
// refused confirmation.
func (s *Server) returnPage(c echo.Context, status int, t confirmForm) error {
	n, err := number(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	r, err := s.engine.ReviewReturn(ctx, deploymentID(c), n, actorOf(c))
	if err != nil {
		return err
	}
	r.SameAs = nil // a return restores every file
	path := deployPath(r.Deployment.ID, n)
	ask := fileAskOf(c, path+"/return")
	if wantsOneFile(c) {
		return oneFile(c, ask, r.Plan.Changes, r.Away, s.changedFiles(r))
	}
	var p views.DeployPage
	undone := 0
	err = s.viewScene(c, func(tx *store.Tx, sc scene) (err error) {
		if p, _, err = deployHead(tx, sc, n); err != nil {
			return err
		}
		if undone, err = undoneBy(tx, sc, n); err != nil {
			return err
		}
		p.Frame, err = s.frameOf(c, tx, sc, fmt.Sprintf("Return to #%d", n), "")
		p.Frame.Page.Files = true
		return err
	})
	if err != nil {
		return err
	}
	ch, err := s.changes(ctx, r, ask)
	if err != nil {
		return err
	}
	r.SameAs = nil // a return restores every file
	form := review(r, t)
	form.Action, form.Button, form.BackURL, form.AsksReason = path+"/return", views.LossButton(fmt.Sprintf("Return to #%d", n), r.Plan, form.ToImage), path, true
	form.Returns = views.ReturnText(n, undone, r.Deploy.After, r.Projected.State)
	form.Effects = views.ReturnEffects(r.Deploy.After, r.Projected.State)
	if p.Review = &form; !form.NoFiles {
		p.Changes = &ch
	}
	return render(c, status, views.Return(p))
}

// returnTo serves POST /deployments/:deployment/deploys/:number/return.
func (s *Server) returnTo(c echo.Context) error {
	n, err := number(c)
	if err != nil {
		return err
	}
	t := confirmForm{reason: c.FormValue("reason"), ticks: ticks(c)}
	w, err := s.engine.Return(c.Request().Context(), deploymentID(c), n, actorOf(c), slipway.Version(c.FormValue("base")), t.ticks, t.reason)
	if needsReview(err) {
		return s.reviewAgain(c, err, t, s.returnPage)
	}
	if err != nil {
		return err
	}
	return seeOther(c, deployPath(w.Deployment, w.Number))
}

package web

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// maxLines is the most changed files listed in a review.
const maxLines = 500

// review is the form to confirm r, in the parts common to a deploy and a
// return.
func review(r deploy.Review, ch views.Changes, t confirmForm) views.Review {
	v := views.Review{
		Base: r.Base, Against: views.AgainstText(r.BaseDeploy), Notice: t.notice, Description: r.Deploy.Description, Reason: t.reason, Ticks: t.ticks,
		Counts: r.Plan.Counts, NewBytes: r.NewBytes, RemovedDAGs: r.Plan.RemovedDAGs, NoDAGs: r.Plan.Ticks().NoDAGs,
		StoppedDAGs: r.Plan.StoppedDAGs, Pointers: r.Plan.Pointers, Bidi: r.Plan.Bidi, Invisible: r.Plan.Invisible, Unjudged: r.Plan.Unjudged,
		LeftOut: omissions(r.Report), Outside: r.Report.Outside,
	}
	if t.description != nil {
		v.Description = *t.description
	}
	if r.Refusal != nil {
		_, v.Refusal = slipway.Explain(r.Refusal)
	}
	diffs := map[string]views.FileChange{}
	for _, f := range ch.Files {
		diffs[f.Path] = f
	}
	listed, _ := slipway.FoldModes(r.Plan.Changes)
	for _, change := range listed[:min(maxLines, len(listed))] {
		v.Lines = append(v.Lines, changeLine(r, change, diffs))
	}
	v.MoreLines, v.Modes = len(listed)-len(v.Lines), ch.Modes
	addImage(&v, r)
	return v
}

// changeLine is the line of a change in the list. A change back to an earlier
// content names the deploy of the present content.
func changeLine(r deploy.Review, change slipway.Change, diffs map[string]views.FileChange) views.ChangeLine {
	l := views.ChangeLine{Op: change.Op, Path: change.Path, Mode: views.ModeText(change), ModeOnly: change.ModeOnly(), DAG: slices.Contains(r.Plan.RemovedDAGs, change.Path)}
	if f, ok := diffs[change.Path]; ok {
		l.URL = "#" + f.Anchor
		if f.Diff != nil && !f.Diff.Binary && !f.Diff.TooLarge {
			l.Counted, l.Added, l.Removed = true, f.Diff.Added, f.Diff.Removed
		}
	}
	if w, ok := r.SameAs[change.Path]; ok {
		l.SameAs = fmt.Sprintf("#%d (%s, %s)", w.Number, w.By.Title(), w.CreatedAt.UTC().Format("2 Jan 2006"))
		l.SameAsURL = deployPath(r.Deployment.ID, w.Number)
	}
	return l
}

// needsReview reports whether the answer to err is the page with the changes
// again.
func needsReview(err error) bool {
	return errors.Is(err, slipway.ErrInvalid) || errors.Is(err, slipway.ErrBaseChanged)
}

// reviewAgain shows the page of a refused confirmation again, with the reason
// and the input.
func (s *Server) reviewAgain(c echo.Context, err error, t confirmForm, page func(echo.Context, int, confirmForm) error) error {
	status, text := explain(err)
	t.notice = text
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
		return err
	})
	if err != nil {
		return err
	}
	ch, err := s.changes(ctx, r, c.QueryParam("file"))
	if err != nil {
		return err
	}
	r.SameAs = nil // a return restores every file
	form := review(r, ch, t)
	path := deployPath(r.Deployment.ID, n)
	form.Action, form.Button, form.BackURL, form.AsksReason = path+"/return", fmt.Sprintf("Return to #%d", n), path, true
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

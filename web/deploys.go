package web

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// showDeploy serves GET /deployments/:deployment/deploys/:number.
func (s *Server) showDeploy(c echo.Context) error {
	return s.deployPage(c, http.StatusOK, confirmForm{})
}

// confirmForm is the input of a refused confirmation, to be shown again.
type confirmForm struct {
	notice      string  // reason of the refusal
	description *string // nil for none in the form
	reason      string  // of a return
	ticks       slipway.Ticks
}

// deployPage renders the page of a deploy: records, planned or done changes, and
// the log of a rollout. t has the input after a refused confirmation.
func (s *Server) deployPage(c echo.Context, status int, t confirmForm) error {
	n, err := number(c)
	if err != nil {
		return err
	}
	var p views.DeployPage
	var sc scene
	var w slipway.Deploy
	err = s.viewScene(c, func(tx *store.Tx, seen scene) (err error) {
		sc = seen
		if p, w, err = deployHead(tx, sc, n); err != nil {
			return err
		}
		p.Frame, err = s.frameOf(c, tx, sc, fmt.Sprintf("Deploy #%d", w.Number), "")
		p.Frame.Page.Files = true
		return err
	})
	if err != nil {
		return err
	}
	if wantsOneFile(c) {
		return s.changedByDeploy(c, sc, w)
	}
	if err := s.addChanges(c, sc, w, &p, t); err != nil {
		return err
	}
	var log logTail
	if err := s.readLog(c.Request().Context(), sc, w, &log); err != nil {
		return err
	}
	p.Log = log.card(sc, w)
	return render(c, status, views.Deploy(p))
}

// deployHead returns the part of a deploy's page from records alone.
func deployHead(tx *store.Tx, sc scene, n int) (p views.DeployPage, w slipway.Deploy, err error) {
	if w, err = tx.Deploy(sc.ID, n); err != nil {
		return p, w, err
	}
	report, err := tx.StagedReport(w.ID)
	if err != nil {
		return p, w, err
	}
	kept, err := tx.RetainedOf(sc.ID, []slipway.Version{w.Version, w.After.Version, w.Base})
	if err != nil {
		return p, w, err
	}
	p.Root, p.LeftOut, p.Outside, p.Left = rootOf(w), omissions(report), report.Outside, views.LeftFiles{Out: w.Counts.LeftOut, Outside: w.Counts.Outside}
	p.Header, p.Timeline, p.Folder = header(sc, w, kept), timeline(sc, w), views.FolderText(w)
	if p.Header.Current {
		if p.Header.Undo, _, err = undo(tx, sc); err != nil {
			return p, w, err
		}
	}
	p.LiveURL = fmt.Sprintf("%s/live?view=deploy&number=%d&status=%s", deploymentPath(sc.ID), w.Number, w.Status)
	return p, w, nil
}

// omissions are the files of the upload left out by staging, with the reasons.
func omissions(r store.Report) (all []views.Omission) {
	for _, o := range r.LeftOut {
		all = append(all, views.Omission{Name: o.Name, Why: o.Why})
	}
	return all
}

// header is the head of the page: facts, and the addresses of all allowed
// actions. kept has the retained versions.
func header(sc scene, w slipway.Deploy, kept map[slipway.Version]bool) views.DeployHeader {
	h := views.DeployHeader{
		Number: w.Number, Kind: w.Kind, Status: w.Status, Current: w.Number == sc.live.Number, Description: w.Description,
		By: w.By.Title(), From: fromText(w.By), At: sc.at(w.CreatedAt), Reason: w.Reason, Note: w.Note,
		ReturnURL: returnURL(sc, w, kept[w.After.Version]), CancelURL: cancelURL(sc, w), CancelText: "Cancel",
		Waits: waits(sc, w), Links: related(sc, w), Source: views.WrittenReference(w.Source),
	}
	h.Harmless = w.Status.Ended() && !w.WentLive() && w.RollingAt.IsZero()
	if !w.WentLive() && (w.Status == slipway.Queued || w.Status == slipway.Deploying) {
		h.Trouble = sc.trouble
	}
	h.Undoing = w.Status == slipway.Deploying && w.Reason != ""
	h.Commit, h.CommitURL, h.Branch = commit(w.Git)
	h.Version = bringsVersion(w)
	if kept[w.Version] {
		h.VersionURL = versionPath(sc.ID, w.Version)
		h.DownloadURL = h.VersionURL + "/archive"
	}
	if w.WentLive() && w.Base != w.After.Version && kept[w.After.Version] && (w.Base == "" || kept[w.Base]) {
		h.CompareURL = compareURL(sc.ID, w.Base, w.After.Version)
	}
	if !w.WentLive() && (w.Status == slipway.Failed || w.Status == slipway.Cancelled) && sc.projected.MayDeploy(w.Kind, sc.role, sc.by) == nil {
		h.AgainURL, h.AgainText = kindPath(sc.ID, w.Kind), "Upload again"
		if w.Kind.HasImage() {
			h.AgainURL, h.AgainText = againPath(sc.ID, w.Kind, w.Source), "Try again"
		}
	}
	h.Fix, h.MadeHere, h.PatchURL = w.Fix, w.Fix != "" && w.WentLive(), patchURL(sc, w, kept)
	if w.Status == slipway.Staged {
		h.CancelURL = "" // Discard stands beside Confirm
		if w.Rooted() != nil {
			h.PatchURL = "" // of a folder that nobody chose
		}
	}
	return h
}

// fromText names the channel and the IP address of a request.
func fromText(by slipway.Actor) string {
	text := "from the " + string(by.Via)
	if by.IP != "" {
		text += " at " + by.IP
	}
	return text
}

// waits is the text about a wait for the upload or for the turn in the queue; ""
// for no wait.
func waits(sc scene, w slipway.Deploy) string {
	switch w.Status {
	case slipway.Initialized:
		return views.ArrivingText(w)
	case slipway.Queued:
		for i, t := range sc.queue {
			if t.Deploy != nil && t.Deploy.Number == w.Number {
				return views.TurnText(i)
			}
		}
	}
	return ""
}

// related links the deploy that w returned to and the deploy that undid w.
func related(sc scene, w slipway.Deploy) (all []views.Link) {
	if w.ReturnTo > 0 {
		all = append(all, views.Link{Text: "Returned to #" + strconv.Itoa(w.ReturnTo), URL: deployPath(sc.ID, w.ReturnTo)})
	}
	if w.UndoneBy > 0 {
		all = append(all, views.Link{Text: "Undone by #" + strconv.Itoa(w.UndoneBy), URL: deployPath(sc.ID, w.UndoneBy)})
	}
	return all
}

// addChanges completes p with the file changes of w, planned or done.
func (s *Server) addChanges(c echo.Context, sc scene, w slipway.Deploy, p *views.DeployPage, t confirmForm) error {
	ctx, ask := c.Request().Context(), fileAskOf(c, deployPath(sc.ID, w.Number))
	switch {
	case w.Status == slipway.Staged:
		r, err := s.engine.Review(ctx, sc.ID, w.Number, sc.by)
		if err != nil {
			return err
		}
		return s.addReview(ctx, r, p, t, ask)
	case w.Image == nil && !w.WentLive() && !w.Status.Active(): // the deploy changed nothing
		return nil
	}
	r, err := s.engine.Done(ctx, sc.ID, w.Number, sc.by)
	if err != nil {
		return err
	}
	if r.Image != nil && !w.WentLive() && !w.Status.Active() { // the deploy replaced no image
		r.Image.ImageChange = slipway.NewImageChange(slipway.Image{}, r.Image.New)
	}
	p.Image = imageReview(r)
	if p.Image != nil && len(r.Plan.Changes) == 0 && r.Away == nil {
		return nil
	}
	ch, err := s.changes(ctx, r, ask)
	if err != nil {
		return err
	}
	p.Changes = &ch
	return nil
}

// changedByDeploy answers htmx with the difference of one file changed by w.
func (s *Server) changedByDeploy(c echo.Context, sc scene, w slipway.Deploy) error {
	look := s.engine.Done
	if w.Status == slipway.Staged {
		look = s.engine.Review
	}
	r, err := look(c.Request().Context(), sc.ID, w.Number, sc.by)
	if err != nil {
		return err
	}
	return oneFile(c, fileAskOf(c, deployPath(sc.ID, w.Number)), r.Plan.Changes, r.Away, s.changedFiles(r))
}

// addReview completes p with the form to confirm a staged deploy.
func (s *Server) addReview(ctx context.Context, r deploy.Review, p *views.DeployPage, t confirmForm, ask fileAsk) error {
	ch, err := s.changes(ctx, r, ask)
	if err != nil {
		return err
	}
	form := review(r, t)
	path := deployPath(r.Deployment.ID, r.Deploy.Number)
	form.Action, form.Button, form.Describes, form.Effects = path+"/confirm", views.LossButton(views.ConfirmButton(r.Deploy, r.Projected), r.Plan, form.ToImage), true, views.ImageEffects(r.Deploy, r.Projected, r.BaseDeploy, r.Plan.ByHand)
	if _, err := r.Deploy.Cancel(r.Role, slipway.Actor{}); err == nil {
		form.DiscardURL = path + "/cancel"
	}
	form.Folder = views.FolderPlan(r.Deploy, r.Plan.Folder)
	form.Landing = views.NewLandings(r.Deploy)
	if len(form.Landing) > 0 {
		if _, err := r.Deploy.Land(r.Role, r.By, form.Landing[0].Names[0], r.Deploy.Folder); err == nil {
			form.LandingURL = path + "/landing"
		}
	}
	if form.Root = p.Root; form.Root != nil && len(r.Deploy.Root.Others) > 0 {
		if _, err := r.Deploy.ChooseRoot(r.Role, r.By, slipway.RootChoice{Path: r.Deploy.Root.Path}.Name()); err == nil {
			form.Root.URL = path + "/root"
		}
	}
	if r.Deploy.Rooted() != nil { // no plan for a folder that nobody chose
		p.Review = &views.Review{Action: form.Action, Refusal: views.RootAsks, DiscardURL: form.DiscardURL, Root: form.Root}
		return nil
	}
	if p.Review = &form; !form.NoFiles {
		p.Changes = &ch
	}
	return nil
}

// rootOf is the folder of the archive of w that became dags.
func rootOf(w slipway.Deploy) *views.Root {
	if w.Root == nil {
		return nil
	}
	v := &views.Root{Path: w.Root.Path, Why: w.Root.Why, Inside: w.Root.Inside, Asks: w.Root.Asks}
	for _, c := range w.Root.Others {
		o := views.RootOption(c)
		o.Chosen = c.Path == w.Root.Path && !w.Root.Asks
		v.Options = append(v.Options, o)
	}
	return v
}

// chooseRoot serves POST /deployments/:deployment/deploys/:number/root.
func (s *Server) chooseRoot(c echo.Context) error {
	n, err := number(c)
	if err != nil {
		return err
	}
	w, err := s.engine.ChooseRoot(c.Request().Context(), deploymentID(c), n, actorOf(c), c.FormValue("root"))
	if err != nil {
		return err
	}
	return seeOther(c, deployPath(w.Deployment, w.Number))
}

// confirm serves POST /deployments/:deployment/deploys/:number/confirm. If the
// plan has changed or a tick is missing, the page is shown again.
func (s *Server) confirm(c echo.Context) error {
	n, err := number(c)
	if err != nil {
		return err
	}
	ctx, of, by := c.Request().Context(), deploymentID(c), actorOf(c)
	form, err := c.FormParams()
	if err != nil {
		return fmt.Errorf("read form: %w", err)
	}
	t := confirmForm{ticks: ticks(c)}
	if form.Has("description") {
		text := form.Get("description")
		t.description = &text
		if err := s.engine.Describe(ctx, of, n, by, text); err != nil {
			return err
		}
	}
	_, err = s.engine.Confirm(ctx, of, n, by, slipway.Version(c.FormValue("base")), t.ticks)
	if needsReview(err) {
		return s.reviewAgain(c, err, t, s.deployPage)
	}
	if err != nil {
		return err
	}
	return seeOther(c, deployPath(of, n))
}

// ticks reads the ticks of a confirmation form.
func ticks(c echo.Context) slipway.Ticks {
	return slipway.Ticks{
		RemoveDAGs: c.FormValue("remove_dags") == "yes", NoDAGs: c.FormValue("no_dags") == "yes", NotAirflow: c.FormValue("not_airflow") == "yes",
		RunsImage: c.FormValue("runs_image") == "yes", Pointers: c.FormValue("pointers") == "yes", Bidi: c.FormValue("bidi") == "yes",
		Invisible: c.FormValue("invisible") == "yes", Unjudged: c.FormValue("unjudged") == "yes", Name: c.FormValue("typed"),
		Review: c.FormValue("review"),
	}
}

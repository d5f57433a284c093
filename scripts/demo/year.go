package main

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"time"

	"slipway/internal/auth"
	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/store"
)

// year is a year of work on one Deployment, and fewer on others, up to a day.
type year struct {
	*portal
	until     time.Time
	random    *rand.Rand // the same for every demo
	workspace slipway.WorkspaceID
	prod      slipway.Deployment
	staging   slipway.Deployment
	team      []slipway.Actor // in the order of people
	ci        slipway.Actor   // a token of the Workspace
	agents    string          // the token of prod's agents
	project   project         // as the repository has it
	good      int             // number of the deploy before the last bad one; 0 for none
	runtime   int             // last digit of the Runtime that is built next
}

// newYear opens a portal whose clock stands a year before until.
func newYear(ctx context.Context, dir string, until time.Time) (*year, error) {
	begin := until.AddDate(-1, 0, 0)
	p, err := newPortal(ctx, dir, begin)
	if err != nil {
		return nil, err
	}
	return &year{portal: p, until: until, random: rand.New(rand.NewPCG(2026, 11)), project: newProject(), runtime: 4}, nil
}

// live makes all of the year's work.
func (y *year) live(ctx context.Context) error {
	if err := y.begin(ctx); err != nil {
		return err
	}
	for day := y.store.Now().AddDate(0, 0, 1); day.Before(y.until.Add(-time.Hour)); day = day.AddDate(0, 0, 1) {
		if day.Weekday() == time.Saturday || day.Weekday() == time.Sunday {
			continue
		}
		for range []int{0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 5}[y.random.IntN(11)] {
			if day = day.Add(time.Duration(5+y.random.IntN(50)) * time.Minute); !day.Before(y.until.Add(-time.Hour)) {
				break
			}
			y.set(day)
			if err := y.work(ctx); err != nil {
				return fmt.Errorf("%s: %w", day.Format(time.DateOnly), err)
			}
		}
	}
	y.set(y.until)
	return y.today(ctx)
}

// begin sets up people, tokens, the Deployments, and the first deploy.
func (y *year) begin(ctx context.Context) error {
	all, team, err := y.found(ctx)
	if err != nil {
		return err
	}
	y.workspace, y.prod, y.team = all.Workspace.ID, all.Deployment, team
	y.run(ctx)
	if y.staging, err = y.add(ctx, "warehouse-staging"); err != nil {
		return err
	}
	if _, err = y.add(ctx, "experiments-of-the-machine-learning-guild-in-the-north"); err != nil {
		return err
	}
	err = y.store.Update(ctx, func(tx *store.Tx) error {
		if y.agents, _, err = auth.IssueAgentToken(tx, team[0], y.prod.ID, "Airflow's hosts"); err != nil {
			return err
		}
		_, t, err := auth.IssueToken(tx, team[0], auth.NewToken{Name: "GitHub Actions", Description: "Deploys main", Workspace: y.workspace, Role: slipway.Author})
		y.ci = slipway.Actor{Token: t.ID, Name: t.Name, Kinds: t.Kinds, Secret: t.Secret, Via: slipway.API, IP: "10.30.4.2"}
		return err
	})
	if err != nil {
		return err
	}
	if err := y.engine.SetApplyCommand(ctx, y.prod.ID, team[0], applyCommand); err != nil {
		return err
	}
	_, err = y.deploy(ctx, y.team[0], "First deploy of the warehouse project")
	return err
}

// add adds a Deployment on this machine.
func (y *year) add(ctx context.Context, name string) (slipway.Deployment, error) {
	d, err := slipway.NewDeployment(y.workspace, name, true)
	if err != nil {
		return d, err
	}
	return y.engine.Create(ctx, d, y.team[0])
}

// work makes one deploy of a kind that a team has.
func (y *year) work(ctx context.Context) (err error) {
	switch n := y.random.IntN(100); {
	case y.good > 0:
		return y.undo(ctx)
	case n < 48:
		_, err = y.deploy(ctx, y.ci, y.change())
	case n < 60:
		err = y.mend(ctx)
	case n < 66:
		_, err = y.deploy(ctx, y.ci, y.grow())
	case n < 70:
		_, err = y.deploy(ctx, y.person(), y.shrink())
	case n < 76:
		err = y.discard(ctx)
	case n < 81:
		err = y.damaged(ctx)
	case n < 87:
		err = y.bad(ctx)
	default:
		err = y.image(ctx)
	}
	return err
}

// person is somebody who may deploy.
func (y *year) person() slipway.Actor { return y.team[y.random.IntN(6)] }

// commit is a commit that CI deploys.
func (y *year) commit() slipway.Git {
	sha := fmt.Sprintf("%016x%016x%08x", y.random.Uint64(), y.random.Uint64(), y.random.Uint32())
	return slipway.Git{Commit: sha, Branch: "main", Repository: "example/warehouse", URL: "https://git.example.com/example/warehouse/commit/" + sha, Author: people[3+y.random.IntN(3)].name}
}

// deploy uploads and deploys the whole project, on every third day to staging
// before.
func (y *year) deploy(ctx context.Context, by slipway.Actor, title string) (slipway.Deploy, error) {
	if y.store.Now().YearDay()%3 == 0 {
		if w, err := y.deployTo(ctx, y.staging.ID, by, title); err != nil {
			return w, err
		}
	}
	return y.deployTo(ctx, y.prod.ID, by, title)
}

func (y *year) deployTo(ctx context.Context, to slipway.DeploymentID, by slipway.Actor, title string) (slipway.Deploy, error) {
	b, err := y.project.archive(y.store.Now())
	if err != nil {
		return slipway.Deploy{}, err
	}
	n := deploy.NewUpload{Name: "dags.tar.gz", Merge: slipway.ReplaceAll, Description: title}
	if by.Token != "" {
		n.Git = y.commit()
	}
	w, err := y.upload(ctx, to, by, n, b)
	if err != nil {
		return w, err
	}
	if by.Token != "" {
		if w, err = y.engine.Finalize(ctx, to, w.ID, by, deploy.Finish{Version: w.Version}); err != nil {
			return w, err
		}
		return y.await(ctx, w, ended)
	}
	return y.confirm(ctx, w, by)
}

// file returns a random file with an ending.
func (y *year) file(ending string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(y.project)) {
		if strings.HasSuffix(name, ending) {
			all = append(all, name)
		}
	}
	return all[y.random.IntN(len(all))]
}

// scheduled is when a DAG runs, as its file says.
var scheduled = regexp.MustCompile(`schedule="[^"]*"`)

// change edits a few files, and returns the title of the commit.
func (y *year) change() string {
	switch y.random.IntN(5) {
	case 0:
		name := y.file("settings.yaml")
		y.project[name] += fmt.Sprintf("pool_%d: %d\n", y.random.IntN(1000), 4+y.random.IntN(30))
		return "Give " + strings.TrimSuffix(name, "/settings.yaml") + " a pool of its own"
	case 1:
		name := helpers[y.random.IntN(len(helpers))]
		path := "common/" + name + ".py"
		y.project[path] = strings.Replace(y.project[path], "DEFAULT_WAIT = ", fmt.Sprintf("DEFAULT_WAIT = %d  # was ", 10+y.random.IntN(90)), 1)
		return "Wait shorter in " + name
	case 2:
		name := y.file("_daily.py")
		y.project[name] = scheduled.ReplaceAllString(y.project[name], fmt.Sprintf("schedule=\"%d %d * * *\"", y.random.IntN(60), y.random.IntN(7)))
		return "Run " + subject(name) + " before the office opens (WH-" + fmt.Sprint(100+y.random.IntN(900)) + ")"
	}
	title := ""
	for range 1 + y.random.IntN(3) {
		name := y.file(".sql")
		y.project[name] = strings.TrimSuffix(y.project[name], ";\n") + fmt.Sprintf("\n  AND region <> 'test-%d';\n", y.random.IntN(100))
		title = "Leave test rows out of " + subject(name)
	}
	return title
}

// subject is the name of a DAG's or a statement's subject.
func subject(path string) string {
	name := path[strings.LastIndex(path, "/")+1:]
	name = strings.TrimPrefix(strings.TrimPrefix(name, "load_"), "check_")
	return strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, ".py"), ".sql"), "_daily")
}

// grow adds a DAG.
func (y *year) grow() string {
	team := slices.Sorted(maps.Keys(teams))[y.random.IntN(len(teams))]
	name := []string{"anomalies", "cohorts", "vouchers", "partners", "late_events", "baskets", "commissions"}[y.random.IntN(7)]
	for y.project[team+"/"+name+"_daily.py"] != "" {
		name += "_v2"
	}
	y.project[team+"/"+name+"_daily.py"] = dag(team, name, "@daily")
	y.project[team+"/sql/load_"+name+".sql"] = query(team, name)
	return "New DAG " + name + " for " + team
}

// shrink removes a DAG.
func (y *year) shrink() string {
	name := y.file("_daily.py")
	delete(y.project, name)
	return "Retire " + subject(name) + ": nobody reads the table since the move to the new reporting, see the minutes of the data council of last Thursday"
}

// mend changes one statement by hand, in the folder of a team.
func (y *year) mend(ctx context.Context) error {
	name := y.file(".sql")
	y.project[name] += "-- checked by hand\n"
	one := project{name: y.project[name]}
	b, err := one.archive(y.store.Now())
	if err != nil {
		return err
	}
	by := y.person()
	n := deploy.NewUpload{Name: "1 file", Merge: slipway.AddFiles, Description: "Hotfix for " + subject(name)}
	w, err := y.upload(ctx, y.prod.ID, by, n, b)
	if err == nil && !ended(w) {
		_, err = y.confirm(ctx, w, by)
	}
	return err
}

// discard uploads something that nobody confirms.
func (y *year) discard(ctx context.Context) error {
	b, err := project{"sales/orders_daily.py": dag("sales", "orders", "@hourly")}.archive(y.store.Now())
	if err != nil {
		return err
	}
	by := y.person()
	w, err := y.upload(ctx, y.prod.ID, by, deploy.NewUpload{Name: "sales.zip", Merge: slipway.ReplaceAll}, b)
	if err == nil && !ended(w) {
		_, err = y.engine.Cancel(ctx, y.prod.ID, w.Number, by)
	}
	return err
}

// damaged sends an archive that broke off.
func (y *year) damaged(ctx context.Context) error {
	b, err := y.project.archive(y.store.Now())
	if err != nil {
		return err
	}
	_, err = y.upload(ctx, y.prod.ID, y.ci, deploy.NewUpload{Name: "dags.tar.gz", Merge: slipway.ReplaceAll, Description: "Nightly deploy", Git: y.commit()}, b[:len(b)*2/3])
	return err
}

// bad deploys a change that is undone with the next piece of work.
func (y *year) bad(ctx context.Context) error {
	before, err := y.last(ctx)
	if err != nil {
		return err
	}
	name := y.file("_daily.py")
	old := y.project[name]
	y.project[name] = strings.Replace(old, `"retries": 2`, `"retries": 0`, 1)
	if _, err = y.deploy(ctx, y.ci, "Fail faster in "+subject(name)); err == nil {
		y.good = before.Number
	}
	y.project[name] = old
	return err
}

// undo returns to the deploy before the bad one.
func (y *year) undo(ctx context.Context) error {
	to := y.good
	y.good = 0
	by := y.team[2]
	r, err := y.engine.ReviewReturn(ctx, y.prod.ID, to, by)
	if err != nil {
		return err
	}
	w, err := y.engine.Return(ctx, y.prod.ID, to, by, r.Base, consents, "Tasks failed on the first lost connection")
	if err != nil {
		return err
	}
	_, err = y.await(ctx, w, ended)
	return err
}

// last is the deploy that went live last.
func (y *year) last(ctx context.Context) (w slipway.Deploy, err error) {
	err = y.store.View(ctx, func(tx *store.Tx) error {
		d, _, err := tx.Deployment(y.prod.ID, y.team[0])
		if err != nil {
			return err
		}
		queue, err := tx.Queue(d.ID)
		if err != nil {
			return err
		}
		w, _, err = tx.LastQueued(d.ID, queue)
		return err
	})
	return w, err
}

// image builds, pushes and deploys the next Runtime, at most six in the year.
func (y *year) image(ctx context.Context) error {
	if y.runtime > 9 {
		_, err := y.deploy(ctx, y.ci, y.change())
		return err
	}
	runtime := fmt.Sprintf("3.1-%d", y.runtime)
	y.runtime++
	i, err := airflowImage(runtime, y.store.Now().Add(-time.Hour), y.random)
	if err != nil {
		return err
	}
	tag := "runtime-" + runtime
	if err := y.push(ctx, y.prod, tag, i); err != nil {
		return err
	}
	by := y.team[2]
	w, err := y.engine.CreateImage(ctx, y.prod.ID, by, deploy.NewImage{Kind: slipway.ImageOnly, Ref: tag, Description: "Runtime " + runtime})
	if err != nil {
		return err
	}
	if w, err = y.await(ctx, w, func(w slipway.Deploy) bool { return w.Status == slipway.Staged }); err != nil || ended(w) {
		return err
	}
	_, err = y.confirm(ctx, w, by)
	return err
}

// today leaves a deploy that waits for its confirmation.
func (y *year) today(ctx context.Context) error {
	y.change()
	y.shrink()
	title := y.grow()
	b, err := y.project.archive(y.store.Now())
	if err != nil {
		return err
	}
	_, err = y.upload(ctx, y.prod.ID, y.team[4], deploy.NewUpload{Name: "warehouse.zip", Merge: slipway.ReplaceAll, Description: title}, b)
	return err
}

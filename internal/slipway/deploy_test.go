package slipway

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	ada = Actor{User: "ada", Name: "Ada"}
	ci  = Actor{User: "ada", Token: "t1", Name: "ci-sales", Via: API}
)

const (
	notEnabled = "DAG-only deploys are not enabled for this Deployment."
	alone      = "An image alone needs DAG-only deploys"
)

// mayWant says in the words of the design what MayDeploy has to answer.
func mayWant(kind DeployKind, role, imageRole Role, on, enforced, token bool) (Kind, string) {
	need := Author
	if kind != DAGOnly {
		need = imageRole
	}
	switch {
	case role < need:
		return Forbidden, fmt.Sprintf("needs the %s role", need)
	case enforced && !token:
		return Forbidden, "CI/CD is enforced"
	}
	refusals := map[DeployKind]string{DAGOnly: notEnabled, ImageOnly: alone}
	if text, refused := refusals[kind]; refused && !on {
		return Conflict, text
	}
	return fine, ""
}

func TestMayDeploy(t *testing.T) {
	both := []bool{false, true}
	for _, kind := range []DeployKind{DAGOnly, ImageOnly, ImageAndDAG} {
		for _, role := range allRoles {
			for _, imageRole := range []Role{Author, Operator} {
				for n := range 8 {
					on, enforced, by := both[n&1], both[n>>1&1], []Actor{ada, ci}[n>>2]
					t.Run(fmt.Sprint(kind, role, imageRole, " on=", on, " enforced=", enforced, by.Title()), func(t *testing.T) {
						d := Deployment{State: State{DAGDeploys: on}, Settings: Settings{ImageRole: imageRole, CICDEnforced: enforced}}
						want, text := mayWant(kind, role, imageRole, on, enforced, by.Token != "")
						for _, s := range everyState(on) {
							d.State = s
							checkError(t, d.MayDeploy(kind, role, by), want, text)
						}
					})
				}
			}
		}
	}
}

// everyState returns the states that a Deployment can be in with its switch on
// or off: none of them makes a difference to what may be deployed.
func everyState(on bool) (all []State) {
	for n := range 16 {
		s := State{DAGDeploys: on, NeedsImage: n&1 > 0}
		if n&2 > 0 {
			s.Image, s.ImageName, s.Runtime = "sha256:1", "quay.io/a/b", "3.1-4"
		}
		if n&4 > 0 {
			s.Version, s.Mounted = "v1", n&8 > 0
		}
		all = append(all, s)
	}
	return all
}

func TestMayDeployRefusesWhatIsNoKind(t *testing.T) {
	for _, on := range []bool{true, false} {
		d := Deployment{State: State{DAGDeploys: on}}
		checkError(t, d.MayDeploy("IMAGE", Admin, ci), Invalid, `no kind of deploy "IMAGE"`)
	}
}

// TestNotEnabledText holds the words that the astro CLI looks for.
func TestNotEnabledText(t *testing.T) {
	if _, text := Explain((Deployment{}).MayDeploy(DAGOnly, Owner, ada)); text != notEnabled {
		t.Errorf("refused with %q, want %q", text, notEnabled)
	}
}

func TestTakes(t *testing.T) {
	for name, tt := range map[string]struct {
		on   bool
		w    Deploy
		want Kind
		text string
	}{
		"DAGs, on":            {true, Deploy{Kind: DAGOnly}, fine, ""},
		"DAGs, off":           {false, Deploy{Kind: DAGOnly}, Conflict, notEnabled},
		"image, on":           {true, Deploy{Kind: ImageOnly}, fine, ""},
		"image, off":          {false, Deploy{Kind: ImageOnly}, Conflict, alone},
		"image and DAGs, off": {false, Deploy{Kind: ImageAndDAG}, fine, ""},
		"return, off":         {false, Deploy{Kind: DAGOnly, ReturnTo: 3}, fine, ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := Deployment{State: State{DAGDeploys: tt.on}}
			checkError(t, d.Takes(tt.w), tt.want, tt.text)
		})
	}
}

func TestConfirm(t *testing.T) {
	now := State{Image: "sha256:1", Version: "v1", Mounted: true, DAGDeploys: true}
	for name, tt := range map[string]struct {
		status   Status
		role     Role
		by, from Actor
		base     Version
		enforced bool
		on       bool
		want     Kind
		text     string
	}{
		"staged":                       {Staged, Author, ada, ada, "v1", false, true, fine, ""},
		"by a token":                   {Staged, Author, ci, ci, "v1", true, true, fine, ""},
		"a token's, by a person":       {Staged, Author, ada, ci, "v1", true, true, fine, ""},
		"a person's, CI/CD enforced":   {Staged, Owner, ada, ada, "v1", true, true, Forbidden, "CI/CD is enforced"},
		"member":                       {Staged, Member, ada, ada, "v1", false, true, Forbidden, "needs the Author role"},
		"disabled since it was staged": {Staged, Author, ada, ada, "v1", false, false, Conflict, notEnabled},
		"another came in between":      {Staged, Author, ada, ada, "v0", false, true, Conflict, ErrBaseChanged.Text},
		"still arriving":               {Initialized, Author, ada, ada, "v1", false, true, Conflict, "Deploy #4 cannot be confirmed: it is initialized."},
		"queued":                       {Queued, Author, ada, ada, "v1", false, true, Conflict, "it is queued."},
		"deploying":                    {Deploying, Author, ada, ada, "v1", false, true, Conflict, "it is deploying."},
		"deployed":                     {Deployed, Author, ada, ada, "v1", false, true, Conflict, "it is deployed."},
		"failed":                       {Failed, Author, ada, ada, "v1", false, true, Conflict, "it is failed."},
		"cancelled":                    {Cancelled, Author, ada, ada, "v1", false, true, Conflict, "it is cancelled."},
	} {
		t.Run(name, func(t *testing.T) {
			d := Deployment{State: now, Settings: Settings{ImageRole: Author, CICDEnforced: tt.enforced}}
			d.DAGDeploys = tt.on
			w := Deploy{Number: 4, Kind: DAGOnly, Status: tt.status, By: tt.from, Version: "v2"}
			want := w
			if tt.want == fine {
				want.Status, want.Base, want.ConfirmedBy = Queued, "v1", tt.by
				want.After = State{Image: "sha256:1", Version: "v2", Mounted: true, DAGDeploys: true}
			}
			got, err := d.Confirm(w, tt.role, tt.by, tt.base)
			checkError(t, err, tt.want, tt.text)
			if got != want {
				t.Errorf("confirmed %+v, want %+v", got, want)
			}
		})
	}
}

func TestCancel(t *testing.T) {
	for name, tt := range map[string]struct {
		status Status
		role   Role
		by     Actor
		want   Kind
		text   string // of the refusal, else of the reason
	}{
		"still arriving": {Initialized, Author, ada, fine, "Discarded by Ada."},
		"staged":         {Staged, Author, ci, fine, "Discarded by token ci-sales."},
		"queued":         {Queued, Author, ada, fine, "Cancelled by Ada before its turn."},
		"deploying":      {Deploying, Owner, ada, Conflict, "Deploy #4 is going live already."},
		"deployed":       {Deployed, Owner, ada, Conflict, "Deploy #4 has ended: it is deployed."},
		"failed":         {Failed, Owner, ada, Conflict, "it is failed."},
		"cancelled":      {Cancelled, Owner, ada, Conflict, "it is cancelled."},
		"member":         {Queued, Member, ada, Forbidden, "needs the Author role"},
		"stranger":       {Staged, NoRole, ada, Forbidden, "needs the Author role"},
	} {
		t.Run(name, func(t *testing.T) {
			w := Deploy{Number: 4, Status: tt.status, Version: "v2"}
			want := w
			if tt.want == fine {
				want.Status, want.Reason = Cancelled, tt.text
			}
			got, err := w.Cancel(tt.role, tt.by)
			checkError(t, err, tt.want, tt.text)
			if got != want {
				t.Errorf("cancelled %+v, want %+v", got, want)
			}
		})
	}
}

func TestStatuses(t *testing.T) {
	for s, want := range map[Status]struct{ ended, active bool }{
		Initialized: {}, Staged: {}, Queued: {active: true}, Deploying: {active: true},
		Deployed: {ended: true}, Failed: {ended: true}, Cancelled: {ended: true},
	} {
		if s.Ended() != want.ended || s.Active() != want.active {
			t.Errorf("%s: ended %v, active %v; want %+v", s, s.Ended(), s.Active(), want)
		}
	}
}

// TestWith holds the table "What may be deployed".
func TestWith(t *testing.T) {
	on := State{Image: "i1", ImageTag: "t1", Runtime: "3.1-1", Version: "v1", Mounted: true, DAGDeploys: true, NeedsImage: true}
	fresh := State{DAGDeploys: true}
	off := on
	off.DAGDeploys = false
	image := State{Image: "i2", ImageTag: "t2", Runtime: "3.1-2"}
	came := time.Unix(1, 0)
	for name, tt := range map[string]struct {
		now  State
		w    Deploy
		want State
	}{
		"DAGs": {on, Deploy{Kind: DAGOnly, Version: "v2"},
			State{Image: "i1", ImageTag: "t1", Runtime: "3.1-1", Version: "v2", Mounted: true, DAGDeploys: true, NeedsImage: true}},
		"the first DAGs": {fresh, Deploy{Kind: DAGOnly, Version: "v2"}, State{Version: "v2", Mounted: true, DAGDeploys: true}},
		"image": {on, Deploy{Kind: ImageOnly, After: image},
			State{Image: "i2", ImageTag: "t2", Runtime: "3.1-2", Version: "v1", Mounted: true, DAGDeploys: true, NeedsImage: true}},
		"image, no bundle yet": {fresh, Deploy{Kind: ImageOnly, After: image},
			State{Image: "i2", ImageTag: "t2", Runtime: "3.1-2", DAGDeploys: true}},
		"image and DAGs": {on, Deploy{Kind: ImageAndDAG, Version: "v2", UploadedAt: came, After: image},
			State{Image: "i2", ImageTag: "t2", Runtime: "3.1-2", Version: "v2", Mounted: true, DAGDeploys: true}},
		"image and no DAGs": {on, Deploy{Kind: ImageAndDAG, Version: "v2", After: image},
			State{Image: "i2", ImageTag: "t2", Runtime: "3.1-2", Version: "v1", Mounted: true, DAGDeploys: true, NeedsImage: true}},
		"image and DAGs, off": {off, Deploy{Kind: ImageAndDAG, Version: "v2", UploadedAt: came, After: image},
			State{Image: "i2", ImageTag: "t2", Runtime: "3.1-2", Version: "v1"}},
		"return": {on, Deploy{Kind: ImageAndDAG, ReturnTo: 1, After: State{Image: "i0", ImageTag: "t0", Runtime: "2", Version: "v0", Mounted: true}},
			State{Image: "i0", ImageTag: "t0", Runtime: "2", Version: "v0", Mounted: true}},
		"return to where no image was known": {on, Deploy{Kind: DAGOnly, ReturnTo: 1, After: State{Version: "v0", Mounted: true, DAGDeploys: true}},
			State{Image: "i1", ImageTag: "t1", Runtime: "3.1-1", Version: "v0", Mounted: true, DAGDeploys: true}},
		"return to the image's DAGs": {on, Deploy{Kind: DAGOnly, ReturnTo: 1, After: State{Image: "i1", Version: "v0"}},
			State{Image: "i1", Version: "v1"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := tt.now.With(tt.w)
			if got != tt.want {
				t.Errorf("after it %+v, want %+v", got, tt.want)
			}
			tt.w.After = got
			if again := got.With(tt.w); again != got {
				t.Errorf("done twice %+v, once %+v", again, got)
			}
		})
	}
}

func TestTicks(t *testing.T) {
	a, b, lib := File{Path: "a.py", DAG: true}, File{Path: "b.py", DAG: true}, File{Path: "lib.py"}
	for name, tt := range map[string]struct {
		base, next  []File
		want        Ticks
		removed     []string
		text, text2 string // of the refusals without ticks, and with the first alone
	}{
		"nothing removed": {[]File{a}, []File{a, b}, Ticks{}, nil, "", ""},
		"library removed": {[]File{a, lib}, []File{a}, Ticks{}, nil, "", ""},
		"one removed":     {[]File{a, b}, []File{b}, Ticks{RemoveDAGs: true}, []string{"a.py"}, "removes the DAG file a.py.", ""},
		"all removed": {[]File{a, b}, []File{lib}, Ticks{RemoveDAGs: true, NoDAGs: true}, []string{"a.py", "b.py"},
			"removes 2 DAG files.", "without a single DAG file."},
		"one emptied":  {[]File{a, b}, []File{{Path: "a.py"}, b}, Ticks{RemoveDAGs: true}, nil, "keeps Airflow from loading the DAG file a.py: it is no DAG file by its content.", ""},
		"two emptied":  {[]File{a, b}, []File{{Path: "a.py"}, {Path: "b.py"}, {Path: "c.py", DAG: true}}, Ticks{RemoveDAGs: true}, nil, "loading 2 DAG files that stay.", ""},
		"one of each":  {[]File{a, b}, []File{{Path: "a.py"}, {Path: "c.py", DAG: true}}, Ticks{RemoveDAGs: true}, []string{"b.py"}, "removes DAG files (1), and keeps Airflow from loading others that stay (1).", ""},
		"pointer":      {[]File{a}, []File{a, {Path: "b.bin", SHA256: "1", LFS: true}}, Ticks{Pointers: true}, nil, "b.bin is a Git LFS pointer, not the file itself: run \"git lfs pull\"", "b.bin is a Git LFS pointer"},
		"bidi":         {[]File{a, {Path: "b.py", SHA256: "1", DAG: true}}, []File{a, {Path: "b.py", SHA256: "2", DAG: true, Bidi: true}}, Ticks{Bidi: true}, nil, "look like other code: b.py.", "look like other code: b.py."},
		"invisible":    {[]File{a}, []File{a, {Path: "a\u3164.py", DAG: true}}, Ticks{Invisible: true}, nil, "look like another: a⟨U+3164⟩.py. Tick", "look like another"},
		"a space":      {[]File{a}, []File{a, {Path: "Shot 9.41\u202fAM.png"}}, Ticks{}, nil, "", ""},
		"was there":    {[]File{a, {Path: "\u200b.py", SHA256: "1"}}, []File{a, {Path: "\u200b.py", SHA256: "2"}}, Ticks{}, nil, "", ""},
		"pointer kept": {[]File{a, {Path: "b.bin", SHA256: "1", LFS: true}}, []File{a, {Path: "b.bin", SHA256: "1", LFS: true}}, Ticks{}, nil, "", ""},
		"never any":    {nil, []File{lib}, Ticks{NoDAGs: true}, nil, "without a single DAG file.", "without a single DAG file."},
		"empty":        {nil, nil, Ticks{NoDAGs: true}, nil, "without a single DAG file.", "without a single DAG file."},
	} {
		t.Run(name, func(t *testing.T) {
			p := planOf(tt.base, tt.next)
			if got := p.Ticks(); got != tt.want || !slices.Equal(p.RemovedDAGs, tt.removed) {
				t.Errorf("ticks %+v for %q, want %+v for %q", got, p.RemovedDAGs, tt.want, tt.removed)
			}
			checkTicks(t, p, Ticks{}, tt.text)
			checkTicks(t, p, Ticks{RemoveDAGs: true}, tt.text2)
			checkTicks(t, p, tt.want, "")
			checkTicks(t, p, Ticks{RemoveDAGs: true, NoDAGs: true, Pointers: true, Bidi: true, Invisible: true}, "")
		})
	}
}

// Files with older marks have those of the same file in the other list; of the others,
// contents that tell more are looked at.
func TestSameMarks(t *testing.T) {
	old, now := File{SHA256: "1", Size: 1}, File{SHA256: "1", Size: 1, DAG: true, Bidi: true, Marks: 1}
	at := func(path string, f File) File { f.Path = path; return f }
	older := func(f File) bool { return f.Link == "" && f.Marks == 0 }
	tells := func(path string) bool { return strings.HasSuffix(path, ".py") }
	other, large := File{SHA256: "2", Size: 1}, File{SHA256: "3", Size: LookMax + 1}
	for name, tt := range map[string]struct {
		base, next []File
		was, is    []File
		wanted     string
	}{
		"nothing":         {},
		"present marks":   {base: []File{at("a.py", now)}, next: []File{at("b.py", now)}, was: []File{at("a.py", now)}, is: []File{at("b.py", now)}},
		"older before":    {base: []File{at("a", old)}, next: []File{at("a", now)}, was: []File{at("a", now)}, is: []File{at("a", now)}},
		"older after":     {base: []File{at("a", now)}, next: []File{at("a", old)}, was: []File{at("a", now)}, is: []File{at("a", now)}},
		"both older":      {base: []File{at("a", old), at("a.py", old)}, next: []File{at("a", old), at("a.py", old)}, was: []File{at("a", old), at("a.py", old)}, is: []File{at("a", old), at("a.py", old)}, wanted: "a.py a.py"},
		"another content": {base: []File{at("a", other)}, next: []File{at("a", now)}, was: []File{at("a", other)}, is: []File{at("a", now)}, wanted: "a"},
		"gone and new":    {base: []File{at("a", other)}, next: []File{at("b", other)}, was: []File{at("a", other)}, is: []File{at("b", other)}, wanted: "a b"},
		"large":           {base: []File{at("a", large), at("b.py", large)}, was: []File{at("a", large), at("b.py", large)}, wanted: "b.py"},
		"links":           {base: []File{{Path: "a.py", Link: "b.py"}}, was: []File{{Path: "a.py", Link: "b.py"}}},
	} {
		was, is, wanted := SameMarks(tt.base, tt.next, older, tells)
		var paths []string
		for _, f := range wanted {
			paths = append(paths, f.Path)
		}
		if !slices.Equal(was, tt.was) || !slices.Equal(is, tt.is) || strings.Join(paths, " ") != tt.wanted {
			t.Errorf("%s: %+v, %+v, wanted %q", name, was, is, paths)
		}
	}
}

// A plan that Slipway cannot judge needs a tick of its own, and none where no file
// changes.
func TestUnjudged(t *testing.T) {
	a := []File{{Path: "a.py", DAG: true}}
	p := NewPlan(nil, a).WithoutDAGs("It is long.", true)
	if want := (Ticks{Unjudged: true}); p.Ticks() != want {
		t.Errorf("ticks %+v, want %+v", p.Ticks(), want)
	}
	checkTicks(t, p, Ticks{RemoveDAGs: true, NoDAGs: true}, "Slipway cannot tell which DAG files Airflow stops loading. It is long. Tick that the deploy may go on.")
	checkTicks(t, p, p.Ticks(), "")
	if p := NewPlan(a, a).WithoutDAGs("It is long.", true); p.Ticks() != (Ticks{}) || p.Warning() != "" {
		t.Errorf("without changes: ticks %+v, %q", p.Ticks(), p.Warning())
	}
	if p := NewPlan(a, nil).WithoutDAGs("It is long.", false); p.Ticks() != (Ticks{Unjudged: true, NoDAGs: true}) {
		t.Errorf("without any DAG file: ticks %+v", p.Ticks())
	}
}

func checkTicks(t *testing.T, p Plan, given Ticks, text string) {
	t.Helper()
	want := Invalid
	if text == "" {
		want = fine
	}
	checkError(t, p.Check(given), want, text)
}

func TestPurpose(t *testing.T) {
	for name, tt := range map[string]struct {
		w    Deploy
		want Purpose
	}{
		"DAGs":                 {Deploy{Kind: DAGOnly}, ForCode},
		"an image":             {Deploy{Kind: ImageOnly, Source: "r:t"}, ForCode},
		"a switch off":         {Deploy{Kind: ImageAndDAG, Switch: &SafeSwitch{}}, ForSwitch},
		"a return to DAGs":     {Deploy{Kind: DAGOnly, ReturnTo: 1}, ForReturn},
		"a return to a switch": {Deploy{Kind: ImageAndDAG, ReturnTo: 2}, ForReturn},
	} {
		if got := tt.w.Purpose(); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

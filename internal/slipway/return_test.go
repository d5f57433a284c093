package slipway

import (
	"testing"
	"time"
)

var live = time.Unix(1, 0)

func TestReturn(t *testing.T) {
	v1 := State{Image: "i1", ImageTag: "t1", Runtime: "3.1-1", Version: "v1", Mounted: true, DAGDeploys: true}
	v2, i2, both, off, fromImage := v1, v1, v1, v1, v1
	v2.Version = "v2"
	i2.Image, i2.ImageTag, i2.Runtime = "i2", "t2", "3.1-2"
	both.Version, both.Image = "v2", "i2"
	off.DAGDeploys = false                                 // disabled; v1 stays mounted
	fromImage.DAGDeploys, fromImage.Mounted = false, false // followed by its image
	need := func(s State) State { s.NeedsImage = true; return s }
	with := func(s State, version Version) State { s.Version = version; return s }
	image := func(s State, image string) State { s.Image = image; return s }
	noImage := v2
	noImage.Image, noImage.ImageTag, noImage.Runtime = "", "", ""
	imageVersion2 := v1
	imageVersion2.Version = "v2"
	for name, tt := range map[string]struct {
		now, then State
		role      Role
		imageRole Role
		gone      bool // the version of then is no longer kept
		never     bool // then never went live
		want      Kind
		text      string
		kind      DeployKind
		after     State
	}{
		"DAGs":                     {v2, v1, Author, Operator, false, false, fine, "", DAGOnly, v1},
		"DAGs, member":             {v2, v1, Member, Author, false, false, Forbidden, "Deploying DAGs needs the Author role", "", State{}},
		"DAGs, no longer kept":     {v2, v1, Author, Author, true, false, Conflict, "version of deploy #3 is no longer kept.", "", State{}},
		"never went live":          {v2, v1, Author, Author, false, true, Conflict, "Deploy #3 never went live.", "", State{}},
		"what runs":                {v1, v1, Owner, Author, false, false, Conflict, "Deploy #3 is what runs already.", "", State{}},
		"image":                    {i2, v1, Author, Author, false, false, fine, "", ImageOnly, v1},
		"image, Operators'":        {i2, v1, Author, Operator, false, false, Forbidden, "Deploying an image needs the Operator role", "", State{}},
		"image and DAGs":           {both, v1, Author, Author, false, false, fine, "", ImageAndDAG, v1},
		"image and DAGs, Operator": {both, v1, Operator, Operator, false, false, fine, "", ImageAndDAG, v1},
		"image needs its version":  {i2, v1, Author, Author, true, false, Conflict, "no longer kept.", "", State{}},

		"over the switch, Operator":    {need(off), v2, Operator, Author, false, false, Forbidden, "Switching DAG-only deploys needs the Owner role", "", State{}},
		"over the switch":              {need(off), v2, Owner, Author, false, false, fine, "", DAGOnly, v2},
		"only the switch":              {need(off), v1, Owner, Author, false, false, fine, "", DAGOnly, v1},
		"only the switch, Author":      {need(off), v1, Author, Author, false, false, Forbidden, "needs the Owner role", "", State{}},
		"over the switch, image":       {image(fromImage, "i2"), v1, Owner, Author, false, false, fine, "", ImageAndDAG, v1},
		"to one that needed an image":  {need(off), need(v2), Owner, Author, false, false, fine, "", DAGOnly, need(v2)},
		"to the image's DAGs":          {v2, fromImage, Owner, Author, true, false, fine, "", DAGOnly, with(fromImage, "v2")},
		"to another image's DAGs":      {v2, image(fromImage, "i2"), Owner, Author, true, false, fine, "", ImageAndDAG, with(image(fromImage, "i2"), "v2")},
		"between images that carry":    {image(fromImage, "i2"), fromImage, Author, Author, true, false, fine, "", ImageAndDAG, fromImage},
		"same, of an unmounted bundle": {fromImage, with(fromImage, "v0"), Owner, Author, true, false, Conflict, "is what runs already.", "", State{}},

		"DAGs, image still needed":           {need(v2), v1, Author, Author, false, false, fine, "", DAGOnly, need(v1)},
		"image, image and DAGs still needed": {need(i2), v1, Author, Author, false, false, fine, "", ImageOnly, need(v1)},
		"image and DAGs that were needed":    {need(both), v1, Author, Author, false, false, fine, "", ImageAndDAG, v1},
		"image that carries was needed":      {need(image(off, "i2")), fromImage, Author, Author, true, false, fine, "", ImageAndDAG, fromImage},
		"image without DAGs, still needed": {need(both), State{Image: "i1", DAGDeploys: true}, Author, Author, true, false, fine, "", ImageAndDAG,
			State{Image: "i1", Version: "v2", DAGDeploys: true, NeedsImage: true}},
		"DAGs, no image was known": {v1, noImage, Author, Operator, false, false, fine, "", DAGOnly, imageVersion2},
	} {
		t.Run(name, func(t *testing.T) {
			d := Deployment{ID: "d1", State: tt.now, Settings: Settings{ImageRole: tt.imageRole, CICDEnforced: true}} // people may return all the same
			old := Deploy{ID: "w3", Deployment: "d1", Number: 3, Kind: DAGOnly, Status: Failed, After: tt.then, LiveAt: live}
			if tt.never {
				old.LiveAt = time.Time{}
			}
			want := Deploy{}
			if tt.want == fine {
				want = Deploy{Deployment: "d1", Kind: tt.kind, Status: Queued, ReturnTo: 3,
					Version: tt.after.Version, Base: tt.now.Version, After: tt.after}
			}
			got, err := d.Return(old, tt.role, !tt.gone)
			checkError(t, err, tt.want, tt.text)
			if got != want {
				t.Errorf("returns by\n%+v, want\n%+v", got, want)
			}
		})
	}
}

// TestReturnRoles tries each role against each kind of return.
func TestReturnRoles(t *testing.T) {
	now := State{Image: "i1", Version: "v1", Mounted: true, DAGDeploys: true}
	for name, tt := range map[string]struct {
		then State
		need map[Role]Role // by who may deploy images
	}{
		"DAGs":   {State{Image: "i1", Version: "v0", Mounted: true, DAGDeploys: true}, map[Role]Role{Author: Author, Operator: Author}},
		"image":  {State{Image: "i0", Version: "v1", Mounted: true, DAGDeploys: true}, map[Role]Role{Author: Author, Operator: Operator}},
		"both":   {State{Image: "i0", Version: "v0", Mounted: true, DAGDeploys: true}, map[Role]Role{Author: Author, Operator: Operator}},
		"switch": {State{Image: "i0", Version: "v0", Mounted: true}, map[Role]Role{Author: Owner, Operator: Owner}},
	} {
		for imageRole, need := range tt.need {
			for _, role := range allRoles {
				t.Run(name+" "+imageRole.String()+" "+role.String(), func(t *testing.T) {
					_, err := Deployment{State: now, Settings: Settings{ImageRole: imageRole}}.Return(Deploy{After: tt.then, LiveAt: live}, role, true)
					want := fine
					if role < need {
						want = Forbidden
					}
					checkError(t, err, want, " role; you are a")
				})
			}
		}
	}
}

// TestWants: a deploy is wanted while the state has all that the deploy brought.
func TestWants(t *testing.T) {
	at := time.Unix(1, 0)
	wentLive := func(kind DeployKind, status Status, after State) Deploy {
		return Deploy{Kind: kind, Status: status, QueuedAt: at, LiveAt: at, After: after}
	}
	one := State{Image: "sha256:1", Version: "v1", Mounted: true, DAGDeploys: true}
	otherDAGs, otherImage, fromImage := one, one, one
	otherDAGs.Version, otherImage.Image, fromImage.Mounted = "v2", "sha256:2", false
	queued := Deploy{Kind: DAGOnly, Status: Queued, QueuedAt: at, After: one}
	undone := wentLive(ImageOnly, Failed, one)
	undone.LiveAt = time.Time{}
	for name, tt := range map[string]struct {
		s    State
		w    Deploy
		want bool
	}{
		"DAGs":                        {one, wentLive(DAGOnly, Deployed, one), true},
		"DAGs, other DAGs":            {otherDAGs, wentLive(DAGOnly, Deployed, one), false},
		"DAGs, another image":         {otherImage, wentLive(DAGOnly, Deployed, one), true},
		"DAGs, now from the image":    {fromImage, wentLive(DAGOnly, Deployed, one), false},
		"image":                       {one, wentLive(ImageOnly, Deployed, one), true},
		"image, other DAGs":           {otherDAGs, wentLive(ImageOnly, Deployed, one), true},
		"image, another":              {otherImage, wentLive(ImageOnly, Deployed, one), false},
		"both":                        {one, wentLive(ImageAndDAG, Deployed, one), true},
		"both, other DAGs":            {otherDAGs, wentLive(ImageAndDAG, Deployed, one), false},
		"both, another image":         {otherImage, wentLive(ImageAndDAG, Deployed, one), false},
		"queued":                      {one, queued, true},
		"DAGs that failed are wanted": {one, wentLive(DAGOnly, Failed, one), true},
		"image that was undone":       {one, undone, false},
		"cancelled":                   {one, Deploy{Kind: DAGOnly, Status: Cancelled, QueuedAt: at, After: one}, false},
		"staged":                      {one, Deploy{Kind: DAGOnly, Status: Staged, After: one}, false},
	} {
		if got := tt.s.Wants(tt.w); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

package slipway

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestNewImageChange(t *testing.T) {
	a, b, c := Layer{"sha256:a", 1}, Layer{"sha256:b", 20}, Layer{"sha256:c", 300}
	for name, tt := range map[string]struct {
		old, next []Layer
		fresh     []Layer
		shared    int
		bytes     int64
	}{
		"the first":       {nil, []Layer{a, b}, []Layer{a, b}, 0, 21},
		"the same":        {[]Layer{a, b}, []Layer{a, b}, nil, 2, 0},
		"one more":        {[]Layer{a}, []Layer{a, c}, []Layer{c}, 1, 300},
		"one comes twice": {[]Layer{a}, []Layer{b, b, a}, []Layer{b}, 2, 20},
	} {
		t.Run(name, func(t *testing.T) {
			got := NewImageChange(Image{Layers: tt.old}, Image{Layers: tt.next})
			if !reflect.DeepEqual(got.Fresh, tt.fresh) || got.Shared != tt.shared || got.Bytes != tt.bytes {
				t.Errorf("fresh %v, shared %d, bytes %d", got.Fresh, got.Shared, got.Bytes)
			}
		})
	}
}

func TestTakesImage(t *testing.T) {
	for name, tt := range map[string]struct {
		now      State
		platform string
		w        Deploy
		want     Kind
		text     string
	}{
		"newer":                  {State{Runtime: "3.1-4"}, "linux/amd64", image("3.1-5", "linux/amd64"), fine, ""},
		"the same":               {State{Runtime: "3.1-4"}, "linux/amd64", image("3.1-4", "linux/amd64"), fine, ""},
		"older":                  {State{Runtime: "3.1-4"}, "linux/amd64", image("3.1-3", "linux/amd64"), Conflict, "Cannot deploy a downgraded Astro Runtime version. The image has Runtime 3.1-3, and this Deployment is on 3.1-4."},
		"from Airflow 3 to 2":    {State{Runtime: "3.0-1"}, "linux/amd64", image("13.4.0", "linux/amd64"), Conflict, "downgraded"},
		"from Airflow 2 to 3":    {State{Runtime: "12.7.1"}, "linux/amd64", image("3.0-1", "linux/amd64"), fine, ""},
		"numbers, not letters":   {State{Runtime: "3.1-9"}, "linux/amd64", image("3.1-10", "linux/amd64"), fine, ""},
		"the first":              {State{}, "linux/amd64", image("3.1-3", "linux/amd64"), fine, ""},
		"one without a Runtime":  {State{Runtime: "3.1-4"}, "linux/amd64", image("", "linux/amd64"), fine, ""},
		"another platform":       {State{}, "linux/amd64", image("3.1-4", "linux/arm64"), Invalid, "The image is for linux/arm64, and this Deployment needs linux/amd64."},
		"a variant":              {State{}, "linux/arm64", image("3.1-4", "linux/arm64/v8"), fine, ""},
		"no platform was chosen": {State{}, "", image("3.1-4", "linux/arm64"), fine, ""},
		"by a return":            {State{Runtime: "3.1-4"}, "linux/amd64", Deploy{Kind: ImageOnly, ReturnTo: 1, After: State{Runtime: "3.1-1"}}, fine, ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := Deployment{State: tt.now, Settings: Settings{Platform: tt.platform}}
			d.DAGDeploys = true
			checkError(t, d.Takes(tt.w), tt.want, tt.text)
		})
	}
}

func image(runtime, platform string) Deploy {
	return Deploy{Kind: ImageOnly, Image: &Image{Platform: platform}, After: State{Image: "sha256:1", Runtime: runtime}}
}

func TestReminders(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		runtime string
		built   time.Time
		known   []Release
		want    []string
	}{
		"new":               {"3.1-4", now.Add(-time.Hour), []Release{"3.1-4", "3.1-3", "3.2-1"}, nil},
		"a newer patch":     {"3.1-4", now.Add(-time.Hour), []Release{"3.1-5", "3.1-12", "3.2-1", "3.1-13rc1"}, []string{"Runtime 3.1-4 has a newer patch, 3.1-12. An image deploy brings it; DAG deploys never change the Runtime."}},
		"of the older kind": {"12.7.0", now.Add(-time.Hour), []Release{"12.7.1", "12.8.0"}, []string{"Runtime 12.7.0 has a newer patch, 12.7.1. An image deploy brings it; DAG deploys never change the Runtime."}},
		"90 days old":       {"", now.Add(-ImageLife), []Release{"3.1-5"}, nil},
		"older":             {"", now.Add(-ImageLife - time.Second), nil, []string{"The image is older than 90 days: it was built on 2026-08-24."}},
		"reproducible":      {"", time.Unix(0, 0), nil, nil},
		"nothing is known":  {"", time.Time{}, []Release{"3.1-5"}, nil},
		"no version":        {"latest", now, []Release{"3.1-5"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (Image{Runtime: tt.runtime, CreatedAt: tt.built}).Reminders(tt.known, now); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestRemindersOfLayers(t *testing.T) {
	for layers, want := range map[int]string{
		1: "", 114: "", 115: "has 115 layers. A Docker Engine runs none of more than 125, so build it with fewer layers soon.",
		125: "has 125 layers.", 126: "has 126 layers. A Docker Engine runs none of more than 125. Build it with fewer layers.",
	} {
		got := strings.Join((Image{Layers: make([]Layer, layers)}).Reminders(nil, time.Time{}), " ")
		if !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("%d layers: %q, want %q", layers, got, want)
		}
	}
}

func TestTitleOfImage(t *testing.T) {
	i := Image{Name: "quay.io/a/b", Digest: "sha256:1"}
	if i.Title() != "quay.io/a/b@sha256:1" || i.Ref() != i.Title() {
		t.Errorf("title %q", i.Title())
	}
	if i.Tag = "2"; i.Title() != "quay.io/a/b:2" {
		t.Errorf("title %q", i.Title())
	}
}

// TestMayMakeSafeSwitch holds who may have Slipway switch, over every state.
func TestMayMakeSafeSwitch(t *testing.T) {
	both := []bool{false, true}
	for _, role := range allRoles {
		for n := range 64 {
			on, now, needs, known, mounted, enforced := both[n&1], both[n>>1&1], both[n>>2&1], both[n>>3&1], both[n>>4&1], both[n>>5&1]
			d := Deployment{State: State{DAGDeploys: now, NeedsImage: needs, Mounted: mounted}, Settings: Settings{CICDEnforced: enforced}}
			if known {
				d.Image = "sha256:1"
			}
			want, text := fine, ""
			switch {
			case role < Owner:
				want, text = Forbidden, "needs the Owner role"
			case now == on && !needs:
				want, text = Conflict, "already"
			case !known:
				want, text = Conflict, "does not know which image"
			}
			t.Run(fmt.Sprint(role, n), func(t *testing.T) {
				checkError(t, d.MayMake(Deploy{Kind: ImageAndDAG, Switch: &SafeSwitch{On: on}}, role, ada), want, text)
			})
		}
	}
}

func TestSafeSwitchThatRestores(t *testing.T) {
	d := Deployment{State: State{DAGDeploys: true, Image: "sha256:1", Mounted: true, Version: "v1"}}
	off := d.Switched(false)
	checkError(t, off.MaySwitchSafely(true, Owner), Conflict, "Switching back restores everything")
	checkError(t, off.MaySwitchSafely(false, Owner), fine, "") // what has to follow
}

func TestRegister(t *testing.T) {
	i := Image{Name: "quay.io/a/b", Tag: "1", Digest: "sha256:1", Runtime: "3.1-4"}
	d := Deployment{State: State{DAGDeploys: true, Mounted: true, Version: "v1"}}
	checkError(t, d.MayRegister(Operator), Forbidden, "needs the Owner role")
	checkError(t, d.MayRegister(Owner), fine, "")
	got := d.Switched(false).Registered(i)
	checkError(t, got.MayRegister(Owner), Conflict, "knows which image")
	want := State{Image: "sha256:1", ImageName: "quay.io/a/b", ImageTag: "1", Runtime: "3.1-4", Mounted: true, Version: "v1", NeedsImage: true}
	if got.State != want {
		t.Errorf("registered %+v, want %+v", got.State, want)
	}
	want.DAGDeploys, want.NeedsImage = true, false
	if back := got.Switched(true); back.State != want || back.Before != nil {
		t.Errorf("switched back %+v, want %+v", back.State, want)
	}
}

func TestImageDeployExpires(t *testing.T) {
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, w := range []Deploy{{Kind: ImageOnly}, {Kind: ImageAndDAG, UploadedAt: noon, WantsDAG: true}} {
		w.Status = Initialized
		if got := w.Expired(noon, noon.Add(UnfinishedLife-1)); got != "" {
			t.Errorf("%s expires in time: %q", w.Kind, got)
		}
		if got := w.Expired(noon, noon.Add(UnfinishedLife)); got != "It was not completed within 24 hours. Start it again." {
			t.Errorf("%s: %q", w.Kind, got)
		}
	}
}

func TestChecked(t *testing.T) {
	for name, tt := range map[string]struct {
		w    Deploy
		want Status
	}{
		"DAGs":                 {Deploy{Kind: DAGOnly}, Staged},
		"an image":             {Deploy{Kind: ImageOnly, Image: &Image{}}, Staged},
		"its image is missing": {Deploy{Kind: ImageAndDAG}, Initialized},
		"its DAGs are missing": {Deploy{Kind: ImageAndDAG, Image: &Image{}, WantsDAG: true}, Initialized},
		"nothing is missing":   {Deploy{Kind: ImageAndDAG, Image: &Image{}}, Staged},
	} {
		t.Run(name, func(t *testing.T) {
			tt.w.Status = Initialized
			if got := tt.w.Checked().Status; got != tt.want {
				t.Errorf("it is %s, want %s", got, tt.want)
			}
		})
	}
}

func TestPlatformSetting(t *testing.T) {
	for typed, want := range map[string]string{"": "linux/amd64", "linux/arm64": "linux/arm64", "linux/arm64/v8": "linux/arm64/v8", "windows/amd64": "no platform", "amd64": "no platform", "linux/../x": "no platform"} {
		s := otherSettings
		s.Platform = typed
		d, err := (Deployment{Settings: Settings{Platform: DefaultPlatform}}).Edit(Operator, s)
		if want == "no platform" {
			checkError(t, err, Invalid, want)
			continue
		}
		if err != nil || d.Platform != want {
			t.Errorf("%q becomes %q, %v; want %q", typed, d.Platform, err, want)
		}
	}
}

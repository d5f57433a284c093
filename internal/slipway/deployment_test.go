package slipway

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestNewDeployment(t *testing.T) {
	got, err := NewDeployment("w1", " Sales ETL ", true)
	checkError(t, err, fine, "")
	want := Deployment{
		Workspace: "w1", Local: true, State: State{DAGDeploys: true},
		Settings: Settings{Name: "Sales ETL", ImageRole: Author, Platform: "linux/amd64", KeepDays: 90, KeepVersions: 10},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("a new Deployment is %+v, want %+v", got, want)
	}
	_, err = NewDeployment("w1", "", true)
	checkError(t, err, Invalid, "A Deployment needs a name.")
}

func TestEdit(t *testing.T) {
	for name, tt := range map[string]struct {
		role Role
		edit func(*Settings)
		want Kind
		text string
	}{
		"nothing":         {Operator, func(*Settings) {}, fine, ""},
		"all":             {Owner, func(s *Settings) { *s = otherSettings }, fine, ""},
		"author":          {Author, func(*Settings) {}, Forbidden, "needs the Operator role"},
		"no name":         {Operator, func(s *Settings) { s.Name = " " }, Invalid, "needs a name."},
		"description":     {Operator, func(s *Settings) { s.Description = "\x00" }, Invalid, "only text."},
		"members images":  {Operator, func(s *Settings) { s.ImageRole = Member }, Invalid, "by Authors or by Operators."},
		"owners images":   {Operator, func(s *Settings) { s.ImageRole = Owner }, Invalid, "by Authors or by Operators."},
		"dags path":       {Operator, func(s *Settings) { s.DagsPath = "dags" }, Invalid, "must be absolute"},
		"long dags path":  {Operator, func(s *Settings) { s.DagsPath = "/" + strings.Repeat("d", 4096) }, Invalid, "must be absolute"},
		"dags path lines": {Operator, func(s *Settings) { s.DagsPath = "/a\nb" }, Invalid, "must be absolute"},
		"0 days":          {Operator, func(s *Settings) { s.KeepDays = 0 }, Invalid, "1 to 3650 days."},
		"1 day":           {Operator, func(s *Settings) { s.KeepDays = 1 }, fine, ""},
		"3650 days":       {Operator, func(s *Settings) { s.KeepDays = 3650 }, fine, ""},
		"3651 days":       {Operator, func(s *Settings) { s.KeepDays = 3651 }, Invalid, "1 to 3650 days."},
		"9 versions":      {Operator, func(s *Settings) { s.KeepVersions = 9 }, Invalid, "At least the last 10"},
		"10 versions":     {Operator, func(s *Settings) { s.KeepVersions = 10 }, fine, ""},
		"10000 versions":  {Operator, func(s *Settings) { s.KeepVersions = 10_000 }, fine, ""},
		"10001 versions":  {Operator, func(s *Settings) { s.KeepVersions = 10_001 }, Invalid, "at most 10,000"},
	} {
		t.Run(name, func(t *testing.T) {
			d, _ := NewDeployment("w1", "etl", false)
			d.ID, d.Namespace, d.Image = "d1", "bright-nova-0001", "sha256:1"
			s, want := d.Settings, d
			tt.edit(&s)
			got, err := d.Edit(tt.role, s)
			checkError(t, err, tt.want, tt.text)
			if tt.want == fine {
				want.Settings = s
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("after the edit %+v, want %+v", got, want)
			}
		})
	}
}

// otherSettings differ from those of a new Deployment in every field.
var otherSettings = Settings{
	Name: "sales", Description: "Loads orders.\nNightly.", AirflowURL: "https://airflow.example.com/x", DagsPath: "/opt/airflow/dags", Platform: "linux/arm64",
	ImageRole: Operator, CICDEnforced: true, GuardAPI: true, KeepDays: 30, KeepVersions: 20,
}

// An agent takes a dags path only as it is shortest.
func TestDagsPathIsCleaned(t *testing.T) {
	for typed, want := range map[string]string{"": "", "/": "/", "/opt//airflow/./dags/": "/opt/airflow/dags"} {
		s := otherSettings
		s.DagsPath = typed
		if d, err := (Deployment{}).Edit(Operator, s); err != nil || d.DagsPath != want {
			t.Errorf("%q becomes %q, %v; want %q", typed, d.DagsPath, err, want)
		}
	}
}

func TestSettingsRoundTrip(t *testing.T) {
	d, _ := NewDeployment("w1", "etl", false)
	before := reflect.ValueOf(d.Settings)
	d, err := d.Edit(Owner, otherSettings)
	checkError(t, err, fine, "")
	if got := d.Settings; got != otherSettings {
		t.Errorf("settings %+v, want %+v", got, otherSettings)
	}
	for i, other := range reflect.ValueOf(otherSettings).Fields() {
		if before.FieldByIndex(i.Index).Equal(other) {
			t.Errorf("otherSettings does not try %s", i.Name)
		}
	}
}

func TestAirflowURL(t *testing.T) {
	for in, want := range map[string]Kind{
		"": fine, " http://localhost:8080 ": fine, "https://airflow.example.com/team/": fine,
		"airflow.example.com": Invalid, "javascript:alert(1)": Invalid, "ftp://example.com": Invalid, "https://": Invalid,
		"https:///path": Invalid, "http://:8080": Invalid, "//example.com": Invalid, "http://a b": Invalid, "https://%zz": Invalid,
	} {
		t.Run(in, func(t *testing.T) {
			got, err := CheckURL(in)
			checkError(t, err, want, "is not a web address")
			if want == fine && got != strings.TrimSpace(in) || want != fine && got != "" {
				t.Errorf("address %q of %q", got, in)
			}
		})
	}
}

func TestDelete(t *testing.T) {
	for name, tt := range map[string]struct {
		role  Role
		typed string
		want  Kind
		text  string
	}{
		"operator":   {Operator, "etl", fine, ""},
		"spaces":     {Owner, " etl ", fine, ""},
		"author":     {Author, "etl", Forbidden, "needs the Operator role"},
		"other name": {Owner, "ETL", Invalid, `Type the name "etl"`},
		"no name":    {Admin, "", Invalid, `Type the name "etl"`},
	} {
		t.Run(name, func(t *testing.T) {
			checkError(t, Deployment{Settings: Settings{Name: "etl"}}.Delete(tt.role, tt.typed), tt.want, tt.text)
		})
	}
}

func TestNamespace(t *testing.T) {
	form := regexp.MustCompile(`^[a-z]+-[a-z]+-\d{4}$`)
	words := uint64(len(namespaceAdjectives) * len(namespaceNouns))
	seen := map[string]bool{}
	check := func(n uint64) {
		name := Namespace(n)
		if !form.MatchString(name) {
			t.Errorf("namespace %d is %q", n, name)
		}
		if seen[name] {
			t.Errorf("%q comes twice", name)
		}
		seen[name] = true
	}
	for n := range words {
		check(n + n%10_000*words) // each pair of words, and each number
	}
	for _, n := range []uint64{1<<64 - 1, 1 << 63} {
		if name := Namespace(n); !form.MatchString(name) {
			t.Errorf("namespace %d is %q", n, name)
		}
	}
}

func TestStandingOrder(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 11, n, 0, 0, 0, 0, time.UTC) }
	all := []Standing{
		{Name: "fine", Health: Healthy, LiveAt: day(9)}, {Name: "Also fine", Health: Healthy, LiveAt: day(3)}, {Name: "new", Health: Creating},
		{Name: "waits", Health: Healthy, ToConfirm: 1, LiveAt: day(5)}, {Name: "goes", Health: Going, LiveAt: day(4)}, {Name: "failed", Health: Healthy, Failed: true, LiveAt: day(6)},
		{Name: "switched", Health: Healthy, NeedsImage: true, LiveAt: day(7)}, {Name: "broken", Health: Unhealthy, ToConfirm: 1, LiveAt: day(8)},
	}
	for order, want := range map[StandingOrder]string{
		UrgentFirst: "broken switched failed goes waits Also fine fine new",
		ByName:      "Also fine broken failed fine goes new switched waits",
		NewestFirst: "fine broken switched failed waits goes Also fine new",
	} {
		slices.SortFunc(all, order.Compare)
		var names []string
		for _, s := range all {
			names = append(names, s.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("order %q: %s, want %s", order, got, want)
		}
	}
	for _, s := range all {
		if want := slices.Contains([]string{"broken", "switched", "failed"}, s.Name); s.NeedsAttention() != want {
			t.Errorf("%s needs attention: %v, want %v", s.Name, s.NeedsAttention(), want)
		}
	}
}

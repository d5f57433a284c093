package astro

import (
	"os"
	"slices"
	"testing"

	"go.yaml.in/yaml/v3"
)

// Airflow gets the volume to read, and the folder of marks to write.
func TestHelmValuesMountReadOnly(t *testing.T) {
	b, err := os.ReadFile("../../examples/airflow/helm-values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	type mount struct {
		Name     string
		At       string `yaml:"mountPath"`
		SubPath  string `yaml:"subPath"`
		ReadOnly bool   `yaml:"readOnly"`
	}
	type component struct {
		Mounts []mount `yaml:"extraVolumeMounts"`
	}
	var values struct {
		DAGProcessor component `yaml:"dagProcessor"`
		Workers      component
		Triggerer    component
		Scheduler    component
	}
	if err := yaml.Unmarshal(b, &values); err != nil {
		t.Fatal(err)
	}
	want := []mount{
		{Name: "slipway", At: "/opt/airflow/slipway", ReadOnly: true},
		{Name: "slipway", At: "/opt/airflow/slipway/in-use", SubPath: "in-use"},
	}
	for _, c := range []component{values.DAGProcessor, values.Workers, values.Triggerer, values.Scheduler} {
		got := slices.DeleteFunc(c.Mounts, func(m mount) bool { return m.Name != "slipway" })
		if !slices.Equal(got, want) {
			t.Errorf("mounts %+v, want %+v", got, want)
		}
	}
}

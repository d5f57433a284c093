package airflow_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestExamplesSayTheSame compares the settings of Airflow 3 that bound how soon
// a deploy shows: those that the tests run with, of Helm's and of Compose's.
func TestExamplesSayTheSame(t *testing.T) {
	cfg := string(example(t, "airflow/airflow-3.cfg"))
	var helm struct {
		Config map[string]map[string]string
	}
	ok(t, yaml.Unmarshal(example(t, "airflow/helm-values.yaml"), &helm))
	compose := readCompose(t)
	for _, s := range []struct{ section, name string }{
		{"core", "min_serialized_dag_update_interval"},
		{"dag_processor", "bundle_refresh_check_interval"},
		{"dag_processor", "min_file_process_interval"},
	} {
		m := regexp.MustCompile(`(?m)^` + s.name + ` = (\d+)$`).FindStringSubmatch(cfg)
		if m == nil {
			t.Fatalf("airflow-3.cfg does not set %s", s.name)
		}
		if got := helm.Config[s.section][s.name]; got != m[1] {
			t.Errorf("helm-values.yaml sets %s to %q, airflow-3.cfg to %s", s.name, got, m[1])
		}
		name := strings.ToUpper("airflow__" + s.section + "__" + s.name)
		if got := compose.Environment[name]; got != m[1] {
			t.Errorf("compose.yaml sets %s to %q, airflow-3.cfg to %s", name, got, m[1])
		}
	}
}

// TestComposeMayMark checks that containers may write the folder of marks, and
// no other of the mount's.
func TestComposeMayMark(t *testing.T) {
	var got []string
	for _, volume := range readCompose(t).Volumes {
		if from := regexp.MustCompile(`\$\{SLIPWAY_MOUNT(:\?[^}]*)?\}`); from.MatchString(volume) {
			got = append(got, from.ReplaceAllString(volume, "MOUNT"))
		}
	}
	want := []string{"MOUNT:/opt/airflow/slipway:ro", "MOUNT/in-use:/opt/airflow/slipway/in-use"}
	if !slices.Equal(got, want) {
		t.Errorf("the containers have the volumes %v, want %v", got, want)
	}
}

// composed is what all of Airflow's containers in compose.yaml share.
type composed struct {
	Environment map[string]string
	Volumes     []string
}

func readCompose(t *testing.T) composed {
	t.Helper()
	var file struct {
		Airflow composed `yaml:"x-airflow"`
	}
	ok(t, yaml.Unmarshal(example(t, "compose/compose.yaml"), &file))
	return file.Airflow
}

func example(t *testing.T, name string) []byte {
	t.Helper()
	return must[[]byte](t)(os.ReadFile(filepath.Join(root, "examples", filepath.FromSlash(name))))
}

package slipway

import "testing"

func TestRegistryHost(t *testing.T) {
	for name, want := range map[string]string{
		"quay.io/team/airflow":           "quay.io",
		"localhost/airflow":              "localhost",
		"localhost:5000/airflow":         "localhost:5000",
		"registry:5000/airflow":          "registry:5000",
		"barren-ionization-0185/airflow": "",
		"airflow":                        "",
		"airflow.example":                "", // no path: a repository, not a host
		"":                               "",
	} {
		if got := RegistryHost(name); got != want {
			t.Errorf("RegistryHost(%q) = %q, want %q", name, got, want)
		}
	}
}

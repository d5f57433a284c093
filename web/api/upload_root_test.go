package api_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"slipway/store/storetest"
)

func TestUploadedDagsPath(t *testing.T) {
	two := map[string]string{"a/dags/x.py": dag, "b/dags/y.py": dag}
	for name, tt := range map[string]struct {
		query  string
		files  map[string]string
		status int
		want   []string
		path   any
		count  float64
	}{
		"found":         {"", map[string]string{"repo/airflow/dags/a.py": dag, "repo/README.md": "x"}, http.StatusOK, []string{"only dags folder"}, "repo/airflow/dags", 1},
		"not clear":     {"", two, http.StatusConflict, []string{"a/dags", "b/dags", "dagsPath", "--dags-path"}, nil, 0},
		"named":         {"dagsPath=b/dags", two, http.StatusOK, nil, "b/dags", 1},
		"named the lot": {"dagsPath=.", two, http.StatusOK, nil, ".", 2},
		"not there":     {"dagsPath=c", two, http.StatusUnprocessableEntity, []string{`\"c\"`, "dagsPath"}, nil, 0},
		"inside":        {"", map[string]string{"dags.tar.gz": string(storetest.Archive(t, map[string]string{"dags/a.py": dag, "Dockerfile": "FROM x"}))}, http.StatusOK, nil, "dags", 1},
		"named inside":  {"dagsPath=b/dags", map[string]string{"x.tgz": string(storetest.Archive(t, two)), "sums.txt": "x"}, http.StatusOK, nil, "b/dags", 1},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t)
			w := a.sendArchive(t, a.owner, "wait=30s&"+tt.query, bytes.NewReader(storetest.Archive(t, tt.files)))
			if (w.status < 400) != (tt.status < 400) {
				t.Fatalf("answer %d %v, want %d", w.status, w.body, tt.status)
			}
			for _, part := range tt.want {
				if !strings.Contains(w.text, part) {
					t.Errorf("%s does not name %s", w.text, part)
				}
			}
			if w.status == http.StatusOK && (w.body["dagsPath"] != tt.path || w.body["counts"].(map[string]any)["files"] != tt.count) {
				t.Errorf("%v, want %v files of %v", w.body, tt.count, tt.path)
			}
		})
	}
}

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// teams are the folders below dags, each with the subjects of the team's DAGs.
var teams = map[string][]string{
	"finance":   {"ledger", "payouts", "tax", "budget", "exchange_rates", "accruals", "invoices", "cash"},
	"logistics": {"routes", "stock", "suppliers", "returns", "parcels", "customs", "fleet", "forecast"},
	"marketing": {"campaigns", "clicks", "audiences", "newsletter", "attribution", "web_sessions", "surveys", "coupons"},
	"sales":     {"orders", "quotes", "leads", "targets", "regions", "refunds", "churn", "price_list"},
}

// helpers are the modules of common, each with a function for all teams.
var helpers = []string{"dates", "quality", "retries", "slack", "warehouse"}

// project is the code of the teams: files by path below dags.
type project map[string]string

// newProject returns the project of 126 files as of the first day.
func newProject() project {
	p := project{
		".airflowignore":     "sql/\n*/README.md\n",
		"common/__init__.py": "",
		"schemas/index.json": "{\"version\": 3}\n",
	}
	for _, h := range helpers {
		p["common/"+h+".py"] = helper(h)
	}
	for _, name := range []string{"order", "customer", "parcel", "payment", "session", "supplier"} {
		p["schemas/"+name+".json"] = fmt.Sprintf("{\n  \"title\": %q,\n  \"type\": \"object\",\n  \"required\": [\"id\", \"updated_at\"]\n}\n", name)
	}
	for team, subjects := range teams {
		p[team+"/__init__.py"] = ""
		p[team+"/README.md"] = "# " + team + "\n\nQuestions: #data-" + team + "\n"
		p[team+"/settings.yaml"] = "warehouse: " + team + "_wh\nretries: 2\n"
		p[team+"/owners.txt"] = team + "@example.com\n"
		for _, s := range subjects {
			p[team+"/"+s+"_daily.py"] = dag(team, s, "@daily")
			p[team+"/sql/load_"+s+".sql"] = query(team, s)
			p[team+"/sql/check_"+s+".sql"] = "SELECT count(*) FROM " + team + "." + s + " WHERE id IS NULL;\n"
		}
	}
	return p
}

// helper returns a module of common.
func helper(name string) string {
	return fmt.Sprintf("\"\"\"What all teams share about %[1]s.\"\"\"\n\nDEFAULT_WAIT = 30\n\n\ndef %[1]s(context, wait=DEFAULT_WAIT):\n    return {\"wait\": wait, \"run\": context[\"run_id\"]}\n", name)
}

// dag returns a DAG file, with three tasks.
func dag(team, subject, schedule string) string {
	return fmt.Sprintf(`from airflow.sdk import dag, task

from common.quality import quality
from common.warehouse import warehouse


@dag(schedule=%[3]q, catchup=False, tags=[%[1]q], default_args={"owner": %[1]q, "retries": 2})
def %[2]s_daily():
    @task
    def extract(**context):
        return warehouse(context)

    @task
    def load(rows):
        return {"table": "%[1]s.%[2]s", "rows": rows}

    @task
    def check(loaded, **context):
        return quality(context)

    check(load(extract()))


%[2]s_daily()
`, team, subject, schedule)
}

// query returns the statement that loads a subject.
func query(team, subject string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "-- Loads %[2]s for %[1]s.\nINSERT INTO %[1]s.%[2]s\nSELECT\n", team, subject)
	for _, column := range []string{"id", "created_at", "updated_at", "amount", "currency", "region"} {
		fmt.Fprintf(&b, "    s.%s,\n", column)
	}
	fmt.Fprintf(&b, "    s.source\nFROM raw.%s AS s\nWHERE s.updated_at >= '{{ ds }}';\n", subject)
	return b.String()
}

// archive returns the files as a .tar.gz with the folder dags, as of built.
func (p project) archive(built time.Time) ([]byte, error) {
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	out := tar.NewWriter(zip)
	for _, name := range slices.Sorted(maps.Keys(p)) {
		h := &tar.Header{Name: "dags/" + name, Mode: 0o644, Size: int64(len(p[name])), ModTime: built}
		if err := out.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := out.Write([]byte(p[name])); err != nil {
			return nil, err
		}
	}
	err := errors.Join(out.Close(), zip.Close())
	return b.Bytes(), err
}

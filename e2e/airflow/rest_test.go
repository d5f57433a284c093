package airflow_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// rest asks Airflow's REST API, as anybody may here.
type rest struct {
	major int
	base  string
	token string
}

var airflowClient = &http.Client{Timeout: 30 * time.Second}

// signIn gets a token, where there are tokens.
func (r *rest) signIn() error {
	if r.major == 3 {
		var got struct {
			Token string `json:"access_token"`
		}
		if err := r.ask(http.MethodGet, "/auth/token", nil, &got); err != nil {
			return err
		}
		r.token = got.Token
	}
	_, err := r.dags("")
	return err
}

func (r *rest) ask(method, path string, body, answer any) error {
	var text io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		text = bytes.NewReader(b)
	}
	req, err := http.NewRequest(method, r.base+path, text)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	return decode(airflowClient, req, answer)
}

// api is where the stable API of this Airflow lies.
func (r *rest) api() string {
	if r.major == 3 {
		return "/api/v2"
	}
	return "/api/v1"
}

// dags returns the tags of those DAGs that Airflow lists, by their ids after
// prefix. Airflow keeps a DAG whose file is gone, as stale, but lists it no more.
func (r *rest) dags(prefix string) (map[string][]string, error) {
	var got struct {
		DAGs []struct {
			ID   string `json:"dag_id"`
			Tags []struct{ Name string }
		}
	}
	if err := r.ask(http.MethodGet, r.api()+"/dags?limit=100", nil, &got); err != nil {
		return nil, err
	}
	all := map[string][]string{}
	for _, d := range got.DAGs {
		name, ours := strings.CutPrefix(d.ID, prefix)
		if !ours {
			continue
		}
		all[name] = []string{}
		for _, tag := range d.Tags {
			all[name] = append(all[name], tag.Name)
		}
		slices.Sort(all[name])
	}
	return all, nil
}

// tasks returns those of a DAG as it is written in the database, which is what
// runs are made of.
func (r *rest) tasks(dag string) (ids []string, err error) {
	var got struct {
		Tasks []struct {
			ID string `json:"task_id"`
		}
	}
	err = r.ask(http.MethodGet, r.api()+"/dags/"+dag+"/tasks", nil, &got)
	for _, task := range got.Tasks {
		ids = append(ids, task.ID)
	}
	return ids, err
}

// dagRun is a run of a DAG. Versions are those of the DAG, of Airflow 3.
type dagRun struct {
	ID       string `json:"dag_run_id"`
	State    string
	Version  string `json:"bundle_version"`
	Versions []struct {
		URL string `json:"bundle_url"`
	} `json:"dag_versions"`
}

// trigger begins the run with this id. Asked again, as after an answer that did
// not come in time, it returns the run that there is.
func (r *rest) trigger(dag, id string) (dagRun, error) {
	body := map[string]any{"dag_run_id": id}
	if r.major == 3 {
		body["logical_date"] = nil
	}
	err := r.ask(http.MethodPost, r.api()+"/dags/"+dag+"/dagRuns", body, nil)
	if no := (refusal{}); err != nil && !(errors.As(err, &no) && no.status == http.StatusConflict) {
		return dagRun{}, err
	}
	return r.run(dag, id)
}

func (r *rest) run(dag, id string) (run dagRun, err error) {
	return run, r.ask(http.MethodGet, r.api()+"/dags/"+dag+"/dagRuns/"+id, nil, &run)
}

// complaints returns what Airflow could not import.
func (r *rest) complaints() string {
	var got struct {
		Errors []struct {
			File  string `json:"filename"`
			Stack string `json:"stack_trace"`
		} `json:"import_errors"`
	}
	if err := r.ask(http.MethodGet, r.api()+"/importErrors", nil, &got); err != nil {
		return err.Error()
	}
	return fmt.Sprint(got.Errors)
}

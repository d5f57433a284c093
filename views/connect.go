package views

import (
	"fmt"
	"strings"
)

// Connect says where DAGs are mounted and how to point Airflow there.
type Connect struct {
	Local     bool
	Folded    bool   // shown in one line, to be opened
	MountDir  string // on the host of the portal
	DAGsDir   string // current/dags in MountDir
	Airflow2  string // lines of airflow.cfg
	Airflow3  string
	AgentsURL string // the part of Settings about agents; "" without the permission to manage agents
}

// updateInterval gives runs the tasks of a deploy seconds after the list of
// DAGs: Airflow's default is half a minute.
const updateInterval = "min_serialized_dag_update_interval = 5\n"

// WithAirflow returns c with the lines of airflow.cfg for a bundle name.
func (c Connect) WithAirflow(name string) Connect {
	c.Airflow2 = "[core]\ndags_folder = " + c.DAGsDir + "\n" + updateInterval + "min_serialized_dag_fetch_interval = 5\n\n[scheduler]\ndag_dir_list_interval = 10\n"
	c.Airflow3 = "[core]\n" + updateInterval + "\n[dag_processor]\ndag_bundle_config_list = " + bundleConfig(name, c.DAGsDir) + "\n"
	return c
}

// bundleConfig is one line of JSON. airflow.cfg needs percent signs twice.
func bundleConfig(name, dags string) string {
	text := fmt.Sprintf(`[{"name": %q, "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle", "kwargs": {"path": %q, "refresh_interval": 10}}]`, name, dags)
	return strings.ReplaceAll(text, "%", "%%")
}

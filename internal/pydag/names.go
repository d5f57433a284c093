package pydag

import (
	"regexp"
	"strings"
)

// Qualified names are as imported: "airflow.sdk.DAG", "airflow.decorators.task".
var (
	dagName     = regexp.MustCompile(`^(?:.*\.)?DAG$`)
	dagDec      = regexp.MustCompile(`^(?:airflow\.(?:.*\.)?)?dag$`)
	taskDec     = regexp.MustCompile(`^airflow\.(?:.*\.)?(?:task|setup|teardown)(?:\.[a-z_0-9]+)?$`)
	groupDec    = regexp.MustCompile(`^(?:airflow\.(?:.*\.)?)?task_group$`)
	assetDec    = regexp.MustCompile(`^airflow\.sdk\.(?:definitions\.asset\.decorators\.)?asset(?:\.multi)?$`)
	operator    = regexp.MustCompile(`(?:Operator|Sensor|Transfer|Trigger|Job|Branch|Notebook|Task)(?:Async)?$`)
	newVersions = regexp.MustCompile(`^AIRFLOW_V_[0-9_]+_PLUS$`)
)

// isDecorator reports whether a qualified name is one of Airflow's that makes
// something of a function.
func isDecorator(q string) bool {
	return dagDec.MatchString(q) || taskDec.MatchString(q) || groupDec.MatchString(q) || assetDec.MatchString(q)
}

// isClass reports whether a name begins as a class does.
func isClass(name string) bool { return name != "" && name[0] >= 'A' && name[0] <= 'Z' }

// plain holds the first names of modules whose functions make no tasks.
var plain = map[string]bool{
	"airflow": true, "datetime": true, "pendulum": true, "os": true, "sys": true, "json": true, "pathlib": true, "re": true,
	"logging": true, "random": true, "time": true, "uuid": true, "textwrap": true, "itertools": true, "functools": true,
	"collections": true, "typing": true, "dataclasses": true, "yaml": true, "tempfile": true, "string": true, "math": true,
	"hashlib": true, "base64": true, "dateutil": true, "pytz": true, "zoneinfo": true, "enum": true, "warnings": true, "local": true,
}

// mayMakeTasks reports whether a call of an imported function may make tasks in the
// DAG around it: it is neither of the standard library nor of Airflow.
func mayMakeTasks(q string) bool {
	first, rest, dotted := strings.Cut(q, ".")
	return dotted && rest != "" && !plain[first]
}

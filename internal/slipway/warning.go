package slipway

import (
	"fmt"
	"strings"
)

// maxNamed is how many DAG files a warning names.
const maxNamed = 10

// Warning says what a person would have to tick before p is carried out, in
// sentences; "" for nothing. Deploys of the API carry it as a note.
func (p Plan) Warning() string {
	var all []string
	if n := len(p.RemovedDAGs); n > 0 {
		names := strings.Join(p.RemovedDAGs[:min(n, maxNamed)], ", ")
		switch {
		case n == 1:
			all = append(all, "It removes the DAG file "+names+".")
		case n > maxNamed:
			all = append(all, fmt.Sprintf("It removes %d DAG files: %s and %d more.", n, names, n-maxNamed))
		default:
			all = append(all, fmt.Sprintf("It removes %d DAG files: %s.", n, names))
		}
	}
	if p.NoDAGs {
		all = append(all, "It leaves Airflow without a single DAG file.")
	}
	if p.NotAirflow != "" {
		all = append(all, "Nothing says that "+p.NotAirflow+" is an image of Airflow.")
	}
	if p.ByHand {
		all = append(all, "Nothing here can run its image: until somebody restarts Airflow with it, DAGs may be missing.")
	}
	return strings.Join(all, " ")
}

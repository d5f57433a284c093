package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"slipway/internal/slipway"
)

// region is the only region, for the astro CLI, which asks for one.
const region = "self-hosted"

// givenFields are the fields of a Deployment that the portal does not manage, with
// the values that every Deployment has. The CLI panics without some of them.
func givenFields() object {
	return object{
		"type": "STANDARD", "executor": "CELERY", "schedulerSize": "SMALL", "schedulerReplicas": 1,
		"isHighAvailability": false, "isDevelopmentMode": false, "defaultTaskPodCpu": "0.25", "defaultTaskPodMemory": "0.5Gi",
		"resourceQuotaCpu": "10", "resourceQuotaMemory": "20Gi",
		"workerQueues": []object{}, "environmentVariables": []object{}, "contactEmails": []string{},
	}
}

// createFields are the values that a request to create a Deployment may have
// besides givenFields. The CLI sends them without being asked to: its default
// cloud, the executor that goes with its newest Runtime, and that Runtime. The
// Runtime comes with the first image, so that any is accepted.
var createFields = map[string][]string{"cloudProvider": {"AZURE"}, "region": {region}, "executor": {"ASTRO"}}

// anyOnCreate are the fields that may have any value in a request to create, and
// anyOnUpdate those of a request to change: facts that change by themselves between
// reading a Deployment and sending the whole object back.
var (
	anyOnCreate = map[string]bool{"astroRuntimeVersion": true}
	anyOnUpdate = map[string]bool{"status": true, "health": true, "statusReason": true, "updatedAt": true, "updatedBy": true}
)

// elsewhere says, for a field that the portal does not manage, where to set what
// the field is about.
var elsewhere = map[string]string{
	"environmentVariables": "Slipway sets no environment variables. Set them where Airflow runs, such as in a compose file or the values of a Helm chart, or by ENV in the image.",
	"contactEmails":        "Slipway sends no e-mail about a Deployment. Set notifications in Airflow.",
	"workerQueues":         "Slipway manages no worker queues. Set them where Airflow runs.",
	"type":                 "Slipway deploys to an Airflow that you run, and calls each Deployment STANDARD.",
	"clusterId":            "Slipway knows no clusters: it deploys to an Airflow that you run. Leave the cluster out.",
	"cloudProvider":        "Slipway deploys to an Airflow that you run, and has no cloud. Leave --cloud-provider and --region out.",
	"region":               "Slipway deploys to an Airflow that you run, and has no regions but " + region + ".",
	"scalingSpec":          "Slipway does not scale or hibernate Airflow.",
	"workloadIdentity":     "Slipway gives Airflow no identity. Set it where Airflow runs.",
	"remoteExecution":      "Slipway deploys to an Airflow that you run: agents are connected on the page Settings of the Deployment.",
}

// otherwise is the text of elsewhere for all other fields of givenFields.
const otherwise = "Slipway deploys code to an Airflow that you run, and does not manage its resources. Set it where Airflow runs."

// checkUnmanaged refuses the fields of a request that this portal cannot carry
// out. fields are all of the body; known have a meaning; has are the values of the
// Deployment; allowed and open are further values, and fields with any value.
func checkUnmanaged(fields map[string]json.RawMessage, known []string, has object, allowed map[string][]string, open map[string]bool) error {
	given := givenFields()
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if slices.Contains(known, name) {
			continue
		}
		var value any
		if err := json.Unmarshal(fields[name], &value); err != nil {
			return fmt.Errorf("field %s: %w", name, err)
		}
		now, exists := has[name]
		_, isGiven := given[name]
		text, isText := value.(string)
		switch {
		case value == nil, exists && sameJSON(now, value), isNothing(value) && (!exists || isGiven),
			open[name], isText && slices.Contains(allowed[name], text):
			continue
		}
		return unmanagedError(name, fields[name], now)
	}
	return nil
}

// unmanagedError is the refusal of a field, by the value that the Deployment has;
// nil for none.
func unmanagedError(name string, value json.RawMessage, now any) error {
	given, isGiven := givenFields()[name]
	where, isKnown := elsewhere[name]
	if !isKnown {
		where = otherwise
	}
	switch {
	case !isKnown && now == nil:
		return slipway.Errorf(slipway.Invalid, "There is no field %q of a Deployment in this portal. Nothing was changed: leave it out.", name)
	case !isGiven && now != nil:
		return slipway.Errorf(slipway.Invalid, "The field %s is %s, and a request like this does not change it to %s. Nothing was changed: leave it out.", name, jsonText(now), shown(name, value))
	case isNothing(given), !isGiven:
		return slipway.Errorf(slipway.Invalid, "The field %s cannot be %s. %s Nothing was changed.", name, shown(name, value), where)
	}
	return slipway.Errorf(slipway.Invalid, "The field %s cannot be %s: it is %s for every Deployment. %s Nothing was changed.", name, shown(name, value), jsonText(given), where)
}

// shown returns a value for a sentence, cut, and without what may be a secret.
func shown(name string, value json.RawMessage) string {
	if name == "environmentVariables" {
		return "set here"
	}
	r := []rune(string(value))
	if len(r) > 60 {
		r = append(r[:60], '…')
	}
	return string(r)
}

// jsonText returns v in JSON, for a sentence.
func jsonText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// sameJSON reports whether a and b are the same in JSON.
func sameJSON(a, b any) bool {
	var x, y any
	return json.Unmarshal([]byte(jsonText(a)), &x) == nil && json.Unmarshal([]byte(jsonText(b)), &y) == nil && reflect.DeepEqual(x, y)
}

// isNothing reports whether a value of JSON asks for nothing: null, false, 0, "",
// or a list or object of such values.
func isNothing(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case float64:
		return v == 0
	case string:
		return v == ""
	case []any:
		return !slices.ContainsFunc(v, func(v any) bool { return !isNothing(v) })
	case map[string]any:
		for _, v := range v {
			if !isNothing(v) {
				return false
			}
		}
		return true
	}
	return false
}

// fieldNames returns the JSON names of the fields of T, a struct.
func fieldNames[T any]() []string {
	var names []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[T]()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

package api

import "reflect"

// Operations are the routes of the API, as "GET /v1/organizations".
func Operations() []string {
	var all []string
	for _, o := range (&Server{}).operations() {
		all = append(all, o.method+" "+o.path)
	}
	return all
}

// Bodies are the types that read the body of a request, by the schema of each.
var Bodies = map[string]reflect.Type{
	"NewDeployment": reflect.TypeFor[deploymentBody](),
	"NewDeploy":     reflect.TypeFor[deployBody](),
	"NewGit":        reflect.TypeFor[gitBody](),
	"NewToken":      reflect.TypeFor[tokenBody](),
}

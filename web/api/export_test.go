package api

// Operations are the routes of the API, as "GET /v1/organizations".
func Operations() []string {
	var all []string
	for _, o := range (&Server{}).operations() {
		all = append(all, o.method+" "+o.path)
	}
	return all
}

package slipway

// maxNamed is how many DAG files a warning names.
const maxNamed = 10

package airflow_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// airflow is a running Airflow with its database in home.
type airflow struct {
	major   int
	version string
	home    string
	out     string // where tasks leave what they saw
	lib     string // on the path of Python
	url     string
	env     []string
	as      syscall.SysProcAttr
	client  rest
	running []*exec.Cmd
}

// newAirflow lays out a home with the example's settings, which more settings
// override. Start starts it.
func newAirflow(t *testing.T, major int, dir string, settings map[string]string) *airflow {
	t.Helper()
	a := &airflow{major: major, home: filepath.Join(dir, "airflow"), out: filepath.Join(dir, "out"), lib: filepath.Join(dir, "lib")}
	for _, dir := range []string{a.home, a.out, a.lib} {
		ok(t, os.Mkdir(dir, 0o755))
	}
	copyFile(t, a.example(), filepath.Join(a.home, "airflow.cfg"))
	a.environment(settings)
	a.identity(t)
	a.version = a.ask(t)
	t.Cleanup(func() { a.stop(t) })
	return a
}

// example is the settings file that people are shown.
func (a *airflow) example() string {
	return filepath.Join(root, "examples", "airflow", fmt.Sprintf("airflow-%d.cfg", a.major))
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	ok(t, os.WriteFile(to, must[[]byte](t)(os.ReadFile(from)), 0o644))
}

// environment is that of all of Airflow's processes: what this machine says of
// Python is left out, so that it writes bytecode wherever it may.
func (a *airflow) environment(settings map[string]string) {
	a.env = []string{
		"AIRFLOW_HOME=" + a.home, "HOME=" + a.home, "USER=airflow", "LOGNAME=airflow", "LANG=C.UTF-8", "TZ=UTC",
		"PATH=" + filepath.Join(a.venv(), "bin") + ":/usr/local/bin:/usr/bin:/bin", "PYTHONPATH=" + a.lib, "PYTHONWARNINGS=ignore",
		"TMPDIR=" + a.home, "SLIPWAY_TEST_OUT=" + a.out,
		"AIRFLOW__CORE__LOAD_EXAMPLES=False", "AIRFLOW__CORE__EXECUTOR=LocalExecutor", "AIRFLOW__CORE__PARALLELISM=4",
		"AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT=300", "AIRFLOW__CORE__DAG_FILE_PROCESSOR_TIMEOUT=600", "AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT=600",
		"AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT=120", "AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS=30",
		"AIRFLOW__SCHEDULER__USAGE_DATA_COLLECTION_ENABLED=False", "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED=False",
	}
	for name, value := range settings {
		a.env = append(a.env, name+"="+value)
	}
}

// servers are the settings of Airflow's web server, which lets everybody in.
func servers(major int, url, port string) map[string]string {
	if major == 2 {
		return map[string]string{
			"AIRFLOW__API__AUTH_BACKENDS": "airflow.api.auth.backend.default", "AIRFLOW__WEBSERVER__SECRET_KEY": "of a test",
			"_AIRFLOW__SKIP_DATABASE_EXECUTOR_COMPATIBILITY_CHECK": "1", // of SQLite with more than one process
		}
	}
	return map[string]string{
		"AIRFLOW__API__HOST": "127.0.0.1", "AIRFLOW__API__PORT": port, "AIRFLOW__API__WORKERS": "1", "AIRFLOW__API__BASE_URL": url,
		"AIRFLOW__CORE__EXECUTION_API_SERVER_URL": url + "/execution/", "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
		"AIRFLOW__API_AUTH__JWT_SECRET": "of a test, and long enough for its algorithm, which wants 64 bytes", "AIRFLOW__API__SECRET_KEY": "of a test",
	}
}

func (a *airflow) venv() string {
	return filepath.Join(root, ".cache", "airflow"+strconv.Itoa(a.major))
}

// airflowUser is who Airflow runs as where the tests run as root: the user of
// its official image.
const airflowUser = 50000

// identity decides who Airflow runs as: somebody who may not write to the
// mount. Where that user may not read the project's own folder, they get the
// right to read, and no other.
func (a *airflow) identity(t *testing.T) {
	t.Helper()
	a.as = syscall.SysProcAttr{Setpgid: true}
	if os.Getuid() != 0 {
		return
	}
	for _, dir := range []string{a.home, a.out, a.lib, filepath.Join(a.home, "airflow.cfg")} {
		ok(t, os.Chown(dir, airflowUser, airflowUser))
	}
	a.as.Credential = &syscall.Credential{Uid: airflowUser, Gid: airflowUser}
}

// ask returns what Airflow's version is, and finds out whether its user may
// read the virtual environment.
func (a *airflow) ask(t *testing.T) string {
	t.Helper()
	const code = "import importlib.metadata as m; print(m.version('apache-airflow'))"
	python := filepath.Join(a.venv(), "bin", "python")
	out, err := a.command(python, "-c", code).Output()
	if err != nil && a.as.Credential != nil {
		mayRead(&a.as)
		out, err = a.command(python, "-c", code).Output()
	}
	ok(t, err)
	return strings.TrimSpace(string(out))
}

// command returns one that runs as Airflow does.
func (a *airflow) command(name string, args ...string) *exec.Cmd {
	c := exec.Command(name, args...)
	as := a.as
	c.Dir, c.Env, c.SysProcAttr = a.home, a.env, &as
	return c
}

// tool runs a command of Airflow's to its end.
func (a *airflow) tool(t *testing.T, args ...string) string {
	t.Helper()
	c := a.command(filepath.Join(a.venv(), "bin", "airflow"), args...)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("airflow %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// start starts Airflow's components and waits for its API.
func (a *airflow) start(t *testing.T) {
	t.Helper()
	port := freePort(t)
	a.url = "http://127.0.0.1:" + port
	for name, value := range servers(a.major, a.url, port) {
		a.env = append(a.env, name+"="+value)
	}
	a.tool(t, "db", "migrate")
	for _, argv := range a.components() {
		name := argv[0]
		if name == "airflow" {
			name = argv[1]
		}
		log := must[*os.File](t)(os.Create(filepath.Join(a.home, name+".log")))
		c := a.command(filepath.Join(a.venv(), "bin", argv[0]), argv[1:]...)
		c.Stdout, c.Stderr = log, log
		ok(t, c.Start())
		ok(t, log.Close())
		a.running = append(a.running, c)
	}
	a.client = rest{major: a.major, base: a.url}
	until(t, a.client.signIn)
	t.Logf("Airflow %s is up, as user %d", a.version, a.uid())
}

// components are the command lines of Airflow's processes. Version 2 reads DAGs
// in its scheduler where the database is SQLite. Its web server is started as
// Airflow does, but without the monitor, which gives up on a busy machine.
func (a *airflow) components() [][]string {
	scheduler := []string{"airflow", "scheduler", "--skip-serve-logs"}
	if a.major == 2 {
		return [][]string{scheduler, {"gunicorn", "--workers", "1", "--timeout", "600", "--bind", strings.TrimPrefix(a.url, "http://"), "airflow.www.app:cached_app()"}}
	}
	return [][]string{scheduler, {"airflow", "api-server"}, {"airflow", "dag-processor"}}
}

func (a *airflow) uid() int {
	if c := a.as.Credential; c != nil {
		return int(c.Uid)
	}
	return os.Getuid()
}

// stop ends all of Airflow's processes: those it was told to end, and those
// that they left behind.
func (a *airflow) stop(t *testing.T) {
	t.Helper()
	if t.Failed() && len(a.running) > 0 {
		t.Logf("import errors: %s", a.client.complaints())
	}
	for _, c := range a.running {
		_ = c.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	}
	for end := time.Now().Add(3 * time.Second); len(a.processes()) > 0 && time.Now().Before(end); {
		time.Sleep(200 * time.Millisecond)
	}
	for _, pid := range a.processes() {
		_ = syscall.Kill(pid, syscall.SIGKILL) // or it ended just now
	}
	for _, c := range a.running {
		_ = c.Wait() // how it ended is in its log
	}
	if t.Failed() {
		a.tellLogs(t)
	}
}

// processes returns those that run in our home. Some of Airflow's overwrite
// their environment by a title, and some leave the group that they began in.
func (a *airflow) processes() (pids []int) {
	entries, _ := os.ReadDir("/proc") // none where there is no such folder
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		cwd, _ := os.Readlink(filepath.Join("/proc", e.Name(), "cwd")) // others' are not ours to read
		env, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if cwd == a.home || strings.Contains("\x00"+string(env), "\x00AIRFLOW_HOME="+a.home+"\x00") {
			pids = append(pids, pid)
		}
	}
	return pids
}

// tellLogs shows the end of what each component said.
func (a *airflow) tellLogs(t *testing.T) {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(a.home, "*.log"))
	for _, path := range logs {
		b, failed := os.ReadFile(path)
		err = errors.Join(err, failed)
		t.Logf("%s ends with\n%s", filepath.Base(path), b[max(0, len(b)-4000):])
	}
	if err != nil {
		t.Error(err)
	}
}

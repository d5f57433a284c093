package airflow_test

import (
	"maps"
	"strconv"
	"strings"
)

// The DAG files that are deployed. PRE stands for what is put before the names
// of a Deployment's DAGs, as those of one Airflow share a space; VER for the
// version of the code.

// pairFile says by its tags, and by the name of its task, which version it is
// of, and of which version the module was that it imported. In between it waits
// while there is a gate.
const pairFile = `
import os, pathlib, time
VER = "VER"
gate = pathlib.Path(os.environ["SLIPWAY_TEST_OUT"], "PRE-gate")
if gate.exists():
    (gate / VER).touch()
    end = time.monotonic() + 20
    while gate.exists() and time.monotonic() < end:
        time.sleep(0.1)
from airflow import DAG
try:
    from airflow.sdk import task
except ImportError:
    from airflow.decorators import task
import PRE_helper

with DAG("PRE_pair", schedule=None, tags=["file-" + VER, "helper-" + PRE_helper.VER]):

    @task(task_id=VER + "-with-" + PRE_helper.VER)
    def nothing():
        pass

    nothing()
`

const helperFile = `VER = "VER"
`

const otherFile = `
from airflow import DAG

with DAG("PRE_other", schedule=None, tags=["file-VER"]):
    pass
`

// sleeperFile has a task that waits for a file, and reads and imports before
// and after. It tells in another file what it saw.
const sleeperFile = `
import datetime, json, os, pathlib, time
from airflow import DAG
try:
    from airflow.sdk import task
except ImportError:
    from airflow.decorators import task
import PRE_early

HERE = pathlib.Path(__file__).parent
OUT = pathlib.Path(os.environ["SLIPWAY_TEST_OUT"], "PRE")

def tell(name, seen):
    (OUT / "new").write_text(json.dumps(seen))
    os.rename(OUT / "new", OUT / name)

# On a busy machine a task may fail before it begins.
again = {"retries": 5, "retry_delay": datetime.timedelta(seconds=1)}

with DAG("PRE_sleeper", schedule=None, is_paused_upon_creation=False, default_args=again, tags=["file-VER"]):

    @task
    def sleep():
        seen = {"its own code": "VER", "module loaded before": PRE_early.VER}
        with open(HERE / "PRE_data.txt") as f:
            tell("started", {"process": str(os.getpid())})
            while not (OUT / "go").exists():
                time.sleep(0.2)
            seen["file opened before"] = f.read()
        seen["file opened late"] = (HERE / "PRE_data.txt").read_text()
        import PRE_late
        seen["module imported late"] = PRE_late.VER
        seen["process"] = str(os.getpid())
        tell("first", seen)

    @task
    def after():
        if (OUT / "fail").exists():
            (OUT / "fail").unlink()
            raise RuntimeError("this try is to fail")
        tell("second", {"the next task of the run": "VER"})

    sleep() >> after()
`

// code is what one Deployment's DAGs are called.
type code struct{ prefix string }

// pair returns a DAG file and the module that it imports, of versions that may
// differ.
func (c code) pair(file, helper string) map[string]string {
	return map[string]string{
		c.prefix + "_pair.py":   c.fill(pairFile, file),
		c.prefix + "_helper.py": c.fill(helperFile, helper),
	}
}

func (c code) other(v string) map[string]string {
	return map[string]string{c.prefix + "_other.py": c.fill(otherFile, v)}
}

func (c code) sleeper(v string) map[string]string {
	return map[string]string{
		c.prefix + "_sleeper.py": c.fill(sleeperFile, v),
		c.prefix + "_early.py":   c.fill(helperFile, v),
		c.prefix + "_late.py":    c.fill(helperFile, v),
		c.prefix + "_data.txt":   v,
	}
}

func (c code) fill(text, v string) string {
	return strings.NewReplacer("PRE", c.prefix, `"VER"`, strconv.Quote(v), "file-VER", "file-"+v).Replace(text)
}

func files(parts ...map[string]string) map[string]string {
	all := map[string]string{}
	for _, part := range parts {
		maps.Copy(all, part)
	}
	return all
}

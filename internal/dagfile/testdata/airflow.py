"""Writes airflow.json: random DAG folders, and what Airflow itself lists in them.

Run it where pathspec 1.1.1 and google-re2 are installed, with two unpacked wheels:
python airflow.py APACHE_AIRFLOW_CORE_3_3_2 APACHE_AIRFLOW_2_11_2 > airflow.json
"""

import importlib.util, json, os, random, sys, tempfile, types, warnings, zipfile

warnings.simplefilter("ignore")
conf = types.SimpleNamespace(
    getboolean=lambda *a, **k: True, get_mandatory_value=lambda *a, fallback=None, **k: fallback,
    getimport=lambda *a, **k: heuristic)
for name in ("airflow", "airflow._shared", "airflow.utils"):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = []
for name, attrs in {"airflow.configuration": {"conf": conf}, "airflow.exceptions": {"RemovedInAirflow3Warning": UserWarning},
                    "airflow._shared.module_loading": {"MODIFIED_DAG_MODULE_NAME": ""}}.items():
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = []
    vars(sys.modules[name]).update(attrs)


def load(name, file):
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


load("airflow._shared.module_loading.file_discovery", sys.argv[1] + "/airflow/_shared/module_loading/file_discovery.py")
releases = {3: load("airflow3", sys.argv[1] + "/airflow/utils/file.py"), 2: load("airflow2", sys.argv[2] + "/airflow/utils/file.py")}
r = random.Random(20261130)
NAMES = ["a.py", "b.py", "test_a.py", "x.zip", "x.txt", "A.PY", ".py", "a b.py", "größe.py", "a#b.py", "data.xlsx", "[x].py"]
DIRS = ["", "lib", "lib/sub", "team_a", "team_a/lib", "tests", "team_a/tests", "lib/sub/deep"]
KINDS = ["both", "both", "asset", "none", "zip", "empty", "pack"]
BYTES = {"both": b"from Airflow import DAG\n", "asset": b"from airflow.sdk import ASSET\n", "none": b"x = 1\n", "empty": b""}
GLOB = ["*", "*.py", "!a.py", "lib", "lib/", "/lib", "/lib/", "lib/*", "lib/**", "**/lib", "**/tests/", "!tests/", "test_*", "!test_a.py", "team_?/",
        "team_a/**/a.py", "[ab].py", "[!a].py", "[^b].py", "a\\ b.py", "a b.py", "# note", "lib # note", "a\\#b.py", "**", "**/", "*/", "!*/", "/", " /",
        "!", "[x", "[[]x].py", "\\[x\\].py", "gr*", "größe.py", "deep/", "sub/deep", "**/deep/a.py", "*.zip", "!*.zip", "  lib", "lib  ", "/a.py", "/*.py",
        "!/a.py", "[[:alpha:]].py", "[]a].py", "[a-b].py", "?.py", "team_*/lib/", "a**b", "**a.py", "*.PY", "tests/**", "\\!a.py", "sub/", ".*", "\ufeffa.py"]
REGEXP = ["a.py", r"^a\.py$", "lib", "lib/.*", "^lib/", "tests?", r"\.zip$", "test_", "# note", "lib # note", "(", "[a", "(?i)A", "team_a/lib", "^team_.",
          r"/a\.py$", r"^[^/]*\.py$", "sub|deep", "größe", ".*", "", " ", "*", r"\d", "a b", r"(?=a)", "!a.py", "b\\.py$", r"\w+\.txt", "[[:alpha:]]\\.py"]


def case():
    files = {}
    for _ in range(r.randint(1, 9)):
        name = os.path.join(r.choice(DIRS), r.choice(NAMES))
        files[name] = r.choice(KINDS)
    airflow = r.choice([2, 3])
    ignores, links = {}, {}
    for _ in range(r.choice([0, 1, 1, 1, 2])):
        end = r.choice(["\n", "\n", "\r\n"])
        lines = [r.choice(GLOB if airflow == 3 else REGEXP) for _ in range(r.randint(1, 4))]
        ignores[os.path.join(r.choice(["", "", "lib", "team_a"]), ".airflowignore")] = end.join(lines) + r.choice(["", end])
    for _ in range(r.choice([0, 0, 1, 2])):
        target = r.choice(list(files) + ["gone.py", "lib", "team_a/lib"])
        links["l" + str(r.randint(1, 3)) + r.choice([".py", ".py", "", ".zip"])] = target
    return {"airflow": airflow, "files": files, "ignores": ignores, "links": links}


def pack(path, name):
    with zipfile.ZipFile(path, "w") as z:
        z.writestr(name, "x")


cases = []
while len(cases) < 600:
    c = case()
    with tempfile.TemporaryDirectory() as root:
        for name, kind in c["files"].items():
            path = os.path.join(root, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if kind == "zip":
                pack(path, "in/a.txt")
            elif kind == "pack":
                pack(path, "dag.py")
            else:
                open(path, "wb").write(BYTES[kind])
        for name, text in c["ignores"].items():
            os.makedirs(os.path.dirname(os.path.join(root, name)), exist_ok=True)
            open(os.path.join(root, name), "w", newline="").write(text)
        for name, to in c["links"].items():
            os.symlink(to, os.path.join(root, name))
        m = releases[c["airflow"]]
        heuristic = m.might_contain_dag_via_default_heuristic
        try:
            found = m.find_dag_file_paths(root, True)
        except Exception:  # a pattern or a second way to a folder at which Airflow gives up
            continue
        c["want"] = sorted((os.path.relpath(f, root) for f in found), key=lambda s: s.encode())
    cases.append(c)
print("[" + ",\n".join(json.dumps(c, ensure_ascii=False) for c in cases) + "]")

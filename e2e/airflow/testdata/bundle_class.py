"""What the bundle class promises, without an Airflow that runs: each function whose name begins with a
capital letter is a promise. It gets a mount of two versions; the first argument is a folder for the mounts.

Prints a JSON object of each promise's name and what went wrong, which is empty if it holds.
"""

import importlib
import json
import logging
import os
import sys
import threading
import time
import traceback
from pathlib import Path

import slipway_bundle
from slipway_bundle import SlipwayBundle

OLD, NEW, MISSING = "2026-11-22T00-00-01.0000000Z", "2026-11-22T00-00-02.0000000Z", "2026-11-22T00-00-03.0000000Z"


def lay_out(mount, version):
    dags = mount / "versions" / version / "dags"
    dags.mkdir(parents=True)
    (dags / f"module_{mount.name}.py").write_text("")


def new_mount(mount):
    mount.mkdir()
    for version in (OLD, NEW):
        lay_out(mount, version)
    (mount / "in-use").mkdir()
    (mount / "in-use").chmod(0o1777)
    (mount / "image").mkdir()
    (mount / "image" / "dags").symlink_to(mount / "dags-of-the-image")
    (mount / "dags-of-the-image").mkdir()
    turn(mount, f"versions/{NEW}")
    return mount


def turn(mount, target):
    (mount / "next").symlink_to(target)
    (mount / "next").rename(mount / "current")


def bundle(mount, version=None, **kwargs):
    SlipwayBundle._reads_current = False  # as in a process of its own
    return SlipwayBundle(name="slipway", mount=str(mount), version=version, **kwargs)


def started(mount, version=None, **kwargs):
    b = bundle(mount, version, **kwargs)
    b.initialize()
    return b


def refused(call, *words):
    """Check that call raises an error of one sentence with these words, and return how long it took."""
    began = time.monotonic()
    try:
        call()
    except (OSError, ValueError) as e:
        for word in words:
            assert word in str(e), f"{e} does not say {word}"
        return time.monotonic() - began
    raise AssertionError(f"no error, want one that says {words}")


def until(holds):
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, "not within a minute"
        time.sleep(0.02)


def ATaskWaitsForAVersionThatIsNotThereYet(mount):
    def agent():
        until((mount / "in-use" / MISSING).exists)
        lay_out(mount, MISSING)

    thread = threading.Thread(target=agent)
    thread.start()
    assert started(mount, MISSING).path == mount / "versions" / MISSING / "dags"
    thread.join()


def ATaskMarksAgainWhileItWaits(mount):
    def agent():
        mark = mount / "in-use" / MISSING
        until(mark.exists)
        mark.unlink()  # it is lost
        until(mark.exists)
        lay_out(mount, MISSING)

    thread = threading.Thread(target=agent)
    thread.start()
    started(mount, MISSING)
    thread.join()


def ATaskWhoseVersionNeverComesFails(mount):
    refused(lambda: started(mount, MISSING, wait=0.3), "did not bring it within 0.3 seconds", str(mount), "in-use")


def ATaskMarksItsVersion(mount):
    started(mount, OLD)
    mark = mount / "in-use" / OLD
    assert mark.stat().st_mode & 0o777 == 0o666, "another user cannot renew it"
    os.utime(mark, (0, 0))
    started(mount, OLD)
    assert mark.stat().st_mtime > 0, "a mark that was there has its old time"


def ALongTaskMarksItsVersionAgain(mount):
    every, slipway_bundle.RENEW_EVERY = slipway_bundle.RENEW_EVERY, 0.05
    try:
        started(mount, OLD)
        mark = mount / "in-use" / OLD
        for _ in range(2):
            os.utime(mark, (0, 0))
            until(lambda: mark.stat().st_mtime > 0)
        mark.unlink()
        until(mark.exists)
    finally:
        slipway_bundle.RENEW_EVERY = every
    threads = threading.active_count()
    started(mount, OLD)
    assert threading.active_count() == threads, "each start adds a thread"


def NothingWritableIsNeeded(mount):
    (mount / "in-use").rmdir()  # that it cannot write there, whoever it is
    assert started(mount, OLD).path.is_dir()


def ARunWhileTheDAGsComeFromTheImage(mount):
    turn(mount, "image")
    b = started(mount)
    version = slipway_bundle.BundleVersion("image")
    assert b.get_current_version() == version, b.get_current_version()
    turn(mount, f"versions/{NEW}")
    assert started(mount, "image").path == mount / "image" / "dags"
    assert not list((mount / "in-use").iterdir()), "the image was marked"


def ATaskKeepsItsVersionThroughDeploys(mount):
    b = started(mount, OLD)
    turn(mount, "image")
    assert b.path == mount / "versions" / OLD / "dags"
    refused(b.refresh, OLD)


def AVersionWithoutItsFolderIsNotTaken(mount):
    refresher, before = started(mount), mount / "versions" / NEW / "dags"
    refresher._marked = time.monotonic()  # there is no database here
    turn(mount, f"versions/{MISSING}")
    refused(refresher.refresh, str(mount / "versions" / MISSING / "dags"), "mount the whole folder")
    assert refresher.path == before
    refused(lambda: started(mount), str(mount / "versions" / MISSING / "dags"))
    lay_out(mount, MISSING)
    refresher.refresh()
    assert refresher.path == mount / "versions" / MISSING / "dags"


def ABundleWithoutItsMountHasAPath(mount):
    for at in (mount / "nowhere", mount / "versions" / NEW):  # the second: `current` mounted by itself
        (at / "current").mkdir(parents=True) if at.exists() else None
        b = bundle(at)
        assert b.path == at / "current" / "dags"
        refused(b.initialize, "nothing is mounted yet", str(at / "current"))


def ACallbackWithoutItsVersionHoldsUpNothing(mount):
    started(mount)
    callback = SlipwayBundle(name="slipway", mount=str(mount), version=MISSING)
    took = refused(callback.initialize, "within 2 seconds")
    assert took < 30, f"it took {took} seconds"


def RootLeavesNoBytecode(mount):
    sys.dont_write_bytecode = False
    sys.path_importer_cache.clear()
    (mount / f"plain_{mount.name}.py").write_text("")
    load(mount, f"plain_{mount.name}")
    assert (mount / "__pycache__").exists(), "Python writes no bytecode at all, so this shows nothing"
    b = started(mount)
    load(b.path, f"module_{mount.name}")
    assert not (b.path / "__pycache__").exists(), "bytecode was written into a version"


def load(folder, name):
    sys.path.insert(0, str(folder))
    importlib.import_module(name)
    sys.path.remove(str(folder))


def problem(promise, mount):
    try:
        promise(mount)
    except BaseException:
        return traceback.format_exc()
    return ""


def main():
    logging.disable()
    where = Path(sys.argv[1])
    promises = [f for name, f in globals().items() if name[0].isupper() and callable(f) and f.__module__ == __name__]
    found = {f.__name__: problem(f, new_mount(where / f.__name__)) for f in promises}
    print(json.dumps(found))


if __name__ == "__main__":
    main()

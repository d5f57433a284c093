"""Airflow 3 reads its DAGs from a Slipway mount, and each run keeps the version that it began with.

Lay this file where Airflow imports from (PYTHONPATH, or a package of your image), on every component:

    [dag_processor]
    dag_bundle_config_list = [{
        "name": "slipway",
        "classpath": "slipway_bundle.SlipwayBundle",
        "kwargs": {
            "mount": "/opt/airflow/slipway",
            "refresh_interval": 5,
            "view_url_template": "https://slipway.example.com/deployments/ID/versions/{version}"
        }}]

The mount is the folder that holds `current`, `versions`, `image` and `in-use`. All of it may be
read-only; where `in-use` is writable, the agent is told which versions the runs in progress need: it
keeps them, and brings those that are not there.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from airflow.dag_processing.bundles.base import BaseDagBundle

try:
    from airflow.dag_processing.bundles.base import BundleVersion
except ImportError:  # until some 3.x, a version was a plain string
    BundleVersion = str

log = logging.getLogger(__name__)

IMAGE = "image"
"""What a run's version is called while the DAGs come from the image."""

RENEW_EVERY = 3600
"""Seconds after which a task marks its version again: the agent keeps it for 24 hours after the last mark."""

CALLBACK_WAIT = 2
"""Seconds at most that the DAG processor waits for a version: meanwhile it does nothing else."""


class SlipwayBundle(BaseDagBundle):
    """
    The DAGs of one Slipway mount.

    :param mount: the mount's folder
    :param view_url_template: the address of a version's page in the portal, with {version} in it
    :param wait: seconds that a task waits for its version to be mounted beside it
    :param mark_every: seconds after which the DAG processor tells the agent again which versions runs
        need, when it refreshes the bundle. The agent keeps them for 24 hours from then on
    """

    supports_versioning = True

    _reads_current = False  # in this process, which then is the DAG processor
    _renewed: set[Path] = set()  # the marks that a thread of this process renews

    def __init__(
        self, *, mount: str, view_url_template: str | None = None, wait: float = 60, mark_every: float = 60, **kwargs
    ) -> None:
        super().__init__(**kwargs)
        self._view_url_template = view_url_template
        self._mount = Path(mount)
        self._wait = wait
        self._mark_every = mark_every
        self._at: str | None = None  # the version that path leads to, until the next refresh
        self._marked = float("-inf")
        self._warned = False

    def initialize(self) -> None:
        # Root may write into folders that are read-only: nothing of Python's is to get into a version.
        sys.dont_write_bytecode = True
        if self.version:
            self._at = self._awaited(self.version)
            self._keep_marked(self.version)
            # Airflow clears away what it takes for its own copy of a version: it finds an empty folder.
            with suppress(OSError):
                (self.versions_dir / self._at).mkdir(parents=True, exist_ok=True)
        else:
            SlipwayBundle._reads_current = True
            self._at = self._mounted()
        super().initialize()

    def refresh(self) -> None:
        if self.version:
            raise ValueError(f"The bundle {self.name} stays at its version {self.version}.")
        self._at = self._mounted()
        if time.monotonic() - self._marked >= self._mark_every:
            self._mark_all()

    def get_current_version(self) -> BundleVersion:
        return BundleVersion(self._at or self.version or self._current())

    @property
    def path(self) -> Path:
        # `current` is resolved once: what is read later, in a file or a module, is of the same version.
        # Airflow asks for the paths of all bundles at once, so one without its mount must have one as well.
        version = self._at or self.version
        if version is None:
            try:
                version = self._current()
            except (OSError, ValueError):
                return self._mount / "current" / "dags"
        return self._folder(version)

    def view_url_template(self) -> str | None:
        return self._view_url_template

    def view_url(self, version: str | None = None) -> str | None:
        """What Airflow 3.0 asks for instead."""
        if self._view_url_template is None or version is None:
            return None
        return self._view_url_template.format(version=version)

    def _folder(self, version: str) -> Path:
        return self._mount / self._target(version) / "dags"

    @staticmethod
    def _target(version: str) -> str:
        return IMAGE if version == IMAGE else f"versions/{version}"

    def _current(self) -> str:
        """Return the version that `current` points to."""
        link = self._mount / "current"
        try:
            target = os.readlink(link)
        except OSError as e:
            raise FileNotFoundError(
                f"There is no link {link} ({e.strerror}): nothing is mounted yet, or not the mount's whole folder "
                f"is visible here."
            ) from None
        version = target.removeprefix("versions/")
        if target != self._target(version) or "/" in version:
            raise ValueError(f"{link} points to {target}, which is no version of Slipway.")
        return version

    def _mounted(self) -> str:
        """
        Return the version that `current` points to, if its DAGs are there.

        Airflow takes a folder that is missing for an empty one, and all its DAGs for removed. After an error it
        goes on with the files that it knows.
        """
        version = self._current()
        folder = self._folder(version)
        if not folder.is_dir():
            raise FileNotFoundError(
                f"{self._mount}/current points to {self._target(version)}, but there is no folder {folder}: mount the "
                f"whole folder {self._mount}, and look at the agent's log."
            )
        return version

    def _awaited(self, version: str) -> str:
        """Return version once it is mounted. The agent brings one that is marked and not there."""
        if os.path.basename(version) != version or version.startswith("."):
            raise ValueError(f"{version} is no version of Slipway.")
        self._mark(version)
        wait = min(self._wait, CALLBACK_WAIT) if self._reads_current else self._wait
        marked = time.monotonic()
        end = marked + wait
        while not self._folder(version).is_dir():
            now = time.monotonic()
            if now >= end:
                raise FileNotFoundError(
                    f"The version {version} is not in {self._mount}/versions, and its agent did not bring it "
                    f"within {wait} seconds. Look at the agent's log, and whether in-use can be written to."
                )
            if now - marked >= 2:  # somebody may have cleared the folder
                self._mark(version)
                marked = now
            time.sleep(0.2)
        return version

    def _keep_marked(self, version: str) -> None:
        """Mark version again for as long as this process runs, as the task in it may take days."""
        mark = self._mark_of(version)
        if self._reads_current or version == IMAGE or mark in self._renewed:
            return
        self._renewed.add(mark)
        threading.Thread(target=self._renew, args=(version,), name="slipway-marks", daemon=True).start()

    def _renew(self, version: str) -> None:
        while True:
            time.sleep(RENEW_EVERY)
            self._mark(version)

    def _mark_all(self) -> None:
        """Mark the versions of all runs in progress. Only the DAG processor refreshes, and it may ask the database."""
        self._marked = time.monotonic()
        try:
            versions = self._versions_of_runs()
        except Exception:
            log.exception("The versions that runs of the bundle %s need could not be read", self.name)
            return
        for version in versions:
            self._mark(version)

    def _versions_of_runs(self) -> set[str]:
        from airflow.models.dag import DagModel
        from airflow.models.dagrun import DagRun
        from airflow.utils.session import create_session
        from airflow.utils.state import State
        from sqlalchemy import select

        runs = (
            select(DagRun.bundle_version)
            .join(DagModel, DagModel.dag_id == DagRun.dag_id)
            .where(DagModel.bundle_name == self.name, DagRun.state.in_(State.unfinished_dr_states))
            .where(DagRun.bundle_version.is_not(None))
            .distinct()
        )
        with create_session() as session:
            return set(session.scalars(runs))

    def _mark_of(self, version: str) -> Path:
        return self._mount / "in-use" / version

    def _mark(self, version: str) -> None:
        """Tell the agent that runs need version: it goes by the time of this file."""
        if version == IMAGE:
            return
        mark = self._mark_of(version)
        try:
            mark.touch()
            with suppress(OSError):
                mark.chmod(0o666)  # another user's task may have to renew it; its owner alone may do this
        except OSError as e:
            # Read-only is allowed. The agent then goes by the time since a version was replaced.
            if not self._warned:
                log.warning("The version %s cannot be marked as in use: %s", version, e)
            self._warned = True

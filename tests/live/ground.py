"""A small file system in a mount namespace of its own: nothing of it is seen, or left behind, outside."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.live.appliance import CHECKOUT


@functools.cache
def forbidden() -> str:
    """Why this machine makes no Ground for us; "" when it does."""
    if shutil.which("unshare") is None or shutil.which("nsenter") is None:
        return "not installed: util-linux"
    if os.geteuid() != 0:
        return "needs root for a mount namespace"
    tried = subprocess.run(
        ["unshare", "-m", "sh", "-c", "mount -t tmpfs none /mnt"], capture_output=True, text=True, check=False
    )
    return f"no mount namespace here: {tried.stderr.strip()}" if tried.returncode else ""


class Ground:
    """``folder`` is a tmpfs of ``size`` for every command that is run behind ``within``, as long as this context is."""

    def __init__(self, folder: Path, size: str) -> None:
        self.folder = folder
        script = f'mount -t tmpfs -o size={size},mode=700 none "$1" && echo ready && exec cat'
        self._holder = subprocess.Popen(
            ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=CHECKOUT,
        )  # fmt: skip
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"ready\n"
        pid = self._holder.pid
        self.within = ("nsenter", "--target", str(pid), "--mount", "--wd", "--")
        self.seen = Path(f"/proc/{pid}/root{folder}")  # the folder as seen from outside

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._holder.communicate()  # cat ends with its standard input

    def remount(self, option: str) -> None:
        """ "ro" or "rw"; nothing may be open for writing."""
        subprocess.run([*self.within, "mount", "-o", f"remount,{option}", str(self.folder)], check=True)

    def fill(self) -> None:
        """Take every octet that is free."""
        file = os.open(self.seen / "filler", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        piece = 1 << 20
        while piece >= 512:
            try:
                os.write(file, bytes(piece))
            except OSError:
                piece //= 2
        os.close(file)

    def free(self) -> None:
        """Give it back."""
        (self.seen / "filler").unlink()

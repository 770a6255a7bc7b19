"""The smarthost's password: read from its file at each use, so that a change needs no restart."""

from __future__ import annotations

import os
import stat

MOST_OCTETS = 4096


class PasswordTrouble(Exception):
    """The file gives no password; ``str()`` says what to do, never what is in it."""


def read_password(path: str) -> tuple[str, int]:
    """The first line of ``path`` and the file's mode. Blocks: call it in a worker. Raises PasswordTrouble."""
    if not path:
        raise PasswordTrouble("no [relay] password_file is set for the user")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
            octets = os.read(descriptor, MOST_OCTETS)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise PasswordTrouble(f"the password file {path} cannot be read: {error.strerror}") from None
    try:
        text = octets.decode("utf-8").split("\n", 1)[0].rstrip("\r")
    except UnicodeDecodeError:
        raise PasswordTrouble(f"the password file {path} is not UTF-8 text") from None
    if not text:
        raise PasswordTrouble(f"the password file {path} is empty: write the password into its first line")
    return text, mode

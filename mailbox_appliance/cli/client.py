"""The command line's end of the control socket: blocking, without Twisted, so that it starts quickly."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Mapping
from typing import Any

from mailbox_appliance.admin.result import Refused, Result
from mailbox_appliance.admin.wire import BoxError, BoxReader, encode_box, pieces_of, socket_path

_PATIENCE = 900.0  # seconds; relay test waits for distant hosts


class NobodyListens(Exception):
    """The service does not run here."""


class Line:
    """An open connection to the service's desk."""

    def __init__(self, state: str) -> None:
        """Raises NobodyListens, or Refused when the socket is not for us."""
        try:
            folder = os.open(state, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            raise NobodyListens from None
        except PermissionError:
            raise _not_ours(state) from None
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(_PATIENCE)
            self._socket.connect(socket_path(state, folder))
        except PermissionError:
            self._socket.close()
            raise _not_ours(state) from None
        except OSError:
            self._socket.close()
            raise NobodyListens from None
        finally:
            os.close(folder)
        self._reader = BoxReader()
        self._boxes: list[dict[bytes, bytes]] = []
        self._tag = 0

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(OSError):
            self._socket.close()

    def ask(self, noun: str, verb: str, arguments: Mapping[str, Any]) -> Result:
        """Have the service do it. Raises Refused."""
        question = json.dumps({"noun": noun, "verb": verb, "arguments": dict(arguments)}).encode()
        *first, last = pieces_of(question)
        for piece in first:
            self._call("Give", {b"piece": piece})
        number = int(self._call("Ask", {b"piece": last})[b"pieces"])
        octets = b"".join(self._call("Take", {b"number": b"%d" % at})[b"piece"] for at in range(number))
        answer = json.loads(octets)
        if "refused" in answer:
            raise Refused(answer["refused"])
        return Result.from_json(answer)

    def _call(self, command: str, fields: dict[bytes, bytes]) -> dict[bytes, bytes]:
        self._tag += 1
        tag = b"%x" % self._tag
        try:
            self._socket.sendall(encode_box({b"_ask": tag, b"_command": command.encode(), **fields}))
            while not self._boxes:
                octets = self._socket.recv(1 << 16)
                if not octets:
                    raise Refused("the service hung up: it is stopping, or it answers only root and its own user")
                self._boxes += self._reader.feed(octets)
        except TimeoutError:
            raise Refused("the service does not answer; look at its journal") from None
        except (OSError, BoxError) as error:
            raise Refused(f"the service cannot be asked: {error}") from None
        box = self._boxes.pop(0)
        if box.get(b"_answer") != tag:
            words = box.get(b"_error_description", b"an answer that was not asked for").decode("utf-8", "replace")
            raise Refused(f"the service cannot be asked: {words}")
        return box


def _not_ours(state: str) -> Refused:
    return Refused(f"{state} belongs to somebody else: run this as root or as the service's own user")

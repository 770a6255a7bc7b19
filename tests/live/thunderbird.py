"""Thunderbird under Xvfb, driven through Marionette's socket: one JSON message a command, length before it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.live.appliance import free_ports

_PREFERENCES = {
    "app.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.enabled": False,
    "mail.spotlight.firstRunDone": True,
    "mail.shell.checkDefaultClient": False,
    "mail.provider.enabled": False,
    "mailnews.start_page.enabled": False,
    "mail.rights.version": 1,
    "mail.winsearch.firstRunDone": True,
    "app.donation.eoy.version.viewed": 999,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "http://127.0.0.1:9/",
    "extensions.update.enabled": False,
    "extensions.getAddons.cache.enabled": False,
    "mail.biff.show_alert": False,
    "mail.biff.play_sound": False,
    "mailnews.message_display.disable_remote_image": True,
    "mail.warn_on_send_accel_key": False,
    "mail.server.default.check_new_mail": False,
    "network.manage-offline-status": False,
    "offline.startup_state": 2,
    "offline.autoDetect": False,
}


class Thunderbird:
    """A fresh profile below ``folder``; use as a context manager."""

    def __init__(self, folder: Path) -> None:
        self.profile = folder / "thunderbird"
        self.profile.mkdir(parents=True)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._number = 0
        self._rest = b""

    def __enter__(self) -> Thunderbird:
        (port,) = free_ports(1)
        preferences = {**_PREFERENCES, "marionette.port": port}
        (self.profile / "user.js").write_text(
            "".join(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in preferences.items())
        )
        display = f":{90 + os.getpid() % 900}"
        quiet: dict[str, Any] = {
            "stdout": subprocess.DEVNULL,
            "stderr": subprocess.DEVNULL,
            "stdin": subprocess.DEVNULL,
        }
        self._processes.append(subprocess.Popen(["Xvfb", display, "-screen", "0", "1280x1024x24"], **quiet))
        program = shutil.which("thunderbird")
        assert program
        command = [
            program,
            "--profile",
            str(self.profile),
            "--no-remote",
            "--marionette",
            "--remote-allow-system-access",
        ]
        home = self.profile.parent / "home"
        home.mkdir()
        self._processes.append(
            subprocess.Popen(
                command, env={**os.environ, "DISPLAY": display, "HOME": str(home), "LC_ALL": "C.UTF-8"}, **quiet
            )
        )
        end = time.monotonic() + 60
        while True:
            try:
                self._socket = socket.create_connection(("127.0.0.1", port), 120)
                break
            except OSError:
                if time.monotonic() > end:
                    self.__exit__()
                    raise
                time.sleep(0.2)
        self._receive()
        self._command("WebDriver:NewSession", {"capabilities": {"alwaysMatch": {"acceptInsecureCerts": True}}})
        self._command("Marionette:SetContext", {"value": "chrome"})
        self._command("WebDriver:SetTimeouts", {"script": 90_000})
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes):
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)

    def run(self, script: str, *arguments: object) -> Any:
        """Run the body of an async function in Thunderbird's own world; ``arguments[i]`` are its arguments."""
        wrapped = (
            "const [...args] = arguments; const done = args.pop();"
            "const { MailServices } = ChromeUtils.importESModule('resource:///modules/MailServices.sys.mjs');"
            f"(async () => {{ {script} }})().then(value => done({{value}}), error => done({{error: String(error) + (error.stack||'')}}));"
        )
        answer = self._command(
            "WebDriver:ExecuteAsyncScript", {"script": wrapped, "args": list(arguments), "newSandbox": False}
        )["value"]
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer.get("value")

    def screenshot(self, path: Path) -> None:
        """A picture of the main window as PNG."""
        import base64

        path.write_bytes(base64.b64decode(self._command("WebDriver:TakeScreenshot", {"full": True})["value"]))

    def _command(self, name: str, parameters: dict[str, Any]) -> Any:
        self._number += 1
        octets = json.dumps([0, self._number, name, parameters]).encode()
        self._socket.sendall(b"%d:%s" % (len(octets), octets))
        _, _, error, result = self._receive()
        if error:
            raise AssertionError(f"{name}: {error}")
        return result

    def _receive(self) -> Any:
        while b":" not in self._rest:
            self._more()
        length, _, self._rest = self._rest.partition(b":")
        while len(self._rest) < int(length):
            self._more()
        octets, self._rest = self._rest[: int(length)], self._rest[int(length) :]
        return json.loads(octets)

    def _more(self) -> None:
        chunk = self._socket.recv(65536)
        if not chunk:
            raise AssertionError("Thunderbird went away")
        self._rest += chunk

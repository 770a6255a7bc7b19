"""Thunderbird under Xvfb, driven through Marionette's socket: one JSON message a command, its length before it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.live.appliance import environment, free_ports

_PREFERENCES = {
    "app.donation.eoy.version.viewed": 999,
    "app.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.getAddons.cache.enabled": False,
    "extensions.update.enabled": False,
    "mail.biff.play_sound": False,
    "mail.biff.show_alert": False,
    "mail.compose.warn_public_recipients.aggressive": False,
    "mail.provider.enabled": False,
    "mail.rights.version": 1,
    "mail.server.default.check_new_mail": False,  # new mail is told by IDLE or not at all
    "mail.shell.checkDefaultClient": False,
    "mail.spotlight.firstRunDone": True,
    "mail.warn_on_send_accel_key": False,
    "mail.winsearch.firstRunDone": True,
    "mailnews.message_display.disable_remote_image": True,
    "mailnews.start_page.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.manage-offline-status": False,  # a machine with loopback only counts as on line
    "network.proxy.type": 0,
    "offline.autoDetect": False,
    "offline.startup_state": 2,
    "services.settings.server": "http://127.0.0.1:9/",
    "toolkit.telemetry.enabled": False,
}

# What every script may use. A wait ends after 20 s, and at once when Thunderbird puts up a dialog, with its text.
_PRELUDE = """
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const { MailUtils } = ChromeUtils.importESModule("resource:///modules/MailUtils.sys.mjs");
if (!globalThis.dialogs) {
  globalThis.dialogs = [];
  globalThis.onDialog = window => {
    globalThis.dialogs.push(window.document.getElementById("infoBody")?.textContent || window.document.title);
    window.document.querySelector("dialog").cancelDialog();
  };
  Services.obs.addObserver(globalThis.onDialog, "common-dialog-loaded");
}
const wait = async (what, test) => {
  let why = "";
  for (let i = 0; i < 400; i++) {
    if (globalThis.dialogs.length) throw new Error("Thunderbird says: " + globalThis.dialogs.join(" | "));
    try { const value = await test(); if (value) return value; } catch (error) { why = ": " + error; }
    await new Promise(done => setTimeout(done, 50));
  }
  throw new Error("waited in vain for " + what + why);
};
const within = (what, promise) => Promise.race([promise, wait(what, () => false)]);
const listen = start => within("an answer", new Promise((good, bad) => {
  const end = status => status ? bad(new Error("status 0x" + status.toString(16))) : good();
  start({
    QueryInterface: ChromeUtils.generateQI(["nsIUrlListener", "nsIMsgCopyServiceListener"]),
    OnStartRunningUrl() {}, OnStopRunningUrl(url, status) { end(status); },
    onStartCopy() {}, onProgress() {}, setMessageKey() {}, getMessageId() {}, onStopCopy(status) { end(status); },
  });
}));
const root = () => MailServices.accounts.defaultAccount.incomingServer.rootFolder;
const folder = name => root().getChildNamed(name);
const inbox = () => root().getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
const named = (subject, box = inbox()) => [...box.messages].find(header => header.mime2DecodedSubject == subject);
"""

_TRUST = """
const certificates = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB);
certificates.addCertFromBase64(args[0], "C,,");
"""

# The account set-up's own parts: try the log-in, then make the account with its identity and outgoing server.
_ACCOUNT = """
const [address, name, password, imap, smtp, socketType] = args;
const from = file => "resource:///modules/accountcreation/" + file + ".sys.mjs";
const { AccountConfig } = ChromeUtils.importESModule(from("AccountConfig"));
const { ConfigVerifier } = ChromeUtils.importESModule(from("ConfigVerifier"));
const { CreateInBackend } = ChromeUtils.importESModule(from("CreateInBackend"));
const server = { hostname: "localhost", socketType, auth: Ci.nsMsgAuthMethod.passwordCleartext, username: address, password };
const config = new AccountConfig();
Object.assign(config.incoming, { type: "imap", port: imap, loginAtStartup: true, checkInterval: 10 }, server);
Object.assign(config.outgoing, { type: "smtp", port: smtp, addThisServer: true }, server);
config.identity.emailAddress = address;
config.identity.realname = name;
config.rememberPassword = true;
const verifier = new ConfigVerifier(null, new AbortController().signal);
await within("the log-in", verifier.verifyConfig(config, false));
await CreateInBackend.createAccountInBackend(config);
MailServices.accounts.defaultAccount.defaultIdentity.composeHtml = false;
await listen(done => inbox().getNewMessages(null, done));
await wait("the folders", () => ["Sent", "Drafts", "Trash", "Junk", "Archive"].every(folder));
return root().subFolders.map(box => box.name);
"""

# Fill the compose window and press Send; it closes when the mail is submitted and its copy is in Sent.
_SEND = """
const [to, subject, body, path] = args;
const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
Object.assign(fields, { to, subject, body });
if (path) {
  const file = Cc["@mozilla.org/file/local;1"].createInstance(Ci.nsIFile);
  file.initWithPath(path);
  const attachment = Cc["@mozilla.org/messengercompose/attachment;1"].createInstance(Ci.nsIMsgAttachment);
  attachment.url = Services.io.newFileURI(file).spec;
  attachment.name = file.leafName;
  fields.addAttachment(attachment);
}
const params = Cc["@mozilla.org/messengercompose/composeparams;1"].createInstance(Ci.nsIMsgComposeParams);
params.type = Ci.nsIMsgCompType.New;
params.format = Ci.nsIMsgCompFormat.PlainText;
params.composeFields = fields;
params.identity = MailServices.accounts.defaultAccount.defaultIdentity;
MailServices.compose.OpenComposeWindowWithParams(null, params);
const writing = () => Services.wm.getMostRecentWindow("msgcompose");
await wait("the compose window", () => {
  const { document } = writing();
  return document.getElementById("messageEditor").contentDocument.body.textContent.includes(body)
    && document.querySelectorAll("#toAddrContainer mail-address-pill").length == 1
    && document.querySelectorAll("#attachmentBucket richlistitem").length == (path ? 1 : 0)
    && document.getElementById("cmd_sendNow").getAttribute("disabled") != "true";
});
const refused = new Promise((_, bad) => writing().addEventListener("compose-prepare-message-completed", event => {
  if (event.detail?.exception) bad(event.detail.exception);
}));
writing().goDoCommand("cmd_sendNow");
await Promise.race([refused, wait("the window to close", () => !writing())]);
"""


class Thunderbird:
    """A fresh profile below ``folder``; use as a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "thunderbird"
        self._processes: list[subprocess.Popen[bytes]] = []
        self._socket: socket.socket | None = None
        self._number = 0
        self._rest = b""

    # ------------------------------------------------------------ life

    def __enter__(self) -> Thunderbird:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self) -> None:
        profile, home, temporary = (self._folder / name for name in ("profile", "home", "tmp"))
        for path in (profile, home, temporary):
            path.mkdir(parents=True)
        (port,) = free_ports(1)
        preferences = {**_PREFERENCES, "marionette.port": port}
        (profile / "user.js").write_text(
            "".join(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in preferences.items())
        )
        said, told = os.pipe()
        with os.fdopen(said) as display:
            self._popen(
                "Xvfb", "-displayfd", str(told), "-screen", "0", "1280x1024x24", "-nolisten", "tcp", pass_fds=(told,)
            )
            os.close(told)
            number = display.readline().strip()
        assert number, "Xvfb did not start"
        program = self._popen(
            "thunderbird", "--profile", str(profile), "--no-remote", "--marionette", "--remote-allow-system-access",
            DISPLAY=f":{number}", HOME=str(home), TMPDIR=str(temporary),
        )  # fmt: skip
        end = time.monotonic() + 60
        while self._socket is None:
            try:
                self._socket = socket.create_connection(("127.0.0.1", port), 120)
            except OSError:
                if time.monotonic() > end or program.poll() is not None:
                    raise
                time.sleep(0.1)
        self._receive()
        self._command("WebDriver:NewSession", {})
        self._command("Marionette:SetContext", {"value": "chrome"})
        self._command("WebDriver:SetTimeouts", {"script": 90_000})
        self.run("await wait('the main window', () => Services.wm.getMostRecentWindow('mail:3pane')?.gTabmail);")

    def _popen(self, *command: str, pass_fds: tuple[int, ...] = (), **environ: str) -> subprocess.Popen[bytes]:
        quiet = subprocess.DEVNULL
        self._processes.append(
            subprocess.Popen(
                command, stdin=quiet, stdout=quiet, stderr=quiet, env={**environment(), **environ}, pass_fds=pass_fds
            )
        )
        return self._processes[-1]

    def __exit__(self, *_: object) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError, AssertionError):
                self._command("Marionette:Quit", {"flags": ["eForceQuit"]})
            self._socket.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._processes[-1].wait(15)
        for process in reversed(self._processes):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)

    # ------------------------------------------------------------ use

    def trust(self, authority: Path) -> None:
        """Import the certificate authority of a PEM file as one that may vouch for servers."""
        (inner,) = re.findall(r"-----BEGIN CERTIFICATE-----([^-]+)-----END", authority.read_text())
        self.run(_TRUST, "".join(inner.split()))

    def add_account(self, address: str, name: str, password: str, *, imap: int, smtp: int, starttls: bool) -> list[str]:
        """Set up an account on localhost (ports ``imap`` and ``smtp``); returns the names of its folders."""
        names: list[str] = self.run(_ACCOUNT, address, name, password, imap, smtp, 2 if starttls else 3)
        return names

    def send(self, to: str, subject: str, body: str, attachment: Path | None = None) -> None:
        """Write a mail and press Send; returns when it is submitted and its copy kept."""
        self.run(_SEND, to, subject, body, str(attachment or ""))

    def run(self, script: str, *arguments: object) -> Any:
        """Run the body of an async function in Thunderbird's own world; ``args`` holds the arguments."""
        wrapped = (
            "const [...args] = arguments; const done = args.pop();"
            f"(async () => {{ {_PRELUDE} {script} }})().then("
            "value => done({value}), error => done({error: String(error) + '\\n' + (error.stack || '')}));"
        )
        answer = self._command(
            "WebDriver:ExecuteAsyncScript", {"script": wrapped, "args": list(arguments), "newSandbox": False}
        )["value"]
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer.get("value")

    # ------------------------------------------------------------ Marionette

    def _command(self, name: str, parameters: dict[str, Any]) -> Any:
        assert self._socket is not None
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
        assert self._socket is not None
        chunk = self._socket.recv(65536)
        if not chunk:
            raise AssertionError("Thunderbird went away")
        self._rest += chunk

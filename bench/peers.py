"""Start a peer (Dovecot, Postfix) with private files on loopback, for one measurement.

Everything a peer needs lives in one folder that the caller gives; nothing of the machine's own configuration is
read. Needs root, because both change to other users. Each function returns a Peer; ``stop()`` ends what it started.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Peer:
    name: str
    port: int
    pid: int
    stop: Callable[[], None]


def wait_for_port(port: int, seconds: float = 20.0) -> None:
    """Return when something listens on 127.0.0.1:``port``. Raises TimeoutError."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port}")


def _pid_of(file: Path, seconds: float = 10.0) -> int:
    """Both peers open their ports before they write who they are."""
    end = time.monotonic() + seconds
    while not (file.exists() and file.read_text().strip()):
        if time.monotonic() > end:
            raise TimeoutError(f"{file} was not written")
        time.sleep(0.05)
    return int(file.read_text())


def _stop_pid(pid: int) -> Callable[[], None]:
    def stop() -> None:
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            return
        for _ in range(100):
            if not Path(f"/proc/{pid}").exists():
                return
            time.sleep(0.1)
        os.kill(pid, signal.SIGKILL)

    return stop


def dovecot(folder: Path, maildir: Path, port: int, *, password_hash: str = "{PLAIN}pass", user: str = "bench") -> Peer:
    """Dovecot's IMAP (TLS from the first octet), its defaults, over ``maildir``; the tree is given to user nobody."""
    folder.mkdir(parents=True, exist_ok=True)
    nobody = pwd.getpwnam("nobody")
    (folder / "passwd").write_text(f"{user}:{password_hash}:{nobody.pw_uid}:{nobody.pw_gid}::{maildir.parent}::\n")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
         "-subj", "/CN=localhost", "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    config = folder / "dovecot.conf"
    config.write_text(f"""
protocols = imap
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
listen = 127.0.0.1
ssl = yes
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
disable_plaintext_auth = no
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:{maildir}
default_login_user = nobody
default_internal_user = nobody
default_internal_group = nogroup
mail_max_userip_connections = 1000
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder}/passwd
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {folder}/passwd
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {port}
    ssl = yes
  }}
}}
service imap {{
  process_limit = 1024
}}
service anvil {{
  chroot =
}}
namespace inbox {{
  inbox = yes
}}
""")
    subprocess.run(["chown", "-R", "nobody:nogroup", str(maildir)], check=True)
    subprocess.run(["dovecot", "-c", str(config)], check=True)
    wait_for_port(port)
    pid = _pid_of(folder / "run" / "master.pid")
    return Peer("dovecot", port, pid, _stop_pid(pid))


def postfix(folder: Path, maildirs: Path, port: int, *, domain: str = "example.test", more: str = "") -> Peer:
    """Postfix with Debian's defaults and ``more`` lines, delivering to Maildirs through virtual(8)."""
    nobody = pwd.getpwnam("nobody")
    etc, queue, data = folder / "etc", folder / "queue", folder / "data"
    for part in (etc, queue, data, maildirs):
        part.mkdir(parents=True, exist_ok=True)
    shutil.copy("/etc/postfix/master.cf.proto", etc / "master.cf")
    master = (etc / "master.cf").read_text().replace("smtp      inet", f"127.0.0.1:{port} inet", 1)
    master = "\n".join(
        " ".join([*(f := line.split())[:4], "n", *f[5:]]) if line[:1].strip() and not line.startswith("#") else line
        for line in master.splitlines()
    )
    (etc / "master.cf").write_text(master + "\n")
    (etc / "main.cf").write_text(f"""
compatibility_level = 3.6
queue_directory = {queue}
data_directory = {data}
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = mx.{domain}
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
alias_maps =
local_recipient_maps =
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {maildirs}
virtual_mailbox_maps = texthash:{etc}/mailboxes
virtual_uid_maps = static:{nobody.pw_uid}
virtual_gid_maps = static:{nobody.pw_gid}
smtpd_banner = $myhostname ESMTP
maillog_file = {folder}/postfix.log
maillog_file_prefixes = {folder}
smtp_tls_security_level =
smtpd_tls_security_level = none
{more}""")
    (etc / "mailboxes").write_text("".join(f"user{n}@{domain} user{n}/\n" for n in range(100)))
    shutil.chown(data, "postfix")
    shutil.chown(maildirs, "nobody", "nogroup")
    subprocess.run(["postfix", "-c", str(etc), "start"], check=True, capture_output=True)
    wait_for_port(port)
    pid = _pid_of(queue / "pid" / "master.pid")

    def stop() -> None:
        subprocess.run(["postfix", "-c", str(etc), "stop"], check=False, capture_output=True)

    return Peer("postfix", port, pid, stop)

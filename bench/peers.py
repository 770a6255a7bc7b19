"""Start a peer (Dovecot, Postfix, Exim) with private files on loopback, for one measurement.

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


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate and its key (P-256), readable for every peer."""
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
         "-subj", "/CN=localhost", "-keyout", str(made[1]), "-out", str(made[0])],
        check=True, capture_output=True,
    )  # fmt: skip
    for file in made:
        file.chmod(0o644)
    return made


def dovecot_sasl(folder: Path, people: dict[str, str]) -> tuple[Peer, Path]:
    """Dovecot as nothing but a judge of passwords, and the socket where it is asked. ``people``: hash by user name."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "passwd").write_text("".join(f"{user}:{hashed}:65534:65534::/::\n" for user, hashed in people.items()))
    config = folder / "dovecot.conf"
    sasl = folder / "sasl"
    config.write_text(f"""
protocols =
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
default_login_user = nobody
default_internal_user = nobody
default_internal_group = nogroup
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder}/passwd
}}
service auth {{
  unix_listener {sasl} {{
    mode = 0666
  }}
}}
service anvil {{
  chroot =
}}
""")
    subprocess.run(["dovecot", "-c", str(config)], check=True)
    pid = _pid_of(folder / "run" / "master.pid")
    return Peer("dovecot", 0, pid, _stop_pid(pid)), sasl


EXIM_PACKAGES = ("exim4-daemon-heavy", "libmariadb3", "libspf2-2", "libgsasl18", "libidn12")


def exim_files(cache: Path) -> Path | None:
    """Exim out of Debian's packages, unpacked in ``cache`` and installed nowhere; None when they cannot be had."""
    root = cache / "root"
    if not (root / "usr/sbin/exim4").exists():
        cache.mkdir(parents=True, exist_ok=True)
        got = subprocess.run(["apt-get", "download", *EXIM_PACKAGES], cwd=cache, check=False, capture_output=True)
        if got.returncode:
            return None
        for package in cache.glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", str(package), str(root)], check=True)
    return root


def exim(root: Path, folder: Path, maildirs: Path, port: int, *, domain: str = "example.test", more: str = "",
         authenticators: str = "", spamd: int = 0) -> Peer:  # fmt: skip
    """Exim with Debian's build and its own defaults, delivering to Maildirs through appendfile, which syncs files.

    ``spamd``: the port of one that scans each message before its reply, and whose word is put on top.

    It expects to lie in /usr, to have a user and a configuration in /etc: it sees them in a mount namespace of its own.
    """
    etc = folder / "etc"
    for part in (etc / "exim4", folder / "spool", folder / "log", maildirs):
        part.mkdir(parents=True, exist_ok=True)
    (etc / "passwd").write_text(Path("/etc/passwd").read_text() + "Debian-exim:x:18999:18999::/:/usr/sbin/nologin\n")
    (etc / "group").write_text(Path("/etc/group").read_text() + "Debian-exim:x:18999:\n")
    (etc / "exim4" / "mailboxes").write_text("".join(f"user{n}: {maildirs}/user{n}\n" for n in range(100)))
    scanner = f"spamd_address = 127.0.0.1 {spamd}" if spamd else ""
    scanned = "warn spam = nobody:true\n    add_header = X-Spam-Score: $spam_score" if spamd else ""
    (etc / "exim4" / "exim4.conf").write_text(f"""
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
pid_file_path = {folder}/exim.pid
primary_hostname = mx.{domain}
domainlist local_domains = {domain}
keep_environment =
acl_smtp_rcpt = check_rcpt
acl_smtp_data = check_data
never_users = root
host_lookup =
smtp_accept_max = 200
smtp_accept_queue_per_connection = 0
{scanner}
{more or "tls_advertise_hosts ="}
begin acl
check_rcpt:
  accept domains = +local_domains
  deny
check_data:
  {scanned}
  accept
begin routers
mailboxes:
  driver = accept
  domains = +local_domains
  local_parts = lsearch;/etc/exim4/mailboxes
  transport = maildir
begin transports
maildir:
  driver = appendfile
  maildir_format
  directory = ${{lookup{{$local_part}}lsearch{{/etc/exim4/mailboxes}}}}
  create_directory
  user = nobody
  group = nogroup
  delivery_date_add
  envelope_to_add
  return_path_add
begin retry
* * F,2h,1m
begin authenticators
{authenticators}
""")
    for part in (folder / "spool", folder / "log"):
        os.chown(part, 18999, 18999)
    os.chown(folder, 18999, 18999)
    shutil.chown(maildirs, "nobody", "nogroup")
    script = (
        f"mount -t overlay overlay -o lowerdir={etc}:/etc /etc && "
        f'mount -t overlay overlay -o lowerdir={root}/usr:/usr /usr && exec /usr/sbin/exim4 "$@"'
    )
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", script, "sh", "-bdf", "-q1m", "-oX", f"<; [127.0.0.1]:{port}"],
            stdout=said, stderr=said, stdin=subprocess.DEVNULL, cwd="/",
        )  # fmt: skip
    try:
        wait_for_port(port)
    except TimeoutError:
        process.kill()
        process.wait()
        raise

    def stop() -> None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    return Peer("exim", port, process.pid, stop)

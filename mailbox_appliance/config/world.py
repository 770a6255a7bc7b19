"""Does the machine agree with the file? Looks at the files and folders that a Config names, before a port is opened."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from mailbox_appliance.config.complaint import Complaint
from mailbox_appliance.config.model import Config


def complaints(config: Config) -> list[Complaint]:
    """Everything the named files and folders lack."""
    found = list(_state(config.state))
    tls = config.tls
    pair = [*_readable("tls.certificate", tls.certificate), *_readable("tls.key", tls.key)]
    if tls.certificate and tls.key and not pair:
        pair = list(_fitting(tls.certificate, tls.key))
    found += pair
    for key, path in (
        ("acme.trust_anchor", config.acme.trust_anchor),
        ("relay.trust_anchor", config.relay.trust_anchor),
    ):
        found += _readable(key, path) or _pem(key, path)
    if config.acme.webroot:
        found += _folder("acme.webroot", config.acme.webroot, "make it, or name the other web server's folder")
    relay = config.relay
    for key, path in (
        ("relay.password_file", relay.password_file),
        ("relay.socks_password_file", relay.socks_password_file),
        *((f'relay.domains."{name}".password_file', host.password_file) for name, host in relay.domains.items()),
        *((f'relay.senders."{name}".password_file', host.password_file) for name, host in relay.senders.items()),
    ):
        if path:
            found += _secret(key, path)
    for protocol, endpoints in config.listen.endpoints().items():
        for endpoint in endpoints:
            if endpoint.kind == "unix":
                folder = os.path.dirname(endpoint.path)
                found += _folder(f"listen.{protocol}", folder, "make the folder that shall hold the socket")
    return found


def _state(path: str) -> Iterator[Complaint]:
    """The state folder, or the nearest folder above it in which it can be made."""
    key = "state"
    folder = path
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        pass  # below it is told which folder is at fault
    except OSError as error:
        yield Complaint(key, f"cannot be used: {path[:80]}: {error.strerror}", "name a folder of its own")
        return
    while not os.path.lexists(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    if not os.path.isdir(folder):
        yield Complaint(key, f"cannot be used: {folder} is not a folder", "name a folder of its own")
    elif not os.access(folder, os.W_OK | os.X_OK):
        if folder != path:
            yield Complaint(key, f"cannot be made: {folder} is not writable for us", f"make {path} and give it to us")
        elif _on_read_only(folder):
            yield Complaint(key, f"cannot be used: {path} is on a read-only file system", "mount it for writing")
        else:
            yield Complaint(key, f"cannot be used: {path} is not writable for us", f"give it to us (chown) {_who()}")
    else:
        yield from _tried(key, folder)


def _tried(key: str, folder: str) -> Iterator[Complaint]:
    """Write one octet: permissions alone do not tell about root, NFS or a disk gone read-only."""
    trial = os.path.join(folder, f".writable.{os.getpid()}")
    try:
        os.close(os.open(trial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        os.unlink(trial)
    except FileExistsError:
        pass
    except OSError as error:
        yield Complaint(
            key, f"cannot be used: {folder}: {error.strerror}", "make room or make it writable, then start again"
        )


def _who() -> str:
    return f"(we run as user {os.geteuid()})"


def _on_read_only(path: str) -> bool:
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def _readable(key: str, path: str) -> list[Complaint]:
    if not path:
        return []
    try:
        # Asked before it is opened: a FIFO would keep us waiting for ever.
        if os.path.exists(path) and not os.path.isfile(path):
            what = "a folder" if os.path.isdir(path) else "no plain file"
            return [Complaint(key, f"{path} cannot be read: it is {what}", "name a file")]
        with open(path, "rb"):
            pass
    except OSError as error:
        remedy = "name a file that is there" if isinstance(error, FileNotFoundError) else f"make it readable {_who()}"
        return [Complaint(key, f"{path} cannot be read: {error.strerror}", remedy)]
    return []


def _pem(key: str, path: str) -> list[Complaint]:
    if not path:
        return []
    with open(path, "rb") as file:
        if b"-----BEGIN CERTIFICATE-----" not in file.read(1 << 20):
            return [Complaint(key, f"{path} holds no certificate", "name a PEM file (-----BEGIN CERTIFICATE-----)")]
    return []


def _fitting(certificate: str, key: str) -> Iterator[Complaint]:
    """Let OpenSSL say whether the two files are a pair."""
    import ssl

    def no_passphrase() -> str:
        raise ValueError("passphrase")

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, no_passphrase)
    except ValueError:
        yield Complaint("tls.key", f"{key} wants a passphrase", "store it without one (openssl pkey -in … -out …)")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            yield Complaint("tls.key", f"{key} does not belong to {certificate}", "name the key made for it")
        else:
            what = f"{certificate} and {key} are not a certificate and a key in PEM"
            yield Complaint(
                "tls.certificate", what, "name the files your authority gave you (fullchain.pem, privkey.pem)"
            )


def _folder(key: str, path: str, remedy: str) -> list[Complaint]:
    if not os.path.isdir(path):
        return [Complaint(key, f"{path} is not a folder", remedy)]
    if not os.access(path, os.W_OK | os.X_OK):
        return [Complaint(key, f"{path} is not writable for us", f"give us the right to write there {_who()}")]
    return []


def _secret(key: str, path: str) -> list[Complaint]:
    found = _readable(key, path)
    if found:
        return found
    if os.stat(path).st_mode & (stat.S_IROTH | stat.S_IWOTH):
        return [Complaint(key, f"{path} can be read by everybody on this machine", f"run: chmod 600 {path}")]
    with open(path, "rb") as file:
        first = file.readline(4096).rstrip(b"\r\n")
    if not first:
        return [Complaint(key, f"{path} has an empty first line", "write the password into its first line")]
    try:
        first.decode("utf-8")
    except UnicodeDecodeError:
        return [Complaint(key, f"{path} is not UTF-8 text", "write the password as plain text")]
    return []

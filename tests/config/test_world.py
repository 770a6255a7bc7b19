"""The files and folders that a config names are looked at before a port is opened."""

from __future__ import annotations

import datetime
import os
import pathlib
from unittest import mock

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.config import world
from mailbox_appliance.config.model import Acme, Config, Endpoint, Listen, Relay, Tls
from mailbox_appliance.config.read import ConfigWrong, load


def make_pair(folder: pathlib.Path, name: str) -> tuple[str, str]:
    """A self-signed certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime(2026, 1, 1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(5)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=9000))
        .sign(key, hashes.SHA256())
    )
    paths = folder / f"{name}.crt", folder / f"{name}.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(paths[0]), str(paths[1])


class WorldTests(SynchronousTestCase):
    """Each fault of the machine has words of its own."""

    def setUp(self) -> None:
        self.folder = pathlib.Path(self.mktemp()).absolute()
        self.folder.mkdir()

    def said(self, **parts: object) -> list[str]:
        parts.setdefault("state", str(self.folder))
        return [str(one) for one in world.complaints(Config("a.example", **parts))]  # type: ignore[arg-type]

    def test_all_well(self) -> None:
        """A state that can be made, and one that is there."""
        self.assertEqual(self.said(), [])
        self.assertEqual(self.said(state=str(self.folder / "a" / "b")), [])
        self.assertEqual(list(self.folder.iterdir()), [], "looking leaves nothing behind")

    def test_state_is_a_file(self) -> None:
        """A file where the folder should be."""
        (self.folder / "s").write_text("")
        path = self.folder / "s"
        self.assertEqual(
            self.said(state=str(path)), [f"state cannot be used: {path} is not a folder; name a folder of its own"]
        )

    def test_state_not_writable(self) -> None:
        """Permissions, a read-only file system and a full disk."""
        with mock.patch("os.access", return_value=False):
            (said,) = self.said()
            self.assertIn("is not writable for us; give it to us (chown)", said)
            (said,) = self.said(state=str(self.folder / "new"))
            self.assertIn(f"cannot be made: {self.folder} is not writable", said)
            with mock.patch.object(world, "_on_read_only", return_value=True):
                (said,) = self.said()
                self.assertIn("is on a read-only file system; mount it for writing", said)
        with mock.patch("os.open", side_effect=OSError(28, "No space left on device")):
            (said,) = self.said()
            self.assertIn("No space left on device; make room or make it writable", said)

    def test_certificate_files(self) -> None:
        """Absent, unreadable, not PEM, not a pair; and a good pair."""
        certificate, key = make_pair(self.folder, "one")
        _, other = make_pair(self.folder, "two")
        self.assertEqual(self.said(tls=Tls(certificate, key)), [])
        self.assertEqual(
            self.said(tls=Tls(certificate, other)),
            [f"tls.key {other} does not belong to {certificate}; name the key made for it"],
        )
        self.assertIn("tls.key /nowhere cannot be read: No such file", self.said(tls=Tls(certificate, "/nowhere"))[0])
        (self.folder / "text").write_text("hello")
        self.assertIn("are not a certificate and a key in PEM", self.said(tls=Tls(str(self.folder / "text"), key))[0])
        self.assertIn("it is a folder", self.said(tls=Tls(str(self.folder), key))[0])

    def test_passphrase(self) -> None:
        """A key under a passphrase would stop every start."""
        certificate, key = make_pair(self.folder, "one")
        loaded = serialization.load_pem_private_key(pathlib.Path(key).read_bytes(), None)
        locked = loaded.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
        )
        pathlib.Path(key).write_bytes(locked)
        self.assertIn("wants a passphrase", self.said(tls=Tls(certificate, key))[0])

    def test_password_file(self) -> None:
        """Readable by us, by nobody else, and not empty."""
        path = self.folder / "password"
        path.write_text("secret\n")
        path.chmod(0o644)
        relay = Relay(password_file=str(path))
        self.assertEqual(
            self.said(relay=relay),
            [f"relay.password_file {path} can be read by everybody on this machine; run: chmod 600 {path}"],
        )
        path.chmod(0o640)
        self.assertEqual(self.said(relay=relay), [])
        path.write_text("\nsecret")
        self.assertIn("has an empty first line", self.said(relay=relay)[0])

    def test_anchors_and_folders(self) -> None:
        """Trust anchors hold certificates; webroot and socket folders are there."""
        (self.folder / "text").write_text("hello")
        text = str(self.folder / "text")
        said = self.said(
            acme=Acme(trust_anchor=text, webroot="/nowhere/www"),
            relay=Relay(trust_anchor=text),
            listen=Listen(lmtp=(Endpoint("unix:/nowhere/l", "unix", path="/nowhere/l"),)),
        )
        self.assertEqual(
            [one.split(" ")[0] for one in said],
            ["acme.trust_anchor", "relay.trust_anchor", "acme.webroot", "listen.lmtp"],
        )

    def test_what_is_no_file(self) -> None:
        """A FIFO, which would be waited for, a device, a loop, a name without end: said in one line, at once."""
        fifo, loop = str(self.folder / "fifo"), str(self.folder / "loop")
        os.mkfifo(fifo)
        os.symlink(loop, loop)
        for path, words in ((fifo, "no plain file"), ("/dev/zero", "no plain file"), (loop, "symbolic links")):
            for parts in (
                {"tls": Tls(certificate=path, key=path)},
                {"relay": Relay(trust_anchor=path)},
                {"relay": Relay(password_file=path)},
                {"acme": Acme(trust_anchor=path)},
            ):
                said = self.said(**parts)
                self.assertEqual(len(said), 2 if "tls" in parts else 1, (path, said))
                self.assertIn(words, said[0])
        (said_of_state,) = self.said(state=str(self.folder / ("x" * 300)))
        self.assertIn("File name too long", said_of_state)
        (said_of_state,) = self.said(state=loop)
        self.assertIn("symbolic links", said_of_state)

    def test_load_looks(self) -> None:
        """``load`` asks the world, unless it shall not."""
        path = self.folder / "m.toml"
        path.write_text(f'hostname = "a.example"\nstate = "{self.folder}/m.toml"\n')
        self.assertIn("is not a folder", str(self.assertRaises(ConfigWrong, load, str(path))))
        self.assertEqual(load(str(path), look=False).hostname, "a.example")

    def test_unreadable_for_us(self) -> None:
        """As an ordinary user a secret of root's is named, with who we are."""
        if os.geteuid() == 0:
            with mock.patch("builtins.open", side_effect=PermissionError(13, "Permission denied")):
                (first, *_) = self.said(tls=Tls("/c", "/k"))
        else:
            (first, *_) = self.said(tls=Tls("/etc/shadow", "/etc/shadow"))
        self.assertIn(f"make it readable (we run as user {os.geteuid()})", first)

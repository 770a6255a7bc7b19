"""Files by what they are."""

from __future__ import annotations

import base64
import io
import zipfile

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.checks.attachments import check_attachments
from mailbox_appliance.checks.inside import Attached
from mailbox_appliance.mail.verdict import Action
from tests.checks.scene import Scene, found

PROGRAM = b"MZ\x90\x00" + b"\0" * 60
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def packed(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A ZIP."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, octets in members:
            archive.writestr(name, octets)
    return file.getvalue()


def locked(octets: bytes) -> bytes:
    """With the flag of a password in every header."""
    return octets.replace(b"PK\x03\x04\x14\x00\x00", b"PK\x03\x04\x14\x00\x01").replace(
        b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"
    )


def result(name: str, head: bytes, said: str = "application/octet-stream") -> str:
    """The one result, "" for none."""
    return "".join(one.result for one in check_attachments([Attached(name, said, head, True)]))


class AttachmentTests(SynchronousTestCase):
    """The table of the module, row by row."""

    def test_the_key_beside_the_lock(self) -> None:
        """An archive with a password is one thing, with the password in the letter another."""
        file = Attached("invoice.zip", "application/zip", locked(packed(("invoice.txt", b"x"))), True)
        for text, wanted in (("locked with your birthday", "locked"), ("Password: 1234", "locked open")):
            self.assertEqual([one.result for one in check_attachments([file], text)], [wanted])

    def test_files(self) -> None:
        """Each kind, and honest files beside it."""
        pdf, png = b"%PDF-1.7\n", b"\x89PNG\r\n\x1a\n"
        docx = (("[Content_Types].xml", b"<x/>"), ("word/document.xml", b"<w/>"))
        inner = packed(("deep.zip", packed(("deeper.zip", packed(("a.txt", b"x" * 40))), method=0)), method=0)
        for name, head, wanted in (
            ("invoice.pdf", pdf, ""),
            ("photo.png", png, ""),
            ("notes.txt", b"MZ is no program"[3:], ""),
            ("photos.zip", packed(("a.jpg", b"\xff\xd8\xff"), ("b.jpg", b"\xff\xd8\xff")), ""),
            ("letter.docx", packed(*docx), ""),
            ("sheet.xls", OLE + b"\0" * 600, ""),
            ("report.2024.final.pdf", pdf, ""),
            ("form.html", b'<form action="https://a.test/"><input type=hidden></form>', "page"),
            ("invoice.html", b"<script>var b=new Blob([atob('UEs')]);URL.createObjectURL(b)</script>", "smuggling"),
            ("voice.htm", b"<input type='password' name=p>", "login"),
            ("go.html", b"<meta http-equiv='refresh' content='0;url=https://a.test/'>", "login"),
            ("fax.svg", b"<svg><script>location.href='https://a.test/'</script></svg>", "login"),
            ("logo.svg", b"<svg><path/></svg>", "page"),
            ("notes.one", b"\xe4\x52\x5c\x7b", "macros"),
            ("setup.exe", PROGRAM, "program"),
            ("script.js", b"var x", "program"),
            ("trick.exe. .", b"", "program"),
            ("link.lnk", b"L\x00\x00\x00\x01\x14\x02\x00", "program"),
            ("photo.jpg", PROGRAM, "disguised"),
            ("invoice.pdf.exe", PROGRAM, "disguised"),
            ("invoice.pdf                        .exe", b"", "disguised"),
            ("invoice\u202efdp.exe", b"", "disguised"),
            ("a.zip", packed(("run.exe", b"x")), "program"),
            ("a.zip", packed(("picture.jpg", PROGRAM)), "disguised"),
            ("a.zip", packed(("invoice.pdf.js", b"x")), "disguised"),
            ("a.zip", packed(("inner.zip", packed(("run.scr", b"x"), method=0)), method=0), "program"),
            ("nest.zip", packed(("a.zip", inner), method=0), "nested"),
            ("a.zip", locked(packed(("letter.txt", b"x" * 90))), "locked"),
            ("disk.iso", b"", "image"),
            ("disk.dat", b"\0" * 0x8001 + b"CD001", "image"),
            ("letter.docm", packed(*docx), "macros"),
            ("letter.docx", packed(*docx, ("word/vbaProject.bin", b"x")), "macros"),
            ("sheet.xls", OLE + b"\0" * 600 + "_VBA_PROJECT".encode("utf-16-le"), "macros"),
            ("form.html", b"<form>", "page"),
            ("", b"Rar!\x1a\x07\x01\x00" + b"\0" * 4 + b"\x21\x04", "locked"),
        ):  # fmt: skip
            self.assertEqual(result(name, head), wanted, name)

    @given(st.binary(max_size=3000), st.sampled_from([b"PK\x03\x04", b"Rar!\x1a\x07", OLE, b""]))
    def test_anything(self, rest: bytes, magic: bytes) -> None:
        """Broken files end."""
        result("x.zip", magic + rest)

    def test_bomb(self) -> None:
        """A member that would unpack to much is read for a few kilobytes; a thousand members are not all looked at."""
        self.assertEqual(result("a.zip", packed(("zeros.txt", b"\0" * 50_000_000))), "")
        many = packed(*((f"{number}.txt", b"x") for number in range(1000)), ("last.exe", b"x"))
        self.assertIn(result("a.zip", many[:90_000]), ("", "program"))

    def test_whole_message(self) -> None:
        """A program that calls itself a picture sends a stranger's letter to Junk, and says which file it was."""
        body = (
            "--b\nContent-Type: text/plain\n\nSee the picture.\n--b\nContent-Type: image/jpeg; name=cat.jpg\n"
            "Content-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=cat.jpg\n\n"
            + base64.encodebytes(PROGRAM).decode()
            + "\n--b--\n"
        )
        message = (
            "From: eve@attacker.test\nTo: ann@home.test\nMIME-Version: 1.0\n"
            "Content-Type: multipart/mixed; boundary=b\n\n" + body
        ).encode()
        verdict = Scene().examine(message)
        self.assertEqual(found(verdict, "attachment"), ["disguised"])
        self.assertEqual(verdict.action, Action.JUNK)
        self.assertIn("cat.jpg", verdict.reason)
        self.assertEqual(found(Scene(switched_off=frozenset({"attachment"})).examine(message), "attachment"), [])

"""The messages that carry our daily reports to other domains: a word for people, and a packed document.

RFC 9990 §3.1 (DMARC) and RFC 8460 §5.3 (TLS) ask for nearly the same message; what differs is told by the fields of
``FiledReport``. RFC 2045, RFC 2046 §5.1 for the form.
"""

from __future__ import annotations

import base64
import secrets

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.envelope import Envelope, Recipient
from mailbox_appliance.mail.letter import Letter, mail_fields
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.values import dataclass


@dataclass(frozen=True, slots=True)
class FiledReport:
    """One report to one domain.

    ``packed`` is the compressed document, ``document_type`` its media type, ``file_name`` what it is called there.
    ``words`` is the text for people, with LF line ends; ``fields`` are further header fields, each ended by LF.
    """

    sender: Address
    recipients: tuple[Address, ...]
    display: str
    subject: str
    message_id: str
    words: str
    packed: bytes
    document_type: str
    file_name: str
    container: str = "multipart/mixed"
    fields: str = ""

    def content(self, now: float) -> Content:
        """The whole message; ``now`` in epoch seconds."""
        boundary = f"=_{secrets.token_hex(12)}"
        letter = Letter(self.sender, self.recipients[0], self.subject, "", display=self.display)
        fields = mail_fields(letter, self.message_id, now).replace(
            f"To: {self.recipients[0]}\n", "To: " + ",\n ".join(str(address) for address in self.recipients) + "\n", 1
        )
        header = (
            f'{fields}{self.fields}MIME-Version: 1.0\nContent-Type: {self.container};\n boundary="{boundary}"\n\n'
        ).encode()
        document = base64.encodebytes(self.packed).decode("ascii")
        body = (
            f"--{boundary}\nContent-Type: text/plain; charset=us-ascii\n\n{self.words}"
            f'\n--{boundary}\nContent-Type: {self.document_type};\n name="{self.file_name}"\n'
            "Content-Transfer-Encoding: base64\n"
            f'Content-Disposition: attachment;\n filename="{self.file_name}"\n\n{document}\n--{boundary}--\n'
        ).encode()
        return Content(header, body, header.count(b"\n") + body.count(b"\n"))

    def envelope(self) -> Envelope:
        """From the null path: nobody shall answer a report by machine, and a bounce would be of no use to anybody."""
        return Envelope(
            None,
            tuple(Recipient(address, frozenset({"NEVER"})) for address in self.recipients),
            smtputf8=not all(address.is_ascii for address in self.recipients),
        )

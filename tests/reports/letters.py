"""Reports as others write them."""

from __future__ import annotations

import base64
import gzip
import io
import zipfile

XML = """<?xml version="1.0" encoding="UTF-8" ?>
<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0">
 <report_metadata><org_name>Far Mail</org_name><email>dmarc@far.example</email><report_id>{id}</report_id>
  <date_range><begin>1799900000</begin><end>1799986400</end></date_range></report_metadata>
 <policy_published><domain>{domain}</domain><p>{p}</p></policy_published>
{records}</feedback>
"""


def record(
    source: str, count: int, *, dkim: str = "pass", spf: str = "pass", disposition: str = "none", auth: str = ""
) -> str:
    return f""" <record><row><source_ip>{source}</source_ip><count>{count}</count><policy_evaluated>
  <disposition>{disposition}</disposition><dkim>{dkim}</dkim><spf>{spf}</spf></policy_evaluated></row>
  <identifiers><header_from>example.org</header_from></identifiers><auth_results>{auth}</auth_results></record>
"""


def aggregate(*records: str, domain: str = "example.org", id: str = "one", p: str = "none") -> bytes:
    return XML.format(id=id, domain=domain, p=p, records="".join(records)).encode()


def zipped(octets: bytes, name: str = "far.example!example.org!1!2.xml") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, octets)
    return file.getvalue()


def letter(file: bytes, kind: str = "application/gzip", *, subject: str = "Report domain: example.org Submitter: far.example Report-ID: one") -> bytes:  # fmt: skip
    head = (
        f"From: dmarc@far.example\nTo: postmaster@example.org\nSubject: {subject}\nMIME-Version: 1.0\n"
        'Content-Type: multipart/mixed; boundary="b"\n\n--b\nContent-Type: text/plain\n\nA report.\n--b\n'
        f"Content-Type: {kind}\nContent-Transfer-Encoding: base64\n\n"
    )
    return head.encode() + base64.encodebytes(file) + b"\n--b--\n"


def packed(octets: bytes) -> bytes:
    return gzip.compress(octets, mtime=0)

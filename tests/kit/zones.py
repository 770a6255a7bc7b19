"""DNS from zone text: what a fake resolver and the test name server both answer from.

The text is a master file with absolute names (origin is the root, default TTL 300), without SOA or NS unless wanted::

    example.org.      MX   10 mx.example.org.
    mx.example.org.   A    192.0.2.1
    ;! servfail broken.example.    that name and all below it: SERVFAIL
    ;! silent dark.example.        no answer at all
    ;! refused other.example.      REFUSED
    ;! authentic signed.example.   answers carry the AD bit

Wildcards and empty non-terminals behave as RFC 4592 says; everything else is NXDOMAIN.
"""

from __future__ import annotations

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.zonefile

_MOST_ALIASES = 8
_WORDS = ("servfail", "silent", "refused", "authentic")


class Zone:
    """Names and their records; ``answer`` makes the response to a query, or None for silence."""

    def __init__(self, text: str) -> None:
        self._sets: dict[tuple[dns.name.Name, dns.rdatatype.RdataType], dns.rrset.RRset] = {}
        self._names: set[dns.name.Name] = {dns.name.root}
        self._marks: dict[str, set[dns.name.Name]] = {word: set() for word in _WORDS}
        for line in text.splitlines():
            words = line.split()
            if len(words) >= 3 and words[0] == ";!":
                self._marks[words[1]].add(dns.name.from_text(words[2].lower()))
        records = dns.zonefile.read_rrsets(text, name=None, ttl=None, default_ttl=300, origin=dns.name.root)
        for rrset in records:
            rrset.name = dns.name.from_text(rrset.name.to_text().lower())
            self._sets[rrset.name, rrset.rdtype] = rrset
            for depth in range(1, len(rrset.name.labels) + 1):
                self._names.add(dns.name.Name(rrset.name.labels[-depth:]))

    def is_marked(self, word: str, name: dns.name.Name) -> bool:
        return any(name.is_subdomain(marked) for marked in self._marks[word])

    def _find(self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType) -> dns.rrset.RRset | None:
        found = self._sets.get((name, rdtype))
        if found is None and name not in self._names:
            for depth in range(len(name.labels) - 1, 0, -1):
                parent = dns.name.Name(name.labels[-depth:])
                if parent in self._names:
                    wild = self._sets.get((dns.name.from_text("*", parent), rdtype))
                    if wild is not None:
                        found = dns.rrset.from_rdata_list(name, wild.ttl, list(wild))
                    break
        return found

    def _exists(self, name: dns.name.Name) -> bool:
        if name in self._names:
            return True
        for depth in range(len(name.labels) - 1, 0, -1):
            parent = dns.name.Name(name.labels[-depth:])
            if parent in self._names:
                return dns.name.from_text("*", parent) in self._names
        return False

    def answer(self, query: dns.message.Message) -> dns.message.Message | None:
        """The response, CNAMEs followed inside the zone; None when the name is marked silent."""
        response = dns.message.make_response(query, recursion_available=True)
        if len(query.question) != 1:
            response.set_rcode(dns.rcode.FORMERR)
            return response
        name = dns.name.from_text(query.question[0].name.to_text().lower())
        rdtype = query.question[0].rdtype
        if self.is_marked("silent", name):
            return None
        for _ in range(_MOST_ALIASES):
            for word, code in (("servfail", dns.rcode.SERVFAIL), ("refused", dns.rcode.REFUSED)):
                if self.is_marked(word, name):
                    response.answer.clear()
                    response.set_rcode(code)
                    return response
            if self.is_marked("authentic", name):
                response.flags |= dns.flags.AD
            found = self._find(name, rdtype)
            alias = None if found is not None else self._find(name, dns.rdatatype.CNAME)
            if alias is None:
                break
            response.answer.append(alias)
            name = alias[0].target
        if found is not None:
            response.answer.append(found)
            return response
        if alias is None and not self._exists(name):
            response.set_rcode(dns.rcode.NXDOMAIN)
        response.authority.append(
            dns.rrset.from_text(dns.name.root, 30, "IN", "SOA", "ns.test. hostmaster.test. 1 3600 600 86400 30")
        )
        return response

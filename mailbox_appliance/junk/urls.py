"""Where a message wants its reader to go: hosts, the names they are registered under, and the tricks in a URL."""

from __future__ import annotations

import re

MOST_URLS = 60

_URL = re.compile(rb"://([^\s\"'<>()\[\]{}/?#\\]{1,255})([^\s\"'<>()\[\]{}\\]{0,300})")
_BARE = re.compile(rb"www\.[a-z0-9.-]{3,120}")
_DOTTED = re.compile(rb"[0-9.]+\Z")
_PATH_WORD = re.compile(rb"[a-z]{3,20}")
# Second levels under which names are registered in countries (a short list is enough: it only groups hosts).
_SECOND = frozenset(b"co com net org ac gov edu ne or gob nom gen".split())


def registered(host: bytes) -> bytes:
    """The name a host is probably registered under: its last two labels, or three below ``co.uk`` and its like."""
    labels = host.rsplit(b".", 3)
    if len(labels) >= 3 and len(labels[-1]) == 2 and labels[-2] in _SECOND:
        return b".".join(labels[-3:])
    return b".".join(labels[-2:])


def url_tokens(text: bytes) -> tuple[list[bytes], list[bytes]]:
    """Of lower-case text: facts (``host …``, ``tld …``, oddities) and words of paths; each URL's once."""
    facts: set[bytes] = set()
    paths: set[bytes] = set()
    count = 0
    if b"://" in text:
        if b"https://" in text:
            facts.add(b"https")
        for authority, rest in _URL.findall(text)[:MOST_URLS]:
            count += 1
            _take_authority(authority, facts)
            if rest:
                _take_rest(rest, facts, paths)
    if text.count(b"www.") > text.count(b"//www."):
        for host in _BARE.findall(text)[:MOST_URLS]:
            count += 1
            _take_authority(host, facts)
    facts.add(b"urls %d" % min(count.bit_length(), 6))
    return list(facts), list(paths)


def _take_authority(authority: bytes, facts: set[bytes]) -> None:
    _, at, host = authority.rpartition(b"@")
    if at:
        facts.add(b"user in url")
    host, colon, port = host.partition(b":")
    if colon and port not in (b"80", b"443", b""):
        facts.add(b"port")
    host = host.strip(b".-,;:!*")
    if b"%" in host or b"&#" in host:
        facts.add(b"coded host")
    elif b"." not in host:
        facts.add(b"number host" if host.isdigit() or host[:2] == b"0x" else b"host without dot")
    elif _DOTTED.match(host):
        facts.add(b"address host")
    else:
        name = registered(host)
        facts.add(b"host " + name[:60])
        facts.add(b"tld " + name.rpartition(b".")[2][:12])
        labels = host.count(b".")
        if labels >= 4:
            facts.add(b"deep host")
        if b"xn--" in host or not host.isascii():
            facts.add(b"foreign letters host")
        if host != name and host != b"www." + name:
            facts.add(b"full host " + host[:80])
        if sum(map(name.count, (b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8", b"9", b"-"))) >= 3:
            facts.add(b"numbered host")


def _take_rest(rest: bytes, facts: set[bytes], paths: set[bytes]) -> None:
    path, _, query = rest.partition(b"?")
    if path.startswith(b":"):
        return
    if query:
        facts.add(b"query")
        if len(query) > 60:
            facts.add(b"long query")
        if b"@" in query:
            facts.add(b"address in query")
    if path.count(b"%") > 3:
        facts.add(b"coded path")
    paths.update(_PATH_WORD.findall(path)[:8])

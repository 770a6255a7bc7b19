"""From the owner's file to a Config, or to every complaint about it at once.

Nothing binds a port before this is content. ``load`` reads and checks the words; ``world.complaints`` (asked by
``load`` unless ``look`` is False) looks at the files and folders they name.
"""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from mailbox_appliance.config import keys, values, world
from mailbox_appliance.config.complaint import Complaint
from mailbox_appliance.config.model import (
    LINK_PORT,
    PROTOCOLS,
    SECTIONS,
    Config,
    Device,
    Endpoint,
    Listen,
    NextHost,
    Relay,
    Scanner,
    everywhere,
)
from mailbox_appliance.mail.values import dataclass

DEFAULT_PATH = "/etc/mailappliance/mailappliance.toml"
ENVIRONMENT = "MAILAPPLIANCE_CONFIG"
_LARGEST_FILE = 1 << 20
_NAMED = ("devices", "scanners")  # tables under a name of the owner's choice


class ConfigWrong(Exception):
    """The file cannot be used; ``complaints`` holds everything that is wrong with it."""

    def __init__(self, path: str, complaints: Iterable[Complaint]) -> None:
        self.path = path
        self.complaints = tuple(complaints)
        super().__init__("\n".join(f"{path}: {complaint}" for complaint in self.complaints))


@dataclass(frozen=True, slots=True)
class Found:
    """Which file to read, and why that one ("--config", "$MAILAPPLIANCE_CONFIG" or its usual place)."""

    path: str
    because: str


def find(option: str | None, environment: Mapping[str, str], usual: str = DEFAULT_PATH) -> Found | None:
    """Where the config is: --config, then $MAILAPPLIANCE_CONFIG, then its usual place; None means local mode."""
    if option:
        return Found(os.path.abspath(option), "--config")
    if environment.get(ENVIRONMENT):
        return Found(os.path.abspath(environment[ENVIRONMENT]), f"${ENVIRONMENT}")
    return Found(usual, "its usual place") if os.path.lexists(usual) else None


def load(path: str, *, look: bool = True) -> Config:
    """Read ``path``. ``look`` False leaves the files it names alone (for the desk, which may not read them all).

    Raises ConfigWrong with all complaints.
    """
    path = os.path.abspath(path)
    try:
        with open(path, "rb") as file:
            octets = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        remedy = "name the file with --config" if isinstance(error, FileNotFoundError) else "make it readable for us"
        raise ConfigWrong(path, [Complaint("", f"cannot be read: {error.strerror}", remedy)]) from None
    if len(octets) > _LARGEST_FILE:
        raise ConfigWrong(path, [Complaint("", "is larger than 1 MB", "this cannot be the right file")])
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError as error:
        line = octets[: error.start].count(b"\n") + 1
        raise ConfigWrong(path, [Complaint("", f"line {line} is not UTF-8", "save the file as UTF-8")]) from None
    config, complaints = parse(text, path)
    if look and config is not None:
        complaints += world.complaints(config)
    if complaints or config is None:
        raise ConfigWrong(path, complaints)
    return config


def parse(text: str, path: str = "") -> tuple[Config | None, list[Complaint]]:
    """Read TOML text; relative paths are relative to the folder of ``path``. Config is None when it is past use."""
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        return None, [Complaint("", f"is not TOML: {error}", "look at that line; text stands in quotes")]
    complaints: list[Complaint] = []
    stated: dict[str, Any] = {}
    for name, value in table.items():
        if name in SECTIONS and isinstance(value, dict):
            for inner, inner_value in value.items():
                if f"{name}.{inner}.*" in keys.SECTION_TEXTS and isinstance(inner_value, dict):
                    _take_each(f"{name}.{inner}", inner_value, stated, complaints)
                else:
                    _take(f"{name}.{inner}", inner_value, stated, complaints)
        elif name in SECTIONS:
            complaints.append(Complaint(name, "is a section, not a key", f"write [{name}] on a line of its own"))
        elif f"{name}.*" in keys.SECTION_TEXTS and isinstance(value, dict):
            _take_each(name, value, stated, complaints)
        elif isinstance(value, dict) and name not in keys.BY_PATH:
            complaints.append(Complaint(f"[{name}]", "is not a section", _nearest_section(name)))
        else:
            _take(name, value, stated, complaints)
    if "hostname" not in table:
        remedy = 'write hostname = "mail.example.org" above the first [section]'
        complaints.append(Complaint("hostname", "is missing", remedy))
    folder = os.path.dirname(os.path.abspath(path)) if path else os.getcwd()
    for key in stated:
        if keys.BY_PATH[_general(key)].read is values.path:
            stated[key] = os.path.normpath(os.path.join(folder, os.path.expanduser(stated[key])))
    config = _build(stated, path, acme_wanted="acme" in table)
    complaints += _together(config)
    return config, complaints


def _take_each(path: str, tables: Mapping[str, Any], stated: dict[str, Any], complaints: list[Complaint]) -> None:
    """Tables with a domain in their heading, such as [relay.domains."example.org"]."""
    for name, table in tables.items():
        if not isinstance(table, dict):
            remedy = f"write {_example(path)} on a line of its own, and the keys below"
            complaints.append(Complaint(f"{path}.{name}", "is a section, not a key", remedy))
            continue
        try:
            domain = values.own_name(name) if path in _NAMED else values.host_name(name)
        except values.Wrong as wrong:
            complaints.append(Complaint(f'{path}."{name}"', wrong.what, wrong.remedy))
            continue
        for key, value in table.items():
            known = [one.name for one in keys.KEYS if one.section == f"{path}.*"]
            if key not in known:
                remedy = f"the keys here are {', '.join(known)}"
                if isinstance(value, dict) and path not in _NAMED:
                    remedy = f'put the domain in quotes: [{path}."{keys.EXAMPLE_DOMAIN}"]'
                complaints.append(Complaint(f"{path}.{name}.{key}", "is not a key", remedy))
            else:
                _take(f'{path}."{domain}".{key}', value, stated, complaints)


def _example(path: str) -> str:
    """The heading of one of these tables."""
    return next(key.heading for key in keys.KEYS if key.section == f"{path}.*")


def _general(path: str) -> str:
    """The path as the table of keys has it: ``relay.domains."example.org".host`` is ``relay.domains.*.host``."""
    before, quote, rest = path.partition('"')
    return f"{before}*{rest.partition(chr(34))[2]}" if quote else path


def _take(path: str, value: object, stated: dict[str, Any], complaints: list[Complaint]) -> None:
    key = keys.BY_PATH.get(_general(path))
    if key is None:
        complaints.append(Complaint(path, "is not a key", _nearest(path)))
        return
    try:
        stated[path] = key.read(value)
    except values.Wrong as wrong:
        complaints.append(Complaint(path, wrong.what, wrong.remedy))


def _alike(word: str, known: Collection[str], most: int, likeness: float) -> list[str]:
    import difflib  # half a megabyte, for wrong keys only

    return difflib.get_close_matches(word, known, most, likeness)


def _nearest_section(name: str) -> str:

    alike = _alike(name, SECTIONS, 1, 0.6)
    return f"did you mean [{alike[0]}]?" if alike else "the sections are " + ", ".join(f"[{one}]" for one in SECTIONS)


def _nearest(path: str) -> str:
    """What was perhaps meant: the same name in another section first, then what is spelled alike."""
    name = path.rpartition(".")[2]
    elsewhere = [key for key in keys.KEYS if key.name == name]
    if elsewhere:
        key = elsewhere[0]
        place = f"below {key.heading}" if key.section else "above the first [section]"
        return f"{name} stands {place}"
    alike = _alike(path, keys.BY_PATH, 1, 0.6)
    if not alike:
        alike = [
            key.path for near in _alike(name, [k.name for k in keys.KEYS], 1, 0.6)
            for key in keys.KEYS if key.name == near
        ]  # fmt: skip
    if alike:
        return f"did you mean {alike[0]}?"
    return "remove it; `mailappliance config sample` shows every key"


def _build(stated: Mapping[str, Any], path: str, *, acme_wanted: bool) -> Config:
    """The Config, with defaults for whatever was missing or wrong (so that further complaints can be found)."""
    top: dict[str, Any] = {name: value for name, value in stated.items() if "." not in name}
    top.setdefault("hostname", "")
    for section, kind in SECTIONS.items():
        inner = {name.partition(".")[2]: value for name, value in stated.items() if name.startswith(f"{section}.")}
        if section == "acme":
            inner["wanted"] = acme_wanted
        if section == "relay":
            inner = _with_hosts(inner)
        if section == "listen":
            inner = {**_LISTENING.get(str(top.get("role", "all")), {}), **inner}
        top[section] = kind(**inner)
    top["devices"] = {name: Device(**about) for name, about in _named("devices", stated).items()}
    top["scanners"] = {name: Scanner(**about) for name, about in _named("scanners", stated).items()}
    return dataclasses.replace(Config(**top), path=path, stated=frozenset(stated))


def _named(table: str, stated: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """[devices.NAME] or [scanners.NAME] gathered."""
    gathered: dict[str, dict[str, Any]] = {}
    for path, value in stated.items():
        before, quote, rest = path.partition('"')
        if quote and before == f"{table}.":
            name, _, key = rest.partition('".')
            gathered.setdefault(name, {})[key] = value
    return gathered


# What each role listens on where the file does not say. At an edge the people's ports lead on to the store.
_LISTENING: dict[str, dict[str, Any]] = {
    "edge": {"imap": (), "https": everywhere(443), "link": everywhere(LINK_PORT)},
}


def _with_hosts(inner: Mapping[str, Any]) -> dict[str, Any]:
    """[relay] with its tables by domain gathered."""
    gathered: dict[str, Any] = {name: value for name, value in inner.items() if '"' not in name}
    for table in ("domains", "senders"):
        hosts: dict[str, dict[str, Any]] = {}
        for name, value in inner.items():
            kind, _, rest = name.partition('."')
            if kind == table and rest:
                domain, _, key = rest.partition('".')
                hosts.setdefault(domain, {})[key] = value
        gathered[table] = {domain: NextHost(**about) for domain, about in hosts.items()}
    return gathered


def _together(config: Config) -> list[Complaint]:
    """What is wrong between keys, each of them right alone."""
    found = [
        Complaint(path, "asks for something this version does not have", remedy)
        for path, beyond, remedy in keys.NOT_YET
        if path in config.stated and beyond(_value(config, path))
    ]
    tls, relay = config.tls, config.relay
    for here, there in (("certificate", "key"), ("key", "certificate")):
        if getattr(tls, here) and not getattr(tls, there):
            found.append(Complaint(f"tls.{there}", f"is missing beside tls.{here}", "name both files, or neither"))
    if tls.certificate and config.acme.wanted:
        remedy = "remove [acme], or remove certificate and key from [tls]"
        found.append(Complaint("acme", "orders a certificate while [tls] names one", remedy))
    found += _ways_out(relay)
    if relay.user and not relay.password_file:
        remedy = "name the file whose first line is the password"
        found.append(Complaint("relay.password_file", "is missing beside relay.user", remedy))
    if relay.password_file and not relay.user:
        found.append(Complaint("relay.user", "is missing beside relay.password_file", "name the user at the smarthost"))
    for name in ("user", "password_file"):
        if f"relay.{name}" in config.stated and relay.smarthost is None and "relay.smarthost" not in config.stated:
            found.append(Complaint(f"relay.{name}", "has no smarthost to be said to", "name relay.smarthost"))
            break
    found += _unfinished_devices(config.devices)
    for name, scanner in config.scanners.items():
        if not scanner.kind:
            found.append(Complaint(f"scanners.{name}.kind", "is missing", 'write kind = "rspamd"'))
        if scanner.endpoint is None:
            remedy = 'write endpoint = "127.0.0.1:11333", or the path of a socket'
            found.append(Complaint(f"scanners.{name}.endpoint", "is missing", remedy))
    found += _crossed_endpoints(config.listen)
    if config.listen.link and config.role != "edge":
        found.append(Complaint("listen.link", "is for an edge", 'write role = "edge", or leave the key out'))
    if config.listen.submission_at is not None and config.role != "store":
        remedy = 'write role = "store", or leave the key out'
        found.append(Complaint("listen.submission_at", "is for a store", remedy))
    if config.role == "edge" and config.listen.lmtp:
        found.append(Complaint("listen.lmtp", "has nobody to deliver to at an edge", "leave the key out"))
    return found


def _unfinished_devices(devices: Mapping[str, Device]) -> list[Complaint]:
    """A device needs an address and somebody to write to."""
    found = []
    for name, device in devices.items():
        if not device.address:
            found.append(Complaint(f"devices.{name}.address", "is missing", 'write address = ["192.168.1.20"]'))
        if not device.recipients:
            remedy = 'write recipients = ["ann@example.org"]; "@example.org" means all of a domain'
            found.append(Complaint(f"devices.{name}.recipients", "is missing", remedy))
    return found


def _ways_out(relay: Relay) -> list[Complaint]:
    """Smarthost, direct, proxy, hosts by domain: what must stand together, and what must not."""
    found = []
    if relay.smarthost is not None and relay.direct and relay.fallback_after is None:
        remedy = (
            "remove smarthost to deliver direct, or remove direct to send through it, "
            "or set fallback_after to have the smarthost where direct delivery fails"
        )
        found.append(Complaint("relay.direct", "and relay.smarthost exclude each other", remedy))
    if relay.fallback_after is not None and not (relay.smarthost is not None and relay.direct):
        remedy = "name relay.smarthost and write direct = true, or remove it"
        found.append(Complaint("relay.fallback_after", "has nothing to fall back from or to", remedy))
    if bool(relay.socks_user) != bool(relay.socks_password_file):
        missing, there = (
            ("socks_password_file", "socks_user") if relay.socks_user else ("socks_user", "socks_password_file")
        )
        found.append(Complaint(f"relay.{missing}", f"is missing beside relay.{there}", "name both, or neither"))
    if relay.socks is None and relay.socks_user:
        found.append(Complaint("relay.socks_user", "has no proxy to be said to", "name relay.socks"))
    for table in ("domains", "senders"):
        for domain, host in getattr(relay, table).items():
            where = f'relay.{table}."{domain}"'
            if host.host is None:
                found.append(Complaint(f"{where}.host", "is missing", 'write host = "mail.example.org:587"'))
            if bool(host.user) != bool(host.password_file):
                missing, there = ("password_file", "user") if host.user else ("user", "password_file")
                found.append(Complaint(f"{where}.{missing}", f"is missing beside {there}", "name both, or neither"))
    return found


def _value(config: Config, path: str) -> object:
    value: Any = config
    for name in path.split("."):
        value = getattr(value, name)
    return value


def _crossed_endpoints(listen: Listen) -> list[Complaint]:
    """Two protocols at one door, and LMTP at an open one (RFC 2033 §3: never on port 25, never for strangers)."""
    found = []
    doors: list[tuple[str, Endpoint]] = []
    for protocol in PROTOCOLS:
        for endpoint in getattr(listen, protocol):
            for other, taken in doors:
                if _same_door(endpoint, taken):
                    what = f"{endpoint.text!r} is the same door as {taken.text!r}"
                    remedy = f"give it another port or interface than listen.{other}"
                    if other == protocol:
                        remedy = "write it once"
                    found.append(Complaint(f"listen.{protocol}", what, remedy))
                    break
            doors.append((protocol, endpoint))
    for endpoint in listen.lmtp:
        if not endpoint.is_loopback:
            remedy = 'write a Unix socket ("unix:/run/mailappliance/lmtp") or add :interface=127.0.0.1'
            found.append(Complaint("listen.lmtp", f"{endpoint.text!r} is open to other machines", remedy))
    return found


def _same_door(one: Endpoint, other: Endpoint) -> bool:
    if one.kind == "unix" or other.kind == "unix":
        return one.kind == other.kind and one.path == other.path
    if one.kind != other.kind or one.port != other.port or one.port == 0:
        return False
    return one.interface == other.interface or not one.interface or not other.interface

"""The short-lived process that speaks ACME (RFC 8555): its libraries and their memory end with it.

One JSON line in: what to order. JSON lines out: first the tokens to serve, then, after a line back that says they are
served, the certificate or the reason why there is none. Run as ``python -m mailbox_appliance.acme.child``; it reads
and writes the account's key by itself, so that keys never travel.
"""

from __future__ import annotations

import datetime
import json
import os
import ssl
import sys
import tempfile
from typing import IO, Any

BAD_NONCES = 3  # so often more than the library the same request is said again


def main(commands: IO[str], out: IO[str]) -> int:
    """Run one order; always says a last line, and returns 0 when that is a certificate."""
    request = json.loads(commands.readline())

    def say(**words: Any) -> None:
        out.write(json.dumps(words) + "\n")
        out.flush()

    # What a foreign server, its network and three libraries may raise cannot be listed; all of it means "no".
    try:
        chain = _order(request, commands, say)
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent reads it from our last line
        say(say="failed", **_explained(error, request["names"]))
        return 1
    say(say="certificate", chain=chain)
    return 0


def _order(request: dict[str, Any], commands: IO[str], say: Any) -> str:
    from acme import challenges, client, messages

    deadline = datetime.datetime.now() + datetime.timedelta(seconds=float(request["seconds"]))
    acme_client, key = _client(request)
    order = acme_client.new_order(request["csr"].encode("ascii"))
    waiting: list[tuple[messages.ChallengeBody, Any]] = []
    tokens: dict[str, str] = {}
    for authorization in order.authorizations:
        if authorization.body.status == messages.STATUS_VALID:
            continue
        for body in authorization.body.challenges:
            if isinstance(body.chall, challenges.HTTP01):
                response, validation = body.response_and_validation(key)
                tokens[body.chall.encode("token")] = validation
                waiting.append((body, response))
                break
        else:
            raise RuntimeError(f"the authority offers no http-01 for {authorization.body.identifier.value}")
    say(say="tokens", tokens=tokens)
    if not commands.readline():
        raise RuntimeError("the service has ended")
    for body, response in waiting:
        acme_client.answer_challenge(body, response)
    assert isinstance(acme_client, client.ClientV2)
    done = acme_client.poll_and_finalize(order, deadline)
    return str(done.fullchain_pem)


def _client(request: dict[str, Any]) -> tuple[Any, Any]:
    """The client with its account, made at the first run."""
    from acme import client, errors, messages
    from josepy.jwa import ES256
    from josepy.jwk import JWKEC

    key = JWKEC(key=_account_key(request["account_key"]))

    class Network(client.ClientNetwork):
        """Tries again as often as RFC 8555 §6.5 lets one expect; the library does so once."""

        def post(self, *args: Any, **kwargs: Any) -> Any:
            for _ in range(BAD_NONCES):
                try:
                    return super().post(*args, **kwargs)
                except messages.Error as error:
                    if error.code != "badNonce":
                        raise
            return super().post(*args, **kwargs)

    network = Network(
        key, alg=ES256, verify_ssl=_trusted(request["trust_anchor"]), user_agent="mailappliance", timeout=30
    )
    directory = client.ClientV2.get_directory(request["directory"], network)
    acme_client = client.ClientV2(directory, net=network)
    uri = _known_account(request)
    if uri:
        network.account = messages.RegistrationResource(uri=uri, body=messages.Registration())
        return acme_client, key
    wanted = messages.NewRegistration.from_data(email=request["email"] or None, terms_of_service_agreed=True)
    try:
        account = acme_client.new_account(wanted)
        uri = account.uri
    except errors.ConflictError as known:
        uri = known.location
        network.account = messages.RegistrationResource(uri=uri, body=messages.Registration())
    _write(request["account"], json.dumps({"directory": request["directory"], "uri": uri}).encode("utf-8"))
    return acme_client, key


def _account_key(path: str) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    from mailbox_appliance.acme.pairs import key_pem

    try:
        with open(path, "rb") as file:
            return load_pem_private_key(file.read(), None)
    except FileNotFoundError:
        key = ec.generate_private_key(ec.SECP256R1())
        _write(path, key_pem(key))
        return key


def _known_account(request: dict[str, Any]) -> str:
    try:
        with open(request["account"], "rb") as file:
            known = json.load(file)
    except (FileNotFoundError, ValueError):
        return ""
    return str(known.get("uri", "")) if known.get("directory") == request["directory"] else ""


def _write(path: str, octets: bytes) -> None:
    from mailbox_appliance.acme.disk import write_file

    write_file(path, octets, 0o600)


def _trusted(anchor: str) -> Any:
    """What the authority's own web server is verified against: the system's CAs and the owner's."""
    if not anchor:
        return True
    system = ssl.get_default_verify_paths().cafile
    bundle = b""
    if system and os.path.exists(system):
        with open(system, "rb") as file:
            bundle = file.read() + b"\n"
    with open(anchor, "rb") as file:
        bundle += file.read()
    with tempfile.NamedTemporaryFile(delete=False, suffix=".pem") as joined:
        joined.write(bundle)
    _leftovers.append(joined.name)
    return joined.name


_leftovers: list[str] = []


def _explained(error: Exception, wanted: list[str]) -> dict[str, Any]:
    """The reason in words, names that were refused each with its own, and seconds the authority asks us to wait."""
    from acme import errors, messages

    names: dict[str, str] = {}
    reason = f"{type(error).__name__}: {error}"[:500]
    forget_account = False
    if isinstance(error, errors.ValidationError):
        for authorization in error.failed_authzrs:
            name = authorization.body.identifier.value
            details = [body.error.detail for body in authorization.body.challenges if body.error is not None]
            names[name] = str(details[0] if details else "the authority could not see its token")[:300]
        reason = "the authority could not see our tokens: " + "; ".join(f"{n}: {why}" for n, why in names.items())
    elif isinstance(error, messages.Error):
        reason = str(error.detail or error.description or error.typ or error)[:500]
        forget_account = str(error.typ).endswith(":accountDoesNotExist")
        for problem in error.subproblems or ():
            if problem.identifier is not None:
                names[str(problem.identifier.value)] = str(problem.detail or reason)[:300]
        if not names and str(error.typ).endswith(":rejectedIdentifier"):
            # Some authorities name it in the text alone.
            names = {name: reason for name in wanted if f'"{name}"' in reason}
    elif isinstance(error, errors.TimeoutError):
        reason = "the authority did not come to an end in time"
    elif type(error).__module__.startswith(("requests", "urllib3")):
        reason = f"the authority cannot be reached: {error}"[:500]
    return {"reason": reason, "names": names, "forget_account": forget_account}


if __name__ == "__main__":
    try:
        code = main(sys.stdin, sys.stdout)
    finally:
        for leftover in _leftovers:
            os.unlink(leftover)
    sys.exit(code)

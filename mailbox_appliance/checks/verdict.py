"""The one place where evidence becomes a verdict: two tables and a sum.

First the decisive rows, from the top: the first that fits decides alone, but a row of junk only says "no better than
Junk": what the sum refuses is refused. Else the weights are added: at ``junk_at`` the message is Junk, at ``reject_at``
it is refused. Every row can be replaced by the owner (ChecksSettings).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches

from mailbox_appliance.checks.settings import ChecksSettings
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.mail.verdict import Action, Evidence, Verdict

NOT_AUTHENTIC = Reply(550, "5.7.26", "The domain in From does not allow this message (DMARC)")
NOT_OURS = Reply(550, "5.7.1", "Mail from our own domain does not come this way")
NO_AUTHOR = Reply(550, "5.7.1", "From must name exactly one address that everybody reads alike")
NAMES_TROUBLE = Reply(451, "4.4.3", "A name could not be looked up, try again later")
SPAM = Reply(550, "5.7.1", "This message looks like spam and was not accepted")
LATER = Reply(451, "4.7.1", "Not now, try again later")
NOT_WANTED = Reply(550, "5.7.1", "The recipient does not take mail from this sender")
FILTERED = Reply(550, "5.7.1", "A content filter does not let this message pass")
GREYLISTED = Reply(451, "4.7.1", "Please try again in a few minutes")

_SAID = {Action.REJECT: SPAM, Action.DEFER: LATER}  # for the owner's own rows
# "check result": what is done about it, whatever else is known. In this order.
DECISIVE: Mapping[str, tuple[Action, Reply | None]] = {
    "author unclear": (Action.REJECT, NO_AUTHOR),
    "own forged": (Action.REJECT, NOT_OURS),
    "own temperror": (Action.DEFER, NAMES_TROUBLE),
    "sender blocked": (Action.REJECT, NOT_WANTED),
    "sender allowed": (Action.ACCEPT, None),
    "own changed": (Action.JUNK, None),
    "dmarc fail p=reject": (Action.REJECT, NOT_AUTHENTIC),
    "dmarc temperror": (Action.DEFER, NAMES_TROUBLE),
    "dmarc fail p=quarantine": (Action.JUNK, None),
    "attachment disguised": (Action.JUNK, None),
    "attachment program": (Action.JUNK, None),
    "scanner reject": (Action.REJECT, FILTERED),
    "scanner defer": (Action.DEFER, LATER),
    "scanner down": (Action.DEFER, LATER),
    "scanner discard": (Action.JUNK, None),
    "greylist wait": (Action.DEFER, GREYLISTED),
}

# "check result": its figure; what is not here is 0. DNS lists bring their own.
WEIGHTS: Mapping[str, float] = {
    "fcrdns none": 1.5,
    "fcrdns fail": 1.0,
    "helo forged": 3.0,
    "helo ours": 6.0,
    "helo invalid": 1.5,
    "helo literal": 0.5,
    "helo none": 1.5,
    "helo unknown": 1.0,
    "helo-spf fail": 2.0,
    "spf fail": 3.0,
    "spf softfail": 1.5,
    "spf neutral": 0.5,
    "spf none": 0.5,
    "spf permerror": 1.0,
    "spf everybody": 2.0,  # +all: the domain lets everybody speak for it
    "dkim fail": 0.5,
    "dkim policy": 0.5,
    "dkim permerror": 0.5,
    "dmarc pass": -0.5,
    "dmarc fail p=none": 2.5,
    "dmarc none": 0.5,
    "dmarc stranger": 1.5,  # no policy, and nothing that passed has to do with the author's domain
    "arc fail": 0.5,
    "attachment disguised": 7.0,
    "attachment program": 6.0,
    "attachment smuggling": 6.0,
    "attachment login": 5.5,
    "attachment locked open": 5.5,
    "attachment image": 3.0,
    "attachment macros": 3.5,
    "attachment locked": 2.0,
    "attachment nested": 3.0,
    "attachment page": 1.5,
    "impostor domain": 6.0,
    "impostor our address": 4.0,
    "impostor our name": 3.5,
    "impostor brand domain": 5.5,
    "impostor brand": 4.0,
    "impostor brand in domain": 1.5,
    "impostor role": 1.5,
    "impostor person": 2.5,
    "impostor address": 1.0,
    "impostor hidden": 3.0,
    "impostor mixed": 2.5,
    "impostor reply": 0.3,
    "link inside": 6.0,
    "link homograph": 6.0,
    "link locked": 5.5,
    "link marked": 4.0,
    "link brand": 3.5,
    "link userinfo": 3.5,
    "link disguised": 3.0,
    "link program": 1.5,
    "link number": 2.0,
    "link short": 1.0,
    "lure extortion": 6.0,
    "lure fortune": 5.5,
    "lure gift cards": 4.0,
    "lure call back": 5.5,
    "lure mailbox": 4.0,
    "lure parcel fee": 4.0,
    "lure prize": 3.5,
    "lure easy money": 4.0,
    "lure pills": 5.5,
    "text password": 5.5,
    "text torn": 3.5,
    "text padded": 2.0,
    "text picture": 1.5,
    "text script": 1.0,
    "text invitation": 1.0,
    "sender allowed unproven": -3.0,
    "known correspondent": -4.0,
    "known correspondent unproven": -1.0,
    "known unwanted": 3.0,
    "known unwanted often": 6.0,
    "known wanted": -2.0,
    "known sender": -1.0,
    "known newcomer": 0.0,  # met today for the first time: a wave of junk vouches for nothing
    "known first-time": 0.5,
}
# The filter's own rows have no figure here: it brings one, 5 and more for junk, below 0 for wanted mail.


# Results without a figure of their own, or that bring one: they may be given another, or an action.
_FURTHER = (
    "fcrdns pass,temperror", "helo pass,other,temperror", "dnsbl listed,fault,temperror", "dnswl listed,temperror",
    "domain-list listed,fault,temperror", "helo-spf pass,none,neutral,softfail,temperror,permerror",
    "spf pass,temperror", "dkim pass,none,neutral,temperror", "arc pass,temperror", "own pass,forgiven",
    "dmarc fail forgiven,temperror forgiven,permerror", "dmarc-record fault",
    "scanner spam,ham,quarantine,absent,skipped", "reputation good,bad,temperror", "content junk,ham,temperror",
    "sender temperror", "known temperror", "greylist pass,lane,temperror",
)  # fmt: skip
RESULTS = frozenset(
    {*DECISIVE, *WEIGHTS}
    | {f"{check} {one}" for check, _, results in (row.partition(" ") for row in _FURTHER) for one in results.split(",")}
)


def unknown_results(keys: Iterable[str]) -> list[tuple[str, str]]:
    """Keys of [checks] weights and actions that no check gives, each with the one that was meant ("" for none)."""
    unknown = sorted(set(keys) - RESULTS)
    return [(key, next(iter(get_close_matches(key, RESULTS, 1)), "")) for key in unknown]


@dataclass(frozen=True, slots=True)
class _Outcome:
    action: Action
    reply: Reply | None
    key: str  # the decisive row, "" when the sum decided


def weigh(evidence: Iterable[Evidence], settings: ChecksSettings) -> tuple[Evidence, ...]:
    """The evidence with its figures."""
    weighed = []
    own = settings.weights
    for one in evidence:
        key = f"{one.check} {one.result}"
        figure = WEIGHTS.get(key, one.weight)
        if own:
            figure = own.get(key, figure)
        if figure != one.weight:
            one = Evidence(one.check, one.result, figure, one.reason, one.remedy)
        weighed.append(one)
    return tuple(weighed)


def _may_decide(evidence: Iterable[Evidence], settings: ChecksSettings) -> dict[str, int]:
    """The keys that have a row of their own among the decisive ones, and how often each stands in the evidence."""
    found: dict[str, int] = {}
    for one in evidence:
        key = f"{one.check} {one.result}"
        if key in DECISIVE or key in settings.actions:
            found[key] = found.get(key, 0) + 1
    return found


def _outcome(keys: Collection[str], evidence: Iterable[Evidence], settings: ChecksSettings) -> _Outcome:
    """``keys``: those of the evidence that may decide alone."""
    own = {key: (action, _SAID.get(action)) for key, action in settings.actions.items() if key not in DECISIVE}
    table = {**DECISIVE, **own} if keys else {}
    score = sum([one.weight for one in evidence])
    for key, (action, reply) in table.items():
        if key not in keys:
            continue
        wanted = settings.actions.get(key, action)
        if wanted is Action.JUNK and score >= settings.reject_at:
            return _Outcome(Action.REJECT, SPAM, "")
        if wanted is action:
            return _Outcome(action, reply, key)
        if wanted is not Action.ACCEPT:  # ACCEPT takes the row out of the table
            return _Outcome(wanted, _SAID.get(wanted), key)
    if score >= settings.reject_at:
        return _Outcome(Action.REJECT, SPAM, "")
    return _Outcome(Action.JUNK if score >= settings.junk_at else Action.ACCEPT, None, "")


def decide(evidence: Iterable[Evidence], settings: ChecksSettings) -> Verdict:
    """The verdict, with a reason the owner can read: what decided, and what would have changed it."""
    weighed = weigh(evidence, settings)
    outcome = _outcome(_may_decide(weighed, settings), weighed, settings)
    score = round(sum([one.weight for one in weighed]), 2)
    if outcome.key:
        (one, *_) = [one for one in weighed if f"{one.check} {one.result}" == outcome.key]
        reason = f"{one.check} {one.result}: {one.reason}"
    elif outcome.action is Action.ACCEPT:
        reason = ""
    else:
        heavy = sorted((one for one in weighed if one.weight > 0), key=lambda one: -one.weight)[:4]
        told = "; ".join(f"{one.check} {one.result} {one.weight:+.1f} ({one.reason})" for one in heavy)
        reason = f"{score:g} points of {settings.junk_at:g}: {told}"
    return Verdict(outcome.action, reason, outcome.reply, weighed, score, rests=_rests(outcome, weighed, settings))


def _rests(outcome: _Outcome, evidence: tuple[Evidence, ...], settings: ChecksSettings) -> bool:
    """Refused, but perhaps wrongly: by points that are not overwhelming, or for a signature that broke on the way."""
    if outcome.action is not Action.REJECT:
        return False
    if not outcome.key:
        return sum(one.weight for one in evidence) < 2 * settings.reject_at
    broken = any(one.check == "dkim" and one.result == "fail" for one in evidence)
    return outcome.key == "dmarc fail p=reject" and broken


DONE: Mapping[Action, str] = {
    Action.ACCEPT: "accepted",
    Action.JUNK: "put into Junk",
    Action.DEFER: "put off",
    Action.REJECT: "refused",
}


def turning_points(verdict: Verdict, settings: ChecksSettings) -> tuple[str, ...]:
    """What would have changed the verdict: each piece of evidence without which it would be another.

    Where no single one would, the heaviest that would together; of what was accepted, how far it is from Junk.
    """
    found = []
    keys = _may_decide(verdict.evidence, settings)
    for at, one in enumerate(verdict.evidence):
        key = f"{one.check} {one.result}"
        if not one.weight and keys.get(key) != 1:
            continue  # without it all would be as it is
        rest = verdict.evidence[:at] + verdict.evidence[at + 1 :]
        without = _outcome(keys.keys() - {key} if keys.get(key) == 1 else keys, rest, settings).action
        if without is not verdict.action:
            found.append(_told((one,), without))
    if not found and verdict.action is not Action.ACCEPT:
        found = _together(verdict, settings)
    if verdict.action is Action.ACCEPT and not _outcome(keys, verdict.evidence, settings).key:
        score = sum([one.weight for one in verdict.evidence])
        found.append(f"with {settings.junk_at - score:.1f} points more it would be {DONE[Action.JUNK]}")
    return tuple(found)


def _together(verdict: Verdict, settings: ChecksSettings) -> list[str]:
    """The fewest of the heaviest pieces (what decides goes first) without which the verdict is another."""
    rest, taken = list(verdict.evidence), []
    while rest:
        key = _outcome(_may_decide(rest, settings), rest, settings).key
        heaviest = max(rest, key=lambda one: (f"{one.check} {one.result}" == key, one.weight))
        rest.remove(heaviest)
        taken.append(heaviest)
        without = _outcome(_may_decide(rest, settings), rest, settings).action
        if without is not verdict.action:
            return [_told(tuple(taken), without)]
    return []


def _told(without: tuple[Evidence, ...], action: Action) -> str:
    names = list(dict.fromkeys(f"{one.check} {one.result}" for one in without))
    listed = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    remedies = [one.remedy for one in without if one.remedy] if len(without) == 1 else []
    words = f"without {listed} it would be {DONE[action]}" + (f" ({remedies[0]})" if remedies else "")
    return words.replace(",", ";")  # the journal puts commas between them

"""THREAD's two algorithms (RFC 5256 §3): ORDEREDSUBJECT and REFERENCES, in arrays of small integers.

Both are generators that yield now and then, so that the caller may let others go first; their value is the answer's
octets, ``(2)(3 6 (4 23)(44 7 96))``. Messages come as (number, date, is_reply, subject, id, references) in the order of
the mailbox; nothing recurses, however deep the threads are.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

Threadable = tuple[int, int, bool, bytes, bytes, Sequence[bytes]]
Steps = Generator[None, None, bytes]

STEP = 500
DEEPEST_LOOK = 1000  # ancestors that are looked at before a link is taken for a loop


def ordered_subject(messages: Sequence[Threadable]) -> Steps:
    """Same base subject, by sent date; threads by their first message's date."""
    groups: dict[bytes, list[tuple[int, int]]] = {}
    for index, (number, date, _, subject, _, _) in enumerate(messages):
        groups.setdefault(subject, []).append((date, number))
        if not index % STEP:
            yield
    threads = [sorted(group) for group in groups.values()]
    threads.sort(key=lambda thread: thread[0])
    said = []
    for thread in threads:
        first, *rest = [b"%d" % number for _, number in thread]
        if len(rest) > 1:
            said.append(b"(%b (%b))" % (first, b")(".join(rest)))
        else:
            said.append(b"(%b)" % b" ".join([first, *rest]))
    return b"".join(said)


class _Forest:
    """Nodes are integers: the message's place in ``messages``, or above these for ids nobody has seen a message of."""

    def __init__(self, count: int) -> None:
        self.messages = count
        self.parent: list[int] = [-1] * count
        self.children: list[list[int] | None] = [None] * count
        self.has_child = bytearray(count)

    def dummy(self) -> int:
        self.parent.append(-1)
        self.children.append(None)
        self.has_child.append(0)
        return len(self.parent) - 1

    def links_to_itself(self, child: int, parent: int) -> bool:
        """Would ``parent`` above ``child`` make a loop?"""
        if child == parent:
            return True
        if not self.has_child[child]:
            return False
        above = self.parent
        for _ in range(DEEPEST_LOOK):
            parent = above[parent]
            if parent < 0:
                return False
            if parent == child:
                return True
        return True


def references(messages: Sequence[Threadable]) -> Steps:
    """REFERENCES: steps (1) to (6) of the RFC, numbered as there."""
    forest = _Forest(len(messages))
    yield from _link(forest, messages)  # (1)
    roots = yield from _prune(forest)  # (2), (3)
    dates = [message[1] for message in messages]

    def date_of(node: int) -> tuple[int, int]:
        """Sent date, then place; of a dummy that of its first child."""
        while node >= forest.messages:
            children = forest.children[node]
            assert children  # a dummy without children was pruned
            node = children[0]
        return dates[node], node

    for index, root in enumerate(roots):  # (4): dummies first need their children in order
        if root >= forest.messages:
            (forest.children[root] or []).sort(key=date_of)
        if not index % STEP:
            yield
    roots.sort(key=date_of)
    yield
    roots = yield from _gather(forest, roots, messages)  # (5)
    yield from _sort(forest, roots, date_of)  # (6)
    return (yield from _say(forest, roots, messages))


def _link(forest: _Forest, messages: Sequence[Threadable]) -> Generator[None, None, None]:
    """(1): one node for each id; references are chains of parents."""
    nodes: dict[bytes, int] = {}
    parent = forest.parent
    for index, (_, _, _, _, own, _) in enumerate(messages):
        if own:
            nodes.setdefault(own, index)  # a second message of that id stands for itself
        if not index % STEP:
            yield
    for index, (_, _, _, _, _, refs) in enumerate(messages):
        if not index % STEP:
            yield
        above = -1
        for ref in refs:  # (1)(A)
            node = nodes.get(ref, -1)
            if node < 0:
                node = nodes[ref] = forest.dummy()
            if above >= 0 and parent[node] < 0 and not forest.links_to_itself(node, above):
                parent[node] = above
                forest.has_child[above] = 1
            above = node
        # (1)(B): what the message says of itself counts more than what others said of it
        parent[index] = -1
        if above >= 0 and not forest.links_to_itself(index, above):
            parent[index] = above
            forest.has_child[above] = 1


def _prune(forest: _Forest) -> Generator[None, None, list[int]]:
    """(2) and (3): the roots, and children by node; dummies vanish where they hold nothing together."""
    roots: list[int] = []
    count = forest.messages
    for node, above in enumerate(forest.parent):
        if above < 0:
            roots.append(node)
        else:
            siblings = forest.children[above]
            if siblings is None:
                forest.children[above] = [node]
            else:
                siblings.append(node)
        if not node % STEP:
            yield
    # Dummies below the root: their children move up. Deepest first, so that each is done once.
    order = yield from _parents_first(forest, roots)
    for index, node in enumerate(reversed(order)):
        children = forest.children[node]
        if children and any(child >= count for child in children):
            forest.children[node] = [
                kept for child in children for kept in ([child] if child < count else forest.children[child] or ())
            ]
        if not index % STEP:
            yield
    kept_roots: list[int] = []
    for root in roots:
        children = forest.children[root] or []
        if root < count:
            kept_roots.append(root)
        elif len(children) == 1:
            kept_roots.append(children[0])
        elif children:
            kept_roots.append(root)
    return kept_roots


def _gather(forest: _Forest, roots: list[int], messages: Sequence[Threadable]) -> Generator[None, None, list[int]]:
    """(5): threads of one base subject become one thread."""
    count = forest.messages

    def first_message(root: int) -> Threadable:
        return messages[root if root < count else (forest.children[root] or [root])[0]]

    table: dict[bytes, int] = {}
    for index, root in enumerate(roots):  # (5)(B)
        _, _, is_reply, subject, _, _ = first_message(root)
        if not index % STEP:
            yield
        if not subject:
            continue
        other = table.get(subject)
        if other is None:
            table[subject] = root
        elif other < count and (root >= count or (messages[other][2] and not is_reply)):
            table[subject] = root
    merged: set[int] = set()
    new_roots: dict[int, int] = {}  # a root of the table to the dummy that took its place
    for index, root in enumerate(roots):  # (5)(C)
        if not index % STEP:
            yield
        subject = first_message(root)[3]
        other = table.get(subject, root) if subject else root
        if other == root:
            continue
        merged.add(root)
        target = new_roots.get(other, other)
        mine = forest.children[root] or []
        theirs = forest.children[target]
        if theirs is None:
            theirs = forest.children[target] = []
        if target >= count and root >= count:
            theirs += mine
        elif target >= count or ((messages[root][2] if root < count else False) and not messages[target][2]):
            theirs.append(root)
        else:
            dummy = forest.dummy()
            forest.children[dummy] = [target, root]
            new_roots[other] = dummy
    return [new_roots.get(root, root) for root in roots if root not in merged]


def _parents_first(forest: _Forest, roots: list[int]) -> Generator[None, None, list[int]]:
    """Every node below ``roots``, each behind its parent; backwards it is a walk from the leaves up."""
    order: list[int] = []
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        order.append(node)
        waiting += forest.children[node] or ()
        if not len(order) % STEP:
            yield
    return order


def _sort(forest: _Forest, roots: list[int], date_of: Callable[[int], tuple[int, int]]) -> Generator[None, None, None]:
    """(6): siblings by date, from below, for a dummy's date is its first child's."""
    order = yield from _parents_first(forest, roots)
    for index, node in enumerate(reversed(order)):
        children = forest.children[node]
        if children and len(children) > 1:
            children.sort(key=date_of)
        if not index % STEP:
            yield
    roots.sort(key=date_of)


def _say(forest: _Forest, roots: list[int], messages: Sequence[Threadable]) -> Steps:
    """thread-list: a chain is numbers in a row, a fork is lists behind one another."""
    said: list[bytes] = []
    count = forest.messages
    waiting: list[int | bytes] = []
    for index, root in enumerate(roots):
        waiting += (b")", root)
        said.append(b"(")
        steps = 0
        while waiting:
            item = waiting.pop()
            if isinstance(item, bytes):
                said.append(item)
                continue
            children = forest.children[item] or []
            if item < count:
                said.append(b"%d" % messages[item][0])
                if children:
                    said.append(b" ")
            if len(children) == 1:
                waiting.append(children[0])
            else:
                for child in reversed(children):
                    waiting += (b")", child, b"(")
            steps += 1
            if not steps % STEP:
                yield
        if not index % STEP:
            yield
    return b"".join(said)

"""Malformed messages against every decoder of the wire: python malformed.py --count 100000.

A message begins as one of the samples and is spoilt: in its structure (a value replaced by one of
another kind, a key gone, doubled or misspelt, a list emptied or lengthened), or as text (bytes
changed, cut out, repeated). Whatever comes, a decoder answers with a message or a ProtocolError.
All is drawn from the seed; a failure prints what did it.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).resolve().parents[3])]

import samples

from broker_api.hyperliquid import signing
from broker_api.hyperliquid.wire import account, answers, frames, market
from broker_api.hyperliquid.wire.actions import (
    UserSigned,
    decode_action,
    decode_posted,
    encode_action,
)
from broker_api.hyperliquid.wire.schema import Many, ProtocolError, decode, encode, parse_json

SEED = 20_260_801


class Target(NamedTuple):
    """A decoder of text, and the messages that it is meant for."""

    name: str
    samples: list[Any]
    decode: Callable[[str], object]


def _action(text: str) -> object:
    action = decode_action(parse_json(text))
    assert decode_action(encode_action(action)) == action
    return action


def _posted(text: str) -> object:
    """As a venue does it: decode, hash as it was rebuilt, and recover."""
    posted, action = decode_posted(parse_json(text))
    rebuilt = encode_action(action)
    if isinstance(action, UserSigned):
        return signing.recover_user(posted.signature, rebuilt)
    return signing.recover_l1(
        posted.signature,
        rebuilt,
        posted.nonce,
        is_mainnet=False,
        vault=posted.vault,
        expires_after=posted.expires_after,
    )


def _answer(text: str) -> object:
    answer = answers.decode_answer(parse_json(text))
    assert answers.decode_answer(answers.encode_answer(answer)) == answer
    return answer


def _record(kind: Any) -> Callable[[str], object]:
    def decode_record(text: str) -> object:
        record = decode(kind, parse_json(text))
        assert decode(kind, encode(record, kind)) == record
        return record

    return decode_record


TARGETS = (
    Target("action", samples.ACTIONS, _action),
    Target("posted", samples.POSTED, _posted),
    Target("answer", samples.ANSWERS, _answer),
    Target("frame", samples.FRAMES, frames.decode_frame),
    Target("client frame", samples.CLIENT_FRAMES, frames.decode_client_frame),
    Target("order", [samples.PARENT], _record(account.FullOrder)),
    Target("open orders", [[samples.BASIC_ORDER]], _record(Many[account.BasicOrder])),
    Target("fills", [[samples.FILL] * 2], _record(Many[account.Fill])),
    Target("state", [samples.STATE], _record(account.ClearinghouseState)),
    Target("meta", [samples.META], _record(market.Meta)),
)

ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1 << 70,
    -(1 << 64),
    10**400,
    1.5,
    1e308,
    "",
    "0",
    "-0",
    "1e5",
    "NaN",
    "0x",
    "0x" + "f" * 64,
    "0x" + "g" * 40,
    "9" * 60,
    "\ud800",
    "\x00",
    "İ",
    "a" * 5_000,
    [],
    {},
    [[]],
    {"": None},
    "order",
    "waitingForFill",
)
"""What is put in the place of a value."""


def spoil_structure(random: Random, message: Any) -> str:
    """One to three changes of a copy of the message, as text."""
    message = copy.deepcopy(message)
    for _ in range(random.randint(1, 3)):
        message = _changed(random, message)
    return json.dumps(message)


def _changed(random: Random, message: Any) -> Any:
    places = list(_places(message)) if isinstance(message, dict | list) else []
    if not places or random.random() < 0.02:
        return copy.deepcopy(random.choice(ODD))
    holder, key = random.choice(places)
    match random.randrange(5):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[random.choice([key + "s", key.upper(), "", "type", "\ud800"])] = holder.pop(key)
        case 2:
            other, other_key = random.choice(places)
            if key in holder if isinstance(holder, dict) else key < len(holder):
                holder[key] = copy.deepcopy(other[other_key])
        case 3 if isinstance(holder, list):
            holder.extend([holder[key]] * random.choice([1, 5, 300]))
        case _:
            holder[key] = copy.deepcopy(random.choice(ODD))
    return message


def _places(message: Any) -> Any:
    keys = message if isinstance(message, dict) else range(len(message))
    for key in keys:
        yield message, key
        if isinstance(message[key], dict | list):
            yield from _places(message[key])


def spoil_text(random: Random, message: Any) -> str:
    """A message's text with bytes changed, cut out, repeated, or nested beyond reason."""
    text = json.dumps(message)
    at = random.randrange(len(text))
    end = min(len(text), at + random.choice([1, 1, 5, 50]))
    match random.randrange(6):
        case 0:
            return text[:at]
        case 1:
            return text[:at] + text[end:]
        case 2:
            return text[:end] + text[at:]
        case 3:
            return text[:at] + random.choice('"{}[]:,0-9.eE\\\x00tfnNI\u2028\ud800') + text[end:]
        case 4:
            return random.choice("[{") * random.choice([10, 100_000]) + text
        case _:
            return "".join(chr(random.randrange(1, 0x2FF)) for _ in range(random.randrange(80)))


def attack(seed: int, count: int) -> Counter[str]:
    """Spoil and decode so many messages; what came of them by decoder."""
    random = Random(seed)
    results: Counter[str] = Counter()
    for number in range(count):
        target = TARGETS[number % len(TARGETS)]
        spoil = spoil_text if random.random() < 0.3 else spoil_structure
        text = spoil(random, random.choice(target.samples))
        try:
            target.decode(text)
        except ProtocolError:
            results[f"{target.name}: refused"] += 1
        except BaseException:
            print(f"seed {seed}, message {number}, {target.name}: {text[:2_000]!r}")
            raise
        else:
            results[f"{target.name}: taken"] += 1
    return results


def main() -> None:
    """Attack, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    began = time.perf_counter()
    results = attack(options.seed, options.count)
    for name, number in sorted(results.items()):
        print(f"{number:>9,}  {name}")
    print(f"{options.count:,} messages in {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main()

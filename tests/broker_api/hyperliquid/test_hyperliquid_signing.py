"""Signatures: the published vectors, and the vendor's own SDK on random actions."""

from __future__ import annotations

import copy
import pickle
from random import Random
from typing import Any

import pytest
from eth_account import Account
from hyperliquid.utils import signing as vendor
from hypothesis import given
from hypothesis import strategies as st

from broker_api.errors import ConfigurationError
from broker_api.hyperliquid import signing
from broker_api.hyperliquid.signing import Signer
from broker_api.hyperliquid.wire.actions import (
    Signature,
    decode_action,
    decode_posted,
    encode_action,
    encode_posted,
)
from broker_api.hyperliquid.wire.schema import ProtocolError, decode, encode

KEY = "0x0123456789012345678901234567890123456789012345678901234567890123"
ADDRESS = "0x14791697260E4c9A71f18484C9f997B308e59325"
VAULT = "0x1719884eb866cb12b2287399b15f7db5e7d775ea"
ORDER = {
    "type": "order",
    "orders": [
        {"a": 1, "b": True, "p": "100", "s": "100", "r": False, "t": {"limit": {"tif": "Gtc"}}}
    ],
    "grouping": "na",
}
CANCEL = {"type": "cancel", "cancels": [{"a": 4, "o": 77738308}]}
CHAIN = {"signatureChainId": "0x66eee", "hyperliquidChain": "Testnet"}
TRANSFER = {
    "type": "usdClassTransfer",
    "amount": "1.23",
    "toPerp": True,
    "nonce": 1700000000000,
    **CHAIN,
}
AGENT = {
    "type": "approveAgent",
    "agentAddress": "0x5e9ee1089755c3435139848e47e6635505d5a13a",
    "nonce": 1700000000000,
    **CHAIN,
}


def test_the_address_is_the_keys() -> None:
    signer = Signer(KEY)
    assert signer.address == ADDRESS.lower()


def test_hash_and_digest_of_the_vectors() -> None:
    plain = signing.action_hash(ORDER, 0)
    assert plain.hex() == "884f2c32bb6dbdd65f6033e32fb28c0cb6f5b345db0f6471fd3366d85c9252c1"
    digest = signing.l1_digest(plain, is_mainnet=False)
    assert digest.hex() == "606be2d25f68768f876dc04a2c3c86ceafd2d6a3c3cbb963454462d6734ebfa6"
    full = signing.action_hash(ORDER, 1700000000000, VAULT, 1700000060000)
    assert full.hex() == "6c3194841adb1383248be40c6a17610cf32eea1b78be74c3c16183cd9800eb2b"


def test_signatures_of_the_vectors_without_padding() -> None:
    signer = Signer(KEY)
    order = signing.sign_l1(signer, ORDER, 0, is_mainnet=False)
    assert encode(order) == {
        "r": "0x82b2ba28e76b3d761093aaded1b1cdad4960b3af30212b343fb2e6cdfa4e3d54",
        "s": "0x6b53878fc99d26047f4d7e8c90eb98955a109f44209163f52d8dc4278cbbd9f5",
        "v": 27,
    }
    full = signing.sign_l1(
        signer,
        ORDER,
        1700000000000,
        is_mainnet=False,
        vault=VAULT,
        expires_after=1700000060000,
    )
    assert encode(full) == {
        "r": "0x7f9d8e175585e2fb697da5f45469ceb2aab8f21be390962ab002ab08aa0a873",
        "s": "0x676e93a6bd1a4aae7f4c5bacd997e973bba1f2cb6483c12ba253e2dd51fc0115",
        "v": 27,
    }
    cancel = signing.sign_l1(signer, CANCEL, 1700000000000, is_mainnet=True)
    assert encode(cancel) == {
        "r": "0x484acd25010a4f7edf2231c7e54d89ddfac13a2d095be5e2a4e66743cc6b654a",
        "s": "0x31d236f60f454739e1f05706e9e6276cc9fe1056db1f9704b8577073030cdd00",
        "v": 27,
    }


def test_user_signed_vectors() -> None:
    signer = Signer(KEY)
    assert encode(signer.sign(signing.user_digest(TRANSFER))) == {
        "r": "0x707f943bb8e31d339ae8d55aefc33868559d775e5e6a1ee0a62f1462736366a3",
        "s": "0x48181246754ad6bd5dca439d8a31805c45359ad77b7b13eec099fbc357af899b",
        "v": 27,
    }
    assert encode(signer.sign(signing.user_digest(AGENT))) == {
        "r": "0x524862e2b34223c4eb528fc24097be7cfc62eae3341856ee0eb2146948511ad6",
        "s": "0x5fe72cee4d895e2632e457f9b42ee7688b3737950e188cd6a936713b992cf109",
        "v": 28,
    }


def test_a_name_that_an_agent_does_not_have_is_the_empty_text() -> None:
    assert signing.user_digest(AGENT) == signing.user_digest({**AGENT, "agentName": ""})
    assert signing.user_digest(AGENT) != signing.user_digest({**AGENT, "agentName": "bot"})


# --- against the vendor's own code -------------------------------------------------------------

keys = st.integers(1, (1 << 250)).map(lambda number: f"{number:#066x}")
nonces = st.integers(0, (1 << 63) - 1)
addresses = st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())
cloids = st.binary(min_size=16, max_size=16).map(lambda raw: "0x" + raw.hex())
numbers = st.decimals(0, 10**6, places=3).map(lambda value: f"{value.normalize():f}")
limits = st.sampled_from(["Gtc", "Ioc", "Alo"]).map(lambda tif: {"limit": {"tif": tif}})
triggers = st.builds(
    lambda market, price, tpsl: {"trigger": {"isMarket": market, "triggerPx": price, "tpsl": tpsl}},
    st.booleans(),
    numbers,
    st.sampled_from(["tp", "sl"]),
)
orders = st.builds(
    lambda a, b, p, s, r, t, c: {
        **{"a": a, "b": b, "p": p, "s": s, "r": r, "t": t},
        **({} if c is None else {"c": c}),
    },
    st.integers(0, 200),
    st.booleans(),
    numbers,
    numbers,
    st.booleans(),
    limits | triggers,
    st.none() | cloids,
)
actions = st.one_of(
    st.builds(
        lambda items, grouping: {"type": "order", "orders": items, "grouping": grouping},
        st.lists(orders, max_size=4),
        st.sampled_from(["na", "normalTpsl", "positionTpsl"]),
    ),
    st.builds(
        lambda items: {"type": "cancel", "cancels": items},
        st.lists(st.builds(lambda a, o: {"a": a, "o": o}, st.integers(0, 200), nonces)),
    ),
    st.builds(
        lambda items: {"type": "cancelByCloid", "cancels": items},
        st.lists(st.builds(lambda a, c: {"asset": a, "cloid": c}, st.integers(0, 200), cloids)),
    ),
    st.builds(
        lambda items: {"type": "batchModify", "modifies": items},
        st.lists(st.builds(lambda o, each: {"oid": o, "order": each}, nonces | cloids, orders)),
    ),
    st.builds(
        lambda t: {"type": "scheduleCancel", **({} if t is None else {"time": t})},
        st.none() | nonces,
    ),
    st.builds(
        lambda a, c, n: {"type": "updateLeverage", "asset": a, "isCross": c, "leverage": n},
        st.integers(0, 200),
        st.booleans(),
        st.integers(1, 50),
    ),
)


@given(keys, actions, nonces, st.none() | addresses, st.none() | nonces, st.booleans())
def test_l1_signatures_are_the_vendors(
    key: str,
    action: dict[str, Any],
    nonce: int,
    vault: str | None,
    expiry: int | None,
    is_mainnet: bool,
) -> None:
    theirs = vendor.sign_l1_action(
        Account.from_key(key), copy.deepcopy(action), vault, nonce, expiry, is_mainnet
    )
    rebuilt = encode_action(decode_action(action))
    assert rebuilt == action
    terms: dict[str, Any] = {"is_mainnet": is_mainnet, "vault": vault, "expires_after": expiry}
    ours = signing.sign_l1(Signer(key), rebuilt, nonce, **terms)
    assert encode(ours) == theirs
    read = decode(Signature, theirs)
    assert signing.recover_l1(read, rebuilt, nonce, **terms) == Signer(key).address


@given(keys, st.sampled_from(sorted(signing.USER_SIGNED)), nonces, addresses, st.text(max_size=20))
def test_user_signatures_are_the_vendors(
    key: str, kind: str, nonce: int, address: str, text: str
) -> None:
    name, fields = signing.USER_SIGNED[kind]
    values = {"string": text, "address": address, "uint64": nonce, "bool": nonce % 2 == 0}
    action: dict[str, Any] = {"type": kind, **{field: values[form] for field, form in fields}}
    types = [{"name": field, "type": form} for field, form in fields]
    theirs = vendor.sign_user_signed_action(
        Account.from_key(key),
        action,
        [{"name": "hyperliquidChain", "type": "string"}, *types],
        f"HyperliquidTransaction:{name}",
        False,
    )
    assert encode(Signer(key).sign(signing.user_digest(action))) == theirs
    assert signing.recover_user(decode(Signature, theirs), action) == Signer(key).address


def test_short_words_are_read_as_numbers() -> None:
    random = Random(5)
    short = 0
    for nonce in range(400):
        signer = Signer(f"{random.getrandbits(255) | 1:064x}")
        words = encode(signing.sign_l1(signer, CANCEL, nonce, is_mainnet=False))
        short += min(len(words["r"]), len(words["s"])) < 66
        read = decode(Signature, words)
        assert signing.recover_l1(read, CANCEL, nonce, is_mainnet=False) == signer.address
    assert short > 20


# --- what is not right -------------------------------------------------------------------------


def test_another_hash_gives_another_address() -> None:
    signed = signing.sign_l1(Signer(KEY), ORDER, 7, is_mainnet=False)
    assert signing.recover_l1(signed, ORDER, 7, is_mainnet=False) == ADDRESS.lower()
    for other in (
        signing.recover_l1(signed, ORDER, 8, is_mainnet=False),
        signing.recover_l1(signed, ORDER, 7, is_mainnet=True),
        signing.recover_l1(signed, ORDER, 7, is_mainnet=False, vault=VAULT),
        signing.recover_l1(signed, ORDER, 7, is_mainnet=False, expires_after=9),
        signing.recover_l1(signed, {**ORDER, "grouping": "normalTpsl"}, 7, is_mainnet=False),
    ):
        assert other != ADDRESS.lower()


@pytest.mark.parametrize(
    "words", [(0, 0, 27), ((1 << 256) - 1, 1, 28), (1, 1, 5), (1 << 300, 1, 27)]
)
def test_words_that_no_key_makes_are_refused(words: tuple[int, int, int]) -> None:
    with pytest.raises(ProtocolError, match="signature"):
        signing.recover(bytes(32), Signature(*words))


@pytest.mark.parametrize(
    "change",
    [
        {"type": "order"},
        {"type": "nothing"},
        {"amount": 5},
        {"toPerp": "yes"},
        {"nonce": -1},
        {"nonce": 1 << 64},
        {"nonce": "5"},
        {"signatureChainId": "sixty"},
        {"signatureChainId": 5},
        {"signatureChainId": "0x" + "f" * 65},
        {"signatureChainId": "-0x1"},
    ],
)
def test_what_cannot_be_hashed_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match="action"):
        signing.user_digest({**TRANSFER, **change})


@pytest.mark.parametrize("action", [{"a": 1 << 64}, {"a": {1, 2}}, {"a": "\ud800"}])
def test_what_msgpack_cannot_carry_is_refused(action: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match="hashed"):
        signing.action_hash(action, 0)


@pytest.mark.parametrize("key", ["", "0x12", "z" * 64, "0" * 64, KEY + "00", "f" * 64])
def test_a_key_that_is_none_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Signer(key)
    assert len(key) < 10 or key not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_signer_shows_its_address_and_never_its_key() -> None:
    signer = Signer(KEY)
    assert KEY[2:] not in repr(signer) + str(signer)
    assert repr(signer) == f"Signer({ADDRESS.lower()})"
    for copier in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="private key"):
            copier(signer)


def test_an_envelope_comes_back_as_it_was_posted() -> None:
    signed = signing.sign_l1(Signer(KEY), ORDER, 5, is_mainnet=False)
    posted, action = decode_posted(encode_posted(ORDER, 5, signed))
    assert (posted.nonce, posted.vault, posted.expires_after) == (5, None, None)
    assert signing.recover_l1(posted.signature, encode_action(action), 5, is_mainnet=False) == (
        ADDRESS.lower()
    )

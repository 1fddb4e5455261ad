"""The venue's two kinds of signatures: made from a key, and read back to the signer's address.

L1 actions (orders, cancels, leverage) are hashed as msgpack in their own key order, and the hash is
signed inside an EIP-712 struct `Agent`. User-signed actions (transfers, agents) are EIP-712 structs
of their own fields. Nothing else authenticates a request: whoever's address is recovered, acted.
Sources: the venue's documentation, "Signing", and EIP-712.

The curve is libsecp256k1's (coincurve), Keccak pycryptodome's, msgpack the reference package's.
Only what EIP-712 asks of flat structs is written here: none of the venue's structs nests.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NoReturn

import coincurve
import msgpack
from Crypto.Hash import keccak

from broker_api.errors import ConfigurationError
from broker_api.hyperliquid.wire.actions import Signature
from broker_api.hyperliquid.wire.schema import ProtocolError

MAINNET_SOURCE, OTHER_SOURCE = "a", "b"
"""What `source` says in the signed struct: the main network, or any other."""

_L1_CHAIN_ID = 1337
_NO_ADDRESS = bytes(32)
_WORD_MAX = (1 << 256) - 1

_PREFIX = "HyperliquidTransaction:"
USER_SIGNED: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "approveAgent": (
        "ApproveAgent",
        (("agentAddress", "address"), ("agentName", "string"), ("nonce", "uint64")),
    ),
    "approveBuilderFee": (
        "ApproveBuilderFee",
        (("maxFeeRate", "string"), ("builder", "address"), ("nonce", "uint64")),
    ),
    "usdClassTransfer": (
        "UsdClassTransfer",
        (("amount", "string"), ("toPerp", "bool"), ("nonce", "uint64")),
    ),
    "usdSend": (
        "UsdSend",
        (("destination", "string"), ("amount", "string"), ("time", "uint64")),
    ),
    "spotSend": (
        "SpotSend",
        (
            ("destination", "string"),
            ("token", "string"),
            ("amount", "string"),
            ("time", "uint64"),
        ),
    ),
    "withdraw3": (
        "Withdraw",
        (("destination", "string"), ("amount", "string"), ("time", "uint64")),
    ),
    "sendAsset": (
        "SendAsset",
        (
            ("destination", "string"),
            ("sourceDex", "string"),
            ("destinationDex", "string"),
            ("token", "string"),
            ("amount", "string"),
            ("fromSubAccount", "string"),
            ("nonce", "uint64"),
        ),
    ),
    "tokenDelegate": (
        "TokenDelegate",
        (
            ("validator", "address"),
            ("wei", "uint64"),
            ("isUndelegate", "bool"),
            ("nonce", "uint64"),
        ),
    ),
    "userDexAbstraction": (
        "UserDexAbstraction",
        (("user", "address"), ("enabled", "bool"), ("nonce", "uint64")),
    ),
    "userSetAbstraction": (
        "UserSetAbstraction",
        (("user", "address"), ("abstraction", "string"), ("nonce", "uint64")),
    ),
    "convertToMultiSigUser": (
        "ConvertToMultiSigUser",
        (("signers", "string"), ("nonce", "uint64")),
    ),
}
"""By the type of a user-signed action: its struct's name, and its fields behind
`hyperliquidChain`."""


def keccak256(data: bytes) -> bytes:
    """Keccak-256 as Ethereum uses it (not the later SHA3-256)."""
    return keccak.new(digest_bits=256, data=data).digest()


class Signer:
    """A private key that signs and never shows itself: its text and its pickle hold no key."""

    __slots__ = ("_key", "address")

    def __init__(self, private_key: str) -> None:
        """From 64 hex digits, with or without 0x. Raises ConfigurationError, without the key."""
        digits = private_key.strip().removeprefix("0x")
        try:
            raw = bytes.fromhex(digits) if len(digits) == 64 else b""
            self._key = coincurve.PrivateKey(raw)
        except ValueError:
            raise ConfigurationError(
                "private key: not the 64 hex digits of a secp256k1 key"
            ) from None
        self.address: str = _address_of(self._key.public_key)

    def sign(self, digest: bytes) -> Signature:
        """Sign 32 bytes; the nonce of the curve is that of RFC 6979, so that equal is equal."""
        signed = self._key.sign_recoverable(digest, hasher=None)
        r, s = int.from_bytes(signed[:32], "big"), int.from_bytes(signed[32:64], "big")
        return Signature(r, s, signed[64] + 27)

    def __repr__(self) -> str:
        return f"Signer({self.address})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Signer holds a private key and cannot be copied or stored")


def _address_of(public_key: coincurve.PublicKey) -> str:
    return "0x" + keccak256(public_key.format(compressed=False)[1:])[-20:].hex()


def recover(digest: bytes, signature: Signature) -> str:
    """The address, in lower case, whose key signed these 32 bytes.

    A signature of other bytes gives some other address. Raises ProtocolError where no key at all
    could have made the signature.
    """
    recovery = signature.v - 27 if signature.v >= 27 else signature.v
    if signature.r > _WORD_MAX or signature.s > _WORD_MAX or recovery not in (0, 1):
        raise ProtocolError("signature", "its words are no point of the curve")
    words = signature.r.to_bytes(32, "big") + signature.s.to_bytes(32, "big") + bytes([recovery])
    try:
        return _address_of(
            coincurve.PublicKey.from_signature_and_message(words, digest, hasher=None)
        )
    except Exception:  # the library raises bare Exception for points that are not on the curve
        raise ProtocolError("signature", "its words are no point of the curve") from None


# --- L1 actions --------------------------------------------------------------------------------


def action_hash(
    action: Mapping[str, Any],
    nonce: int,
    vault: str | None = None,
    expires_after: int | None = None,
) -> bytes:
    """The `connectionId`: Keccak over the action in its key order, nonce, vault and expiry.

    Times are milliseconds. What is None is absent from the hash, whatever the envelope says.
    Raises ProtocolError for what msgpack cannot carry.
    """
    try:
        data: bytes = msgpack.packb(action)
    except (OverflowError, TypeError, ValueError, RecursionError) as fault:
        raise ProtocolError("action", f"cannot be hashed: {str(fault)[:80]}") from None
    data += nonce.to_bytes(8, "big")
    data += b"\x00" if vault is None else b"\x01" + _address_bytes(vault)
    if expires_after is not None:
        data += b"\x00" + expires_after.to_bytes(8, "big")
    return keccak256(data)


def l1_digest(connection_id: bytes, *, is_mainnet: bool) -> bytes:
    """What is signed for an action of this hash."""
    source = MAINNET_SOURCE if is_mainnet else OTHER_SOURCE
    type_hash = keccak256(b"Agent(string source,bytes32 connectionId)")
    struct = keccak256(type_hash + keccak256(source.encode()) + connection_id)
    return keccak256(b"\x19\x01" + _domain("Exchange", _L1_CHAIN_ID) + struct)


def sign_l1(
    signer: Signer,
    action: Mapping[str, Any],
    nonce: int,
    *,
    is_mainnet: bool,
    vault: str | None = None,
    expires_after: int | None = None,
) -> Signature:
    """Sign an L1 action as it will be posted."""
    connection_id = action_hash(action, nonce, vault, expires_after)
    return signer.sign(l1_digest(connection_id, is_mainnet=is_mainnet))


def recover_l1(
    signature: Signature,
    action: Mapping[str, Any],
    nonce: int,
    *,
    is_mainnet: bool,
    vault: str | None = None,
    expires_after: int | None = None,
) -> str:
    """Whose key signed an L1 action; see `recover`."""
    connection_id = action_hash(action, nonce, vault, expires_after)
    return recover(l1_digest(connection_id, is_mainnet=is_mainnet), signature)


# --- user-signed actions -----------------------------------------------------------------------


def user_digest(action: Mapping[str, Any]) -> bytes:
    """What is signed for a user-signed action, which names its chain and its network itself.

    A name that an agent does not have counts as the empty text. Raises ProtocolError for an action
    that is not user-signed or lacks a field.
    """
    try:
        name, own_fields = USER_SIGNED[action["type"]]
        fields = (("hyperliquidChain", "string"), *own_fields)
        words = [_word(kind, _field(action, field)) for field, kind in fields]
        chain_id = int(action["signatureChainId"], 16)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as fault:
        raise ProtocolError(
            "action", f"cannot be hashed as a user-signed action: {fault!r}"
        ) from None
    if not 0 <= chain_id <= _WORD_MAX:
        raise ProtocolError("action.signatureChainId", "is no chain id")
    struct = keccak256(_type_hash(name, fields) + b"".join(words))
    return keccak256(b"\x19\x01" + _domain("HyperliquidSignTransaction", chain_id) + struct)


def _field(action: Mapping[str, Any], field: str) -> Any:
    return action.get(field) or "" if field == "agentName" else action[field]


def recover_user(signature: Signature, action: Mapping[str, Any]) -> str:
    """Whose key signed a user-signed action; see `recover`."""
    return recover(user_digest(action), signature)


# --- EIP-712 of flat structs -------------------------------------------------------------------


def _word(kind: str, value: Any) -> bytes:
    """A value of a struct as its 32 bytes."""
    if kind == "string":
        return keccak256(value.encode())
    if kind == "address":
        return _address_bytes(value).rjust(32, b"\x00")
    if kind == "bool" and not isinstance(value, bool):
        raise TypeError(f"{value!r} is not true or false")
    number: int = value
    return number.to_bytes(8, "big").rjust(32, b"\x00")


def _address_bytes(address: str) -> bytes:
    raw = bytes.fromhex(address.removeprefix("0x"))
    if len(raw) != 20:
        raise ValueError(f"{address!r} is no address")
    return raw


@lru_cache(maxsize=64)
def _type_hash(name: str, fields: tuple[tuple[str, str], ...]) -> bytes:
    members = ",".join(f"{kind} {field}" for field, kind in fields)
    return keccak256(f"{_PREFIX}{name}({members})".encode())


@lru_cache(maxsize=64)
def _domain(name: str, chain_id: int) -> bytes:
    """The separator of a domain of version 1 without a contract."""
    type_hash = keccak256(
        b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    )
    words = keccak256(name.encode()) + keccak256(b"1") + chain_id.to_bytes(32, "big") + _NO_ADDRESS
    return keccak256(type_hash + words)

"""Content encrypted at rest: messages, answers and documents, in tables, checkpoints and cache.

Fernet (AES-128-CBC with HMAC-SHA256): what was tampered with does not open. The first key seals, every key
opens: rotated in as a new first one, a key needs no rewriting of what is stored.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Callable
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer

MARK = "f1:"
CIPHER = "fernet"


class Unreadable(Exception):
    """None of the keys opens it: it was tampered with, or its key was taken away too early."""


def keys(text: str) -> MultiFernet:
    """The keys in `text`, one a line, the sealing one first; raises ValueError.

    A Fernet key is two: the first half signs, the second encrypts. Two keys of one signing half take each
    other's tokens for their own, and one in 256 decrypts to noise instead of being left to the right key.
    """
    lines = list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    if not lines:
        raise ValueError("no key")
    found = [Fernet(line) for line in lines]
    if len({urlsafe_b64decode(line)[:16] for line in lines}) < len(lines):
        raise ValueError("two keys have the same signing half: make each of random bytes of its own")
    return MultiFernet(found)


class Box:
    """Seals and opens texts by the keys in force; without keys it leaves them as they are.

    A text that was stored before there were keys has no mark, and is as it is.
    """

    def __init__(self, keys: Callable[[], MultiFernet | None] = lambda: None) -> None:
        self._keys = keys

    @property
    def seals(self) -> bool:
        """Whether there are keys."""
        return self._keys() is not None

    def seal(self, text: str) -> str:
        """The text as it is stored."""
        return MARK + self.encrypt(text.encode())[1].decode() if self.seals else text

    def open(self, stored: str, *, sealed_only: bool = False) -> str:
        """The text that was stored; raises Unreadable, with `sealed_only` also for one without the mark."""
        if not stored.startswith(MARK):
            if sealed_only and self.seals:
                raise Unreadable("it was never sealed")
            return stored
        return self.decrypt(CIPHER, stored.removeprefix(MARK).encode()).decode()

    # As langgraph's CipherProtocol.

    def encrypt(self, plaintext: bytes) -> tuple[str, bytes]:
        """The cipher's name and the ciphertext; only where it `seals`."""
        found = self._keys()
        assert found is not None
        return CIPHER, found.encrypt(plaintext)

    def decrypt(self, ciphername: str, ciphertext: bytes) -> bytes:
        """The plaintext; raises Unreadable."""
        found = self._keys()
        if found is None or ciphername != CIPHER:
            raise Unreadable(f"no key for {ciphername}")
        try:
            return found.decrypt(ciphertext)
        except InvalidToken:
            raise Unreadable("no key opens it") from None


PLAIN = Box()


class ContentSerializer(EncryptedSerializer):
    """langgraph's, which encrypts what a checkpoint keeps beside it, unless the box has no keys."""

    def __init__(self, box: Box) -> None:
        super().__init__(box)
        self._box = box

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """As SerializerProtocol."""
        return super().dumps_typed(obj) if self._box.seals else self.serde.dumps_typed(obj)


class SealedSaver(BaseCheckpointSaver[str]):
    """Mixed into a saver: seals the texts of a checkpoint as well.

    The savers for Postgres keep texts inside the checkpoint's row, past every serializer, so langgraph's
    EncryptedSerializer alone would leave all of a conversation readable.
    """

    box: Box = PLAIN

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store it with every text sealed."""
        sealed = _texts(checkpoint, self.box.seal)
        return await super().aput(config, sealed, metadata, new_versions)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The stored checkpoint, opened; raises Unreadable."""
        found = await super().aget_tuple(config)
        return found and found._replace(checkpoint=_texts(found.checkpoint, self.box.open))


def _texts(checkpoint: Checkpoint, change: Callable[[str], str]) -> Checkpoint:
    values = checkpoint["channel_values"]
    changed = {name: change(value) if isinstance(value, str) else value for name, value in values.items()}
    return {**checkpoint, "channel_values": changed}

"""One tenant's part of the store: sealed, bounded, counted, and dropped at a word."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib import resources
from typing import Any, Literal

import redis
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from redis.exceptions import ResponseError

from unabridged.proxy.cache import RedisCache, StoreDown

LEASE_SECONDS = 3.0
"""How long what a process computes is waited for after that process died."""
BEAT_SECONDS = 1.0
"""How often a process says that it still computes, and adds up its hits and misses."""
PAUSE_SECONDS = 0.02
MOST_BYTES = 64 * 2**20
"""What one tenant's values may take; the ones not used for longest go first."""
OWNERS = "unabridged:shelves"
"""A hash: who has a shelf, by the name that its keys carry."""
_DROPPED_AT_ONCE = 500
_NONCE = 12

Told = bytes | Literal["mine", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Values of one owner, each sealed under the secret and its own name."""

    owner: str
    """Whose values these are, such as acme/research."""
    shelves: Shelves
    tag: str
    """What stands for the owner in the store's keys."""

    def get(self, keys: Sequence[str]) -> list[bytes | None]:
        """The values; None: there is none, or it is not ours. Raises StoreDown."""
        names = [self._name(key) for key in keys]
        told = self.shelves.call("get", self.tag, *names)
        return [self._open(n, value) for n, value in zip(names, told, strict=True)]

    def take(self, keys: Sequence[str]) -> list[Told]:
        """See once.Store. A value that is not ours is the caller's to compute."""
        names = [self._name(key) for key in keys]
        lease = str(int(LEASE_SECONDS * 1000))
        told = self.shelves.call("take", self.tag, self._who(), lease, *names)
        found: list[Told] = []
        for name, value in zip(names, told, strict=True):
            if value == b"other":
                found.append("other")
            else:
                opened = None if value == b"mine" else self._open(name, value)
                found.append("mine" if opened is None else opened)
        mine = [n for n, value in zip(names, told, strict=True) if value == b"mine"]
        self.shelves.hold(self.tag, self._who(), mine)
        return found

    def put(self, values: Mapping[str, bytes], *, seconds: int) -> None:
        """See once.Store."""
        args: list[str | bytes] = []
        for key, value in values.items():
            name = self._name(key)
            self.shelves.let_go(self.tag, self._who(), [name])
            args += [name, self._seal(name, value)]
        most = str(self.shelves.most_bytes)
        self.shelves.call("put", self.tag, most, str(seconds * 1000), *args)

    def give_up(self, keys: Sequence[str]) -> None:
        """See once.Store."""
        names = [self._name(key) for key in keys]
        self.shelves.let_go(self.tag, self._who(), names)
        self.shelves.call("hold", self.tag, self._who(), "0", *names)

    def pause(self) -> None:
        """See once.Store."""
        time.sleep(PAUSE_SECONDS)

    def count(self, route: str, use: str) -> None:
        """One request of a route was served so; written with the next beat."""
        self.shelves.count(self.owner, self.tag, route, use)

    def drop(self) -> int:
        """Forgets everything; gives how many values that were. Raises StoreDown."""
        dropped = 0
        while gone := int(self.shelves.call("drop", self.tag, str(_DROPPED_AT_ONCE))):
            dropped += gone
        return dropped

    def _name(self, key: str) -> str:
        whole = f"{len(self.owner)}:{self.owner}{key}".encode("utf-8", "surrogatepass")
        return hmac.new(self.shelves.secret, whole, hashlib.sha256).hexdigest()[:40]

    def _who(self) -> str:
        return f"{self.shelves.process}:{threading.get_ident()}"

    def _seal(self, name: str, value: bytes) -> bytes:
        nonce = os.urandom(_NONCE)
        return nonce + self.shelves.sealing.encrypt(nonce, value, name.encode())

    def _open(self, name: str, value: bytes) -> bytes | None:
        if len(value) <= _NONCE:
            return None
        try:
            return self.shelves.sealing.decrypt(value[:_NONCE], value[_NONCE:], name.encode())
        except InvalidTag:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Uses:
    """What one shelf holds and how often it helped."""

    owner: str
    values: int
    bytes: int
    """At most: what has expired counts until it is the least recently used."""
    routes: Mapping[str, Mapping[str, int]]
    """Requests by route and by how they were served."""


class Shelves:
    """The shelves of all owners in one store, and what this process computes for them."""

    def __init__(self, cache: RedisCache, secret: bytes, *, most_bytes: int = MOST_BYTES) -> None:
        """`secret`: at least 32 bytes; replicas that share a store share it."""
        self.secret = hmac.digest(secret, b"names of shelves", hashlib.sha256)
        self.sealing = AESGCM(hmac.digest(secret, b"values of shelves", hashlib.sha256))
        self.most_bytes = most_bytes
        self.process = secrets.token_hex(8)
        self._cache = cache
        self._lock = threading.Lock()
        self._held: dict[tuple[str, str], set[str]] = {}
        self._counted: Counter[tuple[str, str, str]] = Counter()
        self._owners: dict[str, str] = {}
        self._stopped = threading.Event()
        self._beating: threading.Thread | None = None

    def of(self, owner: str) -> Shelf:
        """The shelf of an owner."""
        tag = hmac.new(self.secret, owner.encode("utf-8", "surrogatepass"), hashlib.sha256)
        return Shelf(owner=owner, shelves=self, tag=tag.hexdigest()[:24])

    def uses(self) -> list[Uses]:
        """All shelves, the largest first. Raises StoreDown."""
        owners = self._cache.do(lambda client: client.hgetall(OWNERS))
        found = []
        for tag, owner in owners.items():
            values, total, counts = self._cache.do(partial(_sizes, tag=tag.decode()))
            routes: dict[str, dict[str, int]] = {}
            for name, number in counts.items():
                route, use = json.loads(name)
                routes.setdefault(route, {})[use] = int(number)
            found.append(Uses(owner=owner.decode(), values=values, bytes=total, routes=routes))
        return sorted(found, key=lambda each: (-each.bytes, each.owner))

    def call(self, name: str, tag: str, *args: str | bytes) -> Any:
        """One step in the store. Raises StoreDown."""
        code, version = functions()
        start = prefix(tag)

        def ask(client: redis.Redis) -> Any:
            function = f"unabridged_{name}_{version}"
            try:
                return client.fcall(function, 1, start + "i", start, *args)
            except ResponseError as error:
                if "Function not found" not in str(error):
                    raise
            client.function_load(code, replace=True)
            return client.fcall(function, 1, start + "i", start, *args)

        return self._cache.do(ask)

    def hold(self, tag: str, who: str, names: Sequence[str]) -> None:
        """From now on every beat tells that these are being computed."""
        if names:
            with self._lock:
                self._held.setdefault((tag, who), set()).update(names)
            self._start()

    def let_go(self, tag: str, who: str, names: Sequence[str]) -> None:
        """These are not being computed any more."""
        with self._lock:
            left = self._held.get((tag, who), set())
            left.difference_update(names)
            if not left:
                self._held.pop((tag, who), None)

    def count(self, owner: str, tag: str, route: str, use: str) -> None:
        with self._lock:
            self._owners[tag] = owner
            self._counted[tag, route, use] += 1
        self._start()

    def beat(self) -> None:
        """Renews what is held and writes what was counted. Raises StoreDown."""
        with self._lock:
            held = [(tag, who, tuple(names)) for (tag, who), names in self._held.items()]
            counted, owners = self._counted, self._owners
            self._counted, self._owners = Counter(), {}
        for tag, who, names in held:
            self.call("hold", tag, who, str(int(LEASE_SECONDS * 1000)), *names)
        if counted:
            self._cache.do(lambda client: _write(client, owners, counted))

    def close(self) -> None:
        """Writes what was counted."""
        self._stopped.set()
        with contextlib.suppress(StoreDown):
            self.beat()

    def _start(self) -> None:
        if self._beating is None:
            with self._lock:
                if self._beating is not None:
                    return
                self._beating = threading.Thread(
                    target=self._beat_on, name="unabridged-shelves", daemon=True
                )
            self._beating.start()

    def _beat_on(self) -> None:
        while not self._stopped.wait(BEAT_SECONDS):
            with contextlib.suppress(StoreDown):
                self.beat()


class MemoryShelf:
    """The same in this process, for tests; what is not used for longest goes first."""

    def __init__(self, *, most_bytes: int = MOST_BYTES) -> None:
        self.values: OrderedDict[str, bytes] = OrderedDict()
        self.counted: Counter[tuple[str, str]] = Counter()
        self._most = most_bytes
        self._lock = threading.Lock()
        self._claims: dict[str, int] = {}

    def get(self, keys: Sequence[str]) -> list[bytes | None]:
        with self._lock:
            return [self.values.get(key) for key in keys]

    def take(self, keys: Sequence[str]) -> list[Told]:
        with self._lock:
            return [self._take(key) for key in keys]

    def put(self, values: Mapping[str, bytes], *, seconds: int) -> None:
        with self._lock:
            for key, value in values.items():
                self.values[key] = value
                self.values.move_to_end(key)
                self._claims.pop(key, None)
            while sum(map(len, self.values.values())) > self._most:
                self.values.popitem(last=False)

    def give_up(self, keys: Sequence[str]) -> None:
        with self._lock:
            for key in keys:
                self._claims.pop(key, None)

    def pause(self) -> None:
        time.sleep(0.001)

    def count(self, route: str, use: str) -> None:
        self.counted[route, use] += 1

    def _take(self, key: str) -> Told:
        if key in self.values:
            self.values.move_to_end(key)
            return self.values[key]
        me = threading.get_ident()
        return "mine" if self._claims.setdefault(key, me) == me else "other"


def prefix(tag: str) -> str:
    """What all keys of one owner begin with. The tag puts them on one node of a cluster."""
    return f"unabridged:{{{tag}}}:"


@cache
def functions() -> tuple[str, str]:
    """The code of shelf.lua, and the version that stands in its names; see redis_ledger."""
    code = (resources.files("unabridged.proxy") / "shelf.lua").read_text(encoding="utf-8")
    version = f"v1_{hashlib.sha256(code.encode()).hexdigest()[:8]}"
    return code.replace("_v1", f"_{version}"), version


def _sizes(client: Any, tag: str) -> tuple[int, int, dict[bytes, bytes]]:
    start = prefix(tag)
    values, total = client.zcard(start + "i"), client.hget(start + "b", "")
    return int(values), int(total or 0), client.hgetall(start + "n")


def _write(client: Any, owners: Mapping[str, str], counted: Counter[tuple[str, str, str]]) -> None:
    with client.pipeline(transaction=False) as pipe:
        for tag, owner in owners.items():
            pipe.hset(OWNERS, tag, owner)
        for (tag, route, use), number in counted.items():
            pipe.hincrby(prefix(tag) + "n", json.dumps([route, use]), number)
        pipe.execute()

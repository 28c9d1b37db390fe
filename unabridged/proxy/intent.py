"""What a prompt is after, in few words, for a caller's guard; the prompt itself goes on as it came.

SecurityLingua (Li et al., 2025): what a compressor leaves of a long prompt shows what it is after,
also where the rest was written to hide it.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

from unabridged.compression.surrogates import legible
from unabridged.proxy.headers import Headers
from unabridged.proxy.sent import Sent

LONGEST = 4000
"""Bytes of the header at most: servers and clients refuse heads of more than 8 to 16 KB."""
_PLAIN = " !#$&'()*+,/:;=?@[]"


def apart(sent: Sent, whole: bytes) -> tuple[Sent, str]:
    """The same with the `whole` body to send, and the intent; empty if nothing could be cut."""
    if sent.compressed is None:
        return sent, ""
    found = sent.compressed
    left = (found.text(i).strip() for i in range(len(found.prompt.segments)))
    told = replace(
        sent,
        body=whole,
        compressed=None,
        tokens_after=sent.tokens_before,
        cached=None,
        note=None,
        reason="sent as it came: the policy wants its intent alone",
    )
    return told, "\n".join(text for text in left if text)


def intent_headers(intent: str) -> Headers:
    """`x-unabridged-intent`: UTF-8, percent-encoded, cut behind a whole character."""
    pieces, size = [], 0
    for character in legible(intent):
        piece = quote(character, safe=_PLAIN)
        size += len(piece)
        if size > LONGEST:
            break
        pieces.append(piece)
    return [(b"x-unabridged-intent", "".join(pieces).strip().encode())] if intent else []

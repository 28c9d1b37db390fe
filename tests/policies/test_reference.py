"""docs/policies.md names every key, as the JSON Schema has it.

After a change of the configuration: python tests/policies/test_reference.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from unabridged.policies.load import schema

PAGE = Path(__file__).parents[2] / "docs" / "policies.md"
START, END = "<!-- reference: made by tests/policies/test_reference.py -->", "<!-- end -->"
TABLES = {
    "Config": "The file",
    "Upstream": "`upstreams.NAME`",
    "Route": "`routes[]`",
    "Match": "`routes[].match`",
    "Policy": "`policies.NAME`",
    "Perplexity": "`policies.NAME.perplexity`",
    "Words": "`policies.NAME.words`",
    "Completions": "`policies.NAME.scorer`, a server",
    "Provider": "`policies.NAME.encoder` and `reranker`, a provider's model",
    "Keep": "`policies.NAME.keep`",
    "Range": "`policies.NAME.ranges[]`",
    "SplitRule": "`policies.NAME.split[]`",
    "Server": "`server`",
    "Store": "`store`",
    "Budget": "`budgets[]`",
    "Who": "`budgets[].match`",
    "Step": "`budgets[].at`",
    "Money": "`money`",
    "Price": "`money.prices.MODEL`",
}


def reference() -> str:
    """One table for each kind of mapping: key, default, meaning."""
    rules = schema()
    tables = []
    for name, title in TABLES.items():
        rule = rules if name == "Config" else rules["$defs"].get(name)
        if rule is None:
            continue
        rows = [row(key, value, rule.get("required", ())) for key, value in _keys(rule)]
        tables.append("\n".join([f"### {title}", "", *HEAD, *rows]))
    return "\n\n".join(tables)


LONGEST = 60
HEAD = ("| key | default | meaning |", "|---|---|---|")


def row(key: str, rule: dict[str, Any], required: Any) -> str:
    meaning = " ".join(rule["description"].split()).replace("|", "\\|")
    default = rule.get("default", {} if rule.get("type") == "object" else None)
    shown = "required" if key in required else f"`{json.dumps(default)}`"
    if "$ref" in rule or len(shown) > LONGEST:
        shown = "see below"
    return f"| `{key}` | {shown} | {meaning} |"


def _keys(rule: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    rule = rule["anyOf"][0] if "anyOf" in rule else rule  # a step may also be one word
    return list(rule["properties"].items())


def test_every_key_of_the_configuration_says_what_it_means() -> None:
    rules = schema()
    assert set(rules["$defs"]) <= set(TABLES)
    for name, rule in {"Config": rules, **rules["$defs"]}.items():
        assert [key for key, value in _keys(rule) if not value.get("description")] == [], name


def test_the_page_shows_the_configuration_as_it_is() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page.partition(START)[2].partition(END)[0].strip() == reference()


if __name__ == "__main__":
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{START}\n\n{reference()}\n\n{END}{after}", encoding="utf-8")

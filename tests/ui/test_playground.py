"""The playground: a prompt is compressed in two ways, shared as a link, and asked about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import expect
from world import BRIDGES, HARBOUR_PROMPT, World


def compress(page: Any, text: str, compressor: str = "extractive") -> None:
    page.get_by_label("A prompt, or the JSON").fill(text)
    page.get_by_label("Compressor").first.select_option(compressor)
    page.get_by_role("button", name="Compress", exact=True).click()
    page.get_by_test_id("trial-0").get_by_test_id("trial-facts").wait_for(timeout=60_000)


def test_a_prompt_is_shown_with_what_was_cut_and_what_it_would_cost(
    visit: Callable[..., Any],
) -> None:
    page = visit("#/playground")
    page.get_by_label("Priced as").fill("gpt-4o")
    compress(page, HARBOUR_PROMPT)
    trial = page.get_by_test_id("trial-0")
    facts = trial.get_by_test_id("trial-facts").inner_text()
    assert "$" in facts and "gpt-4o" in facts and "ms" in facts
    whole = "".join(trial.locator(".text").all_text_contents())
    assert "Since when had nobody seen lighthouse 17 dark?" in whole
    assert trial.locator("del").count() > 0
    trial.get_by_role("button", name="What would be sent").click()
    sent = trial.locator("pre").text_content()
    assert "lighthouse 17" in sent and len(sent) < len(HARBOUR_PROMPT)


def test_a_model_shades_each_word_by_its_score(visit: Callable[..., Any]) -> None:
    page = visit("#/playground")
    compress(page, BRIDGES, "llmlingua")
    shades = page.get_by_test_id("trial-0").locator(".text :is(.h1, .h2, .h3, .h4, .h5)")
    assert shades.count() > 40
    assert "score" in (shades.first.get_attribute("title") or "")


def test_two_settings_stand_side_by_side(visit: Callable[..., Any]) -> None:
    page = visit("#/playground")
    page.get_by_label("Compare two settings").check()
    page.get_by_label("Compressor").nth(1).select_option("lossless")
    compress(page, HARBOUR_PROMPT)
    other = page.get_by_test_id("trial-1")
    other.get_by_test_id("trial-facts").wait_for()
    one = page.get_by_test_id("trial-0").bounding_box()
    two = other.bounding_box()
    assert one and two and one["y"] == two["y"] and two["x"] > one["x"] + one["width"]


def test_a_link_shares_the_settings_and_the_text_only_if_asked(visit: Callable[..., Any]) -> None:
    page = visit("#/playground")
    page.get_by_label("A prompt, or the JSON").fill("A secret text.")
    page.get_by_label("Compressor").select_option("lossless")
    page.get_by_role("button", name="Tokens", exact=True).click()
    page.get_by_label("Tokens to keep").fill("77")
    page.get_by_role("button", name="Copy link").click()
    link = page.evaluate("location.hash")
    page.get_by_label("with the text").check()
    page.get_by_role("button", name="Copy link").click()
    whole = page.evaluate("location.hash")
    again = visit(link)
    expect(again.get_by_label("Tokens to keep")).to_have_value("77")
    expect(again.get_by_label("Compressor")).to_have_value("lossless")
    expect(again.get_by_label("A prompt, or the JSON")).to_have_value("")
    expect(visit(whole).get_by_label("A prompt, or the JSON")).to_have_value("A secret text.")


def test_both_answers_come_from_the_upstream_and_the_restored_words_are_marked(
    visit: Callable[..., Any], served: World
) -> None:
    before = len(served.upstream.seen)
    page = visit("#/playground")
    compress(page, BRIDGES, "llmlingua")
    page.get_by_label("Model", exact=True).fill("gpt-4o-mini")
    page.get_by_role("button", name="Send both").click()
    both = page.get_by_test_id("comparison")
    both.wait_for(timeout=60_000)
    raw, compressed = (both.locator("article").nth(n) for n in range(2))
    assert "Sir William Arrol" in raw.locator(".text").text_content()
    assert compressed.locator("button.back").count() > 0
    assert "tokens in" in raw.inner_text()
    assert len(served.upstream.seen) == before + 2


def test_a_file_is_taken(visit: Callable[..., Any]) -> None:
    page = visit("#/playground")
    file = {"name": "항구.txt", "mimeType": "text/plain", "buffer": "등대와 항구".encode()}
    page.locator("input[type=file]").set_input_files(file)
    expect(page.get_by_label("A prompt, or the JSON")).to_have_value("등대와 항구")


def test_a_mistake_is_named(visit: Callable[..., Any]) -> None:
    page = visit("#/playground")
    page.get_by_label("A prompt, or the JSON").fill('{"messages": 3}')
    page.get_by_role("button", name="Compress", exact=True).click()
    page.locator(".note").first.wait_for()

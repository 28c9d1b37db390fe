"""Lines of the log are JSON, and tell where an error was but not what it said."""

from __future__ import annotations

import io
import json

from unabridged.proxy.log import logger


def test_a_line_is_an_object_with_its_fields_beside_the_message() -> None:
    output = io.StringIO()
    logger("unabridged.test", output).info("request", extra={"fields": {"status": 200}})
    line = json.loads(output.getvalue())
    assert (line["level"], line["event"], line["status"]) == ("info", "request", 200)
    assert line["time"]


def test_an_error_is_told_without_its_words() -> None:
    output = io.StringIO()
    try:
        raise ValueError("the words of a prompt")
    except ValueError as error:
        logger("unabridged.test", output).error("internal error", exc_info=error)
    line = json.loads(output.getvalue())
    assert line["error"] == "ValueError"
    assert line["where"][0].startswith("test_log.py:")
    assert "of a prompt" not in output.getvalue()


def test_loggers_of_one_name_do_not_share_their_output() -> None:
    one, two = io.StringIO(), io.StringIO()
    logger("unabridged.test", one).info("first")
    logger("unabridged.test", two).info("second")
    assert "second" not in one.getvalue()
    assert "first" not in two.getvalue()

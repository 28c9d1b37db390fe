"""The parts inside one message, as real programs write them."""

# Prompts stay in one piece.
# ruff: noqa: E501
from __future__ import annotations

import json

import pytest

from unabridged.compression.join import join
from unabridged.compression.prompt import Segment
from unabridged.compression.split import split
from unabridged.policies.policy import Policy

RIVER = (
    "The river rises in the northern hills and runs south for two hundred miles. It was dammed in "
    "1954 to supply the mills of the valley, and the lake is now a nature reserve."
)
STARS = (
    "Maria Keller founded the observatory in 1911. She kept the records herself until 1938, when "
    "the instruments were moved to the new building on the hill above the town."
)
LEAVE_KO = (
    "우리 회사의 연차 휴가는 입사 1년 후부터 15일이 부여됩니다. 미사용 연차는 다음 해 3월까지 "
    "이월할 수 있으며 이후에는 수당으로 지급됩니다."
)
LEAVE_JA = "当社の有給休暇は入社半年後に十日付与されます。未使用の休暇は翌年度末まで繰り越せます。"
LEAVE_ZH = "公司的年假在入职一年后为十五天。未使用的年假可以顺延到次年三月，之后折算为工资发放。"
SCHOOL_AR = "تأسست الجامعة عام 1923 في المدينة القديمة، وانتقلت إلى الحرم الجديد بعد ثلاثين عاما."


def parts(text: str, role: str = "user") -> tuple[Segment, ...]:
    body = json.dumps({"messages": [{"role": role, "content": text}]}, ensure_ascii=False)
    prompt = split(body, Policy())
    assert join(prompt) == body
    return prompt.segments


def texts(found: tuple[Segment, ...], *kinds: str) -> list[str]:
    return [s.text for s in found if s.kind in kinds]


def contents(found: tuple[Segment, ...]) -> list[str]:
    return [s.text[slice(*s.content)] for s in found if s.kind == "document"]


def spoken(found: tuple[Segment, ...]) -> str:
    return "".join(texts(found, "instruction", "question", "format"))


FRAMEWORKS = {
    "langchain stuff chain": (
        "Use the following pieces of context to answer the question at the end. If you don't know "
        f"the answer, just say that you don't know.\n\n{RIVER}\n\n{STARS}\n\n{RIVER} \n\n"
        "Question: Who founded it?\nHelpful Answer:",
        3,
    ),
    "langchain with sources": (
        "Given the following extracted parts of a long document and a question, create a final "
        f'answer with references ("SOURCES").\n\nQUESTION: Who founded it?\n=========\nContent: {RIVER}'
        f"\nSource: 28-pl\nContent: {STARS}\nSource: 30-pl\n=========\nFINAL ANSWER:",
        2,
    ),
    "llamaindex": (
        f"Context information is below.\n---------------------\npage_label: 1\n\n{RIVER}\n\n"
        f"page_label: 2\n\n{STARS}\n---------------------\nGiven the context information and not "
        "prior knowledge, answer the query.\nQuery: Who founded it?\nAnswer: ",
        2,
    ),
    "haystack": (
        "Given the following information, answer the question.\n\nContext:\n    "
        f"{RIVER}\n\n    {STARS}\n\nQuestion: Who founded it?\nAnswer:",
        2,
    ),
    "dspy": (
        f"[[ ## context ## ]]\n[1] «{RIVER}»\n[2] «{STARS}»\n\n[[ ## question ## ]]\nWho founded "
        "it?\n\nRespond with the corresponding output fields, starting with `[[ ## answer ## ]]`.",
        2,
    ),
    "anthropic documents": (
        f'<documents>\n<document index="1">\n<source>a.txt</source>\n<document_content>\n{RIVER}\n'
        f'</document_content>\n</document>\n<document index="2">\n<source>b.txt</source>\n'
        f"<document_content>\n{STARS}\n</document_content>\n</document>\n</documents>\n\n"
        "Who founded it?",
        2,
    ),
    "openai cookbook": (
        "Use the below article to answer the subsequent question. If the answer cannot be found, "
        f'write "I don\'t know."\n\nArticle:\n"""\n{STARS}\n"""\n\nQuestion: Who founded it?',
        1,
    ),
    "cohere": (
        f"## Documents\nDocument: 0\ntitle: a\ntext: {RIVER}\n\nDocument: 1\ntitle: b\n"
        f"text: {STARS}\n\n## Question\nWho founded it?",
        2,
    ),
    "deepseek search": (
        f"# Search results:\n[webpage 1 begin]{RIVER}[webpage 1 end]\n[webpage 2 begin]{STARS}"
        "[webpage 2 end]\n\nCite the index of the search results. Who founded it?",
        2,
    ),
    "bold labels": (
        f"**Instructions:** Be brief.\n\n**Context:**\n{RIVER}\n\n{STARS}\n\n"
        "**Question:** Who founded it?",
        2,
    ),
    "json records": (
        "Answer from these results.\n\n"
        + json.dumps([{"id": 1, "text": RIVER}, {"id": 2, "text": STARS}], indent=2)
        + "\n\nQuestion: Who founded it?",
        2,
    ),
    "numbered list": (
        f"Answer from the passages.\n\n1. {RIVER}\n2. {STARS}\n3. {RIVER}\n\nWho founded it?",
        3,
    ),
}


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_prompts_of_known_frameworks_come_apart(name: str) -> None:
    text, documents = FRAMEWORKS[name]
    found = parts(text)
    assert len(contents(found)) == documents
    assert any("Who founded it?" in s for s in texts(found, "question"))
    left = spoken(found)
    assert RIVER not in left
    assert STARS not in left
    for line in text.split("\n"):
        if line.startswith(("Use the", "Given the", "If you", "Respond", "Answer from", "**Inst")):
            assert line in left


@pytest.mark.parametrize(
    ("text", "question"),
    [
        (f"다음 문서를 참고하여 답하세요.\n\n[문서 1]\n{LEAVE_KO}\n\n[문서 2]\n{LEAVE_KO}\n\n질문: 며칠인가요?\n답변:", "질문: 며칠인가요?"),
        (f"以下の文脈を使って答えてください。\n\n文脈：\n{LEAVE_JA}\n\n{LEAVE_JA}\n\n質問：何日ですか？\n回答：", "質問：何日ですか？"),
        (f"已知信息：\n{LEAVE_ZH}\n\n{LEAVE_ZH}\n\n根据上述已知信息回答用户的问题。\n\n问题：年假有几天？", "问题：年假有几天？"),
        (f"أجب عن السؤال.\n\nالنص:\n{SCHOOL_AR}\n\nالسؤال: متى تأسست الجامعة؟\nالإجابة:", "السؤال: متى تأسست الجامعة؟"),
        (f"أجب عن السؤال.\n\nالوثيقة [1] {SCHOOL_AR}\n\nالوثيقة [2] {SCHOOL_AR}\n\nالسؤال: متى؟", "السؤال: متى؟"),
        (f"Beantworte die Frage.\n\nKontext:\n{RIVER}\n\nFrage: Wer?\nAntwort:", "Frage: Wer?"),
        (f"Réponds.\n\nContexte :\n{RIVER}\n\nQuestion : Qui ?\nRéponse :", "Question : Qui ?"),
        (f"Ответь.\n\nКонтекст: {RIVER}\n\nВопрос: кто?\nОтвет:", "Вопрос: кто?"),
        (f"Responde.\n\nContexto: {RIVER}\n\nPregunta: ¿quién?\nRespuesta:", "Pregunta: ¿quién?"),
        (f"Responda.\n\nContexto: {RIVER}\n\nPergunta: quem?\nResposta:", "Pergunta: quem?"),
    ],
)  # fmt: skip
def test_labels_of_other_languages_are_known(text: str, question: str) -> None:
    found = parts(text)
    assert contents(found)
    assert question in "".join(texts(found, "question"))
    assert text.split("\n")[0] in spoken(found)


@pytest.mark.parametrize(
    "text",
    [
        f"Summarise the following text:\n\n{RIVER}\n\n{STARS}\n\n{RIVER}\n\n{STARS}",
        f"{RIVER}\n\n{STARS}\n\n{RIVER}\n\n{STARS}\n\nSummarise the text above in one line.",
        f"Summarize the following article in one sentence: {RIVER} {STARS} {RIVER} {STARS}",
        f"다음 글을 요약해 주세요.\n\n{LEAVE_KO * 3}\n\n{LEAVE_KO}\n\n{LEAVE_KO}",
        f"{LEAVE_ZH * 5}\n\n总结以上内容。",
        f"{LEAVE_JA * 5}\n\n上記の文章を要約してください。",
    ],
)
def test_a_long_text_beside_a_request_is_the_document(text: str) -> None:
    found = parts(text)
    request = min(text.split("\n\n"), key=len).split(": ")[0]
    assert sum(map(len, contents(found))) > 0.8 * (len(text) - len(request))
    assert request in spoken(found)


@pytest.mark.parametrize(
    "text",
    [
        "Write a module with these functions:\n\n"
        + f"It must return {RIVER} and never fail.\n\n" * 6,
        "I need a contract between two companies.\n\n" + f"{STARS}\n\n" * 5 + "Use plain language.",
        "I had a hard week. My boss told me that the project is late.\n\n" * 30
        + "What should I do?",
        "Please do this:\n\n" + "".join(f"{i}. You must read {RIVER}\n" for i in range(1, 9)),
        "Question: A shop sells apples.\n\n" + f"{RIVER}\n\n" * 9 + "How much does it earn?",
        "Explain this code:\n\n```python\n" + "x = 1\n\n" * 300 + "```\n",
        "Return JSON with this schema:\n"
        + json.dumps({"properties": {"a": {"description": RIVER}}}),
        "<context>" * 40 + RIVER * 9,
        f"{RIVER * 9}",
    ],
)
def test_what_is_not_surely_a_document_is_left_alone(text: str) -> None:
    assert not texts(parts(text), "document", "demonstration")


@pytest.mark.parametrize(
    "text",
    [
        "You are an agent.\n\n## Context\n"
        + f"You work for the lab. You must not lie. {RIVER}\n" * 4,
        "# Policy\n\n" + f"1. {RIVER}\n2. {STARS}\n3. {RIVER}\n",
        f"Be kind.\n\n{RIVER * 4}\n\n{STARS * 4}\n\nWho are you?",
    ],
)
def test_rules_of_a_system_message_are_instruction(text: str) -> None:
    assert "".join(texts(parts(text, "system"), "instruction")) == text


def test_documents_in_a_system_message_are_found_too() -> None:
    text = (
        "Use the following pieces of context to answer the user's question.\n----------------\n"
        f"{RIVER}\n\n{STARS}"
    )
    assert contents(parts(text, "system")) == [RIVER, STARS]


DEMONSTRATIONS = {
    "Q: A:": "Q: 1+1?\nA: 2\n\nQ: 2+2?\nA: Let's think.\n2+2=4\n\nQ: 3+3?\nA:",
    "json answers": f"Q: a?\nA: {json.dumps({'k': [RIVER, STARS]})}\n\nQ: b?\nA: {json.dumps({'k': [STARS, RIVER]})}\n\nQ: c?\nA:",
    "input output": "Input: good\nOutput: pos\n\nInput: bad\nOutput: neg\n\nInput: meh\nOutput:",
    "zh": "输入：很好看\n输出：正面\n\n输入：浪费时间\n输出：负面\n\n输入：演员很棒\n输出：",
    "ko": "질문: 1+1?\n답: 2\n\n질문: 2+2?\n답: 4\n\n질문: 3+3?\n답:",
    "ja": "問：1+1は？\n答：2\n\n問：2+2は？\n答：4\n\n問：3+3は？\n答：",
    "context each": f"Context: {RIVER}\nQuestion: when?\nAnswer: 1954\n\nContext: {STARS}\nQuestion: who?\nAnswer: Maria\n\nContext: {RIVER}\nQuestion: where?\nAnswer:",
    "numbered examples": "Example 1:\nInput: a\nOutput: 1\n\nExample 2:\nInput: b\nOutput: 2\n\nNow this one:\nInput: c\nOutput:",
    "tags": "<examples>\n<example>\nQ: a?\nA: yes\n</example>\n<example>\nQ: b?\nA: no\n</example>\n</examples>\n\nQ: c?\nA:",
    "unlabelled answers": "Question: 1+1?\nLet's think step by step\nIt is 2.\n\nQuestion: 2+2?\nLet's think step by step\nIt is 4.\n\nQuestion: 3+3?\nLet's think step by step",
    "unmarked question": "Q: 1+1?\nA: 2\n\nQ: 2+2?\nA: 4\n\nAnd how much is 3+3",
}  # fmt: skip


@pytest.mark.parametrize("name", DEMONSTRATIONS)
def test_worked_examples_are_whole_units_and_the_last_question_is_none(name: str) -> None:
    text = DEMONSTRATIONS[name]
    found = parts(text)
    units = texts(found, "demonstration")
    assert len(units) == 2
    last = text.rstrip().rsplit("\n\n", 1)[-1]
    if name == "context each":
        last = last.split("\n", 1)[1]
    assert last in spoken(found)


def test_a_list_of_questions_is_no_list_of_examples() -> None:
    found = parts("Question: What is a?\nQuestion: What is b?\nQuestion: What is c?")
    assert {s.kind for s in found} == {"question"}


def test_the_options_stay_with_the_question() -> None:
    tail = "When was it dammed?\n\n(A) 1911\n(B) 1938\n(C) 1954\n\nAnswer with a single letter."
    found = parts(f"Read the passage.\n\nPassage:\n{RIVER}\n\n{tail}")
    assert tail in "".join(texts(found, "question"))


def test_a_text_to_be_translated_is_protected() -> None:
    found = parts(
        f"Translate the following text to French:\n\n{RIVER}\n\n{STARS}\n\n{RIVER}\n\n{STARS}"
    )
    documents = [s for s in found if s.kind == "document"]
    assert documents
    assert all(s.protected and "every word" in s.why for s in documents)


def test_code_and_json_data_are_protected_documents() -> None:
    data = json.dumps({f"key-{i}": f"value-{i}" for i in range(40)})
    found = parts(f"JSON data:\n{data}\n\nKey: key-7")
    assert [s.text.strip() for s in found if s.kind == "document" and s.protected] == [data]
    found = parts(f"## Context\n{RIVER}\n```\nx = 1\n```\n{STARS}\n\n## Question\nWhy?")
    assert [s.text for s in found if s.protected] == ["```\nx = 1\n```\n"]


def test_llmlingua_tags_say_what_may_be_cut_and_how_much() -> None:
    text = (
        f"<llmlingua compress=False>Answer.</llmlingua><llmlingua rate=0.4>{RIVER}</llmlingua>"
        f"<llmlingua, rate=0.2, compress=True>{STARS}</llmlingua> Who?"
    )
    found = parts(text)
    assert [(s.kind, s.protected, s.rate) for s in found[:3]] == [
        ("instruction", True, None),
        ("document", False, 0.4),
        ("document", False, 0.2),
    ]


def test_a_transcript_is_cut_by_turns_that_keep_their_order() -> None:
    turns = [
        f"{'Anna' if i % 2 else 'Ben'}: I think that point {i} of the plan for the new lab is right."
        for i in range(12)
    ]
    found = parts("Summarize this conversation.\n\n" + "\n".join(turns))
    documents = [s for s in found if s.kind == "document"]
    assert [s.text.strip() for s in documents] == turns
    assert all(s.chained for s in documents)


def test_every_segment_says_why() -> None:
    for text, _ in FRAMEWORKS.values():
        assert all(s.why for s in parts(text))

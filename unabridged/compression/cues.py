"""Tells a question or an order from a text that is only quoted."""

# Patterns are tables of words.
# ruff: noqa: E501
from __future__ import annotations

import re
import unicodedata

_WIDE = re.compile("[\u3040-\u9fff\uac00-\ud7a3]+")
_QUESTION_END = re.compile(r"[?？؟⁇;;՞]['\"”’»)\]]*\s*$")
_ORDER = re.compile(
    r"""^\W*(?:please\b|kindly\b|can\ you\b|could\ you\b|now\b|then\b|based\ on\b|using\ (?:only|the)\b|given\ the\b
    |according\ to\b|use\b|only\ use\b|answer\b|respond\b|reply\b|summari[sz]e\b|write\b|explain\b|describe\b|list\b
    |extract\b|classify\b|find\b|identify\b|compare\b|analy[sz]e\b|read\b|generate\b|create\b|provide\b|give\b
    |return\b|translate\b|rewrite\b|tell\ me\b|what\b|who\b|when\b|where\b|why\b|how\b|which\b|do\ not\b|don't\b
    |if\ you\b|you\ (?:are|must|should|will|can|may|have)\b|your\b|make\ sure\b|think\b|let's\b|remember\b|note\b
    |be\ (?:concise|brief|precise|specific)\b|cite\b|keep\b|limit\b|ensure\b|avoid\b|never\b|always\b|output\b
    |the\ following\b|here\ (?:is|are)\b|below\ (?:is|are)\b|i\ (?:want|need|would)\b|refer\b|respond\b|select\b
    |choose\b|determine\b|complete\b|continue\b|convert\b|correct\b|proofread\b|tl;?dr|question\b|query\b
    |bitte\b|beantworte|fasse?\b|erkläre|nenne\b|schreib|was\b|wer\b|wann\b|wie\b|warum\b|welche
    |responde\b|resume\b|resuma\b|explica\b|escribe\b|por\ favor|utiliza\b|usa\b|según\b|con\ base\b|basándote
    |réponds|répondez|résume|expliqu|écri|utilise|d'après|en\ te\ basant|veuillez|sur\ la\ base
    |ответь|кратко|перескажи|пожалуйста|объясни|напиши|используй|назови|составь|на\ основе|опиши
    |responda\b|explique\b|escreva\b|com\ base\b|use\b
    |请|請|根据|根據|回答|总结|概括|阅读|使用|基于|用|下面|以下|如果|不要|翻译|解释
    |以下の|次の|上記|あなた|أجب|لخص|اشرح|اكتب|استخدم|بناء|من\ فضلك|اقرأ|다음|위의?|아래|주어진|당신)""",
    re.IGNORECASE | re.VERBOSE,
)
_ORDER_END = re.compile(
    r"(?:하세요|하시오|하라|해줘|해주세요|해\s?주세요|주십시오|답하|쓰시오|세요|십시오|까요|나요|인가요|입니까|습니까|시오"
    r"|ください|下さい|せよ|しなさい|ましょう|ますか|ですか|でしょうか|何か|か。|吗|呢|什么|多少)[.。!！?？:：\s]*$"
)
_ABOUT_TEXT = re.compile(
    r"""\b(?:text|article|passages?|documents?|context|paragraphs?|transcript|report|story|essay|paper|excerpts?
    |following|above|below|conversation|e-?mail|chapter|information|sources?|search\ results|snippets?|content
    |summar\w+|tl;?dr|notes|meeting|contract|review|log
    |artikel|dokument\w*|abschnitt\w*|folgend\w*|obig\w*|zusammenfass\w*|kontext
    |texto|artículo|documentos?|contexto|siguientes?|anterior|resum\w+|pasajes?
    |texte|documents|contexte|suivants?|ci-dessus|ci-dessous|résum\w+
    |текст\w*|стат\w+|документ\w*|контекст\w*|следующ\w+|отрыв\w+|artigo|seguintes?|acima|abaixo)\b
    |文|资料|資料|段落|总结|摘要|概括|以下|下面|上面|上述|材料|信息|要約|記事|次の|上記|検索結果|会議
    |문서|글|기사|본문|지문|다음|아래|위의|요약|문맥|내용|자료|회의|النص|السياق|المقال|التالي|أعلاه|أدناه|لخص|الوثائق""",
    re.IGNORECASE | re.VERBOSE,
)
_POINTS = re.compile(
    r"""\b(?:summar\w+|tl;?dr|(?:based\ on|given|according\ to|read|using|from|in)\ the\ (?:following|above|below)
    |(?:the|this|these|that|following|above|below|attached|my|our|given|provided|preceding)\s+(?:[\w-]+\s+){0,2}?
     (?:text|article|passages?|documents?|documentation|context|paragraphs?|transcript|excerpts?|conversation|e-?mails?
     |chapter|information|sources?|search\ results|snippets?|resume|cv|job\ description|paper|abstract|essay|letter
     |minutes|thread|post|speech|interview|reviews?|press\ release)
    |(?:text|article|passages?|documents?|context|paragraphs?)\ (?:below|above|delimited)
    |(?:folgend|obig|dies|de[rnms]|da|die)\w*\ (?:\w+\ )?(?:text|artikel|dokument|abschnitt|kontext|bericht|e-?mail)\w*
    |zusammenfass\w*|fasse?
    |(?:siguientes?|este|esta|estos|el|la|los)\ (?:\w+\ )?(?:texto|artículo|documentos?|contexto|pasajes?|correo)
    |resum\w+|(?:le|ce|cet|la|les|suivants?)\ (?:\w+\ )?(?:texte|article|documents?|contexte|extraits?)|résum\w+
    |(?:o|este|seguinte)\ (?:\w+\ )?(?:texto|artigo|documento)
    |(?:следующ|эт|данн)\w*\ (?:текст|стать|документ|отрыв|контекст)\w*|перескажи|кратко|тексту?а?)\b
    |(?:以下|下面|上面|上述|下列|这篇|这段|本)的?.{0,6}?(?:文|资料|内容|段落|材料|信息|对话|会议|新闻|邮件)|总结|摘要|概括
    |(?:以下|次|上記|下記|この)の?.{0,6}?(?:文|記事|資料|内容|議事録|会話|メール|テキスト)|要約
    |(?:다음|아래|위|이)의?\s?.{0,8}?(?:글|문서|기사|본문|지문|내용|자료|텍스트|회의|메일|대화)|요약
    |لخص|النص|المقال|الفقرة|الوثيقة""",
    re.IGNORECASE | re.VERBOSE,
)
_COMMANDS = re.compile(
    r"""\b(?:you|your|must|should|never|always|do\ not|don't|du|sie|müssen|usted|debes?|vous|devez|вы|ты|должн\w+
    |você|deve)\b|[你您]|必须|不要|请|あなた|してください|당신|하세요|하십시오|해야|마세요|أنت|يجب""",
    re.IGNORECASE | re.VERBOSE,
)
_FIRST_PERSON = re.compile(
    r"\b(?:i|i'm|my|me|we|our|ich|mein\w*|wir|je|mon|ma|nous|yo|mi|eu|meu|я|мой|мне|мы)\b|我|私は|私の|저는|제가|나는|أنا",
    re.IGNORECASE,
)
_EVERY_WORD = re.compile(
    r"""\b(?:translat\w+|proofread\w*|rewrit\w+|rephras\w+|paraphras\w+|copy-?edit\w*|fix\ the\ grammar|reformat\w*
    |correct\ (?:the\ )?(?:grammar|spelling|errors|mistakes)|verbatim|word\ for\ word|word\ count|count\ the\ words
    |anonymi[sz]e|redact|übersetz\w*|korrigier\w*|tradu[zcis]\w*|corrige\w*|перевед\w*|исправь\w*)\b
    |翻译|翻譯|校对|改写|润色|翻訳|校正|書き換え|번역|교정|다듬|ترجم|صحح""",
    re.IGNORECASE | re.VERBOSE,
)
_RULES = re.compile(
    r"^\W*(?:[-*•]|\d+[.)])?\s*(?:\w+\s){0,6}?(?:you|your|must|should|shall|never|always|do\ not|don't|ensure)\b",
    re.IGNORECASE,
)
_BULLET = re.compile(r"^\s*(?:[-*•·]|\d{1,2}[.)]|[a-zA-Z][.)])\s")
_OPTION = re.compile(r"^\s*(?:[(（\[]?[A-Ja-j1-9①-⑨가-하ㄱ-ㅎ][)）\].:、]|[-*•])\s*\S")


def width(text: str) -> int:
    """How much a text says: characters, where a Han, Kana or Hangul character counts for three."""
    wide = 0 if text.isascii() else sum(map(len, _WIDE.findall(text)))
    return len(text) + 2 * wide


def asks(paragraph: str) -> bool:
    """Whether a paragraph ends as a question does, in any script."""
    return bool(_QUESTION_END.search(paragraph[-40:]))


def orders(paragraph: str) -> bool:
    """Whether a paragraph speaks to the model: an order, a question, or a line that announces."""
    text = paragraph.strip()
    if not text:
        return False
    return bool(
        asks(text)
        or _ORDER.match(text)
        or _ORDER_END.search(text[-40:])
        or (unicodedata.normalize("NFKC", text[-1]) == ":" and "\n" not in text)
    )


def about_text(paragraph: str) -> bool:
    """Whether a request speaks of a text that stands beside it."""
    return bool(_ABOUT_TEXT.search(paragraph))


def points_to_text(request: str) -> bool:
    """Whether a request points at a text beside it: `the following article`, `summarise`. What
    only names a kind of text (`I need a contract`) does not."""
    return bool(_POINTS.search(request))


def commands(text: str) -> bool:
    """Whether a text speaks to its reader all along, as a prompt does and a source does not."""
    return len(_COMMANDS.findall(text)) * 300 > width(text)


def personal(paragraphs: list[str]) -> bool:
    """Whether the writer tells about himself: then the text is the request, not a source."""
    return sum(bool(_FIRST_PERSON.search(p)) for p in paragraphs) * 3 > len(paragraphs)


def needs_every_word(request: str) -> bool:
    """Whether the text is to be translated, corrected or counted, so that no word may go."""
    return bool(_EVERY_WORD.search(request))


def rules(paragraph: str) -> bool:
    """Whether a paragraph looks like a rule for the model and not like prose."""
    return bool(_RULES.match(paragraph) or _BULLET.match(paragraph))


def options(paragraph: str) -> bool:
    """Whether a paragraph is a list of answers to choose from."""
    lines = [line for line in paragraph.splitlines() if line.strip()]
    return bool(lines) and sum(bool(_OPTION.match(line)) for line in lines) * 2 > len(lines)

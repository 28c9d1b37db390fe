"""What people call the parts of a prompt, in many languages."""

# A table of words, read across.
# ruff: noqa: E501
from __future__ import annotations

import re
import unicodedata
from typing import Literal

Role = Literal["documents", "question", "answer", "examples", "instruction"]

_NAMES: dict[Role, str] = {
    "documents": """
        context|contexts|the context|provided context|relevant context|given context|context information
        document|documents|docs|retrieved documents|relevant documents|provided documents
        passage|passages|retrieved passages|relevant passages|paragraph|paragraphs
        search results|results|retrieved results|web results|search result|retrieved context|webpage|web page
        doc|file|chunk|snippet|source|result|article text|search engine results
        sources|references|reference|reference text|reference material|knowledge|knowledge base
        background information|supporting documents|evidence|facts|snippets|excerpt|excerpts
        text|the text|input text|related text|source text|full text|article|the article|articles
        transcript|meeting transcript|transcription|conversation transcript|call transcript
        story|report|email thread|json data|json|data|retrieved information|relevant information
        문맥|맥락|컨텍스트|문서|문서들|지문|본문|참고 문서|참고 자료|참고문헌|검색 결과|자료|기사|텍스트|배경 지식
        문서 목록|관련 문서|배경 정보|회의록|문단|단락|제시문|참고자료|관련 자료
        文脈|コンテキスト|文書|ドキュメント|検索結果|参考資料|参考文書|本文|記事|資料|関連文書|参考情報|テキスト|議事録
        上下文|文档|文檔|资料|資料|参考资料|參考資料|背景资料|背景信息|背景知识|文章|段落|搜索结果|检索结果|搜尋結果
        已知信息|相关文档|参考文档|参考内容|知识库|原文|文本|材料|给定材料|会议记录
        السياق|سياق|النص|المستندات|الوثائق|المقاطع|نتائج البحث|المراجع|الفقرة|المقال|المعلومات
        وثيقة|الوثيقة|مستند|المستند|مقطع|المقطع|فقرة|مقال|نص|المصدر|مصدر|المصادر|المرجع|مقتطف|المقتطف
        kontext|dokument|dokumente|suchergebnisse|quellen|textabschnitt|textabschnitte|artikel|abschnitte
        hintergrundinformationen|protokoll
        contexto|documentos|documento|resultados de búsqueda|fuentes|texto|artículo|pasajes|párrafo
        contexte|passages récupérés|résultats de recherche|texte|extraits|extrait|informations
        контекст|документы|документ|результаты поиска|источники|текст|статья|отрывок|отрывки|фрагменты
        resultados da pesquisa|resultados da busca|fontes|artigo|trechos|trecho|parágrafo
        contesto|documenti|testo|risultati della ricerca|passaggi|bağlam|belgeler|metin
        संदर्भ|दस्तावेज़|ngữ cảnh|tài liệu|văn bản|konteks|dokumen|บริบท|เอกสาร|kontekst|dokumenty|tekst
    """,
    "question": """
        question|q|query|user question|user query|the question|my question|current question|new question
        final question|search query|input|problem|user input|follow up input|task input|input query
        질문|문제|질의|사용자 질문|입력|문
        質問|問|問題|問い|クエリ|入力|ユーザーの質問
        问题|問題|问|提问|用户问题|当前问题|查询|输入|輸入|题目
        السؤال|سؤال|س|الاستعلام|المدخل
        frage|anfrage|benutzerfrage|eingabe|aufgabe
        pregunta|consulta|entrada|p|pregunta del usuario
        requête|entrée|question de l'utilisateur
        вопрос|запрос|вопрос пользователя|ввод|задача
        pergunta|consulta do usuário|domanda|soru|प्रश्न|सवाल|câu hỏi|pertanyaan|คำถาม|pytanie|vraag
    """,
    "answer": """
        answer|a|the answer|final answer|helpful answer|response|output|your answer|solution
        답|답변|정답|대답|출력|응답
        答え|答|回答|解答|出力|応答
        答案|答复|输出|輸出|解析
        الإجابة|إجابة|الجواب|جواب|ج|الإجابة النهائية|المخرج
        antwort|ausgabe|lösung
        respuesta|salida|r
        réponse|sortie
        ответ|вывод|решение
        resposta|saída|risposta|cevap|yanıt|उत्तर|जवाब|câu trả lời|trả lời|jawaban|คำตอบ|odpowiedź|antwoord
    """,
    "examples": """
        examples|example|few-shot examples|few shot examples|demonstrations|demonstration|sample|samples
        예시|예|예제|예시들|例|例題|例示|サンプル|示例|例子|范例|样例|أمثلة|مثال|beispiele|beispiel
        ejemplos|ejemplo|exemples|exemple|примеры|пример|exemplos|exemplo|esempi|esempio|örnekler|ví dụ
        contoh|ตัวอย่าง|przykłady|voorbeelden
    """,
    "instruction": """
        instruction|instructions|task|task description|your task|guidelines|rules|requirements|note|notes
        constraints|system|role|objective|output format|response format|format|format instructions|important
        지시|지시사항|지침|규칙|과제|작업|출력 형식|주의|주의사항|역할|指示|タスク|ルール|出力形式|注意|役割|制約
        指令|说明|任务|要求|规则|输出格式|注意事项|角色|تعليمات|التعليمات|المهمة|القواعد|anweisung|anweisungen
        regeln|hinweis|ausgabeformat|instrucciones|instrucción|tarea|reglas|consignes|tâche|règles
        инструкция|инструкции|задание|правила|формат|instruções|tarefa|regras|istruzioni|compito
    """,
}


def _table() -> dict[str, Role]:
    return {
        unicodedata.normalize("NFKC", name.strip()).casefold(): role
        for role, names in _NAMES.items()
        for line in names.strip().splitlines()
        for name in line.split("|")
        if name.strip()
    }


ROLES: dict[str, Role] = _table()
"""The role of each known label, by the label in NFKC, case-folded."""

LONGEST_LABEL = max(map(len, ROLES)) + 12

_AROUND = re.compile(
    r"^[\s#*_\[\]【】〈〉《》<>=~|(（「『:：.\-–—]+|[\s#*_\[\]【】〈〉《》<>=~|)）」』:：.\-–—]+$"
)
_NUMBER = re.compile(r"\s*(?:[#№(\[]?\s*\d{1,4}\s*[)\].]?|[一二三四五六七八九十]{1,3})$")
_BEFORE = re.compile(r"^(?:\d{1,3}[.)]\s*|the following\s+)")


def role_of(label: str) -> tuple[Role | None, bool]:
    """The role that a label names, and whether it carries a number (`Document 3`, `예시 2`)."""
    if len(label) > LONGEST_LABEL:
        return None, False
    plain = unicodedata.normalize("NFKC", label).casefold()
    plain = _BEFORE.sub("", _AROUND.sub("", plain))
    role = ROLES.get(plain)
    if role is not None:
        return role, False
    short = _AROUND.sub("", _NUMBER.sub("", plain))
    return (ROLES.get(short), True) if short and short != plain else (None, False)


TAGS: dict[str, Role] = {
    **dict.fromkeys(
        [
            "document",
            "documents",
            "doc",
            "docs",
            "context",
            "contexts",
            "passage",
            "passages",
            "source",
            "sources",
            "article",
            "articles",
            "chunk",
            "chunks",
            "snippet",
            "snippets",
            "search_result",
            "search_results",
            "search-results",
            "results",
            "knowledge",
            "knowledge_base",
            "reference",
            "references",
            "retrieved_documents",
            "retrieved_context",
            "transcript",
            "document_content",
            "page",
            "webpage",
            "web_page",
            "file",
            "files",
            "email",
            "emails",
            "excerpt",
            "excerpts",
            "paper",
            "text",
            "background",
            "documentation",
            "manual",
            "resume",
            "cv",
            "letter",
            "review",
            "reviews",
            "notes",
            "minutes",
            "thread",
            "conversation",
            "ticket",
            "data",
            "meeting",
            "contract",
            "report",
            "story",
            "book",
            "문서",
            "文档",
            "文書",
            "上下文",
            "资料",
        ],
        "documents",
    ),
    **dict.fromkeys(
        [
            "question",
            "query",
            "user_query",
            "user_question",
            "user_input",
            "input",
            "질문",
            "问题",
            "質問",
        ],
        "question",
    ),
    **dict.fromkeys(["answer", "output", "response"], "answer"),
    **dict.fromkeys(
        ["example", "examples", "demonstration", "demonstrations", "shot", "few_shot_examples"],
        "examples",
    ),
    **dict.fromkeys(
        [
            "instruction",
            "instructions",
            "task",
            "rules",
            "guidelines",
            "system",
            "format",
            "output_format",
            "formatting",
            "role",
            "constraints",
        ],
        "instruction",
    ),
}
"""The role of the XML-like tags that people put around the parts of a prompt."""

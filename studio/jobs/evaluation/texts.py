"""Scores of one text: beside the text that was expected, or by itself."""

from __future__ import annotations

import re
from functools import cache

from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from rouge_score import rouge_scorer
from rouge_score.tokenizers import Tokenizer

WORD = re.compile(r"[^\W_]+")
SENTENCE_END = re.compile(r"[.!?。！？]+(?=\s|$)")
LETTER = re.compile(r"[^\W_]")
_SMOOTH = SmoothingFunction().method2


def exact_match(expected: str, prediction: str) -> float:
    """1 when both are the same, white space at both ends ignored, else 0."""
    return float(prediction.strip() == expected.strip())


def rouge(expected: str, prediction: str, kind: str) -> float:
    """F1 of ROUGE, without stemming (rouge_score 0.1.2; Lin, 2004); words are those of any script."""
    return float(_scorer(kind).score(expected, prediction)[kind].fmeasure)


def bleu(expected: str, prediction: str) -> float:
    """BLEU of up to four words in a row (Papineni et al., 2002), lower case.

    Counts of more than one word are smoothed by 1 (Lin and Och, 2004), since one row alone has few; an answer of fewer
    than four words is judged by as many as it has.
    """
    reference, words = WORD.findall(expected.lower()), WORD.findall(prediction.lower())
    if not words or not reference:
        return float(words == reference)
    length = min(4, len(words))
    return float(sentence_bleu([reference], words, (1 / length,) * length, _SMOOTH))


def ari_grade_level(prediction: str) -> float:
    """Automated readability index, a school grade: 4.71 letters per word + 0.5 words per sentence − 21.43 (Senter and
    Smith, 1967); 0 for a text without words."""
    words = WORD.findall(prediction)
    if not words:
        return 0.0
    sentences = max(1, sum(bool(WORD.search(part)) for part in SENTENCE_END.split(prediction)))
    return 4.71 * len(LETTER.findall(prediction)) / len(words) + 0.5 * len(words) / sentences - 21.43


@cache
def _scorer(kind: str) -> rouge_scorer.RougeScorer:
    return rouge_scorer.RougeScorer([kind], tokenizer=_Words())


class _Words(Tokenizer):
    """Lower-case words. The package's own tokenizer knows only a-z and 0-9: any other script would score 0."""

    def tokenize(self, text: str) -> list[str]:
        return WORD.findall(text.lower())

"""What a secret looks like in text. Nothing here ever returns one."""

from __future__ import annotations

import re
from functools import lru_cache

_EDGE = r"(?<![A-Za-z0-9_])"
SHAPES: dict[str, str] = {
    "a Hugging Face token": _EDGE + r"hf_[A-Za-z0-9]{20,}",
    "an API key": _EDGE + r"sk-[A-Za-z0-9_-]{20,}",
    "a GitHub token": _EDGE + r"(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{22,})",
    "a GitLab token": _EDGE + r"glpat-[A-Za-z0-9_-]{20,}",
    "an AWS access key": _EDGE + r"(?:AKIA|ASIA)[0-9A-Z]{16}(?![0-9A-Z])",
    "a Google API key": _EDGE + r"AIza[A-Za-z0-9_-]{35}",
    "a Slack token": _EDGE + r"xox[abprs]-[A-Za-z0-9-]{10,}",
    "a signed web token": r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
}
"""Description to pattern. The prefixes are those that the issuers publish so that scanners can find leaked tokens."""

_ANY = re.compile("|".join(f"(?:{pattern})" for pattern in SHAPES.values()))
_EACH = tuple((what, re.compile(pattern)) for what, pattern in SHAPES.items())
_PASSWORD_IN_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,30}://[^/\s:@]*:)([^/\s@]+)(@)")
"""The bound on the scheme keeps the time linear: without it every letter of a long word begins a search to its end."""
_KEY = re.compile(
    r"(?:.+_)?(?:password|passwd|passphrase|api_?key|secret|(?:secret|access|private)_key|(?:access|auth|hf|hub)_token)"
    r"|token"
)
HIDDEN = "***"
_NAMED = re.compile(
    r"((?:password|passwd|passphrase|secret|api[_-]?key|(?:secret|access|private)[_-]key"
    r"|(?<!pad_)(?<!eos_)(?<!bos_)(?<!unk_)(?<!sep_)(?<!cls_)(?<!mask_)token)"
    r"""\\?["']?\s{0,2}[=:]\s{0,2}\\?["']?)[^\s"'\\<\[][^\s"'\\]{7,}""",
    re.IGNORECASE,
)
"""What comes before the name does not matter, so no search for its beginning is needed and the time stays linear. A
tokenizer's own tokens begin with a bracket; quotes end a value, so that JSON stays JSON."""
MARKS = (
    "hf_", "sk-", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "AKIA", "ASIA", "AIza", "xox", "eyJ",
    "PRIVATE KEY", "://",
)  # fmt: skip
"""Each shape, and a URL with a password, holds one of them: a plain search is ten times faster than the patterns."""


def maybe_secret(text: str) -> bool:
    """Whether a text may hold a token or a password in a URL; false is certain."""
    return any(mark in text for mark in MARKS) and bool(_ANY.search(text) or has_password(text))


def secret_in(text: str) -> str:
    """What kind of token ``text`` holds, in words; "" for none."""
    if not _ANY.search(text):
        return ""
    return next(what for what, pattern in _EACH if pattern.search(text))


def has_password(url: str) -> bool:
    """Whether a URL in ``text`` spells out a password."""
    return "://" in url and _PASSWORD_IN_URL.search(url) is not None


@lru_cache(4096)
def names_secret(key: str) -> bool:
    """Whether values under ``key`` are secrets by its name; a tokenizer's ``pad_token`` is not one."""
    return _KEY.fullmatch(key.casefold().replace("-", "_")) is not None


def redact_named(text: str) -> str:
    """``text`` with the values hidden that a name calls secret, as in ``password=…``; of eight characters or more.

    For what programs print. In people's own texts, such as a data set's, a password may be a word like any other."""
    return _NAMED.sub(rf"\1{HIDDEN}", text)


def redact(text: str) -> str:
    """``text`` with whatever looks like a secret hidden."""
    return _PASSWORD_IN_URL.sub(rf"\1{HIDDEN}\3", _ANY.sub(HIDDEN, text))

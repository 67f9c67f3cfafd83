"""What judges said, kept on disk as they say it: nothing is asked and paid for twice, by no attempt of the same job."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from pathlib import Path

from studio.core.jobspec import JobSpec
from studio.core.secrets import redact
from studio.jobs.result import UNTIL_DONE

FILE = "judgements.jsonl"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A score and its reason, or why there is none."""

    score: float | None
    reason: str


@dataclass(slots=True)
class Kept:
    """Judgements with a score, by a hash of all that was asked. Several threads may add."""

    file: Path
    attempt: int = 1
    known: dict[str, Judgement] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, asked: str, judgement: Judgement) -> None:
        """Raises OSError where the disk is full."""
        told = {"asked": asked, "score": judgement.score, "reason": redact(judgement.reason), "attempt": self.attempt}
        with self.lock:
            self.known[asked] = judgement
            with self.file.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(told) + "\n")


def of(spec: JobSpec) -> Kept:
    """What was kept for this job before; of one that starts from nothing only what this very attempt kept."""
    folder = spec.folder / UNTIL_DONE
    folder.mkdir(parents=True, exist_ok=True)
    kept = Kept(folder / FILE, spec.attempt)
    text = kept.file.read_text("utf-8", errors="replace") if kept.file.exists() else ""
    for line in text.splitlines():
        try:
            told = json.loads(line)
            if not spec.fresh or told["attempt"] == spec.attempt:
                kept.known[str(told["asked"])] = Judgement(float(told["score"]), str(told["reason"]))
        except (ValueError, TypeError, LookupError):  # a line that a killed attempt did not finish
            continue
    if text and not text.endswith("\n"):
        with kept.file.open("a", encoding="utf-8") as stream:
            stream.write("\n")
    return kept

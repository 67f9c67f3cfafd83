"""What a plan leaves alone, and what it warns of: a line each, the same in every form of report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from studio.core.references import Ref
from studio.plan.actions import LIMIT_PERCENT, Action, Plan, Verb
from studio.plan.premises import Disclosure, Lack
from studio.plan.pruning import PROTECTED
from studio.plan.selection import Unmanaged
from studio.report.findings import plural
from studio.report.plain import plain


@dataclass(frozen=True, slots=True)
class Remark:
    """Words, and the resources that they are about."""

    words: str
    refs: tuple[Ref, ...] = ()
    quotes: bool = False
    """Whether the words repeat what manifests say."""
    hint: str = ""
    """What to do about it."""


def remarks(plan: Plan) -> list[Remark]:
    """What to know beside the actions, the gravest last."""
    found = [_without_manifest(plan), _protected(plan), _needed(plan), _left_out(plan)]
    found += [Remark(plain(words), quotes=True) for words in plan.warnings]
    found += [_lacking(lack) for lack in plan.lacking]
    return [each for each in (*found, _limit(plan)) if each]


def _lacking(lack: Lack) -> Remark:
    words = f"missing on this machine: {lack.message} ({lack.position}), needed by"
    return Remark(plain(words), lack.refs, quotes=True, hint=plain(lack.hint))


def _without_manifest(plan: Plan) -> Remark | None:
    stays = plan.selection.unmanaged is Unmanaged.KEEP
    refs = tuple(each.ref for each in plan.kept if each.reason in ("no manifest", "left out"))
    if not refs:
        return None
    if plan.selection.destroy:
        return Remark(f"{plural(len(refs), 'recorded resource')} left out", refs)
    kept = "stays as it is (--prune deletes it)" if len(refs) == 1 else "stay as they are (--prune deletes them)"
    how = kept if stays else "left out"
    return Remark(f"{plural(len(refs), 'recorded resource')} without a manifest {how}", refs)


def _protected(plan: Plan) -> Remark | None:
    refs = tuple(each.ref for each in plan.kept if each.reason == PROTECTED)
    return Remark(f"{plural(len(refs), 'protected resource')} kept", refs) if refs else None


def _needed(plan: Plan) -> Remark | None:
    refs = tuple(each.ref for each in plan.kept if each.reason.startswith("needed by"))
    return Remark(f"{plural(len(refs), 'resource')} kept because something that stays needs it", refs) if refs else None


def _left_out(plan: Plan) -> Remark | None:
    if not plan.left_out:
        return None
    options = [f"--{name}" for name in ("target", "exclude") if getattr(plan.selection, name)]
    changing = tuple(each.ref for each in plan.left_out if each.verb is not Verb.NONE)
    words = f"{plural(len(plan.left_out), 'resource')} left out by {' and '.join(options)}"
    return Remark(f"{words}, of which {len(changing):,} would change" if changing else f"{words}, unchanged", changing)


def _limit(plan: Plan) -> Remark | None:
    safety = plan.safety
    return Remark(f"{limit_words(plan)}: apply needs --force") if safety.exceeded else None


def limit_words(plan: Plan) -> str:
    """How far a plan goes beyond the limit."""
    safety = plan.safety
    return (
        f"{safety.removed:,} removed and {safety.replaced:,} replaced of {safety.recorded:,} recorded resources, "
        f"more than {LIMIT_PERCENT} %"
    )


def names(refs: Sequence[object], shown: int) -> str:
    """The first of them, and a sign that there are more."""
    return ", ".join(map(str, refs[:shown])) + (" …" if len(refs) > shown else "")


def shown(action: Action) -> list[str]:
    """Which rows which judges get to see, in words; where a service is, only its variable says."""
    return [plain(_shown(each)) for each in action.disclosures]


def _shown(each: Disclosure) -> str:
    rows = "rows of an unknown number" if each.rows is None else f"up to {plural(each.rows, 'row')}"
    answers = f"with the answers of {plural(each.combinations, 'combination')}"
    return f"{rows}, {answers}, go to the judge {each.judge} ({each.model}) at the address in {each.variable}"

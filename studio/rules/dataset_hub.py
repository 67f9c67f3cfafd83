"""DS: data sets of the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core.findings import Phase, Severity
from studio.core.suggest import did_you_mean
from studio.load.hub import HubFault, HubInfo, is_commit
from studio.resources.dataset import Dataset, DatasetType
from studio.rules.base import Breach, View, refused, rule
from studio.rules.hub_answers import on_hub, unreachable


@rule("DS-002", Dataset, phase=Phase.ONLINE)
def not_on_hub(dataset: Dataset, view: View) -> Iterator[Breach]:
    """The Hugging Face Hub has no such data set, or does not show it to you.

    Private and gated data sets need a token; the hub does not tell a private one from one that does not exist.

    Bad:
        kind: Dataset
        spec:
          type: huggingface
          huggingface_name: acme/tikets  # <-
          revision: 8f0e3c1b5d7a9e2f4c6b8a0d1e3f5a7c9b2d4e6f
    Good:
        kind: Dataset
        spec:
          type: huggingface
          huggingface_name: acme/replies
          revision: 8f0e3c1b5d7a9e2f4c6b8a0d1e3f5a7c9b2d4e6f
    """
    answer = on_hub(dataset, view)
    if isinstance(answer, HubFault):
        yield from refused(
            answer, "spec.huggingface_name", "data set", dataset.spec.huggingface_name, dataset.spec.revision
        )


@rule("DS-010", Dataset)
def no_hub_name(dataset: Dataset, view: View) -> Iterator[Breach]:
    """A data set of the hub has no name there.

    Bad:
        kind: Dataset
        spec:
          type: huggingface
          huggingface_name: ""  # <-
    Good:
        kind: Dataset
        spec:
          type: huggingface
          huggingface_name: acme/replies
    """
    if dataset.spec.type == DatasetType.HUGGINGFACE and not dataset.spec.huggingface_name.strip():
        yield Breach("spec.huggingface_name", "huggingface_name is missing", "write owner/name, as on the hub")


@rule("DS-011", Dataset, severity=Severity.WARNING)
def revision_not_pinned(dataset: Dataset, view: View) -> Iterator[Breach]:
    """The revision is not a commit, so the rows can change under the same manifest.

    A branch or a tag moves. Then the same plan trains on other rows, and nothing says so.

    Bad:
        kind: Dataset
        spec:
          type: huggingface
          huggingface_name: acme/replies
          revision: main  # <-
    Good:
        kind: Dataset
        spec:
          type: huggingface
          huggingface_name: acme/replies
          revision: 8f0e3c1b5d7a9e2f4c6b8a0d1e3f5a7c9b2d4e6f
    """
    spec = dataset.spec
    if spec.type == DatasetType.HUGGINGFACE and spec.huggingface_name.strip() and not is_commit(spec.revision):
        what = f"revision {spec.revision!r} is not a commit" if spec.revision else "revision is missing"
        hint = "write the 40 digits of a commit, from the data set's history on the hub"
        yield Breach("spec.revision", f"{what}; the rows may change", hint)


@rule("DS-014", Dataset, severity=Severity.WARNING, phase=Phase.ONLINE)
def hub_unreachable(dataset: Dataset, view: View) -> Iterator[Breach]:
    """The Hugging Face Hub could not be asked about names there.

    Nothing is wrong with the manifests as far as anyone can tell; but nobody has checked. It is said once, at the first
    of them: a hub that does not answer is not asked again.

    Bad:
        kind: Dataset
        spec:
          type: huggingface
          huggingface_name: acme/flaky  # <-
          revision: 8f0e3c1b5d7a9e2f4c6b8a0d1e3f5a7c9b2d4e6f
    Good:
        kind: Dataset
        spec:
          type: huggingface
          huggingface_name: acme/replies
          revision: 8f0e3c1b5d7a9e2f4c6b8a0d1e3f5a7c9b2d4e6f
    """
    yield from unreachable(view, dataset.ref, "spec.huggingface_name")


@rule("DS-015", Dataset, phase=Phase.ONLINE)
def wrong_hub_features(dataset: Dataset, view: View) -> Iterator[Breach]:
    """The declared features are not the columns that the hub declares.

    Bad:
        kind: Dataset
        spec:
          type: huggingface
          huggingface_name: acme/replies
          revision: 8f0e3c1b5d7a9e2f4c6b8a0d1e3f5a7c9b2d4e6f
          features: [text, queue, priority]  # <-
    Good:
        kind: Dataset
        spec:
          type: huggingface
          huggingface_name: acme/replies
          revision: 8f0e3c1b5d7a9e2f4c6b8a0d1e3f5a7c9b2d4e6f
          features: [text, queue]
    """
    answer, declared = on_hub(dataset, view), dataset.spec.features
    if isinstance(answer, HubInfo) and answer.features and declared and set(declared) != set(answer.features):
        absent = [name for name in declared if name not in answer.features]
        known = ", ".join(answer.features)
        message = f"the data set has no column {absent[0]!r}" if absent else f"the data set has the columns {known}"
        hint = did_you_mean(absent[0], answer.features) if absent else f"write features: [{known}]"
        yield Breach("spec.features", message, hint)

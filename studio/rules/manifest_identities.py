"""MF: ids and earlier names, by which a manifest claims a record."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core.references import Ref
from studio.load.manifests import Manifest
from studio.resources.base import UID
from studio.rules.base import Breach, View, rule

OLD_NAME, ID = "metadata.renamed_from", "metadata.uid"


@rule("MF-014")
def renamed_from_a_name_in_use(view: View) -> Iterator[Breach]:
    """The name in renamed_from still has a manifest.

    The record moves from the old name to the new one; with manifests for both, nobody can tell whose it is.

    Bad:
        apiVersion: studio/v1
        kind: Config
        metadata: {name: lora-tiny}
        spec: {type: lora_config, config: {r: 4}}
        ---
        apiVersion: studio/v1
        kind: Config
        metadata: {name: lora-tinier, renamed_from: lora-tiny}  # <-
        spec: {type: lora_config, config: {r: 2}}
    Good:
        apiVersion: studio/v1
        kind: Config
        metadata: {name: lora-tiny, renamed_from: lora-first}
        spec: {type: lora_config, config: {r: 4}}
    """
    for ref, manifest in _claims(view):
        old = manifest.resource.metadata.renamed_from
        if old == ref.name:
            yield Breach(OLD_NAME, f"{ref} is renamed from itself", "name the earlier one", ref, manifest.source)
        elif Ref(ref.kind, old) in view.manifests:
            message = f"{ref.kind}/{old} still has a manifest, so {ref} cannot take over its record"
            yield Breach(OLD_NAME, message, "remove that manifest, or renamed_from", ref, manifest.source)


@rule("MF-015")
def renamed_from_the_same_name(view: View) -> Iterator[Breach]:
    """Two manifests are renamed from the same resource.

    A record can move to one new name only.

    Bad:
        apiVersion: studio/v1
        kind: Config
        metadata: {name: lora-tiny, renamed_from: lora-first}
        spec: {type: lora_config, config: {r: 4}}
        ---
        apiVersion: studio/v1
        kind: Config
        metadata: {name: lora-tinier, renamed_from: lora-first}  # <-
        spec: {type: lora_config, config: {r: 2}}
    Good:
        apiVersion: studio/v1
        kind: Config
        metadata: {name: lora-tiny, renamed_from: lora-first}
        spec: {type: lora_config, config: {r: 4}}
        ---
        apiVersion: studio/v1
        kind: Config
        metadata: {name: lora-tinier, renamed_from: lora-second}
        spec: {type: lora_config, config: {r: 2}}
    """
    first: dict[Ref, Ref] = {}
    for ref, manifest in _claims(view):
        old = Ref(ref.kind, manifest.resource.metadata.renamed_from)
        claimed = first.setdefault(old, ref)
        if claimed != ref:
            message = f"{claimed} is renamed from {old.name} already"
            yield Breach(OLD_NAME, message, "keep it where the record shall go", ref, manifest.source)


@rule("MF-016")
def repeated_uid(view: View) -> Iterator[Breach]:
    """Two manifests have the same uid.

    A uid adopts the record that has it, and one record cannot be two resources.

    Bad:
        apiVersion: studio/v1
        kind: Config
        metadata: {name: lora-tiny, uid: 6f1c2f0e-2a52-4d2c-9d5c-0d7b5d3f9a11}
        spec: {type: lora_config, config: {r: 4}}
        ---
        apiVersion: studio/v1
        kind: Config
        metadata: {name: lora-tinier, uid: 6f1c2f0e-2a52-4d2c-9d5c-0d7b5d3f9a11}  # <-
        spec: {type: lora_config, config: {r: 2}}
    Good:
        apiVersion: studio/v1
        kind: Config
        metadata: {name: lora-tiny, uid: 6f1c2f0e-2a52-4d2c-9d5c-0d7b5d3f9a11}
        spec: {type: lora_config, config: {r: 4}}
    """
    first: dict[str, Ref] = {}
    for ref, manifest in _in_files(view):
        uid = manifest.resource.metadata.uid
        claimed = first.setdefault(uid, ref) if uid else ref
        if claimed != ref:
            message = f"the uid is that of {claimed} already"
            yield Breach(ID, message, "remove it: a resource without one gets its own", ref, manifest.source)


@rule("MF-017")
def malformed_uid(view: View) -> Iterator[Breach]:
    """A uid is longer than 36 characters, or holds others than letters, digits, hyphens, dots and underscores.

    State keeps it in a column of that width, and it is written to other systems.

    Bad:
        kind: Config
        metadata:
          name: lora-small
          uid: "{6f1c2f0e}"  # <-
        spec:
          config: {r: 4}
    Good:
        kind: Config
        metadata:
          name: lora-small
          uid: 6f1c2f0e-2a52-4d2c-9d5c-0d7b5d3f9a11
        spec:
          config: {r: 4}
    """
    for ref, manifest in view.manifests.items():
        uid = manifest.resource.metadata.uid
        if uid and not UID.fullmatch(uid):
            shown = uid if len(uid) <= 60 else f"{uid[:57]}..."
            hint = "copy the id from 'studio state list', or remove it"
            yield Breach(ID, f"{shown!r} is not an id", hint, ref, manifest.source)


def _claims(view: View) -> Iterator[tuple[Ref, Manifest]]:
    """The manifests that were renamed."""
    for ref, manifest in _in_files(view):
        if manifest.resource.metadata.renamed_from:
            yield ref, manifest


def _in_files(view: View) -> list[tuple[Ref, Manifest]]:
    """In the order in which they stand: of two that claim the same, the later one is at fault."""
    found = view.once("manifests as they stand", None, lambda: sorted(view.manifests.items(), key=_place))
    return list(found)


def _place(entry: tuple[Ref, Manifest]) -> tuple[str, int]:
    return entry[1].source.file, entry[1].source.document

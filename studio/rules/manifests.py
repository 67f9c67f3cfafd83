"""MF: the text of manifests."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core.findings import Severity
from studio.load.problems import Fault
from studio.resources.base import LONGEST_NAME, SLUG, slug
from studio.rules.base import Breach, View, faults, rule

NAME = ("metadata", "name")
NAMED_ELSEWHERE = ("Adapter", "Prompt")
"""Kinds whose missing name has an id of the guide: AD-001 and PR-001."""


@rule("MF-001")
def unreadable_file(view: View) -> Iterator[Breach]:
    """A manifest file or folder cannot be read, or is not UTF-8 text.

    Bad:
        kind: Project
        spec:
          manifests:
            - manifests
            - resources  # <-
    Good:
        kind: Project
        spec:
          manifests:
            - manifests
    """
    yield from faults(view, Fault.UNREADABLE)


@rule("MF-002")
def syntax_error(view: View) -> Iterator[Breach]:
    """The file is not valid YAML.

    Bad:
        apiVersion: studio/v1
        kind: Config
        metadata: {name: lora-tiny
        spec:  # <-
          type: lora_config
          config: {r: 4}
    Good:
        apiVersion: studio/v1
        kind: Config
        metadata: {name: lora-tiny}
        spec:
          type: lora_config
          config: {r: 4}
    """
    yield from faults(view, Fault.SYNTAX)


@rule("MF-003")
def duplicate_key(view: View) -> Iterator[Breach]:
    """A key appears twice in the same mapping.

    Parsers keep one of them without a word, and not all of them the same one.

    Bad:
        apiVersion: studio/v1
        kind: Config
        metadata: {name: lora-tiny}
        spec:
          type: lora_config
          config:
            r: 4
            r: 8  # <-
    Good:
        apiVersion: studio/v1
        kind: Config
        metadata: {name: lora-tiny}
        spec:
          type: lora_config
          config:
            r: 4
    """
    yield from faults(view, Fault.DUPLICATE_KEY)


@rule("MF-004")
def not_a_manifest(view: View) -> Iterator[Breach]:
    """A document is not a manifest: no mapping, no kind, or not of this apiVersion.

    Bad:
        apiVersion: studio/v2  # <-
        kind: Config
        metadata: {name: lora-tiny}
        spec: {type: lora_config, config: {r: 4}}
    Good:
        apiVersion: studio/v1
        kind: Config
        metadata: {name: lora-tiny}
        spec: {type: lora_config, config: {r: 4}}
    """
    yield from faults(view, Fault.NOT_A_MANIFEST)


@rule("MF-005")
def unknown_kind(view: View) -> Iterator[Breach]:
    """The kind of a manifest is unknown.

    Bad:
        apiVersion: studio/v1
        kind: Confg  # <-
        metadata: {name: lora-tiny}
        spec: {type: lora_config, config: {r: 4}}
    Good:
        apiVersion: studio/v1
        kind: Config
        metadata: {name: lora-tiny}
        spec: {type: lora_config, config: {r: 4}}
    """
    yield from faults(view, Fault.UNKNOWN_KIND)


@rule("MF-006")
def unknown_field(view: View) -> Iterator[Breach]:
    """A field does not exist.

    A misspelt field that is ignored means a default that nobody chose.

    Bad:
        kind: FineTuningJob
        spec:
          learning_rte: 2.0e-4  # <-
    Good:
        kind: FineTuningJob
        spec:
          learning_rate: 2.0e-4
    """
    yield from faults(view, Fault.UNKNOWN_FIELD)


@rule("MF-007")
def wrong_type(view: View) -> Iterator[Breach]:
    """A value is of another type than the field takes.

    Nothing is converted: text that looks like a number is text.

    Bad:
        kind: FineTuningJob
        spec:
          num_cpu: "2"  # <-
    Good:
        kind: FineTuningJob
        spec:
          num_cpu: 2
    """
    yield from faults(view, Fault.WRONG_TYPE)


@rule("MF-008")
def duplicate_resource(view: View) -> Iterator[Breach]:
    """Two manifests of one kind have the same name.

    Kind and name are the identity of a resource: references, records and plans go by them.

    Bad:
        apiVersion: studio/v1
        kind: Config
        metadata: {name: lora-tiny}
        spec: {type: lora_config, config: {r: 4}}
        ---
        apiVersion: studio/v1
        kind: Config
        metadata: {name: lora-tiny}  # <-
        spec: {type: lora_config, config: {r: 2}}
    Good:
        apiVersion: studio/v1
        kind: Config
        metadata: {name: lora-tiny}
        spec: {type: lora_config, config: {r: 4}}
        ---
        apiVersion: studio/v1
        kind: Config
        metadata: {name: lora-tinier}
        spec: {type: lora_config, config: {r: 2}}
    """
    for problem in view.problems:
        resource = problem.resource
        if problem.fault is Fault.DUPLICATE_RESOURCE and resource and resource.name and resource.kind != "Prompt":
            yield Breach("", "", "", problem=problem)  # PR-001 reports prompts


@rule("MF-009")
def too_large(view: View) -> Iterator[Breach]:
    """A file is too large, nested too deeply, or its aliases expand to too many values.

    A few lines of aliases can stand for billions of values. Manifests may come from anyone who can open a pull request.
    So may studio.yaml: each of its environments is checked, and it may have a hundred.

    Bad:
        a: &a [x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x]
        b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a]
        c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b, *b, *b, *b, *b, *b, *b, *b, *b, *b, *b]
        d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c, *c, *c, *c, *c, *c, *c, *c, *c, *c, *c]
        e: [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d, *d, *d, *d, *d, *d, *d, *d, *d, *d, *d]
    Good:
        apiVersion: studio/v1
        kind: Config
        metadata: {name: lora-tiny}
        spec: {type: lora_config, config: {r: 4}}
    """
    yield from faults(view, Fault.LIMIT)


@rule("MF-010", severity=Severity.WARNING)
def no_manifest(view: View) -> Iterator[Breach]:
    """A file or the whole project holds no manifest.

    Bad:
        # everything here was commented out  # <-
    Good:
        apiVersion: studio/v1
        kind: Config
        metadata: {name: lora-tiny}
        spec: {type: lora_config, config: {r: 4}}
    """
    yield from faults(view, Fault.NO_MANIFEST)


@rule("MF-011")
def bad_name(view: View) -> Iterator[Breach]:
    """The name is not a slug: lower-case letters, digits, hyphens and dots, at most 253, no hyphen or dot at its ends.

    Names become parts of folder, job and registry names.

    Bad:
        kind: Config
        metadata:
          name: LoRA small  # <-
        spec:
          config: {r: 4}
    Good:
        kind: Config
        metadata:
          name: lora-smaller
        spec:
          config: {r: 4}
    """
    for ref, manifest in view.manifests.items():
        if ref.name and not SLUG.match(ref.name):
            shown = ref.name if len(ref.name) <= 60 else ref.name[:57] + "..."
            message, hint = f"the name {shown!r} is not a slug", f"write {slug(ref.name, ref.kind.lower())}"
            if len(ref.name) > LONGEST_NAME:
                message = f"the name {shown!r} has {len(ref.name):,} characters; at most {LONGEST_NAME} are allowed"
                hint = "write a shorter one: lower-case letters, digits, hyphens and dots"
            yield Breach(NAME, message, hint, ref, manifest.source)


@rule("MF-012")
def no_name(view: View) -> Iterator[Breach]:
    """A manifest has no name.

    Bad:
        kind: Config
        metadata:
          name: ""  # <-
        spec:
          config: {r: 4}
    Good:
        kind: Config
        metadata:
          name: lora-tiny
        spec:
          config: {r: 4}
    """
    hint = "write metadata.name: lower-case letters, digits and hyphens"
    for ref, manifest in view.manifests.items():
        if not ref.name and ref.kind not in NAMED_ELSEWHERE:
            yield Breach(NAME, f"the {ref.kind} has no name", hint, ref, manifest.source)
    for problem in view.problems:  # a second one without a name counts as a duplicate of the first
        nameless = problem.fault is Fault.DUPLICATE_RESOURCE and problem.resource and not problem.resource.name
        if nameless and problem.resource and problem.resource.kind not in NAMED_ELSEWHERE:
            yield Breach(NAME, f"the {problem.resource.kind} has no name", hint, source=problem.source)

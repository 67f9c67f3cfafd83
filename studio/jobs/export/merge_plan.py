"""What becomes of each tensor of a base model when an adapter is merged into it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from studio.core.errors import JobError
from studio.jobs.export import packed_weights
from studio.jobs.export.lora_weights import Changes, Pair
from studio.jobs.export.packed_weights import Packed
from studio.jobs.export.safetensors_file import FLOATS, Tensor, tensors
from studio.jobs.inputs.locations import CONFIG, read_json

WEIGHTS, SINGLE, INDEX = "*.safetensors", "model.safetensors", "model.safetensors.index.json"
TIED = "tie_word_embeddings"
NAMED = 8
"""Names in one message."""
TRANSPOSING = {"gpt2": ("c_attn", "q_attn", "c_proj", "c_fc"), "openai-gpt": ("c_attn", "c_proj", "c_fc")}
"""Model types whose layers of these names are Conv1D, which stores (in, out) (transformers 5). PEFT's fan_in_fan_out
tells it of only one of the layers, so it does not decide."""
_EMBEDDING = re.compile(r"(.*\.)?(embed_tokens|wte|word_embeddings|embed_in|tokens_embed)\.weight\Z")
_HEAD = re.compile(r"(lm_head|embed_out)\.weight\Z")


@dataclass(frozen=True, slots=True)
class Piece:
    """One tensor of the merged model: its source in the base, and what the adapter changes.

    ``whole`` takes the source's place before ``pair`` is added; of a bias, the pair's bias is added. ``packed``: what
    the source stands for is quantised in the base.
    """

    source: Tensor
    pair: Pair | None = None
    whole: Tensor | None = None
    transposed: bool = False
    packed: Packed | None = None

    @property
    def is_changed(self) -> bool:
        return self.pair is not None or self.whole is not None


@dataclass(frozen=True, slots=True)
class Plan:
    """The pieces of every shard by name, in file order.

    ``added``: names that the base does not store, with their shard: output weights that were the embedding's.
    ``unties``: the embedding and the output weights are no longer one, which the model's configuration must say.
    ``unpacks``: the base is quantised and the merged model is not, which its configuration must say.
    """

    shards: dict[Path, dict[str, Piece]]
    added: dict[str, Path] = field(default_factory=dict)
    unties: bool = False
    unpacks: bool = False

    @property
    def size(self) -> int:
        """Bytes of all tensors."""
        return sum(piece.source.size for pieces in self.shards.values() for piece in pieces.values())

    @property
    def changed(self) -> int:
        return sum(piece.is_changed for pieces in self.shards.values() for piece in pieces.values())


def shard_paths(base: Path) -> list[Path]:
    """The files that hold the model's weights, chosen as transformers does: one file, else those of the index."""
    if (base / SINGLE).exists():
        return [base / SINGLE]
    if not (base / INDEX).exists():
        return sorted(base.glob(WEIGHTS))
    names = sorted({str(name) for name in read_json(base / INDEX).get("weight_map", {}).values()})
    missing = [name for name in names if Path(name).name != name or not (base / name).is_file()]
    if missing or not names:
        raise JobError(f"{base / INDEX} names shards that are not there: {_listed(missing)}", "fetch the model again")
    return [base / name for name in names]


def make(base: Path, changes: Changes) -> Plan:
    """Raises JobError when the base's weights cannot be had, or when something of the adapter has no place in it."""
    config = read_json(base / CONFIG)
    shards, packed = packed_weights.unpack(config, {path: tensors(path) for path in shard_paths(base)})
    if packed and config.get("model_type") in TRANSPOSING:
        raise JobError(
            f"quantised layers of {config['model_type']} are stored the other way round than those that are not",
            packed_weights.CURE,
        )
    model = _Model(config, shards, packed)
    pieces: dict[str, Piece] = {}
    missing: list[str] = []
    for name, whole in changes.whole.items():
        _put(pieces, missing, model, name, whole=whole)
    for module, pair in sorted(changes.pairs.items()):
        transposed = not pair.embedding and _is_transposed(config, module, changes.transposed)
        _put(pieces, missing, model, f"{module}.weight", pair=pair, transposed=transposed)
        if pair.bias:
            _put(pieces, missing, model, f"{module}.bias", pair=pair)
    if missing:
        raise JobError(
            f"the base model has no {_listed(missing)}: the adapter was made for another model",
            "check the adapter's base model",
        )
    for name, piece in pieces.items():
        _check(name, piece)
    return model.plan(pieces)


class _Model:
    """The base model's tensors, and which two of them may be one."""

    def __init__(
        self, config: dict[str, Any], shards: dict[Path, dict[str, Tensor]], packed: dict[str, Packed]
    ) -> None:
        self.shards = shards
        self.packed = packed
        self.tied = config.get(TIED)
        self.stored = {name: path for path, held in shards.items() for name in held}
        embeddings = [name for name in self.stored if _EMBEDDING.match(name)]
        self.embedding = embeddings[0] if len(embeddings) == 1 else ""
        heads = [name for name in self.stored if _HEAD.match(name)]
        self.head = heads[0] if heads else "embed_out.weight" if "embed_in" in self.embedding else "lm_head.weight"
        self.lends = bool(self.embedding) and not heads and self.tied is not False

    def find(self, wanted: str) -> tuple[str, Tensor] | None:
        """The tensor of this name. Some checkpoints leave out the model's prefix: ``h.0.attn`` for
        ``transformer.h.0.attn``. Output weights that are the embedding's are found there."""
        fits = [wanted] if wanted in self.stored else [name for name in self.stored if wanted.endswith(f".{name}")]
        if len(fits) == 1:
            return fits[0], self.shards[self.stored[fits[0]]][fits[0]]
        if wanted == self.head and self.lends:
            return wanted, self.shards[self.stored[self.embedding]][self.embedding]
        return None

    def piece(self, tensor: Tensor) -> Piece:
        """A tensor as the base has it."""
        return Piece(tensor, packed=self.packed.get(tensor.name))

    def plan(self, pieces: dict[str, Piece]) -> Plan:
        shards = {
            path: {
                tensor.name: pieces.get(tensor.name) or self.piece(tensor)
                for tensor in sorted(held.values(), key=lambda tensor: tensor.offset)
            }
            for path, held in self.shards.items()
        }
        if not pieces.keys() & {self.embedding, self.head}:
            return Plan(shards, unpacks=bool(self.packed))
        added = {}
        if self.lends:
            path = self.stored[self.embedding]
            shards[path][self.head] = pieces.get(self.head) or self.piece(self.shards[path][self.embedding])
            added = {self.head: path}
        return Plan(shards, added, unties=self.tied is not False, unpacks=bool(self.packed))


def _put(pieces: dict[str, Piece], missing: list[str], model: _Model, wanted: str, **change: Any) -> None:
    found = model.find(wanted)
    if found is None:
        missing.append(wanted)
        return
    name, source = found
    pieces[name] = replace(pieces.get(name) or model.piece(source), **change)


def _is_transposed(config: dict[str, Any], module: str, adapter_says: bool) -> bool:
    layers = TRANSPOSING.get(str(config.get("model_type")))
    return adapter_says if layers is None else module.rpartition(".")[2] in layers


def _check(name: str, piece: Piece) -> None:
    source, pair = piece.source, piece.pair
    if source.dtype not in FLOATS:
        raise JobError(f"{name} is stored as {source.dtype}: nothing can be merged into quantised weights")
    if piece.whole and piece.whole.shape != source.shape:
        raise _misfit(name, source.shape, f"the adapter holds one of shape {piece.whole.shape}")
    if pair is None:
        return
    if name.endswith(".bias") and pair.bias:
        if pair.bias.shape != source.shape:
            raise _misfit(name, source.shape, f"the adapter's change has {pair.bias.shape}")
        return
    if len(source.shape) != 2:
        raise JobError(f"{name} has {len(source.shape)} dimensions; only linear layers and embeddings can be merged")
    shape = (pair.b.shape[0], pair.a.shape[1])
    wanted = source.shape[::-1] if piece.transposed or pair.embedding else source.shape
    if shape != wanted:
        raise _misfit(name, wanted, f"the adapter's change has {shape}")
    if pair.magnitude and pair.magnitude.shape != shape[:1]:
        raise _misfit(name, wanted, f"the adapter's magnitude has {pair.magnitude.shape}")


def _misfit(name: str, shape: tuple[int, ...], held: str) -> JobError:
    return JobError(f"{name} has shape {shape}, {held}: the adapter was made for another model")


def _listed(names: list[str]) -> str:
    rest = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + rest

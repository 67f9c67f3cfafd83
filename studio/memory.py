"""How much memory a fine-tuning job will need at its peak. Arithmetic on the model's shape: nothing is loaded.

What autograd keeps for the backward pass was listed tensor by tensor (``saved_tensors_hooks``) for Llama layers under
transformers 5.17, peft 0.21 and trl 1.16, and agrees with the published counts (Korthikanti et al., Reducing Activation
Recomputation in Large Transformer Models, 2022) less what frozen weights spare: a frozen linear layer keeps nothing,
LoRA keeps the input of each layer that it adapts. ``benchmarks/memory.py`` compares estimates with real runs;
docs/memory.md shows the figures. Everything is in bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from studio.resources.model import ModelShape

MIB = 1 << 20
RUNTIME = 716 * MIB
"""A training process before its model: Python, torch, transformers, trl, MLflow (measured, CPU build of torch 2.13)."""
LOADING = 640 * MIB
"""The same while weights are loaded: MLflow comes later (measured)."""
CONTEXT = 1343 * MIB
"""GPU memory that the CUDA context and kernels take (Hugging Face, Model training anatomy; an A100)."""
FLOAT, HALF = 4, 2
HOLES = 0.8
"""Of freed and reused small blocks glibc's malloc keeps holes: resident were 1.8 times the live bytes of activations
and loss (measured, ten settings: 1.4 to 2.3)."""
MAPPED = 32 * MIB
"""Larger blocks are mapped one by one and given back at once (mallopt(3), M_MMAP_THRESHOLD, its upper limit)."""
TILE_TOKENS, TILE_WORDS = 4096, 32768
"""trl 1.16 takes the loss on tiles of logits of at most so many tokens and words (trl.kernels.chunked_logprob)."""
TILES_ON_CPU = 8.25
"""Tiles of float32 at the peak of its backward pass without Triton: the tile itself, seven temporary ones, one of bytes
(counted by a dispatch mode)."""
ROW_TOKEN = 24
"""Bytes of a token in the prepared rows: identifier, label and mask of 8 bytes each (trl, datasets)."""
STATES: dict[str, float] = {
    "sgd": 0,
    "adafactor": 0.1,
    "adamw_8bit": 2,
    "adamw_bnb_8bit": 2,
    "paged_adamw_8bit": 2,
    "lion_32bit": 4,
    "paged_lion_32bit": 4,
    "lion_8bit": 1,
    "paged_lion_8bit": 1,
    "adagrad": 4,
}
"""Bytes of optimizer state for each trained number: two moments of 4 bytes (Adam) unless named here; of 1 byte in 8-bit
optimizers (Dettmers et al., 2022); Adafactor keeps sums of rows and columns (Shazeer and Stern, 2018)."""
ADAM = 8.0
PAGED = "paged_"
"""Optimizers whose states move to host memory under pressure (QLoRA, Dettmers et al., 2023, section 3)."""


@dataclass(frozen=True, slots=True)
class Run:
    """What determines a training's memory, besides model and adapter. ``dropout`` is LoRA's."""

    batch: int
    tokens: int
    """Of the longest row of a batch; the others are padded to it."""
    rows: int = 0
    dropout: bool = False
    checkpointing: bool = False
    optimizer: str = "adamw_torch"
    bits: int = 0
    """4 or 8 for quantised base weights; 0 for none."""
    double_quantised: bool = False
    gpus: int = 0
    workers: int = 1


@dataclass(frozen=True, slots=True)
class Adapted:
    """What LoRA adds to a model, summed over the modules it adapts.

    ``inputs`` are the widths of their inputs, ``shared_inputs`` the same with one input for all modules that read it
    (queries, keys and values read one), ``ranks`` their ranks.
    """

    parameters: int
    inputs: int = 0
    shared_inputs: int = 0
    ranks: int = 0


@dataclass(frozen=True, slots=True)
class Parts:
    """Peak memory by cause."""

    runtime: int = 0
    weights: int = 0
    adapter: int = 0
    gradients: int = 0
    optimizer: int = 0
    activations: int = 0
    loss: int = 0
    data: int = 0
    allocator: int = 0
    """Holes between blocks."""
    loading: int = 0
    """Pages of the weights files, mapped while they are read, beyond what training needs later."""

    @property
    def total(self) -> int:
        return sum(getattr(self, part.name) for part in fields(self))

    @property
    def needed(self) -> int:
        """Without pages of files: the system takes those back before it stops a process."""
        return self.total - self.loading


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of one process: its resident memory, and the memory of its GPU where it has one."""

    host: Parts
    gpu: Parts | None = None


def estimate(shape: ModelShape, adapted: Adapted, run: Run) -> Estimate:
    """The peak of a training process that adapts ``adapted`` of the model's modules."""
    on_gpu = run.gpus > 0
    trained = _trained(adapted, run)
    parts = Parts(
        weights=weights(shape, HALF if on_gpu else FLOAT, run),
        activations=_activations(shape, adapted, run),
        loss=_loss(shape, run),
        **trained,
    )
    data = run.rows * run.tokens * ROW_TOKEN
    if on_gpu:
        held = Parts(runtime=RUNTIME, data=data, loading=max(0, LOADING + shape.stored - RUNTIME - data))
        return Estimate(held, _with(parts, runtime=CONTEXT))
    host = _with(parts, runtime=RUNTIME, data=data, allocator=_holes(parts, shape, run))
    return Estimate(_with(host, loading=max(0, LOADING + shape.stored + parts.weights - host.total)))


def _with(parts: Parts, **changes: int) -> Parts:
    return Parts(**{part.name: changes.get(part.name, getattr(parts, part.name)) for part in fields(Parts)})


def weights(shape: ModelShape, width: int, run: Run) -> int:
    """The base model in memory: ``width`` bytes a number. bitsandbytes packs the matrices of the layers; embedding,
    head and norms stay.

    NF4 takes half a byte a number and a float32 constant for each block of 64; double quantisation makes the constants
    bytes, with a float32 for each 256 of them (QLoRA, section 3). LLM.int8 takes a byte a number and a float32 for each
    row (Dettmers et al., 2022).
    """
    if not run.bits:
        return shape.parameters * width
    packed = [each for each in shape.matrices if _is_packed(each.name)]
    numbers = min(sum(each.rows * each.columns for each in packed), shape.parameters)
    rest = (shape.parameters - numbers) * width
    if run.bits == 8:
        return rest + numbers + 4 * sum(each.rows for each in packed)
    constants = numbers // 64
    return rest + numbers // 2 + (constants + 4 * (constants // 256) if run.double_quantised else 4 * constants)


def _is_packed(name: str) -> bool:
    last = name.rpartition(".")[2]
    return "." in name and not any(part in last for part in ("embed", "wte", "wpe", "lm_head", "norm", "ln_"))


def _trained(adapted: Adapted, run: Run) -> dict[str, int]:
    """Adapter and modules trained in full, in float32 (PEFT, autocast_adapter_dtype), their gradients, and the states.

    Two workers or more keep a second copy of the gradients (torch, DistributedDataParallel, gradient buckets).
    """
    numbers = adapted.parameters
    each = STATES.get(run.optimizer, STATES.get(run.optimizer.removeprefix(PAGED), ADAM))
    return {
        "adapter": FLOAT * numbers,
        "gradients": FLOAT * numbers * (2 if run.workers > 1 else 1),
        "optimizer": int(each * numbers),
    }


def _activations(shape: ModelShape, adapted: Adapted, run: Run) -> int:
    """What is kept for the backward pass. With checkpointing: the input of every layer, and all of one layer."""
    width = HALF if run.gpus else FLOAT
    attention = 4 * shape.heads * shape.head_size  # queries, keys and values for every head, and the output
    layer = 2 * FLOAT * shape.hidden + width * (attention + 3 * shape.intermediate)
    if run.gpus:  # autocast copies the input of every adapted layer; dropout keeps a mask of bytes
        kept = adapted.inputs * (width + run.dropout)
    else:  # layers share their input, unless dropout makes each its own: noise and product
        kept = adapted.inputs * 2 * FLOAT if run.dropout else adapted.shared_inputs * FLOAT
    whole = shape.layers * layer + kept + width * adapted.ranks
    if run.checkpointing:
        whole = shape.layers * shape.hidden * width + -(-whole // shape.layers)
    return run.batch * run.tokens * whole


def _loss(shape: ModelShape, run: Run) -> int:
    """The tiles of logits, and the gradient of the last hidden states in float32.

    With Triton (on a GPU) a tile is overwritten by its gradient, and has its full width whatever the vocabulary.
    """
    tokens = min(run.batch * run.tokens, TILE_TOKENS)
    hidden = FLOAT * shape.hidden * run.batch * run.tokens
    if run.gpus:
        return tokens * TILE_WORDS * HALF + hidden
    return int(tokens * min(shape.vocabulary, TILE_WORDS) * FLOAT * TILES_ON_CPU) + hidden


def _holes(parts: Parts, shape: ModelShape, run: Run) -> int:
    """What malloc keeps beyond the live blocks; blocks above its limit leave no hole."""
    tokens = run.batch * run.tokens
    small_layers = FLOAT * tokens * shape.intermediate <= MAPPED
    small_tiles = FLOAT * min(tokens, TILE_TOKENS) * min(shape.vocabulary, TILE_WORDS) <= MAPPED
    return int(HOLES * (parts.activations * small_layers + parts.loss * small_tiles))

"""Memory of one training step on one device, part by part, each with its formula.

Does: weights, gradients, optimizer, activations and inputs, for LoRA and full training, alone,
with ZeRO-2 or ZeRO-3.  Does not: measure, or count what libraries and the allocator take besides.

States follow Rajbhandari et al., "ZeRO: Memory Optimizations Toward Training Trillion Parameter
Models", 2020, our reading for ms-swift: DeepSpeed keeps a float32 copy and AdamW's two moments of
a bfloat16 weight (12 bytes); without it AdamW keeps two moments in the weight's own type.
"""

from dataclasses import dataclass

from finetune.planning.counts import Shape, largest_layer

GIB = 1 << 30

LAYER_WIDTHS = 6.2
HEAD_WIDTHS = 3.0
INNER_WIDTHS = 3.0
ROUTED_WIDTHS = 2.2
"""How many numbers a layer keeps for its backward pass, a token: so many of the hidden width, of
queries, keys and values, and for each chosen expert of its inner width and of the hidden width."""

LOGIT_COPIES = 5.5
"""Logits of every token, their float32 copy, probabilities and gradients, alive together."""
KEPT_WIDTHS = 3.6
"""Hidden widths that each layer still keeps when its activations are computed again."""
GRADIENTS_AT_PEAK = 0.44
"""Share of the gradients that is there when activations are most."""
STEP_COPIES = 1.23
"""Gradients and what the optimizer needs besides during its step, in gradients.

All of these were fitted to peaks of the miniature at three sizes, adapters with dropout; other
sizes are held to them within 15 % by `tests/finetune/test_plan_memory.py`.  Adapters without
dropout take up to a third less."""


@dataclass(frozen=True)
class Setting:
    """What memory depends on besides the model.

    trained, held: numbers of weights with a gradient, and of all others.  weight_bytes: of one
    held weight; trained_bytes: of one trained weight.  shards: devices that share.  rows: a device
    and step.  tokens: of one row.  input_bytes: pixels and spectra of one row.
    """

    trained: int
    held: int
    weight_bytes: int
    trained_bytes: int
    zero: int
    shards: int
    rows: int
    tokens: int
    input_bytes: int
    checkpointing: bool


@dataclass(frozen=True)
class Share:
    """One part of the memory in bytes, and the formula with its numbers."""

    name: str
    bytes: float
    formula: str


@dataclass(frozen=True)
class Memory:
    """The parts of one device's memory, and the most that is alive at once, in bytes."""

    shares: tuple[Share, ...]
    peak: float

    @property
    def formula(self) -> str:
        """How the peak follows from the parts."""
        return (
            "weights + optimizer + inputs + the larger of "
            f"(activations + {GRADIENTS_AT_PEAK:g} gradients) and ({STEP_COPIES:g} gradients)"
        )


def estimate(shape: Shape, setting: Setting) -> Memory:
    """Return what one device holds."""
    weights, gradients = _weights(shape, setting), _gradients(setting)
    optimizer, activations = _optimizer(setting), _activations(shape, setting)
    size = setting.rows * setting.input_bytes
    inputs = Share("inputs", size, f"{setting.rows} rows x {setting.input_bytes:,} bytes")
    backward = activations.bytes + GRADIENTS_AT_PEAK * gradients.bytes
    step = STEP_COPIES * gradients.bytes
    always = weights.bytes + optimizer.bytes + inputs.bytes
    return Memory(
        (weights, gradients, optimizer, activations, inputs), always + max(backward, step)
    )


def _weights(shape: Shape, setting: Setting) -> Share:
    size = setting.held * setting.weight_bytes + setting.trained * setting.trained_bytes
    formula = f"{setting.held:,} x {setting.weight_bytes} + "
    formula += f"{setting.trained:,} x {setting.trained_bytes} bytes"
    if setting.zero < 3:
        return Share("weights", size, formula)
    layer = largest_layer(shape) * setting.weight_bytes
    formula = f"({formula}) / {setting.shards} + one layer gathered, {layer:,} bytes"
    return Share("weights", size / setting.shards + layer, formula)


def _gradients(setting: Setting) -> Share:
    over = setting.shards if setting.zero >= 2 else 1
    size = setting.trained * setting.trained_bytes / over
    return Share("gradients", size, f"{setting.trained:,} x {setting.trained_bytes} bytes / {over}")


def _optimizer(setting: Setting) -> Share:
    over = setting.shards if setting.zero >= 2 else 1
    copied = setting.zero >= 2 and setting.trained_bytes == 2
    each = 12 if copied else 2 * setting.trained_bytes
    return Share(
        "optimizer", setting.trained * each / over, f"{setting.trained:,} x {each} bytes / {over}"
    )


def _activations(shape: Shape, setting: Setting) -> Share:
    text, size = shape.text, setting.weight_bytes
    layers, hidden = text["num_hidden_layers"], text["hidden_size"]
    tokens, layer = setting.rows * setting.tokens, layer_numbers(shape)
    logits = LOGIT_COPIES * text["vocab_size"]
    if setting.checkpointing:
        numbers = layers * KEPT_WIDTHS * hidden + layer + logits
        formula = f"{layers} x {KEPT_WIDTHS:g} x {hidden} + one layer {layer:,.0f}"
    else:
        numbers = layers * layer + logits
        formula = f"{layers} layers x {layer:,.0f}"
    formula = f"{tokens:,} tokens x ({formula} + logits {logits:,.0f}) x {size} bytes"
    return Share("activations", tokens * numbers * size, formula)


def layer_numbers(shape: Shape) -> float:
    """Return how many numbers one layer keeps a token."""
    text = shape.text
    heads = (text["num_attention_heads"] + 2 * text["num_key_value_heads"]) * text["head_dim"]
    inner = INNER_WIDTHS * text["moe_intermediate_size"]
    routed = text["num_experts_per_tok"] * (inner + ROUTED_WIDTHS * text["hidden_size"])
    return float(LAYER_WIDTHS * text["hidden_size"] + HEAD_WIDTHS * heads + routed)

"""Sizes and choices of the evidence projector, kept in a checkpoint's config.json.

Does: hold and check them.  Does not: make modules.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal, get_args

from mllm_affect.data.unit_labels import MADE_UNITS
from mllm_affect.errors import UserError

Crop = Literal["centre", "face"]
Fusion = Literal["mge_efp", "concat"]
Graph = Literal["sparse", "dense", "none"]
Token = Literal["content", "instruction"]

TOKENS = ("<|quad_start|>", "<|quad_end|>")
"""Reserved entries of Qwen's vocabulary that hold the places of CT and IT after each video."""

TOKENS_A_VIDEO = len(TOKENS)
NARROW = 512
SMALL: Final[Mapping[str, Any]] = {"side": 32, "heads": 2, "graph_layers": 1}
"""Sizes beside a model whose embeddings are narrower than NARROW.  Such models are made for tests
and see small pictures; the projector is meant to be a small part of the work there too."""

SIZES: Final = (
    "hidden", "frames", "side", "stem", "middle", "high", "width", "heads", "graph_layers",
)  # fmt: skip


@dataclass(frozen=True)
class EvidenceConfig:
    """Everything that decides what the projector computes.

    `hidden`: width of the language model's embeddings.  `units`: target action units (numbers of
    the Facial Action Coding System), one graph node each.  `frames`, `side`: what a clip is
    resampled to (our reading).  `crop`: the middle square of the frames, or the face found in the
    first frame, turned upright.  `fusion`, `graph`: the parts, or their ablations.  `given`: the
    tokens that the language model gets; without one its place holds zeros, without both it is the
    plain model with a head of action units.  `token_norm`: Euclidean norm that both tokens start
    with, the text embeddings' mean.
    """

    hidden: int
    units: tuple[int, ...] = MADE_UNITS
    frames: int = 8
    side: int = 64
    crop: Crop = "centre"
    stem: int = 8
    middle: int = 16
    high: int = 32
    width: int = 32
    heads: int = 4
    graph_layers: int = 2
    fusion: Fusion = "mge_efp"
    graph: Graph = "sparse"
    given: tuple[Token, ...] = get_args(Token)
    token_norm: float = 1.0

    def __post_init__(self) -> None:
        """Raise UserError `bad_evidence` for sizes and choices that do not fit together."""
        for name, choices in (("crop", Crop), ("fusion", Fusion), ("graph", Graph)):
            if getattr(self, name) not in get_args(choices):
                known = ", ".join(get_args(choices))
                raise UserError("bad_evidence", f"Evidence knows as {name} only {known}.")
        if not set(self.given) <= set(get_args(Token)):
            known = ", ".join(get_args(Token))
            raise UserError("bad_evidence", f"Evidence knows as given only {known}.")
        numbers = [getattr(self, name) for name in SIZES]
        if not all(isinstance(value, int) and value > 0 for value in (*numbers, *self.units)):
            raise UserError("bad_evidence", f"Evidence needs whole numbers as {', '.join(SIZES)}.")
        if self.width % self.heads or self.side % 16 or self.frames % 4:
            raise UserError(
                "bad_evidence",
                "Evidence needs width a multiple of heads, side of 16 and frames of 4.",
            )
        if len(set(self.units)) != len(self.units) or len(self.units) < 2:
            raise UserError("bad_evidence", "Evidence needs two or more different action units.")

    @classmethod
    def beside(cls, hidden: int, settings: Mapping[str, Any] | None = None) -> "EvidenceConfig":
        """Return the sizes that suit a model of that width, but for the settings given.

        Raises UserError `bad_evidence` for settings that there are not.
        """
        suited = SMALL if hidden < NARROW else {}
        return cls.from_mapping({**suited, **(settings or {}), "hidden": hidden})

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "EvidenceConfig":
        """Read what `as_mapping` wrote.  Raises UserError `bad_evidence` for unknown fields."""
        known = {field.name for field in fields(cls)}
        if not known.issuperset(values):
            odd = ", ".join(sorted(set(values) - known))
            raise UserError("bad_evidence", f"The checkpoint's evidence settings name {odd}.")
        lists = {"units": MADE_UNITS, "given": get_args(Token)}
        chosen = {name: tuple(values.get(name, default)) for name, default in lists.items()}
        return cls(**{**values, **chosen})

    def as_mapping(self) -> dict[str, Any]:
        """Return the fields as JSON knows them."""
        return {**asdict(self), "units": list(self.units), "given": list(self.given)}


@dataclass(frozen=True)
class LossWeights:
    """How much each part counts beside the language model's cross-entropy.

    `answer`: AU loss of the head on the language model's last state, the measured one.
    `evidence`: of the head on CT and IT.  `nodes`: of each graph node on its own unit.
    `counterfactual`: CCR, 0 is its ablation.  Our reading throughout.  The asymmetric loss is a
    small number beside a cross-entropy: weighed alike, units are hardly learned.
    """

    language: float = 1.0
    answer: float = 12.0
    evidence: float = 6.0
    nodes: float = 3.0
    counterfactual: float = 1.0

"""The composite checkpoint and its transformers model: places, batches, losses, precision."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from noise_inputs import noise_input

from mllm_affect.engine.transformers_engine import TransformersEngine
from mllm_affect.errors import UserError
from mllm_affect.model.encode import encode
from mllm_affect.model.evidence.composing import PREFIX, compose
from mllm_affect.model.evidence.placing import PairIds, places, with_pairs
from mllm_affect.model.miniature import embedded_checkpoint

YES_NO = ("yes", "no")


@pytest.fixture(scope="module")
def engine(composite: Path) -> TransformersEngine:
    return TransformersEngine(composite)


@pytest.fixture(scope="module")
def plain() -> TransformersEngine:
    return TransformersEngine(embedded_checkpoint())


def batch_of(engine: TransformersEngine, *seeds: int, frames: int = 6) -> dict[str, Any]:
    """Rows of several clips, without sound, as one training batch."""
    from mllm_affect.engine.transformers_engine import together

    rows = [
        encode(engine._processor, noise_input(seed, frames=frames, samples=None)) for seed in seeds
    ]
    return together(engine._model, rows)


def test_the_composite_is_the_base_and_the_projector(composite: Path) -> None:
    from safetensors import safe_open
    from safetensors.torch import load_file

    base = load_file(embedded_checkpoint() / "model.safetensors")
    index = json.loads((composite / "model.safetensors.index.json").read_text())["weight_map"]
    assert {name for name in index if not name.startswith(PREFIX)} == base.keys()
    added = [name for name in index if name.startswith(PREFIX)]
    assert added
    for name, value in base.items():  # embeddings too: nothing is resized
        with safe_open(composite / index[name], framework="pt") as weights:
            assert torch.equal(weights.get_tensor(name), value)
    config = json.loads((composite / "config.json").read_text())
    assert config["architectures"] == ["EvidenceQwen3OmniMoeForConditionalGeneration"]
    assert config["model_type"] == "qwen3_omni_moe"


def test_every_weight_is_loaded(composite: Path, engine: TransformersEngine) -> None:
    from safetensors.torch import load_file

    saved = load_file(composite / "evidence-projector.safetensors")
    held = engine._model.state_dict()
    assert saved.keys() == {name for name in held if name.startswith(PREFIX)}
    for name, value in saved.items():
        assert torch.equal(held[name], value)


def test_the_chat_format_places_the_pair_after_the_video(engine: TransformersEngine) -> None:
    tokenizer = engine._processor.tokenizer
    made = encode(engine._processor, noise_input(0))
    end, content, instruction = tokenizer.convert_tokens_to_ids(
        ["<|vision_end|>", "<|quad_start|>", "<|quad_end|>"]
    )
    ids = made["input_ids"][0].tolist()
    place = ids.index(end)
    assert ids[place : place + 3] == [end, content, instruction]
    assert ids.count(content) == ids.count(instruction) == 1


def test_evidence_reaches_the_answer_and_muting_shows_it(engine: TransformersEngine) -> None:
    made = noise_input(1)
    whole = engine.first_log_probabilities(made)
    projector = engine._model.thinker.evidence_projector
    moved = {}
    for name in ("content", "instruction"):
        projector.muted = frozenset({name})
        moved[name] = float((engine.first_log_probabilities(made) - whole).abs().max())
    projector.muted = frozenset()
    assert min(moved.values()) > 1e-4


def test_tokens_stand_where_they_belong(engine: TransformersEngine) -> None:
    batch = batch_of(engine, 1, 2)
    thinker = engine._model.thinker
    seen = {}
    hook = thinker.model.register_forward_pre_hook(
        lambda _module, _args, given: seen.update(given), with_kwargs=True
    )
    try:
        with torch.no_grad():
            thinker(**batch)
            evidence = thinker.evidence_projector(
                batch["pixel_values_videos"], batch["video_grid_thw"]
            )
    finally:
        hook.remove()
    content = thinker.config.evidence["content_token_id"]
    for row in range(2):
        place = batch["input_ids"][row].tolist().index(content)
        torch.testing.assert_close(
            seen["inputs_embeds"][row, place : place + 2], evidence.tokens_B2D[row]
        )


def test_batches_of_all_lengths_answer_as_alone(engine: TransformersEngine) -> None:
    inputs = [
        noise_input(1, frames=2, samples=None),
        noise_input(2, frames=20, samples=80_000),
        noise_input(3, frames=8, samples=None, question="A longer question, is it? yes or no."),
    ]
    together = engine.score(inputs, YES_NO)
    for made, scores in zip(inputs, together, strict=True):
        (alone,) = engine.score([made], YES_NO)
        assert scores.log_probabilities == pytest.approx(alone.log_probabilities, abs=1e-5)


def test_without_a_video_it_is_the_plain_model(
    engine: TransformersEngine, plain: TransformersEngine
) -> None:
    ids = engine._processor.tokenizer("Is it dark? yes or no.", return_tensors="pt")["input_ids"]
    given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    with torch.no_grad():
        ours, theirs = engine._model.thinker(**given), plain._model.thinker(**given)
    assert torch.equal(ours.logits, theirs.logits)


def test_rows_with_and_without_video_share_a_batch(engine: TransformersEngine) -> None:
    thinker = engine._model.thinker
    seen = batch_of(engine, 4)
    text = engine._processor.tokenizer("Is it dark?", return_tensors="pt")["input_ids"]
    gap = seen["input_ids"].shape[1] - text.shape[1]
    padded = torch.nn.functional.pad(text, (0, gap))
    mask = torch.nn.functional.pad(torch.ones_like(text), (0, gap))
    mixed = {
        "input_ids": torch.cat([padded, seen["input_ids"]]),
        "attention_mask": torch.cat([mask, seen["attention_mask"]]),
        **{name: seen[name] for name in ("pixel_values_videos", "video_grid_thw")},
        "video_second_per_grid": seen["video_second_per_grid"],
    }
    with torch.no_grad():
        both = thinker(**mixed).logits
        torch.testing.assert_close(both[1], thinker(**seen).logits[0], atol=1e-5, rtol=1e-5)
        alone = thinker(input_ids=text, attention_mask=torch.ones_like(text)).logits[0]
        torch.testing.assert_close(both[0, : text.shape[1]], alone, atol=1e-5, rtol=1e-5)


def test_it_writes_text_as_it_scores(engine: TransformersEngine) -> None:
    made = noise_input(6)
    (text,) = engine.generate([made], 1)
    best = int(engine.first_log_probabilities(made).argmax())
    assert text == engine._processor.tokenizer.decode([best], skip_special_tokens=True).strip()


IDS = PairIds(video=1, vision_end=2, content=3, instruction=4)


@pytest.mark.parametrize(
    ("row", "videos"),
    [
        ([1, 1, 2, 3, 4, 9, 3, 4], 1),  # text spells the pair
        ([3, 4, 1, 2, 3, 4], 1),
        ([1, 2, 9, 3, 4], 1),  # not right after the video
        ([1, 2, 3, 4], 2),
        ([1, 2, 4, 3], 1),
        ([9, 2, 3, 4], 1),  # an image's end, not a video's
        ([3, 4], 0),
    ],
)
def test_a_pair_in_the_wrong_place_is_refused(row: list[int], videos: int) -> None:
    with pytest.raises(ValueError, match="each right after its video"):
        places(torch.tensor([row]), IDS, videos)


def test_two_videos_have_two_places() -> None:
    row = [1, 2, 3, 4, 9, 1, 1, 2, 3, 4]
    found = places(torch.tensor([row]), IDS, 2)
    assert found[0].nonzero().flatten().tolist() == [2, 3, 8, 9]


def test_losses_reach_every_part_of_the_projector(engine: TransformersEngine) -> None:
    thinker = engine._model.thinker
    labels = torch.zeros(3, 8, dtype=torch.long)
    labels[:, 0] = 1
    thinker.zero_grad()
    out = thinker(**batch_of(engine, 1, 2, 3), unit_labels=labels, unit_subjects=torch.arange(3))
    out.loss.backward()
    quiet = [
        name
        for name, weight in thinker.evidence_projector.named_parameters()
        if weight.grad is None or not weight.grad.abs().sum() > 0
    ]
    thinker.zero_grad()
    assert quiet == []
    assert out.unit_logits.shape == (3, 8)


def test_the_language_loss_is_added(engine: TransformersEngine) -> None:
    batch = batch_of(engine, 1, 2)
    targets = torch.full_like(batch["input_ids"], -100)
    targets[:, -2:] = batch["input_ids"][:, -2:]
    labels = torch.zeros(2, 8, dtype=torch.long)
    thinker = engine._model.thinker
    with torch.no_grad():
        spoken = thinker(**batch, labels=targets).loss
        both = thinker(**batch, labels=targets, unit_labels=labels).loss
        unknown = thinker(**batch, labels=targets, unit_labels=labels - 1).loss
    assert both > spoken
    torch.testing.assert_close(unknown, spoken)


def test_gradient_checkpointing_changes_no_gradient(engine: TransformersEngine) -> None:
    thinker = engine._model.thinker
    labels = torch.ones(2, 8, dtype=torch.long)
    gradients = []
    for checkpointing in (False, True):
        if checkpointing:
            thinker.gradient_checkpointing_enable()
        thinker.train()
        thinker.zero_grad()
        thinker(**batch_of(engine, 1, 2), unit_labels=labels, use_cache=False).loss.backward()
        gradients.append(thinker.evidence_projector.encoder.stem.weight.grad.clone())
    thinker.gradient_checkpointing_disable()
    thinker.eval().zero_grad()
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-6, rtol=1e-4)


def test_bfloat16_is_close_to_float32(composite: Path, engine: TransformersEngine) -> None:
    half = TransformersEngine(composite, dtype="bfloat16")
    thinker = half._model.thinker
    assert thinker.lm_head.weight.dtype == torch.bfloat16
    assert {weight.dtype for weight in thinker.evidence_projector.parameters()} == {torch.float32}
    inputs = [noise_input(seed) for seed in (1, 2)]
    for here, there in zip(engine.score(inputs, YES_NO), half.score(inputs, YES_NO), strict=True):
        assert there.probabilities == pytest.approx(here.probabilities, abs=0.15)


def test_saving_and_loading_keeps_the_answers(engine: TransformersEngine, tmp_path: Path) -> None:
    engine._model.save_pretrained(tmp_path)
    engine._processor.save_pretrained(tmp_path)
    made = noise_input(3)
    again = TransformersEngine(tmp_path).first_log_probabilities(made)
    torch.testing.assert_close(again, engine.first_log_probabilities(made), atol=1e-6, rtol=1e-6)


def test_what_cannot_be_composed_is_refused(composite: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="exists already") as caught:
        compose(embedded_checkpoint(), composite)
    assert caught.value.code == "out_exists"
    with pytest.raises(UserError, match="not a Qwen3Omni"):
        compose(composite, tmp_path / "twice")
    with pytest.raises(UserError, match=r"config\.json"):
        compose(tmp_path, tmp_path / "out")
    with pytest.raises(UserError, match="never writes"):
        with_pairs("{{ messages }}")
    assert not list(tmp_path.iterdir())


def test_the_base_says_what_it_is_and_the_fill_is_seeded(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        compose(embedded_checkpoint(), tmp_path / name, {"graph": "none"}, seed=seed)
    a, b, c = (load_file(tmp_path / name / "evidence-projector.safetensors") for name in "abc")
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not all(torch.equal(a[name], c[name]) for name in a)
    assert not any(".graph.layers." in name for name in a)

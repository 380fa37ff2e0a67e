"""The projector's parts: gradients, the sparse prior, the order of units, batches, CCR."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mllm_affect.data.unit_labels import MADE_UNITS
from mllm_affect.errors import UserError
from mllm_affect.model.evidence.config import EvidenceConfig
from mllm_affect.model.evidence.counterfactual import consistency, partners, swap_appearance
from mllm_affect.model.evidence.encoder import EvidenceEncoder
from mllm_affect.model.evidence.face_moments import clips_of_patches, face_moments
from mllm_affect.model.evidence.fusion import GranularFusion, granular_tokens, token_count
from mllm_affect.model.evidence.graph import RelationLayer, UnitGraph
from mllm_affect.model.evidence.losses import unit_loss
from mllm_affect.model.evidence.prior import CO_OCCURS, EXCLUDES, conditional, prior
from mllm_affect.model.evidence.projector import EvidenceProjector

TINY = EvidenceConfig(
    hidden=6, units=(1, 2, 12, 15), frames=4, side=16, stem=4, middle=4, high=3, width=4, heads=2
)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def shaken(module: torch.nn.Module) -> torch.nn.Module:
    """The module with every weight drawn anew: zeros would hide faults."""
    for weight in module.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    return module


def patches_of(frames_THWC: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Patches in the video processor's order and their grid, for pictures of -1 to 1."""
    from mllm_affect.model.miniature.clip_set import patches

    count, height, width, _ = frames_THWC.shape
    pixels = torch.from_numpy(patches(frames_THWC)).float() / 127.5 - 1.0
    return pixels, torch.tensor([[count // 2, height // 16, width // 16]])


def noise(seed: int, frames: int = 6, high: int = 64, wide: int = 64) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (frames, high, wide, 3), dtype=np.uint8)


def test_gradients_of_the_fusion_are_right() -> None:
    fusion = shaken(GranularFusion(TINY)).double()
    tokens = torch.randn(2, token_count(16), TINY.middle, dtype=torch.float64, requires_grad=True)
    high = torch.randn(2, 2 * TINY.high, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(fusion, (tokens, high))


def test_gradients_of_the_graph_are_right() -> None:
    graph = shaken(UnitGraph(TINY)).double()
    tokens = torch.randn(2, 5, TINY.middle, dtype=torch.float64, requires_grad=True)
    high = torch.randn(2, 2 * TINY.high, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t, h: graph(t, h)[:2], (tokens, high))
    layer = graph.layers[0]
    nodes = torch.randn(1, 4, TINY.width, dtype=torch.float64)
    mask, kinds = graph._edges_on(nodes.device)

    def along(strength: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        weights = {"strength_HAA": strength, "kind_bias_KH": bias}
        return torch.func.functional_call(layer, weights, (nodes, mask, kinds))[0]

    given = (layer.strength_HAA.detach(), layer.kind_bias_KH.detach())
    assert torch.autograd.gradcheck(along, tuple(w.clone().requires_grad_() for w in given))


def test_gradients_of_counterfactual_consistency_are_right() -> None:
    factual = torch.randn(3, 4, dtype=torch.float64)
    moved = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda logits: consistency(factual, logits), moved)
    map_ = torch.randn(3, 2, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    changed, partner = torch.tensor([0, 2]), torch.tensor([1, 0])
    assert torch.autograd.gradcheck(lambda given: swap_appearance(given, changed, partner), map_)


def test_no_message_crosses_a_missing_edge() -> None:
    graph = shaken(UnitGraph(replace(TINY, units=MADE_UNITS, graph_layers=1)))
    mask = torch.tensor(graph.prior.mask_AA)
    assert 0 < int((~mask).sum()) < mask.numel()
    nodes = torch.randn(1, len(MADE_UNITS), TINY.width, requires_grad=True)
    for row in range(len(MADE_UNITS)):
        heard, _ = graph.converse(nodes)
        (gradient,) = torch.autograd.grad(heard[0, row].square().sum(), nodes)
        assert torch.equal(gradient[0].abs().sum(-1) > 0, mask[row])


def test_without_a_graph_nodes_hear_nobody_and_dense_ones_everybody() -> None:
    for kind, heard in (("none", torch.eye(4)), ("dense", torch.ones(4, 4))):
        graph = shaken(UnitGraph(replace(TINY, graph=kind)))
        nodes = torch.randn(1, 4, TINY.width, requires_grad=True)
        for row in range(4):
            (gradient,) = torch.autograd.grad(
                graph.converse(nodes)[0][0, row].square().sum(), nodes
            )
            assert torch.equal(gradient[0].abs().sum(-1) > 0, heard[row] > 0)


def test_the_order_of_units_means_nothing() -> None:
    order = [2, 0, 3, 1]
    graph = shaken(UnitGraph(TINY))
    other = UnitGraph(replace(TINY, units=tuple(TINY.units[place] for place in order)))
    weights = dict(graph.state_dict())
    weights["units"] = weights["units"][order]
    for name in list(weights):
        if name.endswith("strength_HAA"):
            weights[name] = weights[name][:, order][:, :, order]
    other.load_state_dict(weights)
    tokens, high = torch.randn(3, 5, TINY.middle), torch.randn(3, 2 * TINY.high)
    token, nodes, _ = graph(tokens, high)
    moved_token, moved_nodes, _ = other(tokens, high)
    torch.testing.assert_close(moved_token, token, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(moved_nodes, nodes[:, order], atol=1e-5, rtol=1e-5)


def test_the_prior_says_what_its_table_says() -> None:
    found = prior((1, 2, 4, 6, 12, 15, 24, 25))
    kinds = {
        (one, other): found.kinds_AA[i, j]
        for i, one in enumerate(found.units)
        for j, other in enumerate(found.units)
    }
    assert kinds[6, 12] == kinds[1, 2] == kinds[1, 4] == CO_OCCURS
    assert kinds[12, 15] == kinds[24, 25] == EXCLUDES
    assert not found.mask_AA[list(found.units).index(2), list(found.units).index(12)] or (
        conditional((2, 12))[0, 1] > 0.3
    )
    assert found.mask_AA.diagonal().all()
    # Happiness alone shows unit 12 in the table, and 0.51 of the people with it show unit 6.
    assert conditional((12, 6))[0, 1] == pytest.approx(0.51)


def test_units_that_the_table_does_not_know_keep_to_themselves() -> None:
    found = prior((12, 61))
    assert found.mask_AA.tolist() == [[True, False], [False, True]]


def test_patches_become_the_pictures_that_they_were() -> None:
    pictures = noise(1, frames=4, high=32, wide=96)
    pixels, grid = patches_of(pictures)
    (clip,) = clips_of_patches(pixels, grid)
    again = ((clip + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    assert np.array_equal(again, pictures)


def test_the_patch_order_is_that_of_the_processor() -> None:
    from mllm_affect.model.miniature.processor import build_processor
    from mllm_affect.model.miniature.tokenizer import build_tokenizer

    pictures = noise(2, frames=4, high=64, wide=32)
    made = build_processor(build_tokenizer()).video_processor(
        videos=[torch.from_numpy(pictures).permute(0, 3, 1, 2)], return_tensors="pt"
    )
    (clip,) = clips_of_patches(made["pixel_values_videos"], made["video_grid_thw"])
    again = ((clip + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    assert np.array_equal(again, pictures)


def test_light_and_contrast_of_the_whole_clip_mean_nothing() -> None:
    pictures = noise(3)
    pixels, grid = patches_of(pictures)
    config = EvidenceConfig(hidden=8)
    face = face_moments(pixels, grid, config)
    torch.testing.assert_close(
        face_moments(0.5 * pixels + 0.2, grid, config), face, atol=1e-4, rtol=1e-4
    )
    assert face.shape == (1, 8, 64, 64)


@pytest.mark.parametrize("side", [32, 64, 96])
@pytest.mark.parametrize(("high", "wide"), [(64, 96), (96, 64), (64, 64), (32, 160), (128, 32)])
def test_the_face_is_the_middle_square_of_whole_pictures(high: int, wide: int, side: int) -> None:
    """Whole pictures scaled and laid between moments with more steps and less care for speed."""
    pixels, grid = patches_of(noise(4, frames=6, high=high, wide=wide))
    (clip_TCHW,) = clips_of_patches(pixels, grid)
    square = min(high, wide)
    top, left = (high - square) // 2, (wide - square) // 2
    grey = (clip_TCHW * torch.tensor([0.299, 0.587, 0.114])[None, :, None, None]).sum(1)
    small_TSS = torch.nn.functional.interpolate(
        grey[None, :, top : top + square, left : left + square],
        (side, side), mode="bilinear", antialias=True,
    )[0]  # fmt: skip
    moments = torch.stack([(small_TSS[0 + k] * (3 - m) + small_TSS[1 + k] * m) / 3
                           for k, m in ((0, 0), (1, 2), (3, 1), (4, 3))])  # fmt: skip
    centred = moments - moments.mean((1, 2), keepdim=True)
    expected = centred / centred.std((1, 2), keepdim=True, unbiased=False)
    face = face_moments(pixels, grid, EvidenceConfig(hidden=8, frames=4, side=side))
    torch.testing.assert_close(face[0], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("fusion", ["mge_efp", "concat"])
def test_a_clip_gives_the_same_evidence_alone_and_beside_longer_ones(fusion: str) -> None:
    config = EvidenceConfig(hidden=16, fusion=fusion)  # type: ignore[arg-type]
    projector = EvidenceProjector(config).eval()
    clips = [patches_of(noise(seed, frames)) for seed, frames in ((4, 2), (5, 20), (6, 8))]
    together = projector(torch.cat([p for p, _ in clips]), torch.cat([g for _, g in clips]))
    for place, (pixels, grid) in enumerate(clips):
        alone = projector(pixels, grid)
        torch.testing.assert_close(
            together.tokens_B2D[place], alone.tokens_B2D[0], atol=1e-5, rtol=1e-5
        )
        torch.testing.assert_close(together.units_BA[place], alone.units_BA[0], atol=1e-5, rtol=0)


def test_tokens_are_as_long_as_text_embeddings() -> None:
    config = EvidenceConfig(hidden=64, token_norm=0.48)
    evidence = EvidenceProjector(config)(*patches_of(noise(7)))
    lengths = evidence.tokens_B2D.norm(dim=-1)
    torch.testing.assert_close(lengths, torch.full_like(lengths, 0.48), rtol=1e-2, atol=0)


def test_a_muted_token_is_zero_and_the_other_stays() -> None:
    projector = EvidenceProjector(EvidenceConfig(hidden=16)).eval()
    whole = projector(*patches_of(noise(8))).tokens_B2D
    projector.muted = frozenset({"content"})
    muted = projector(*patches_of(noise(8))).tokens_B2D
    assert muted[0, 0].abs().max() == 0
    assert torch.equal(muted[0, 1], whole[0, 1])


def test_what_the_configuration_does_not_give_is_muted_for_the_language_model_alone() -> None:
    """CCR and the heads learn from IT as it is, whether or not the language model gets it."""
    outs = []
    for given in (("content", "instruction"), ("content",)):
        torch.manual_seed(0)
        projector = EvidenceProjector(EvidenceConfig(hidden=16, given=given)).eval()
        pixels, grid = patches_of(noise(8))
        outs.append(projector(pixels.repeat(2, 1), grid.repeat(2, 1), torch.tensor([1, 0])))
    whole, muted = outs
    assert muted.tokens_B2D[0, 1].abs().max() == 0 < whole.tokens_B2D[0, 1].abs().max()
    assert torch.equal(muted.units_BA, whole.units_BA)
    assert torch.equal(muted.moved_MA, whole.moved_MA)


def test_partners_are_other_people_with_other_units() -> None:
    labels = torch.tensor([[1, 0], [1, 0], [0, 1], [1, 0], [0, 1]])
    people = torch.tensor([7, 7, 3, 5, 7])
    assert partners(labels, people).tolist() == [2, 2, 3, 4, 3]
    alike = torch.tensor([[1, 0], [1, 0]])
    assert partners(alike, torch.tensor([1, 2])).tolist() == [0, 1]


def test_what_is_unknown_differs_from_nothing() -> None:
    labels = torch.tensor([[1, -1], [-1, 0], [-1, -1], [0, 0]])
    assert partners(labels, torch.tensor([1, 2, 3, 4])).tolist() == [3, 1, 2, 0]


def test_appearance_is_swapped_and_what_moves_stays() -> None:
    face, motion = torch.randn(3, 2, 1, 4, 4), torch.randn(3, 2, 5, 4, 4)
    motion -= motion.mean(2, keepdim=True)
    swapped = swap_appearance(face + motion, torch.tensor([0, 2]), torch.tensor([2, 1]))
    torch.testing.assert_close(swapped, face[[2, 1]] + motion[[0, 2]])


def test_consistency_is_zero_for_equal_answers_and_teaches_one_side_only() -> None:
    logits = torch.randn(2, 3, requires_grad=True)
    moved = torch.randn(2, 3, requires_grad=True)
    assert consistency(logits, logits) == 0
    consistency(logits, moved).backward()
    assert logits.grad is None
    assert moved.grad is not None


def test_a_counterfactual_is_of_who_has_a_partner_and_leaves_the_evidence_as_it_is() -> None:
    projector = EvidenceProjector(EvidenceConfig(hidden=16, units=(1, 2))).eval()
    clips = [patches_of(noise(seed)) for seed in (9, 10, 9)]
    given = torch.cat([p for p, _ in clips]), torch.cat([g for _, g in clips])
    plain = projector(*given)
    assert plain.moved_MA is None
    assert projector(*given, torch.tensor([0, 1, 2])).moved_MA is None
    found = projector(*given, torch.tensor([1, 1, 0]))
    assert found.changed_M.tolist() == [0, 2]
    torch.testing.assert_close(found.units_BA, plain.units_BA, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.tokens_B2D, plain.tokens_B2D, atol=1e-5, rtol=1e-5)
    # The first has taken another's appearance; the last one that of its own twin.
    moved_MA, own_MA = found.moved_MA, plain.units_BA[found.changed_M]
    assert (moved_MA[0] - own_MA[0]).abs().max() > 1e-6
    torch.testing.assert_close(moved_MA[1], own_MA[1], atol=1e-4, rtol=1e-4)


def test_the_stem_sees_the_face_and_how_far_it_is_from_its_first_moment() -> None:
    encoder = EvidenceEncoder(EvidenceConfig(hidden=8))
    face = torch.randn(2, 8, 64, 64)
    both = torch.stack([face, face - face[:, :1]], dim=1)
    torch.testing.assert_close(encoder._stem(face), encoder.stem(both), atol=1e-5, rtol=1e-4)


def test_the_unit_loss_weighs_hard_negatives_more_and_unknown_labels_not_at_all() -> None:
    easy, hard = torch.tensor([[-2.0]]), torch.tensor([[2.0]])
    absent, unknown = torch.tensor([[0]]), torch.tensor([[-1]])
    cross_entropy = torch.nn.functional.softplus
    # Beside cross-entropy, an easy negative is weighed down more than a hard one.
    assert unit_loss(easy, absent) / cross_entropy(easy) < unit_loss(hard, absent) / cross_entropy(
        hard
    )
    assert unit_loss(hard, unknown) == 0
    both = unit_loss(torch.tensor([[2.0, -3.0]]), torch.tensor([[1, -1]]))
    torch.testing.assert_close(both, cross_entropy(torch.tensor(-2.0)))


def test_several_predictions_of_the_same_labels_have_a_loss_each() -> None:
    said, labels = torch.randn(3, 4, 5), torch.randint(-1, 2, (4, 5))
    alone = torch.stack([unit_loss(one, labels) for one in said])
    torch.testing.assert_close(unit_loss(said, labels), alone)


def test_tokens_are_the_peaks_over_moments_on_three_grids() -> None:
    maps = torch.randn(2, 5, 4, 8, 8)
    peaks = maps.amax(2)
    tokens = granular_tokens(maps).transpose(1, 2)
    torch.testing.assert_close(tokens[:, :, 0], peaks.mean((2, 3)))
    torch.testing.assert_close(tokens[:, :, 1], peaks[:, :, :3, :3].mean((2, 3)))
    torch.testing.assert_close(tokens[:, :, 10:], peaks.flatten(2))


def test_the_encoder_halves_time_and_keeps_an_eighth_of_the_side() -> None:
    config = EvidenceConfig(hidden=8)
    maps = EvidenceEncoder(config).mid_map(torch.randn(2, 8, 64, 64))
    assert maps.shape == (2, config.middle, 4, 8, 8)
    assert granular_tokens(maps).shape == (2, token_count(64), config.middle)


def test_messages_depend_on_the_kind_of_relation() -> None:
    layer = RelationLayer(4, 2, 2)
    torch.nn.init.normal_(layer.kind_message)
    nodes, mask = torch.randn(1, 2, 4), torch.ones(2, 2, dtype=torch.bool)
    together, against = (
        layer(nodes, mask, torch.nn.functional.one_hot(torch.tensor(kinds), 3))[0]
        for kinds in ([[0, 1], [1, 0]], [[0, 2], [2, 0]])
    )
    assert (together - against).abs().max() > 1e-4


@pytest.mark.parametrize(
    "odd",
    [
        {"width": 30}, {"side": 40}, {"frames": 6}, {"units": (1, 1)}, {"units": (1,)},
        {"units": ("AU1", "AU2")}, {"side": "64"}, {"heads": 0}, {"hidden": 2.5},
    ],
)  # fmt: skip
def test_sizes_that_do_not_fit_are_refused(odd: dict[str, object]) -> None:
    with pytest.raises(UserError, match="Evidence needs"):
        EvidenceConfig(**{"hidden": 8, **odd})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["crop", "fusion", "graph"])
def test_choices_that_nobody_knows_are_refused(name: str) -> None:
    with pytest.raises(UserError, match=f"Evidence knows as {name} only"):
        EvidenceConfig(**{"hidden": 8, name: "odd"})  # type: ignore[arg-type]


def test_small_models_get_a_small_projector_unless_told_otherwise() -> None:
    small, large = EvidenceConfig.beside(64), EvidenceConfig.beside(2048)
    assert (small.hidden, large.hidden) == (64, 2048)
    assert large == EvidenceConfig(hidden=2048)
    assert (small.side, small.graph_layers) < (large.side, large.graph_layers)
    assert EvidenceConfig.beside(64, {"side": 96, "graph": "dense"}).side == 96
    with pytest.raises(UserError, match="flavour"):
        EvidenceConfig.beside(64, {"flavour": 1})


def test_settings_survive_the_checkpoint() -> None:
    config = EvidenceConfig(hidden=8, units=(1, 2, 4), graph="dense")
    assert EvidenceConfig.from_mapping(config.as_mapping()) == config
    with pytest.raises(UserError, match="flavour"):
        EvidenceConfig.from_mapping({"hidden": 8, "flavour": 1})

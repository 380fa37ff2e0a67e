"""The pieces of the face track: maps, pairs, filling in, alignment, following."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mllm_affect.media.face.between import Moment, fill, pair_up
from mllm_affect.media.face.crops import TEMPLATE_52, brightness, cut_out, sharpness, similarity
from mllm_affect.media.face.detector import input_size, overlap, read_maps
from mllm_affect.media.face.people import MEMORY_S, People
from mllm_affect.media.face.types import Face

EMPTY = np.zeros((2, 2, 3), dtype=np.uint8)


def face(left: float, top: float, size: float = 100.0, score: float = 0.9) -> Face:
    corner_2 = np.array([left, top])
    box_4 = np.concatenate([corner_2, corner_2 + size])
    return Face(score, box_4, TEMPLATE_52 * size + corner_2)


@given(st.integers(16, 8192), st.integers(16, 8192), st.sampled_from([160, 320, 640]))
def test_the_network_reads_bounded_multiples_of_32(width: int, height: int, side: int) -> None:
    wide, high = input_size(width, height, side)
    assert wide % 32 == high % 32 == 0
    assert 32 <= wide <= side + 16
    assert 32 <= high <= side + 16
    shown = max(32.0, min(width, height) * min(1.0, side / max(width, height)))
    assert abs(min(wide, high) - shown) <= 16, "the aspect is kept to the next multiple"


def test_maps_are_read_into_boxes_and_landmarks() -> None:
    heat = np.zeros((8, 10), dtype=np.float32)
    size = np.zeros((2, 8, 10), dtype=np.float32)
    offset = np.zeros((2, 8, 10), dtype=np.float32)
    points = np.zeros((10, 8, 10), dtype=np.float32)
    heat[3, 5], heat[3, 6], heat[6, 1] = 0.9, 0.8, 0.2
    size[:, 3, 5] = np.log([6.0, 4.0])  # cells down and across: 24 and 16 pixels
    offset[:, 3, 5] = 0.25, -0.25
    points[:, 3, 5] = [0.25, 0.75, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 1.0, 0.0]
    (found,) = read_maps(heat, size, offset, points, 0.3)
    assert found.score == pytest.approx(0.9)
    # The middle: row 3.75 and column 5.25 of cells of 4 pixels.
    assert found.box_4 == pytest.approx([21 - 8, 15 - 12, 21 + 8, 15 + 12])
    assert found.points_52 == pytest.approx(
        np.array([[25, 9], [17, 9], [21, 15], [25, 21], [13, 27]]), abs=1e-5
    )
    assert len(read_maps(heat, size, offset, points, 0.1)) == 2, "a neighbour is no peak"


def test_of_overlapping_boxes_the_better_stays() -> None:
    heat = np.zeros((12, 12), dtype=np.float32)
    heat[5, 4], heat[5, 7] = 0.8, 0.9
    size = np.full((2, 12, 12), np.log(8.0), dtype=np.float32)
    zeros = np.zeros((10, 12, 12), dtype=np.float32)
    (found,) = read_maps(heat, size, zeros[:2], zeros, 0.3)
    assert found.score == pytest.approx(0.9)


def test_overlap_is_intersection_over_union() -> None:
    assert overlap(face(0, 0), face(0, 0)) == pytest.approx(1.0)
    assert overlap(face(0, 0), face(50, 0)) == pytest.approx(1 / 3)
    assert overlap(face(0, 0), face(100, 0)) == 0.0


def test_pairs_are_the_nearest_and_nobody_twice() -> None:
    one, two, near_one, near_two = face(0, 0), face(60, 0), face(5, 0), face(58, 0)
    pairs = pair_up([one, two], [near_two, near_one])
    assert {(id(a), id(b)) for a, b in pairs} == {(id(one), id(near_one)), (id(two), id(near_two))}
    assert pair_up([one, two], [near_one]) == [(one, near_one)]


def moments(count: int) -> list[Moment]:
    return [Moment(index / 25, EMPTY + np.uint8(index), []) for index in range(count)]


def run_fill(true: list[list[Face]]) -> list[Moment]:
    """Fill in moments whose detector finds `true`; the number of the frame is its grey level."""

    def detect(picture_HWC: NDArray[np.uint8]) -> list[Face]:
        return true[int(picture_HWC[0, 0, 0])]

    filled = moments(len(true))
    filled[0].look(detect)
    filled[-1].look(detect)
    fill(filled, detect, 0.5)
    return filled


def test_between_two_looks_that_agree_faces_move_evenly() -> None:
    filled = run_fill([[face(4.0 * index, 0)] for index in range(6)])
    assert [moment.looked for moment in filled] == [True, False, False, False, False, True]
    for index, moment in enumerate(filled):
        assert moment.faces[0].box_4[0] == pytest.approx(4.0 * index)
        assert moment.faces[0].points_52[0, 0] == pytest.approx(4.0 * index + 34)


@pytest.mark.parametrize("came_at", range(1, 9))
def test_the_frame_in_which_somebody_comes_is_found_exactly(came_at: int) -> None:
    filled = run_fill([[face(0, 0)] if index >= came_at else [] for index in range(9)])
    assert [len(moment.faces) for moment in filled] == [0] * came_at + [1] * (9 - came_at)
    assert sum(moment.looked for moment in filled) <= 6


def test_who_moves_fast_is_looked_at_in_every_frame() -> None:
    filled = run_fill([[face(60.0 * index, 0)] for index in range(5)])
    assert all(moment.looked for moment in filled)


def test_small_or_doubtful_faces_ask_for_no_more_looks() -> None:
    main = face(0, 0)
    filled = run_fill([[main], [main], [main, face(300, 0, 20), face(300, 200, score=0.4)]])
    assert not filled[1].looked


points = st.tuples(st.floats(-3, 3), st.floats(0.2, 4), st.floats(-200, 900), st.floats(-200, 900))


@given(points)
def test_any_turn_scale_and_shift_of_the_template_is_undone(
    placed: tuple[float, float, float, float],
) -> None:
    angle, scale, x, y = placed
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    seen_52 = TEMPLATE_52 * 100 * scale @ turn.T + [x, y]
    matrix_23 = similarity(seen_52, 128)
    back_52 = seen_52 @ matrix_23[:, :2].T + matrix_23[:, 2]
    assert back_52 == pytest.approx(TEMPLATE_52 * 128, abs=1e-6)


@pytest.mark.parametrize("size", [60.0, 128.0, 300.0, 700.0])
def test_a_crop_shows_the_landmarks_at_the_template(size: float) -> None:
    picture = np.zeros((900, 1000, 3), dtype=np.uint8)
    seen = face(120, 80, size)
    for x, y in seen.points_52:
        radius = size / 40
        rows, columns = np.ogrid[:900, :1000]
        picture[np.hypot(columns + 0.5 - x, rows + 0.5 - y) <= radius] = 255
    crop = cut_out(picture, seen.points_52, 128)
    assert crop.shape == (128, 128, 3)
    for x, y in TEMPLATE_52 * 128:
        part = crop[round(y) - 8 : round(y) + 8, round(x) - 8 : round(x) + 8, 0].astype(float)
        rows, columns = np.mgrid[:16, :16] + 0.5
        middle = (columns * part).sum() / part.sum(), (rows * part).sum() / part.sum()
        assert middle[0] + round(x) - 8 == pytest.approx(x, abs=0.35)
        assert middle[1] + round(y) - 8 == pytest.approx(y, abs=0.35)


def test_a_face_beyond_the_border_is_cut_black() -> None:
    picture = np.full((100, 100, 3), 200, dtype=np.uint8)
    assert cut_out(picture, face(500, 500).points_52, 64).max() == 0
    assert cut_out(picture, face(-5_000, -5_000, 2_000).points_52, 64).max() == 0


def test_sharpness_falls_with_blur_and_brightness_is_the_mean() -> None:
    rng = np.random.default_rng(0)
    sharp = rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)
    blurred = sharp.reshape(32, 2, 32, 2, 3).mean(axis=(1, 3)).repeat(2, 0).repeat(2, 1)
    assert sharpness(sharp) > 2 * sharpness(blurred.astype(np.uint8))
    assert brightness(np.full((8, 8, 3), 77, dtype=np.uint8)) == 77


def test_a_person_is_followed_and_remembered_for_a_while() -> None:
    people = People(640, 360)
    for position, left in enumerate([0, 10, 20]):
        people.see(position, position / 10, [face(left, 0)])
    people.see(3, 0.3, [])
    people.see(4, 0.4, [face(25, 0)])
    (one,) = people.all
    assert one.frames == [0, 1, 2, 4]
    people.see(5, 0.5 + MEMORY_S, [face(25, 0)])
    assert len(people.all) == 2


def test_two_people_who_move_keep_apart() -> None:
    people = People(1000, 400)
    for position in range(20):
        people.see(position, position / 25, [face(500 - 8 * position, 0), face(8 * position, 150)])
    assert len(people.all) == 2
    for person in people.all:
        tops = {found.box_4[1] for found in person.faces}
        assert len(tops) == 1, "never swapped"


def test_the_main_person_is_large_long_and_central() -> None:
    def heaviest(*seen: list[Face]) -> list[Face]:
        people = People(1000, 400)
        for position, faces in enumerate(seen):
            people.see(position, position / 25, faces)
        return people.heaviest(1)[0].faces

    large, small, corner = face(0, 0, 200), face(600, 200, 100), face(450, 150, 100)
    assert heaviest([small, large])[0] is large, "larger"
    assert heaviest([small, corner])[0] is corner, "more central"
    assert len(heaviest([small], [small], [small, corner])) == 3, "longer"


def test_order_of_equals_is_the_order_of_coming() -> None:
    people = People(1000, 400)
    twins = [face(400, 100), face(500, 100)]
    people.see(0, 0.0, twins)
    assert [person.faces[0] for person in people.heaviest(2)] == twins
    assert all(a.weight == b.weight for a, b in pairwise(people.all))

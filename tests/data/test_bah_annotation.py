"""One video's entry of the annotation file: what is read, and what is reported as unreadable."""

from typing import Any

import pytest

from mllm_affect.data.bah.annotation import Annotation, RawWords, clock_s, read_annotation

VIDEO = "Videos/P1/Visite 1/P1_Question_4_V.mp4"


def read(**entry: Any) -> Annotation:
    return read_annotation(VIDEO, {"global_ah": 1, **entry})


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("01:02:03.250", 3723.25),
        ("00:00:59", 59.0),
        ("00:59:00", 3540.0),
        (7, 7.0),
        (1.5, 1.5),
        (0, 0.0),
        (True, None),
        (None, None),
        ("00:60:00", None),
        ("00:00:60", None),
        ("02:03", None),
        ("00:00:01.5 s", None),
    ],
)
def test_a_time_is_a_clock_or_a_number_of_seconds(written: Any, seconds: float | None) -> None:
    assert clock_s(written) == seconds


@pytest.mark.parametrize(
    ("label", "known", "problems"),
    [(0, 0, ()), (1, 1, ()), (2, None, ("global_ah",)), (None, None, ("global_ah",))],
)
def test_a_label_is_0_or_1(label: Any, known: int | None, problems: tuple[str, ...]) -> None:
    found = read(global_ah=label)
    assert (found.global_ah, found.problems) == (known, problems)


def test_spans_keep_what_is_readable_and_report_the_rest() -> None:
    found = read(
        time_detailed_ah=[["00:00:01.0", 2.5], ["00:00:03.0"], ["later", 4.0], (5, 6)],
        fr_detailed_ah=[[0, 30], [-1, 5], [True, 5], [7, 8, 9], [36, 2.5]],
    )
    assert found.spans_s == ((1.0, 2.5), (5.0, 6.0))
    assert found.frame_spans == ((0, 30),)
    assert found.problems == ("time_detailed_ah",) * 2 + ("fr_detailed_ah",) * 4


def test_frame_labels_become_runs_that_end_at_gaps_and_changes() -> None:
    def frame(number: int, video: str = VIDEO) -> str:
        return f"{video}/frame-{number}.jpg"

    other = "Videos/P2/Visite 1/P2_Question_4_V.mp4"
    pairs: list[tuple[Any, ...]] = [(frame(n), 0) for n in (0, 1, 2)] + [
        (frame(n), 1) for n in (3, 4, 6)
    ]
    # The same video without the leading folder, then what is of no use.
    pairs += [(frame(7, VIDEO.removeprefix("Videos/")), 1)]
    pairs += [(frame(8, other), 1), (frame(9), 2), ("picture.jpg", 1), (frame(10),), (11, 1)]
    found = read(frame_annotation=pairs)
    assert found.frame_runs == ((0, 2, 0), (3, 4, 1), (6, 7, 1))
    assert found.problems == ("frame_of_another_video",) + ("frame_annotation",) * 4


def test_chunks_need_a_pair_of_times_either_of_which_may_be_open() -> None:
    chunks = [
        {"text": " well", "timestamp": (0.5, 2.0)},
        {"text": "er", "timestamp": [2.0, None]},
        {"timestamp": [3.0, 4.0]},
        {"text": "x", "timestamp": [1.0]},
        {"text": "x", "timestamp": "12"},
        {"text": "x"},
        "x",
    ]
    found = read(transcript={"text": " well er ", "chunks": chunks})
    assert found.transcript == "well er"
    assert found.words == (
        RawWords(text=" well", start_s=0.5, end_s=2.0),
        RawWords(text="er", start_s=2.0, end_s=None),
        RawWords(text="", start_s=3.0, end_s=4.0),
    )
    assert found.problems == ("chunks",) * 4


def test_a_transcript_may_be_a_text_alone_and_an_entry_must_be_a_mapping() -> None:
    found = read(transcript=" Well. ", all_cues=["pause"], certainty_ah=3, annotator_id="A")
    assert (found.transcript, found.words, found.problems) == ("Well.", (), ())
    assert (found.cues, found.certainty, found.annotator) == (["pause"], 3, "A")
    assert read().transcript is None
    assert read_annotation(VIDEO, [1]).problems == ("not_a_mapping",)

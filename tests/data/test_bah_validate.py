"""`validate bah`: a sound release passes, and each planted fault is found under its own code."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mllm_affect.cli.app import app
from mllm_affect.data.bah.made_plan import ReleasePlan, plan_release
from mllm_affect.data.bah.made_release import make_release, path_of, transcript_path
from mllm_affect.data.bah.safe_yaml import entries

PLAN = ReleasePlan(participants=(2, 1, 1), videos_each=2, seed=5)
VIDEOS = plan_release(PLAN)
PATHS = [path_of(video, number) for number, video in enumerate(VIDEOS)]
TRAIN = [number for number, video in enumerate(VIDEOS) if video.split == "train"]
POSITIVE = next(number for number in TRAIN if VIDEOS[number].label)
ANNOTATIONS = "video_annotation_transcript.yaml"


@pytest.fixture(scope="session")
def sound_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bah") / "release"
    made = make_release(folder, PLAN)
    assert made["videos"] == {"train": 4, "val": 2, "test": 2}
    return folder


@pytest.fixture
def release(sound_release: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "release"
    shutil.copytree(sound_release, folder, copy_function=os.link)
    return folder


def validate(folder: Path, *options: str) -> tuple[int, dict[str, Any]]:
    words = ["validate", "bah", str(folder), "--trusted", "--json", *options]
    result = CliRunner().invoke(app, words)
    return result.exit_code, json.loads(result.output)


def codes(report: dict[str, Any], kind: str = "faults") -> set[str]:
    return {finding["code"] for check in report["checks"] for finding in check[kind]}


def sentences(report: dict[str, Any], code: str) -> str:
    found = [f for check in report["checks"] for f in check["faults"] + check["notices"]]
    return " | ".join(f"{f['where']} {f['sentence']}" for f in found if f["code"] == code)


def rewrite(path: Path, change: Callable[[str], str]) -> None:
    """Change a text file, leaving the linked original alone."""
    text = path.read_text(encoding="utf-8")
    changed = change(text)
    assert changed != text
    path.unlink()
    path.write_bytes(changed.encode())


def in_entry(number: int, old: str, new: str) -> Callable[[str], str]:
    """Replace the first `old` in one video's annotations."""

    def change(text: str) -> str:
        head, rest = text.split(f"{PATHS[number]}:\n  global", 1)
        assert old in rest
        return f"{head}{PATHS[number]}:\n  global{rest.replace(old, new, 1)}"

    return change


def test_a_sound_release_passes_with_all_its_quirks(release: Path) -> None:
    status, report = validate(release, "--decode")
    assert (status, report["fit"], codes(report)) == (0, True, set())
    assert codes(report, "notices") >= {"unlisted_clip"}
    assert len(report["checks"]) == 11


def participant_on_both_sides(release: Path) -> None:
    line = (release / "split/train.txt").read_text(encoding="utf-8").splitlines()[0]
    rewrite(release / "split/train.txt", lambda text: text.replace(line + "\n", ""))
    rewrite(release / "split/test.txt", lambda text: text + line + "\n")


def label_in_list(release: Path) -> None:
    old = f"{PATHS[POSITIVE]},1,"
    rewrite(release / "split/train.txt", lambda t: t.replace(old, f"{PATHS[POSITIVE]},0,"))


def label_of_a_frame(release: Path) -> None:
    frame = f"{PATHS[POSITIVE]}/frame-40.jpg"
    text = (release / "split-frames/train.txt").read_text(encoding="utf-8")
    old = f"{frame},1" if f"{frame},1" in text else f"{frame},0"
    new = old[:-1] + str(1 - int(old[-1]))
    rewrite(release / "split-frames/train.txt", lambda t: t.replace(old, new))


def global_label(release: Path) -> None:
    rewrite(release / ANNOTATIONS, in_entry(POSITIVE, "_ah: 1", "_ah: 0"))


def negative_with_spans(release: Path) -> None:
    label_in_list(release)
    global_label(release)


def missing_clip(release: Path) -> None:
    (release / PATHS[0]).unlink()


def text_as_clip(release: Path) -> None:
    (release / PATHS[0]).unlink()
    (release / PATHS[0]).write_text("this is no video", encoding="utf-8")


def bad_only_transcript(release: Path) -> None:
    (release / ANNOTATIONS).unlink()
    path = next(iter(sorted((release / "transcription").rglob("*.yml"))))
    rewrite(path, lambda text: text.replace("chunks:", "pieces:"))


def words_past_the_end_in_a_file(release: Path) -> None:
    (release / ANNOTATIONS).unlink()
    path = release / transcript_path(PATHS[POSITIVE])
    start_s = VIDEOS[POSITIVE].chunks[1][1]
    rewrite(path, lambda text: text.replace(f"- {start_s}\n", "- 300.0\n", 1))


def half_a_clip(release: Path) -> None:
    whole = (release / PATHS[0]).read_bytes()
    (release / PATHS[0]).unlink()
    (release / PATHS[0]).write_bytes(whole[: len(whole) // 2])


def consent_refused(release: Path) -> None:
    old = f"{VIDEOS[0].participant}:\n  Use in challenges: 'Yes'"
    rewrite(release / "meta_data.yml", lambda t: t.replace(old, old.replace("'Yes'", "No")))


def restarted_span(release: Path) -> None:
    again = "  - - '00:00:00.100'\n    - '00:00:00.900'\n  fr_detailed_ah"
    rewrite(release / ANNOTATIONS, in_entry(POSITIVE, "  fr_detailed_ah", again))


def past_the_end(release: Path) -> None:
    (_, end_s), *_ = VIDEOS[POSITIVE].interview.spans_s
    rewrite(release / ANNOTATIONS, in_entry(POSITIVE, f"'00:00:{end_s:06.3f}'", "'00:01:59.000'"))


def frame_past_the_end(release: Path) -> None:
    (_, last), *_ = VIDEOS[POSITIVE].interview.frame_spans
    rewrite(release / ANNOTATIONS, in_entry(POSITIVE, f"    - {last}\n", "    - 4000\n"))


def words_past_the_end(release: Path) -> None:
    start_s = VIDEOS[POSITIVE].chunks[1][1]
    rewrite(release / ANNOTATIONS, in_entry(POSITIVE, f"- {start_s}\n", "- 300.0\n"))


def duplicate_id(release: Path) -> None:
    rewrite(release / "split/train.txt", lambda t: t + t.splitlines()[0] + "\n")


def duplicate_annotation(release: Path) -> None:
    rewrite(release / ANNOTATIONS, lambda t: t + f"{PATHS[0]}:\n  global_ah: 1\n")


def byte_order_mark(release: Path) -> None:
    rewrite(release / "split/val.txt", lambda text: "\ufeff" + text)


def windows_line_ends(release: Path) -> None:
    rewrite(release / "split/val.txt", lambda text: text.replace("\n", "\r\n"))


def bad_line(release: Path) -> None:
    rewrite(release / "split/val.txt", lambda text: text + "Videos/x.mp4,perhaps,words\n")


@pytest.mark.parametrize(
    ("plant", "code", "says"),
    [
        (participant_on_both_sides, "participant_leak", f"{VIDEOS[0].participant} stands in test"),
        (label_in_list, "label_mismatch", "is 0 in split/train.txt"),
        (label_of_a_frame, "label_mismatch", "1 frames with another label"),
        (global_label, "label_mismatch", "0 as global_ah"),
        (negative_with_spans, "label_mismatch", "positive somewhere in time_detailed_ah"),
        (missing_clip, "missing_clip", PATHS[0]),
        (text_as_clip, "undecodable_clip", PATHS[0]),
        (half_a_clip, "undecodable_clip", PATHS[0]),
        (consent_refused, "consent_refused", VIDEOS[0].participant),
        (restarted_span, "clock_restarted", "goes back in time"),
        (past_the_end, "past_the_end", "119.000 s"),
        (frame_past_the_end, "past_the_end", "frame 4000"),
        (words_past_the_end, "past_the_end", "transcript after its end"),
        (words_past_the_end_in_a_file, "past_the_end", "transcript after its end"),
        (duplicate_id, "duplicate_id", "split/train.txt, line 5"),
        (duplicate_annotation, "duplicate_id", ANNOTATIONS),
        (byte_order_mark, "byte_order_mark", "split/val.txt"),
        (windows_line_ends, "windows_line_ends", "split/val.txt"),
        (bad_only_transcript, "bad_transcript", "holds no list of chunks"),
        (bad_line, "bad_line", "split/val.txt, line 3"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_each_planted_fault_is_found(
    plant: Callable[[Path], None], code: str, says: str, release: Path
) -> None:
    plant(release)
    status, report = validate(release)
    assert status == 1
    assert not report["fit"]
    assert code in codes(report)
    assert says in sentences(report, code)


def test_a_fault_is_found_alone(release: Path) -> None:
    label_of_a_frame(release)
    _, report = validate(release)
    assert codes(report) == {"label_mismatch"}


def test_counts_are_held_against_the_published_ones_only_where_claimed(release: Path) -> None:
    assert validate(release)[0] == 0
    status, report = validate(release, "--release", "v2")
    assert status == 1
    assert codes(report) == {"wrong_count"}
    assert "train 4 videos, published are 778" in sentences(report, "wrong_count")
    assert "published are 318" in sentences(report, "wrong_count")
    assert "published are 616" in sentences(validate(release, "--release", "v1")[1], "wrong_count")


def test_a_restarting_transcript_is_mended_and_told(release: Path) -> None:
    words = VIDEOS[POSITIVE].chunks
    late = len(words) - 1
    start_s = words[late][1]
    rewrite(release / ANNOTATIONS, in_entry(POSITIVE, f"- {start_s}\n", "- 0.0\n"))
    rewrite(
        release / ANNOTATIONS,
        in_entry(POSITIVE, f"- {words[late][2]}\n", "- 0.5\n")
        if f"- {words[late][2]}\n" in (release / ANNOTATIONS).read_text(encoding="utf-8")
        else in_entry(POSITIVE, "- null\n", "- 0.5\n"),
    )
    status, report = validate(release)
    assert (status, codes(report)) == (0, set())
    assert "restarts 1 times; it is mended" in sentences(report, "clock_restarted")


def test_an_object_in_yaml_is_a_fault_and_is_not_run(release: Path, tmp_path: Path) -> None:
    mark = tmp_path / "was-run"
    evil = f"x.mp4:\n  global_ah: !!python/object/apply:os.mkdir ['{mark}']\n"
    rewrite(release / ANNOTATIONS, lambda text: text + evil)
    status, report = validate(release)
    assert status == 1
    assert codes(report) == {"unsafe_yaml"}
    assert "python/object" in sentences(report, "unsafe_yaml")
    assert not mark.exists()
    assert not list(release.glob(".mllm-affect*"))


def test_the_table_names_every_check_and_the_first_offenders(release: Path) -> None:
    missing_clip(release)
    result = CliRunner().invoke(app, ["validate", "bah", str(release), "--trusted"])
    assert result.exit_code == 1
    assert "missing_clip" in result.output
    assert "something is wrong" in result.output
    bare = CliRunner().invoke(app, ["validate", "bah", str(release / "nothing"), "--json"])
    assert bare.exit_code == 2
    assert json.loads(bare.output)["error"]["code"] == "no_examples"


def test_the_made_release_is_read_back_as_it_was_planned(sound_release: Path) -> None:
    written = dict(entries(sound_release / ANNOTATIONS))
    assert list(written)[: len(PATHS)] == PATHS
    assert [written[path]["global_ah"] for path in PATHS] == [video.label for video in VIDEOS]


def clock(seconds: float) -> str:
    return f"'00:00:{seconds:06.3f}'"


def test_a_span_may_begin_with_the_video_and_end_half_a_second_after_it(release: Path) -> None:
    interview = VIDEOS[POSITIVE].interview
    (start_s, _), *_ = interview.spans_s
    last_s, length_s = interview.spans_s[-1][1], interview.frames / 12
    rewrite(release / ANNOTATIONS, in_entry(POSITIVE, clock(start_s), clock(0.0)))
    rewrite(release / ANNOTATIONS, in_entry(POSITIVE, clock(last_s), clock(length_s + 0.4)))
    _, report = validate(release)
    assert codes(report) == set()
    rewrite(release / ANNOTATIONS, in_entry(POSITIVE, clock(length_s + 0.4), clock(length_s + 0.7)))
    _, report = validate(release)
    assert codes(report) == {"past_the_end"}

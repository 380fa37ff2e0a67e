"""A prepared corpus: every file with a verdict, decoded once, the same however it came about."""

import fcntl
import json
import multiprocessing
import os
import shutil
import threading
import time
from collections import deque
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from in_processes import half_or_die, prepare_with_little_disk
from made_corpus import POLICY, SECONDS, content, prepare_all, write_corpus, write_noise
from typer.testing import CliRunner

from mllm_affect.cli.app import app
from mllm_affect.data.corpus import find_videos
from mllm_affect.data.examples import Example, write_examples
from mllm_affect.data.preparing import Policy, Verdict, prepare
from mllm_affect.data.workers import Died, run_each, shares_of_cores
from mllm_affect.errors import UserError
from mllm_affect.files import read_jsonl
from mllm_affect.media.cache import ClipCache, cached_video
from mllm_affect.media.probe import probe
from mllm_affect.media.segment import segment
from mllm_affect.media.types import Sampling
from mllm_affect.model.profile import ModelProfile, write_profile


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def undisturbed(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed")
    prepare_all(corpus, out)
    return out


def test_every_file_gets_a_verdict_and_nothing_is_lost_silently(
    corpus: Path, undisturbed: Path
) -> None:
    verdicts = {row["video"]: row for row in read_jsonl(undisturbed / "verdicts.jsonl")}
    assert list(verdicts) == sorted(verdicts)
    assert {name: row["code"] for name, row in verdicts.items() if not row["ok"]} == {
        "empty.mp4": "empty_file",
        "text.mp4": "unsupported_container",
    }
    assert "text.mp4" in verdicts["text.mp4"]["sentence"]
    usable = {f"some/{number}.mp4" for number in range(len(SECONDS))}
    assert {n for n, row in verdicts.items() if row["ok"]} == usable | {"other/copy-without-suffix"}
    counts = json.loads((undisturbed / "prepare.json").read_text())["counts"]
    assert counts["left_out"] == {"no video": 1}
    assert (counts["videos"], counts["usable"], counts["refused"]) == (9, 7, 2)
    assert counts["segments"] == sum(row["segments"] for row in verdicts.values())


def test_rows_say_what_the_reader_will_find(corpus: Path, undisturbed: Path) -> None:
    for row in read_jsonl(undisturbed / "prepared.jsonl"):
        source = probe(corpus / row["video"])
        assert row["sha256"] == source.sha256
        parts = segment(source, POLICY.max_seconds)
        assert [(one["start_s"], one["end_s"], one["num_frames"]) for one in row["segments"]] == [
            (part.start_s, part.end_s, part.num_frames) for part in parts
        ]


def test_what_is_prepared_is_not_decoded_again(
    corpus: Path, undisturbed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mllm_affect.media.reader.open_media", None)
    cache = ClipCache.open(undisturbed)
    for row in read_jsonl(undisturbed / "prepared.jsonl"):
        source = probe(corpus / row["video"])
        clips = list(cached_video(source, POLICY.sampling, POLICY.max_seconds, cache=cache))
        assert len(clips) == len(row["segments"])


def test_the_same_content_is_decoded_once(undisturbed: Path) -> None:
    verdicts = [row for row in read_jsonl(undisturbed / "verdicts.jsonl") if row["same_as"]]
    assert [(row["video"], row["same_as"]) for row in verdicts] in (
        [("some/3.mp4", "other/copy-without-suffix")],
        [("other/copy-without-suffix", "some/3.mp4")],
    )
    rows = {row["video"]: row for row in read_jsonl(undisturbed / "prepared.jsonl")}
    assert rows["some/3.mp4"]["entry"] == rows["other/copy-without-suffix"]["entry"]
    assert len(list((undisturbed / "clips").glob("??/*"))) == len(SECONDS)


def test_workers_do_not_change_what_is_written(
    corpus: Path, undisturbed: Path, tmp_path: Path
) -> None:
    prepare_all(corpus, tmp_path, workers=3)
    assert content(tmp_path) == content(undisturbed)


def test_strangers_videos_come_out_the_same(
    corpus: Path, undisturbed: Path, tmp_path: Path
) -> None:
    prepare_all(corpus, tmp_path, workers=2, trusted=False)
    assert content(tmp_path) == content(undisturbed)


def test_a_second_run_skips_everything_and_a_lost_entry_alone_is_made_again(
    corpus: Path, undisturbed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(undisturbed, out)
    again = prepare_all(corpus, out)
    assert [v.video for v in again.verdicts if v.ok and not v.cached] == []
    lost = read_jsonl(out / "prepared.jsonl")[-1]
    ClipCache.open(out).path(lost["entry"]).write_bytes(b"damaged")
    again = prepare_all(corpus, out)
    assert [v.video for v in again.verdicts if v.ok and not v.cached] == [lost["video"]]
    assert content(out) == content(undisturbed)


def test_a_file_whose_content_changed_is_prepared_anew(tmp_path: Path) -> None:
    video = write_noise(tmp_path / "videos/one.mp4", 1.0, 1)
    old = time.time() - 60
    os.utime(video, (old, old))
    prepare_all(tmp_path / "videos", tmp_path / "out")
    (before,) = read_jsonl(tmp_path / "out/prepared.jsonl")
    write_noise(video, 3.0, 2)
    os.utime(video, (old, old))
    prepare_all(tmp_path / "videos", tmp_path / "out")
    (after,) = read_jsonl(tmp_path / "out/prepared.jsonl")
    assert after["sha256"] == probe(video).sha256 != before["sha256"]
    assert len(after["segments"]) == 2


def test_two_runs_into_one_folder_are_one_too_many(corpus: Path, tmp_path: Path) -> None:
    ClipCache.open(tmp_path)
    with (tmp_path / ".running").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(UserError) as caught:
            prepare_all(corpus, tmp_path)
    assert caught.value.code == "out_busy"
    assert not (tmp_path / "prepared.jsonl").exists()


def test_a_bound_that_is_too_small_says_so(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        prepare_all(corpus, tmp_path, max_bytes=200_000)
    assert caught.value.code == "cache_full"
    assert ClipCache.open(tmp_path).total_bytes() <= 200_000
    assert not (tmp_path / "prepared.jsonl").exists()


def test_a_full_disk_stops_the_run_and_leaves_only_whole_entries(
    corpus: Path, undisturbed: Path, tmp_path: Path
) -> None:
    out, answer = tmp_path / "out", tmp_path / "answer"
    child = multiprocessing.get_context("spawn").Process(
        target=prepare_with_little_disk, args=(corpus, out, POLICY, answer)
    )
    child.start()
    child.join(60)
    assert answer.read_text() == "cache_not_written"
    assert content(out).items() <= content(undisturbed).items()
    assert not list((out / "clips").glob(".writing-*"))
    prepare_all(corpus, out)
    assert content(out) == content(undisturbed)


def kill_a_writing_worker(out: Path, killed: list[int]) -> None:
    """Wait for a worker to be in the middle of an entry and kill it."""
    until = time.monotonic() + 60
    while not killed and time.monotonic() < until:
        for process in psutil.Process().children():
            try:
                names = [opened.path for opened in process.open_files()]
                if any(".writing-" in name for name in names):
                    process.kill()
                    killed.append(process.pid)
                    return
            except psutil.Error:
                continue


def test_a_killed_worker_costs_one_file(tmp_path: Path) -> None:
    for number, seconds in enumerate((40.0, 1.0, 2.0)):
        write_noise(tmp_path / f"videos/{number}.mp4", seconds, number)
    killed: list[int] = []
    killer = threading.Thread(target=kill_a_writing_worker, args=(tmp_path / "out", killed))
    killer.start()
    done = prepare_all(tmp_path / "videos", tmp_path / "out")
    killer.join()
    assert [verdict.code for verdict in done.verdicts] == ["worker_died", None, None]
    assert "signal 9" in (done.verdicts[0].sentence or "")
    assert [row["video"] for row in read_jsonl(tmp_path / "out/prepared.jsonl")] == [
        "1.mp4",
        "2.mp4",
    ]
    assert not list((tmp_path / "out/clips").glob(".writing-*"))
    again = prepare_all(tmp_path / "videos", tmp_path / "out")
    assert [(verdict.ok, verdict.cached) for verdict in again.verdicts] == [
        (True, False), (True, True), (True, True),
    ]  # fmt: skip


def test_every_task_has_one_outcome_and_tasks_may_be_added() -> None:
    tasks = deque(range(6))
    outcomes = {}
    for task, outcome in run_each(tasks, half_or_die, workers=2):
        assert task not in outcomes
        outcomes[task] = outcome
        if task == 0:
            tasks.append(6)
    assert outcomes == {0: 0.0, 1: 0.5, 2: 1.0, 3: Died(-9), 4: Died(5), 5: 2.5, 6: 3.0}
    assert not [p for p in psutil.Process().children() if "spawn_main" in " ".join(p.cmdline())]


def test_cores_are_dealt_once() -> None:
    cores = os.sched_getaffinity(0)
    assert shares_of_cores(1) == [frozenset(cores)]
    dealt = shares_of_cores(len(cores))
    assert frozenset().union(*dealt) == cores
    assert all(len(share) == 1 for share in dealt)
    assert all(shares_of_cores(3 * len(cores)))


def test_a_list_names_videos_relative_to_itself(corpus: Path, tmp_path: Path) -> None:
    shutil.copytree(corpus / "some", tmp_path / "some")
    (tmp_path / "list.txt").write_text("some/2.mp4\n\n  some/0.mp4  \nsome/2.mp4\nsome/no.mp4\n")
    found = find_videos(tmp_path / "list.txt", tmp_path / "out")
    assert found.videos == ("some/2.mp4", "some/0.mp4", "some/no.mp4")
    assert found.left_out == {"named twice": 1}
    done = prepare_all(tmp_path / "list.txt", tmp_path / "out")
    assert [verdict.code for verdict in done.verdicts] == [None, None, "file_not_found"]


def test_a_labelled_set_is_what_its_list_names(tmp_path: Path) -> None:
    for name in ("b", "a", "unlabelled"):
        write_noise(tmp_path / f"{name}.mp4", 0.5, 1)
    write_examples(tmp_path, [
        Example(video=f"{name}.mp4", participant=name, split="train", labels={}) for name in "ba"
    ])  # fmt: skip
    assert find_videos(tmp_path, tmp_path / "out").videos == ("b.mp4", "a.mp4")


def test_hidden_files_links_to_folders_and_the_output_are_not_searched(
    corpus: Path, tmp_path: Path
) -> None:
    video = (corpus / "some/0.mp4").read_bytes()
    for name in ("seen.mp4", ".hidden.mp4", ".folder/a.mp4", "out/old.mp4", "deep/er/seen.bin"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(video)
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    found = find_videos(tmp_path, tmp_path / "out")
    assert found.videos == ("deep/er/seen.bin", "seen.mp4")
    assert found.left_out == {"hidden": 2, "not_a_file": 1}


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (lambda place: None, "no_corpus"),
        (lambda place: place.mkdir(), "no_videos"),
        (lambda place: place.write_bytes(b"\xff\xfe\x00video"), "bad_list"),
        (lambda place: place.write_text("\n \n"), "no_videos"),
    ],
)
def test_a_place_without_videos_is_refused(made: object, code: str, tmp_path: Path) -> None:
    made(tmp_path / "place")  # type: ignore[operator]
    with pytest.raises(UserError) as caught:
        find_videos(tmp_path / "place", tmp_path / "out")
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        (Policy(Sampling(fps=0.0)), "bad_sampling"),
        (Policy(Sampling(max_pixels=100)), "bad_sampling"),
        (Policy(max_seconds=0.0), "bad_max_seconds"),
    ],
)
def test_a_policy_that_no_video_could_meet_is_refused_at_once(
    policy: Policy, code: str, corpus: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as caught:
        prepare(find_videos(corpus, tmp_path), tmp_path / "out", policy, 1)
    assert caught.value.code == code
    assert not (tmp_path / "out").exists()


def test_verdicts_are_told_as_they_fall(corpus: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []

    def tell(verdict: Verdict, done: int, total: int) -> None:
        told.append((verdict.video, done, total))

    done = prepare_all(corpus, tmp_path, on_verdict=tell)
    assert [(number, total) for _, number, total in told] == [(n, 9) for n in range(1, 10)]
    assert {video for video, _, _ in told} == {verdict.video for verdict in done.verdicts}


@pytest.mark.parametrize(("place", "status"), [("", 1), ("some", 0)])
def test_the_verb_prints_counts_and_says_by_its_status_whether_all_are_usable(
    place: str, status: int, corpus: Path, tmp_path: Path
) -> None:
    words = ["prepare", str(corpus / place), "--fps", "2", "--max-pixels", "4096", "--trusted"]
    words += ["--out", str(tmp_path), "--workers", "1"]
    told = CliRunner().invoke(app, [*words, "--json"])
    lines = [json.loads(line) for line in told.stdout.splitlines()]
    assert told.exit_code == status
    assert lines[-1]["videos"] == len(lines) - 1 == len(read_jsonl(tmp_path / "verdicts.jsonl"))
    shown = CliRunner().invoke(app, words, env={"COLUMNS": "200"})
    assert shown.exit_code == status
    assert f"{lines[-1]['usable']} of {lines[-1]['videos']} videos are usable" in shown.stdout
    assert ("refused, empty_file: 1" in shown.stdout) == bool(status)
    assert "0.mp4" in shown.stdout


def test_a_checkpoint_says_how_clips_are_prepared(corpus: Path, tmp_path: Path) -> None:
    words = ["prepare", str(corpus), "--model", "miniature", "--trusted", "--workers", "1"]
    CliRunner().invoke(app, [*words, "--out", str(tmp_path / "out"), "--task", "ah"])
    wanted = json.loads((tmp_path / "out/prepare.json").read_text())["policy"]
    assert (wanted["sampling"]["fps"], wanted["sampling"]["max_pixels"]) == (4.0, 4096)
    learned = tmp_path / "learned"
    learned.mkdir()
    (learned / "config.json").write_text(
        json.dumps(
            {
                "architectures": ["Qwen3OmniMoeForConditionalGeneration"],
                "thinker_config": {"text_config": {"num_hidden_layers": 1}},
            }
        )
    )
    (learned / "weights.safetensors").touch()
    write_profile(learned, ModelProfile(sampling=Sampling(2.0, 4096), max_seconds=2.0))
    words = ["prepare", str(corpus), "--model", str(learned), "--trusted", "--workers", "1"]
    prepared = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "short")])
    assert (tmp_path / "short/prepare.json").is_file(), prepared.output
    wanted = json.loads((tmp_path / "short/prepare.json").read_text())["policy"]
    assert wanted["segmenter"][1] == 2.0
    other = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "x"), "--max-seconds", "5"])
    assert (other.exit_code, "segments of at most 2 s" in other.output) == (2, True)
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "config.json").write_text('{"model_type": "qwen3_omni_moe"}')
    for options in (["--model", str(bare)], ["--model", "miniature", "--fps", "2"]):
        refused = CliRunner().invoke(
            app, ["prepare", str(corpus), *options, "--out", str(tmp_path / "no"), "--json"]
        )
        assert refused.exit_code == 2, refused.output
    assert not (tmp_path / "no").exists()


def test_folders_of_images_are_videos_where_their_rate_is_told(tmp_path: Path) -> None:
    from PIL import Image

    for name, count in (("one/clip", 30), ("two", 3), ("same", 3)):
        (tmp_path / "corpus" / name).mkdir(parents=True)
        for number in range(count):
            path = tmp_path / "corpus" / name / f"{number}.png"
            Image.new("L", (64, 64), 8 * number).save(path)
    write_noise(tmp_path / "corpus/film.mp4", 1.0, 1)
    plain = find_videos(tmp_path / "corpus", tmp_path / "out")
    assert (plain.videos, plain.left_out) == (("film.mp4",), {"no video": 36})
    wanted = replace(POLICY, image_fps=10.0)
    videos = find_videos(tmp_path / "corpus", tmp_path / "out", images=True)
    assert videos.videos == ("film.mp4", "one/clip", "same", "two")
    done = prepare(videos, tmp_path / "out", wanted, 1, trusted=True)
    verdicts = {one.video: one for one in done.verdicts}
    assert [one.ok for one in done.verdicts] == [True] * 4
    assert (verdicts["one/clip"].segments, verdicts["one/clip"].duration_s) == (2, 3.0)
    assert verdicts["two"].same_as == "same"
    again = prepare(videos, tmp_path / "out", wanted, 1, trusted=True)
    assert all(one.cached for one in again.verdicts)
    other = prepare(videos, tmp_path / "out", replace(POLICY, image_fps=20.0), 1, trusted=True)
    assert {one.video for one in other.verdicts if one.cached} == {"film.mp4"}
    (tmp_path / "list.txt").write_text("corpus/two\n")
    listed = find_videos(tmp_path / "list.txt", tmp_path / "out")
    (refused,) = prepare(listed, tmp_path / "out", POLICY, 1, trusted=True).verdicts
    assert (refused.ok, refused.code) == (False, "no_image_rate")

"""A made release: the files of BAH with all their quirks, filled with made clips.

Does: write videos, split lists, annotations, transcripts and consent of invented people, the same
for the same plan, on several processes.  Does not: resemble any person or hold any real data.

Quirks on purpose: spaces, computer names and letters beyond ASCII in file names, the folder
spelling of the 8th ABAW keys, commas in transcripts, clocks that restart after 30 s, unknown last
ends, `!!python/tuple`, missing frames, and people who refused a use of their data.  A private split
has a header line, the placeholder 0 for every label, and words but no annotations.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mllm_affect.data.bah import layout
from mllm_affect.data.bah.consent import CHALLENGES, PUBLICATIONS
from mllm_affect.data.bah.made_plan import PlannedVideo, ReleasePlan, plan_release
from mllm_affect.data.bah.unlabelled import PLACEHOLDER
from mllm_affect.data.made.folders import in_processes, write_video
from mllm_affect.data.made.interviews import Interview, make_interview
from mllm_affect.files import refuse_filled, write_text

Progress = Callable[[int, int], None]

REFUSED = "M900"
"""A participant with a video and annotations who refused the use in challenges: in no split."""

PRIVATE = "private"
HEADER = "path,label,transcript\n"

WINDOW_S = 30.0


@dataclass(frozen=True)
class Written:
    """A planned video with its path below the release, as keys write it."""

    video: PlannedVideo
    path: str


def make_release(
    out: Path, plan: ReleasePlan | None = None, progress: Progress = lambda _done, _total: None
) -> dict[str, Any]:
    """Write a made release into the new or empty folder `out`; return counts.

    The split lists are written last, so a folder that has them is complete.
    Raises UserError `not_empty`, `bad_count`.
    """
    refuse_filled(out)
    videos = plan_release(plan or ReleasePlan())
    drawn = with_paths(videos)
    paths = [out / item.path for item in drawn]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
    in_processes(_draw, [item.video.interview for item in drawn], paths, progress, at_once=2)
    write_texts(out, videos)
    return {
        "videos": {split: sum(v.split == split for v in videos) for split in _splits(videos)},
        "positive": {s: sum(v.label for v in videos if v.split == s) for s in layout.SPLITS},
        "participants": len({video.participant for video in videos}),
    }


def write_texts(out: Path, videos: list[PlannedVideo]) -> None:
    """Write everything of a release but the videos; the split lists last."""
    named = with_paths(videos)
    for item in named:
        write_text(out / transcript_path(item.path), dumped(_transcript(item.video)))
    told = [item for item in named if item.video.split != PRIVATE]
    write_text(out / layout.ANNOTATIONS, dumped({i.path: annotation_of(i) for i in told}))
    write_text(out / layout.PARTICIPANTS, _participants([v for v in videos if v.split != PRIVATE]))
    for split in layout.SPLITS:
        lines = [line for item in named if _listed(item, split) for line in _frame_lines(item)]
        write_text(out / layout.FRAME_SPLIT_FOLDER / f"{split}.txt", "".join(lines))
    for split in _splits(videos):
        lines = [HEADER] if split == PRIVATE else []
        for item in named:
            label = PLACEHOLDER if split == PRIVATE else item.video.label
            if _listed(item, split):
                lines.append(f"{item.path},{label},{item.video.text}\n")
        write_text(out / layout.SPLIT_FOLDER / f"{split}.txt", "".join(lines))


def _splits(videos: list[PlannedVideo]) -> tuple[str, ...]:
    """Return the splits that have videos, the private one last."""
    return (*layout.SPLITS, *sorted({v.split for v in videos} - set(layout.SPLITS)))


def with_paths(videos: list[PlannedVideo]) -> list[Written]:
    """Return the videos with their paths, and last the one of the person who refused."""
    like = videos[0]
    refused = PlannedVideo(REFUSED, like.split, like.question, like.interview, like.chunks)
    named = [Written(video, path_of(video, number)) for number, video in enumerate(videos)]
    return [*named, Written(refused, path_of(refused, 0))]


def _listed(item: Written, split: str) -> bool:
    return item.video.split == split and item.video.participant != REFUSED


def path_of(video: PlannedVideo, number: int) -> str:
    """Return the path of a video, with the quirk whose turn it is."""
    visit = "Visite 1" if video.participant.endswith("5") else "Visite_1"
    date = f"2031-{1 + number % 12:02d}-{1 + number % 28:02d}"
    clock = f"{8 + number % 10:02d}{number % 60:02d}00"
    stem = f"{video.participant}_Question_{video.question}_{date}_{clock}_Video"
    quirks = {3: "-DESKTOP-MADE0", 5: " (copie)", 7: "_été"}
    stem += quirks.get(number % 11, "")
    return f"{layout.VIDEOS}/{video.participant}/{visit}/{stem}.mp4"


def transcript_path(path: str) -> str:
    """Return where the transcript of a video lies."""
    return f"{layout.TRANSCRIPTS}/{path.removesuffix('.mp4')}.yml"


def annotation_of(item: Written) -> dict[str, Any]:
    """Return the entry of a video in the annotation file."""
    interview = item.video.interview
    spans = [[_clock(start), _clock(end)] for start, end in interview.spans_s]
    cues = {
        "audio": ["pause"],
        "body": [],
        "facial": ["gaze"],
        "inconsistencies": ["voice and face"],
        "language": [],
    }
    return {
        "global_ah": item.video.label,
        "time_detailed_ah": spans,
        "fr_detailed_ah": [list(span) for span in interview.frame_spans],
        "frame_annotation": [[path, label] for path, label in _frames(item)],
        "all_cues": [dict(cues) for _ in spans],
        "certainty_ah": [3 for _ in spans],
        "annotator_id": 1 + item.video.interview.seed % 3,
        "transcript": _transcript(item.video),
    }


def dumped(value: Any) -> str:
    """Return YAML text that carries `!!python/tuple` for tuples and nothing else unusual."""
    text: str = yaml.dump(value, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=1000)
    return text


class _Dumper(yaml.CSafeDumper):
    """Writes tuples with their tag, and no anchors."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


_Dumper.add_representer(
    tuple, lambda dumper, data: dumper.represent_sequence("tag:yaml.org,2002:python/tuple", data)
)


def _draw(interview: Interview, path: Path) -> None:
    frames_THWC, audio_S = make_interview(interview)
    write_video(frames_THWC, audio_S, path)


def _transcript(video: PlannedVideo) -> dict[str, Any]:
    """Return text and chunks; the clock restarts with each window and the last end is unknown."""
    chunks = []
    for position, (text, start_s, end_s) in enumerate(video.chunks):
        window_s = WINDOW_S * (start_s // WINDOW_S)
        last = position + 1 == len(video.chunks)
        end = None if last and video.interview.seed % 2 else round(end_s - window_s, 2)
        times = (round(start_s - window_s, 2), end)
        chunks.append({"language": "english", "text": f" {text}", "timestamp": times})
    return {"text": video.text, "chunks": chunks}


def _frames(item: Written) -> Iterator[tuple[str, int]]:
    """Yield every frame's path and label; now and then a face was not found in some frames."""
    spans = item.video.interview.frame_spans
    gap = item.video.interview.seed % 97
    for index in range(item.video.interview.frames):
        if gap <= index < gap + 5 and gap % 3 == 0:
            continue
        label = int(any(first <= index <= last for first, last in spans))
        yield f"{item.path}/frame-{index}.jpg", label


def _frame_lines(item: Written) -> Iterator[str]:
    return (f"{path},{label}\n" for path, label in _frames(item))


def _participants(videos: list[PlannedVideo]) -> str:
    """Return consent: everybody agrees, but REFUSED to challenges and every ninth to pictures."""
    names = list(dict.fromkeys(video.participant for video in videos))
    facts = {
        name: {CHALLENGES: "Yes", PUBLICATIONS: "No" if place % 9 == 8 else "Yes"}
        for place, name in enumerate(names)
    }
    return dumped(facts | {REFUSED: {CHALLENGES: "No", PUBLICATIONS: "No"}})


def _clock(seconds: float) -> str:
    """Return `HH:MM:SS.mmm`."""
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"

"""The claims of the README and docs, one entry each, quick ones first.

Does: list them with goal and command.  Does not: measure.  To add a claim, add one entry here.
"""

from functools import partial
from pathlib import Path

from eval.figures.claim import Claim, Goal
from eval.figures.measuring import (
    against_bare_decode,
    ah_chain,
    bench_figure,
    demo,
    demo_mean,
    frames_with_a_face,
    help_seconds,
    import_seconds,
    joint_gain,
    me_chain_figure,
)

FIXTURES = Path(".cache/fixtures")
FACES = "mllm-affect segment VIDEO --faces --out runs/faces"
DEMO = "mllm-affect demo"
AH = "the five commands of the README on a made release of BAH"
ME = "the commands of the README on made micro-expressions"
DEMO_SEEDS = "mllm-affect demo --offline --seed 1 --out runs/demo-seed-1 (and 2)"

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "importing the package",
        Goal(at_most=0.150),
        "s",
        "python -c 'import mllm_affect'",
        import_seconds,
    ),
    Claim("asking for help", Goal(at_most=0.5), "s", "mllm-affect --help", help_seconds),
    Claim(
        "reading a video with B-frames, against a bare decode",
        Goal(at_most=1.0),
        "x",
        "python -m tests.bench --against-floor --only B-frames",
        partial(against_bare_decode, "B-frames"),
    ),
    Claim(
        "frames of a real face video with a face",
        Goal(at_least=0.99),
        "%",
        FACES,
        partial(frames_with_a_face, FIXTURES / "wide.mp4"),
    ),
    Claim(
        "frames of a video without a face with a face",
        Goal(at_most=0.0),
        "%",
        FACES,
        partial(frames_with_a_face, FIXTURES / "no_face.mp4"),
    ),
    *(
        claim
        for name, words in (
            ("frames", "10,000 frames at 200 a second"),
            ("video", "a video of ten minutes at 30 frames a second"),
        )
        for claim in (
            Claim(
                f"scanning {words}, times faster than real time, model excluded",
                Goal(at_least=1.0),
                "",
                "python -m tests.bench_scan",
                partial(bench_figure, "tests.bench_scan", name, "times_real_time"),
            ),
            Claim(
                f"growth of memory after a quarter of {words}",
                Goal(at_most=0.20),
                "%",
                "python -m tests.bench_scan",
                partial(bench_figure, "tests.bench_scan", name, "growth"),
            ),
        )
    ),
    Claim(
        "building the index of 91 MB of annotations",
        Goal(at_most=30),
        "s",
        "python -m tests.bench_bah_index",
        partial(bench_figure, "tests.bench_bah_index", "build", "seconds"),
    ),
    Claim(
        "loading that index again",
        Goal(at_most=1),
        "s",
        "python -m tests.bench_bah_index",
        partial(bench_figure, "tests.bench_bah_index", "reload", "seconds"),
    ),
    Claim(
        "memory while building that index",
        Goal(at_most=1024),
        "MiB",
        "python -m tests.bench_bah_index",
        partial(bench_figure, "tests.bench_bah_index", "build", "peak_mib"),
    ),
    Claim(
        "answers of one profile a clip against separate ones, simulated, lower end of the interval",
        Goal(at_least=0.0),
        "%",
        "python -m eval.megc.joint_gain",
        joint_gain,
    ),
    Claim(
        "held-out made clips in the demonstration",
        Goal(at_least=300),
        "clips",
        DEMO,
        partial(demo, "held_out", "clips"),
    ),
    Claim(
        "accuracy before fine-tuning",
        Goal(at_most=0.60),
        "%",
        DEMO,
        partial(demo, "before", "accuracy"),
    ),
    Claim(
        "accuracy after fine-tuning",
        Goal(at_least=0.90),
        "%",
        DEMO,
        partial(demo, "after", "accuracy"),
    ),
    Claim(
        "accuracy after, sound taken away",
        Goal(at_most=0.60),
        "%",
        DEMO,
        partial(demo, "without_audio", "accuracy"),
    ),
    Claim(
        "accuracy after, pictures taken away",
        Goal(at_most=0.60),
        "%",
        DEMO,
        partial(demo, "without_video", "accuracy"),
    ),
    Claim(
        "clips asked over HTTP",
        Goal(at_least=100),
        "clips",
        DEMO,
        partial(demo, "served", "clips"),
    ),
    Claim(
        "answers over HTTP that equal the offline ones",
        Goal(at_least=1.0),
        "%",
        DEMO,
        partial(demo, "served", "agreement"),
    ),
    Claim(
        "the demonstration without installation",
        Goal(at_most=9 * 60),
        "s",
        DEMO,
        partial(demo, "seconds_in_all"),
    ),
    Claim(
        "accuracy before fine-tuning, mean of three seeds",
        Goal(at_most=0.60),
        "%",
        DEMO_SEEDS,
        partial(demo_mean, "before", "accuracy"),
    ),
    Claim(
        "accuracy after fine-tuning, mean of three seeds",
        Goal(at_least=0.90),
        "%",
        DEMO_SEEDS,
        partial(demo_mean, "after", "accuracy"),
    ),
    Claim(
        "ambivalence on held-out made people, macro-F1",
        Goal(at_least=0.80),
        "",
        AH,
        partial(ah_chain, "macro_f1"),
    ),
    Claim(
        "the strongest prior on the same people, macro-F1",
        Goal(at_most=0.65),
        "",
        AH,
        partial(ah_chain, "strongest_prior"),
    ),
    Claim(
        "calibration error on the same people",
        Goal(at_most=0.05),
        "",
        AH,
        partial(ah_chain, "calibration_error"),
    ),
    Claim(
        "coarse class on held-out made people, UF1",
        Goal(at_least=0.70),
        "",
        ME,
        partial(me_chain_figure, "vqa", "figures", "UF1 Coarse Overall"),
    ),
    Claim(
        "coarse class without looking, UF1",
        Goal(at_most=0.40),
        "",
        ME,
        partial(me_chain_figure, "vqa", "floor", "UF1 Coarse Overall"),
    ),
    Claim(
        "events counted in made videos of one to three minutes, mean absolute error",
        Goal(at_most=0.5),
        "events",
        ME,
        partial(me_chain_figure, "lvqa", "figures", "MAE events Overall"),
    ),
    Claim(
        "right answers from one profile a clip, more than one by one, on held-out made people",
        Goal(at_least=0.0),
        "%",
        ME,
        partial(me_chain_figure, "joint", "difference"),
    ),
)

"""What a made voice says and how: syllables in a row, or pauses, fillers and restarts.

Does: plan utterances, fluent or halting, and sound them.  Does not: use words of any language,
or know the face.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mllm_affect.data.made.people import Voice
from mllm_affect.data.made.phonation import BLOCK, NASAL, VOWELS, Tracks, sound
from mllm_affect.media.types import AUDIO_RATE

BLOCK_S = BLOCK / AUDIO_RATE
Onset = Literal["hiss", "burst", "nasal", "none"]
ONSETS: tuple[Onset, ...] = ("hiss", "burst", "nasal", "none")
SPOKEN_VOWELS = ("a", "e", "i", "o", "u")


@dataclass(frozen=True)
class Sound:
    """One thing uttered: silence, a syllable or a filler ("uh", "um"), with its length."""

    kind: Literal["silence", "syllable", "filler"]
    seconds: float
    vowel: str = "uh"
    onset: Onset = "none"
    nasal_end: bool = False


def speak(
    random: np.random.Generator, voice: Voice, duration_s: float, halting: bool
) -> NDArray[np.int16]:
    """Return `duration_s` seconds of speech-like sound, int16 mono at 16 kHz.

    The number of samples is `round(duration_s * 16000)`.  Loudness, background noise and length
    do not depend on `halting`.
    """
    plan = plan_halting if halting else plan_fluent
    tracks = _tracks(random, voice, plan(random, voice, duration_s), duration_s)
    samples = round(duration_s * AUDIO_RATE)
    wave = sound(tracks, voice, random)[:samples]
    wave = np.pad(wave, (0, samples - wave.size))
    level = 10.0 ** (random.uniform(-14.0, -7.0) / 20.0)
    floor = level * 10.0 ** (random.uniform(-46.0, -30.0) / 20.0)
    wave = level * wave + floor * random.standard_normal(samples)
    return np.asarray(np.round(np.clip(wave, -1.0, 1.0) * 32767.0), dtype=np.int16)


def plan_fluent(random: np.random.Generator, voice: Voice, duration_s: float) -> list[Sound]:
    """Plan syllables in a steady flow, with a short breath now and then."""
    sounds = [Sound("silence", float(random.uniform(0.02, 0.10)))]
    until_breath = int(random.integers(6, 11))
    while _length(sounds) < duration_s:
        sounds.append(_syllable(random, voice, pace=1.0))
        until_breath -= 1
        if until_breath == 0:
            sounds.append(Sound("silence", float(random.uniform(0.06, 0.14))))
            until_breath = int(random.integers(6, 11))
    return sounds


def plan_halting(random: np.random.Generator, voice: Voice, duration_s: float) -> list[Sound]:
    """Plan a few syllables at a time between pauses, fillers and restarts.

    Every stretch has a filler or a pause that lasts at least a quarter of a second, and the first
    of them comes within the first half second.
    """
    sounds = [Sound("silence", float(random.uniform(0.02, 0.10)))]
    for _ in range(int(random.integers(0, 3))):
        sounds.append(_syllable(random, voice, pace=0.8))
    while _length(sounds) < duration_s:
        sounds.extend(_hesitation(random))
        run = [_syllable(random, voice, pace=0.75) for _ in range(int(random.integers(1, 4)))]
        if random.random() < 0.35:
            sounds.extend([run[0], Sound("silence", float(random.uniform(0.08, 0.2)))])
        sounds.extend(run)
    return sounds


def _hesitation(random: np.random.Generator) -> list[Sound]:
    pause = Sound("silence", float(random.uniform(0.25, 0.6)))
    filler = Sound("filler", float(random.uniform(0.3, 0.6)), nasal_end=bool(random.random() < 0.5))
    pick = random.random()
    if pick < 0.55:
        return [filler, pause]
    return [pause, filler] if pick < 0.8 else [filler]


def _syllable(random: np.random.Generator, voice: Voice, pace: float) -> Sound:
    seconds = random.uniform(0.8, 1.25) / (voice.syllables_per_s * pace)
    return Sound(
        "syllable",
        float(seconds),
        vowel=SPOKEN_VOWELS[int(random.integers(len(SPOKEN_VOWELS)))],
        onset=ONSETS[int(random.integers(len(ONSETS)))],
    )


def _length(sounds: list[Sound]) -> float:
    return sum(item.seconds for item in sounds)


def _tracks(
    random: np.random.Generator, voice: Voice, sounds: list[Sound], duration_s: float
) -> Tracks:
    blocks = int(np.ceil(duration_s / BLOCK_S))
    times = np.arange(blocks) * BLOCK_S
    melody = np.sin(2.0 * np.pi * (random.uniform(0.3, 0.7) * times + random.random()))
    pitch = voice.pitch_hz * (1.0 + voice.liveliness * melody)
    formants = np.tile(np.array(VOWELS["uh"]), (blocks, 1))
    voiced, hiss, burst = np.zeros(blocks), np.zeros(blocks), np.zeros(blocks)
    start_s = 0.0
    for item in sounds:
        first, last = round(start_s / BLOCK_S), round((start_s + item.seconds) / BLOCK_S)
        start_s += item.seconds
        span = slice(first, min(last, blocks))
        count = span.stop - span.start
        if count <= 0 or item.kind == "silence":
            continue
        voiced[span] = _swell(count)
        formants[span] = VOWELS[item.vowel]
        if item.kind == "filler":
            pitch[span] = voice.pitch_hz * np.linspace(0.97, 0.9, count)
            if item.nasal_end:
                tail = slice(span.start + 2 * count // 3, span.stop)
                formants[tail] = NASAL
                voiced[tail] *= 0.6
            continue
        pitch[span] *= 1.0 + random.uniform(-0.05, 0.08)
        head = slice(span.start, span.start + min(3, max(1, count // 3)))
        if item.onset == "hiss":
            voiced[head], hiss[head] = 0.0, 1.0
        elif item.onset == "burst":
            voiced[head], burst[span.start] = 0.0, 1.0
        elif item.onset == "nasal":
            formants[head], voiced[head] = NASAL, 0.5
    return Tracks(pitch, _glide(formants), voiced, hiss, burst)


def _swell(count: int) -> NDArray[np.float64]:
    """Return a loudness that rises and falls at the edges of a sound of `count` blocks."""
    edge = np.minimum(np.arange(1, count + 1), np.arange(count, 0, -1))
    return np.asarray(np.minimum(1.0, 0.35 + 0.25 * edge))


def _glide(formants_B3: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smooth formants over three blocks, as a tongue that takes time to move."""
    padded = np.pad(formants_B3, ((1, 1), (0, 0)), mode="edge")
    return np.asarray((padded[:-2] + padded[1:-1] + padded[2:]) / 3.0)

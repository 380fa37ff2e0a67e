"""The baseline beside every action-unit figure: optical flow from onset to apex, a small CNN.

Does: find the apex, measure flow, train the network of its own on the training people, give
probabilities.  Does not: know the language model, or share weights with the projector.

After Liong et al., "Shallow Triple Stream Three-dimensional CNN (STSTNet)", FG 2019, our reading:
flow across, flow down and optical strain between two frames, 28 x 28; three shallow streams; here
with a sigmoid a unit.  The apex is the frame that differs most from the first.  Every frame is
first brought to the first one's brightness and contrast, which the original does not do and which
helps it under flickering light.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import nn

SIDE = 28
STREAMS = (3, 5, 8)
HIDDEN = 400
FLOW_AND_STRAIN = 3
FLOW_SHAPE = (FLOW_AND_STRAIN, SIDE, SIDE)
PYRAMID_SCALE, LEVELS, WINDOW, ROUNDS, NEIGHBOURS, BLUR = 0.5, 3, 9, 5, 7, 1.5
"""Parameters of Farneback's flow, for faces of 64 to 250 pixels."""

Frames = NDArray[np.uint8]
Flow = NDArray[np.float32]


@dataclass(frozen=True)
class FlowTraining:
    """How the baseline is trained."""

    steps: int = 600
    batch: int = 16
    learning_rate: float = 2e-3
    weight_decay: float = 0.1
    seed: int = 0


def flow_and_strain(frames_THWC: Frames) -> Flow:
    """Return flow across and down (pixels) and strain from onset to apex, (3, SIDE, SIDE)."""
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames_THWC]
    first = grey[0].astype(np.float32)
    alike = [_as_bright(picture.astype(np.float32), first) for picture in grey]
    apex = int(np.argmax([np.abs(picture.astype(np.float32) - first).mean() for picture in alike]))
    flow_HW2 = cv2.calcOpticalFlowFarneback(
        alike[0], alike[apex], np.zeros((*first.shape, 2), np.float32),
        PYRAMID_SCALE, LEVELS, WINDOW, ROUNDS, NEIGHBOURS, BLUR, 0,
    )  # fmt: skip
    across, down = flow_HW2[..., 0], flow_HW2[..., 1]
    across_down, across_across = np.gradient(across)
    down_down, down_across = np.gradient(down)
    strain = np.sqrt(across_across**2 + down_down**2 + 0.5 * (across_down + down_across) ** 2)
    parts = [cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
             for part in (across, down, strain)]  # fmt: skip
    return np.stack(parts).astype(np.float32)


def flow_probabilities(
    train_N3SS: Flow,
    labels_NA: NDArray[np.int64],
    others: Sequence[Flow],
    training: FlowTraining = FlowTraining(),
) -> list[NDArray[np.float64]]:
    """Train on flow with labels (1, 0, -1 unknown); return the others' probabilities (N, A)."""
    import torch

    from mllm_affect.model.evidence.losses import unit_loss
    from mllm_affect.model.threads import threads

    flow_N3SS, labels = torch.from_numpy(train_N3SS), torch.from_numpy(labels_NA)
    spread = flow_N3SS.std((0, 2, 3), keepdim=True).clamp_min(1e-6)
    # So small a network takes several times as long on two threads.
    with threads(1), torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        network = _network(labels_NA.shape[1])
        optimizer = torch.optim.AdamW(
            network.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay
        )
        falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, training.steps)
        for _ in range(training.steps):
            some = torch.randint(0, len(flow_N3SS), (training.batch,))
            loss = unit_loss(network(flow_N3SS[some] / spread), labels[some])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            falling.step()
    network.eval()
    with torch.inference_mode():
        return [
            network(torch.from_numpy(some_N3SS) / spread).double().sigmoid().numpy()
            for some_N3SS in others
        ]


def _as_bright(picture_HW: NDArray[np.float32], first_HW: NDArray[np.float32]) -> Frames:
    spread = first_HW.std() / max(float(picture_HW.std()), 1e-6)
    alike = (picture_HW - picture_HW.mean()) * spread + first_HW.mean()
    return np.asarray(np.clip(alike, 0.0, 255.0), dtype=np.uint8)


def _network(units: int) -> "nn.Module":
    import torch
    from torch import nn
    from torch.nn import functional

    class Streams(nn.Module):
        """Three shallow streams side by side."""

        def __init__(self) -> None:
            super().__init__()
            self.streams = nn.ModuleList(
                nn.Sequential(
                    nn.Conv2d(FLOW_AND_STRAIN, width, 3, padding=2), nn.ReLU(),
                    nn.BatchNorm2d(width), nn.MaxPool2d(3, 3, 1),
                )
                for width in STREAMS
            )  # fmt: skip
            self.hidden = nn.LazyLinear(HIDDEN)
            self.out = nn.Linear(HIDDEN, units)

        def forward(self, flow_N3SS: torch.Tensor) -> torch.Tensor:
            seen = torch.cat([stream(flow_N3SS) for stream in self.streams], dim=1)
            flat = functional.avg_pool2d(seen, 2, 2).flatten(1)
            return cast(torch.Tensor, self.out(functional.relu(self.hidden(flat))))

    network = Streams()
    network(torch.zeros(2, FLOW_AND_STRAIN, SIDE, SIDE))  # settles the lazy layer
    return network

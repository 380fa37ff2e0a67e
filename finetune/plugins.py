"""Our plugins of ms-swift: their files, and what their callbacks and optimizer are called.

Does: name them for whoever writes the command.  Does not: import them: ms-swift does, by path.
"""

from pathlib import Path
from typing import Final

_HERE = Path(__file__).parent

RESUME_PLUGIN: Final = _HERE / "resuming" / "plugin.py"
RESUME_CALLBACK: Final = "mllm_affect_resume"
EVALUATION_PLUGIN: Final = _HERE / "evaluating" / "plugin.py"
EVALUATION_CALLBACK: Final = "mllm_affect_evaluate"
EVIDENCE_PLUGIN: Final = _HERE / "evidence_plugin.py"
EVIDENCE_OPTIMIZER: Final = "mllm_affect_evidence"
REWARDS_PLUGIN: Final = _HERE / "rewards_plugin.py"

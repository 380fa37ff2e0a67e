"""The vLLM plugin: after installation `vllm serve CHECKPOINT` knows our architecture.

Does: register a model class by name, lazily.  Does not: import torch, vLLM's models or ours; every
start of vLLM, whatever it serves, calls `register` in each of its processes.
"""

from mllm_affect.model.model_class import EVIDENCE

VERSIONS = ("0.32.",)
"""vLLM versions whose interfaces the served model was written for and ran on."""

SERVED_CLASS = "mllm_affect.model.evidence.vllm_model:EvidenceThinkerForServing"


def register() -> None:
    """Tell vLLM where our architecture is.  Called once a process, by entry point; may repeat."""
    from vllm import ModelRegistry

    if EVIDENCE not in ModelRegistry.get_supported_archs():
        ModelRegistry.register_model(EVIDENCE, SERVED_CLASS)


def refuse_other_versions(version: str) -> None:
    """Raise ImportError unless the served model was written for this vLLM.

    Called when a checkpoint with evidence is loaded, so that another vLLM still serves all others.
    """
    if not version.startswith(VERSIONS):
        wanted = " or ".join(f"{start}*" for start in VERSIONS)
        raise ImportError(
            f"Checkpoints with the evidence projector need vLLM {wanted}, and this is {version}; "
            "install the version that mllm-affect pins, or serve a checkpoint without evidence."
        )

"""`python -m mllm_affect` is the `mllm-affect` command."""

from mllm_affect.cli.app import main

if __name__ == "__main__":
    main()

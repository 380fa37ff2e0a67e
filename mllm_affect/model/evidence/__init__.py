"""The evidence projector after AULLM++ (arXiv 2603.08387), our reading: CT, IT, CCR, AU head.

Does: turn a clip's face and its motion into a content token and an instruction token for the
language model, train them, keep them in one checkpoint and serve them.  Does not: claim the paper's
numbers; its body could not be read, so every choice beyond its abstract is marked "our reading".
"""

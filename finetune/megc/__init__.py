"""Training rows for the micro-expression tasks: from the challenge's files to ms-swift's rows.

Does: ask what prediction asks, of the same clips and windows, with the true answers.
Does not: train, or know another dataset.
"""

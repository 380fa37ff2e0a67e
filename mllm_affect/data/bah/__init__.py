"""The BAH dataset of ambivalence and hesitancy: reading a release as it lies on disk.

Does: read split files, annotations, consent and file names of the first and second version and of
the keys of the 8th ABAW challenge, check a release, and make one of the same shape from made clips.
Does not: hold anything of the data; whoever uses it needs the licence of its owners.
"""

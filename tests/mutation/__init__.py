"""Mutation tests: small changes to the code that the tests must notice.

Run `python -m tests.mutation`; CONTRIBUTING.md says how to read the result.
"""

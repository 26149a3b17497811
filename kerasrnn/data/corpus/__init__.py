"""The embedded English named-entity corpus: `train.conll`, `validation.conll`, `test.conll`.

The folder's README.md says what the sentences are, how they were written and how they were split.
Read them with `kerasrnn.data.read_corpus("train")` or `kerasrnn.data.parse_corpus("train")`.
"""

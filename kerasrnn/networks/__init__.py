"""The networks of the tasks, and what they are built of: ids or numbers in, scores out.

They know no text, no data and no backend: `keras.ops` alone.
"""

"""The log: lines with request and task ids, without secrets, and not a thousand alike.

Everybody writes with Python's own `logging`: a fixed message and its arguments.
"""

"""The audit chain is verified each night, and its head is kept outside each day.

`anchors.send_due` and `checks.check_due` are the doors of the tick, `checks.seen` that
of pages.
"""

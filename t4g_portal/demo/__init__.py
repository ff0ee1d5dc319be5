"""`make demo`: a portal with 90 days of made-up past and a small platform to break.

Everything is on this machine: the platform that is watched, and what stands in for
Slack and the mail server. Its data directory is marked, and no other one is touched.
"""

from __future__ import annotations

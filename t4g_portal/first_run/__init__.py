"""The first run: watch something of yours, tell somebody, see it happen.

Offered to whoever may set the portal up, until somebody finishes or skips it.
"""

from __future__ import annotations

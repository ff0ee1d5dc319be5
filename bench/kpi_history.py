"""Fills the database of `bench.kpi_pages`: 50 KPIs with two years behind each."""

from __future__ import annotations

from datetime import timedelta

COUNT = 50
LENGTH = timedelta(days=730)


def main() -> None:
    import django

    django.setup()
    from django.db import connection
    from django.utils import timezone

    from tests.kpis.history import make_many

    make_many(now=timezone.now(), count=COUNT, length=LENGTH)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


if __name__ == "__main__":
    main()

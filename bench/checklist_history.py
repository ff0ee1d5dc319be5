"""Fills the database of `bench.checklist_pages`: a run of 200 items, proven and signed."""

from __future__ import annotations

COUNT = 200
OTHER_RUNS = 9


def main() -> None:
    import django

    django.setup()
    from django.db import connection
    from django.utils import timezone

    from checklists import queries, services
    from checklists.actors import person
    from tests.checklists.making import Proven, make_run, make_signer

    now = timezone.now()
    zoe = make_signer()
    run = make_run(*({"title": f"Item {n}"} for n in range(COUNT)), now=now)
    for _ in range(OTHER_RUNS):
        make_run(*({"title": f"Item {n}"} for n in range(20)), now=now)
    for item in run.items.all():
        services.evidence.attach_note(
            run_id=run.pk,
            item_id=item.pk,
            text="It was looked at.",
            title="Seen",
            actor=person(zoe),
            now=now,
        )
    # Once for all: nothing of one item changes what is signed on another.
    seen = {
        one.key: one.seen for one in queries.load_run(run.pk, now=now).standing.items
    }
    for item in run.items.all():
        services.signing.sign(
            run_id=run.pk,
            item_id=item.pk,
            user=zoe,
            meaning="checked",
            seen_statement_hash=seen[item.key],
            proof=Proven(now),
            now=now,
        )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


if __name__ == "__main__":
    main()

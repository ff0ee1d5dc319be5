"""The check on saving: what it takes and what it tells. `test_forbidden_sql` holds the acts."""

from __future__ import annotations

import time

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from kpis.sources import sql_rules

TABLES = ("t", "public.q", "kpi.*")
IN_PERIOD = "created_at >= :start AND created_at < :end"


def codes(sql):
    return [one.code for one in sql_rules.problems(sql, allowed_tables=TABLES)]


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT count(*) FROM t WHERE {IN_PERIOD}",
        f"select count(*) from T where {IN_PERIOD};",
        f"SELECT count(*) FROM public.t WHERE {IN_PERIOD}",
        f"SELECT count(*) FROM q WHERE {IN_PERIOD}",
        f"SELECT count(*) FROM kpi.anything WHERE {IN_PERIOD}",
        f'SELECT count(*) FROM "t" WHERE {IN_PERIOD}',
        f"SELECT 100.0 * count(*) FILTER (WHERE ok) / nullif(count(*), 0) FROM t WHERE {IN_PERIOD}",
        f"SELECT percentile_cont(0.75) WITHIN GROUP (ORDER BY ms) FROM t WHERE {IN_PERIOD}",
        f"SELECT avg(extract(epoch FROM ended_at - started_at)) / 60 FROM t WHERE {IN_PERIOD}",
        f"SELECT round(sum(CASE WHEN a = 'b' THEN 1 ELSE 0 END)::numeric(10, 2), 2) FROM t WHERE {IN_PERIOD}",
        f"WITH d AS (SELECT date_trunc('day', created_at AT TIME ZONE :tz) AS day, count(*) AS n FROM t WHERE {IN_PERIOD} GROUP BY 1), e AS (SELECT max(n) AS m FROM d) SELECT m FROM e",
        f"SELECT count(*) FROM t JOIN q USING (id) LEFT JOIN kpi.r ON r.id = t.id WHERE t.{IN_PERIOD}",
        f"SELECT count(*) FROM (SELECT id, row_number() OVER (PARTITION BY a ORDER BY b DESC) AS n FROM t WHERE {IN_PERIOD}) s WHERE n = 1",
        f"SELECT (SELECT count(*) FROM t WHERE {IN_PERIOD}) - (SELECT count(*) FROM q)",
        f"SELECT count(DISTINCT (a, b)) FROM t WHERE (a, b) IN ((1, 2)) AND c IS DISTINCT FROM d AND {IN_PERIOD}",
        f"SELECT sum((data ->> 'n')::int) FROM t WHERE data #>> '{{a,b}}' LIKE 'x%' AND {IN_PERIOD}",
        f"SELECT count(*) FROM t WHERE id IN (SELECT id FROM q UNION ALL SELECT id FROM t) AND {IN_PERIOD}",
        f"SELECT count(*) FROM t WHERE a BETWEEN 1 AND 2 AND NOT b AND c ILIKE 'x' AND {IN_PERIOD} -- a comment",
        "SELECT count(*) FROM t WHERE created_at >= :start - INTERVAL '7 days'",
        "SELECT count(*) FROM t WHERE created_at < :END",
        "SELECT 42 WHERE :start < :end",
    ],
)
def test_what_kpis_are_made_of_is_taken(sql):
    assert codes(sql) == []


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("", "empty"),
        ("  -- nothing", "not_select"),
        ("SELECT 1", "unbound"),
        (
            "SELECT count(*) FROM t WHERE created_at > now() - INTERVAL '7 days'",
            "clock",
        ),
        ("SELECT :end > current_date", "clock"),
        ("SELECT :end > clock_timestamp()", "clock"),
        ("SELECT count(*) FROM t WHERE a < :until", "parameter"),
        ("SELECT count(*) FROM t WHERE a < $1", "part"),
        ("SELECT count(*) FROM t WHERE a < ?", "parameter"),
        ("SELECT a[1:end] FROM t WHERE b < :end", "parameter"),
        ("SELECT count(*) FROM information_schema.tables WHERE :start < :end", "table"),
        ("SELECT count(*) FROM other.t WHERE :start < :end", "table"),
        ('SELECT count(*) FROM "T" WHERE :start < :end', "table"),
        ("SELECT count(*) FROM db.public.t WHERE :start < :end", "table"),
        (
            "SELECT (WITH s AS (SELECT 1) SELECT 1) + (SELECT count(*) FROM s) FROM t",
            "table",
        ),
        (
            "WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT count(*) FROM a",
            "table",
        ),
        ("SELECT 'pg_authid'::regclass::oid::int WHERE :start < :end", "type"),
        ("SELECT a::xml FROM t WHERE b < :end", "type"),
        ("SELECT a::int[] FROM t WHERE b < :end", "type"),
        ("SELECT 'a' || 'b' WHERE :start < :end", "part"),
        ("SELECT count(*) FROM t WHERE a ~ '(a+)+$' AND b < :end", "function"),
        ("SELECT count(*) FROM t TABLESAMPLE SYSTEM (1) WHERE b < :end", "part"),
        ("SELECT a OPERATOR(pg_catalog.+) b FROM t WHERE b < :end", "part"),
        ("SELECT (t).a FROM t WHERE b < :end", "part"),
        ("SELECT ARRAY[1] FROM t WHERE b < :end", "function"),
        ("SELECT ROW(1) FROM t WHERE b < :end", "function"),
        ("SELECT E'a\\'' FROM t WHERE b < :end", "part"),
        ("SELECT U&'\\0041' FROM t WHERE b < :end", "part"),
        ("SELECT $$a$$ FROM t WHERE b < :end", "part"),
        ("SELECT my_own(1) FROM t WHERE b < :end", "function"),
        ("SELECT kpi.count(1) FROM t WHERE b < :end", "part"),
        ("SELECT pg_catalog.date_part('hour', a) FROM t WHERE b < :end", "function"),
        ("SELECT count(*) FROM t, LATERAL pg_sleep(1) WHERE b < :end", "function"),
        ("SELECT 'open", "syntax"),
        ("SELECT /* open", "syntax"),
        ("SELECT FROM WHERE", "syntax"),
        ("SELEKT 1", "syntax"),
        (f"SELECT {'(' * 400}1{')' * 400}", "depth"),
        (f"SELECT {'1+' * 3000}1", "length"),
        ("SELECT '" + "x" * 20_000 + "'", "length"),
        ("SELECT 1\0", "length"),
    ],
)
def test_anything_else_is_refused(sql, code):
    assert code in codes(sql)


def test_without_a_list_of_tables_no_table_may_be_read():
    found = sql_rules.problems(
        f"SELECT count(*) FROM t WHERE {IN_PERIOD}", allowed_tables=()
    )

    assert [one.code for one in found] == ["table"]
    assert "t isn't among" in found[0].message


def test_each_thing_is_told_once_and_not_too_many():
    sql = f"SELECT {', '.join(f'f{n}(now())' for n in range(30))}"

    found = sql_rules.problems(sql, allowed_tables=TABLES)

    assert len(found) == len(set(found)) == sql_rules.MAX_PROBLEMS


def test_the_message_is_in_the_readers_language_each_time():
    with translation.override("en"):
        (english,) = sql_rules.problems("SELECT 1", allowed_tables=())
    with translation.override("fr"):
        sql_rules.problems("SELECT 1", allowed_tables=())
    with translation.override("en"):
        assert sql_rules.problems("SELECT 1", allowed_tables=()) == (english,)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT :start", "SELECT %(start)s::timestamptz"),
        ("SELECT :END, :tz", "SELECT %(end)s::timestamptz, %(tz)s::text"),
        ("SELECT a::date", "SELECT a::date"),
        ("SELECT ':end' -- :end", "SELECT ':end' -- :end"),
        ("SELECT 5 % 2 /* 10% */", "SELECT 5 %% 2 /* 10%% */"),
        ("SELECT :start::date", "SELECT %(start)s::timestamptz::date"),
        ("SELECT : start", "SELECT : start"),
        ("SELECT :startle", "SELECT :startle"),
    ],
)
def test_parameters_are_bound_and_nothing_else_changes(sql, expected):
    assert sql_rules.bound(sql) == expected


def test_what_cannot_be_read_cannot_be_bound():
    with pytest.raises(ValueError):
        sql_rules.bound("SELECT 'open")


@pytest.mark.parametrize(
    ("entry", "is_good"),
    [
        ("t", True),
        ("public.t", True),
        ("kpi.*", True),
        ("Public.t", False),
        ("a.b.c", False),
        ("*", False),
        ("*.t", False),
        ("t; drop", False),
        ("", False),
        (7, False),
    ],
)
def test_entries_of_the_list_are_plain_names(entry, is_good):
    assert (sql_rules.table_problem(entry) == "") is is_good


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT " + "(" * 30 + "1",
        "SELECT " + "CASE WHEN 1 THEN " * 60,
        "SELECT " + "(SELECT " * 40 + "1",
        "SELECT " + "a.b(" * 40,
        "SELECT " + "x IN (" * 40,
        "SELECT " + "[" * 60,
        "SELECT " + "{" * 60,
        "WITH " + "a AS (WITH " * 30,
        "SELECT 1 FROM " + "(" * 40 + "t",
        "SELECT " + "CAST(" * 60,
        "SELECT " + "-" * 2000 + "1",
        "SELECT " + "NOT " * 400 + "a",
    ],
)
def test_nothing_takes_long_to_refuse(sql):
    started = time.monotonic()

    assert codes(sql)
    assert time.monotonic() - started < 1


@given(
    st.lists(
        st.sampled_from(
            [
                "SELECT",
                "count(*)",
                "FROM",
                "t",
                "WHERE",
                ":start",
                ":end",
                "(",
                ")",
                ",",
                "'",
                '"',
                "--",
                "/*",
                "*/",
                ";",
                "$$",
                "$a$",
                "E'",
                "\\",
                "secrets",
                "pg_sleep(1)",
                "INTO",
                "FOR UPDATE",
                "WITH",
                "AS",
                "UNION",
                "1",
                "::",
                "int",
                "%",
                "\n",
                ".",
                "INSERT",
                "t.*",
            ]
        ),
        max_size=25,
    )
)
def test_no_jumble_of_words_is_an_error_or_gets_past(words):
    sql = " ".join(words)

    found = codes(sql)

    if not found:
        assert not {"secrets", "pg_sleep(1)", "INTO", "FOR UPDATE", "INSERT"} & set(
            _outside_of_texts(words)
        )


def _outside_of_texts(words):
    """The words that PostgreSQL would read as SQL; none where quotes make it unclear."""
    has_quotes = {"'", '"', "--", "/*", "$$", "$a$", "E'"} & set(words)
    return () if has_quotes else words

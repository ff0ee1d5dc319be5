"""Histograms: their error is bounded, and merging them loses nothing."""

from __future__ import annotations

import math

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from monitors.history import histogram

durations = st.floats(min_value=0.001, max_value=1e9, allow_nan=False)
many = st.lists(durations, min_size=1, max_size=200)


def make_histogram(values: list[float]) -> histogram.Histogram:
    return histogram.merge(([histogram.bucket_of(value)], [1]) for value in values)


def true_quantile(values: list[float], q: float) -> float:
    return sorted(values)[max(math.ceil(q * len(values)), 1) - 1]


@given(ms=durations)
def test_a_bucket_stands_for_its_values_within_the_error(ms):
    answer = histogram.value_of(histogram.bucket_of(ms))

    assert abs(answer - ms) <= ms * 0.025


@given(values=many, q=st.floats(min_value=0, max_value=1))
def test_a_quantile_is_within_the_error_of_the_true_one(values, q):
    buckets, counts = make_histogram(values)

    answer = histogram.quantile(buckets=buckets, counts=counts, q=q)

    assert answer is not None
    expected = true_quantile(values, q)
    assert abs(answer - expected) <= expected * 0.025


@given(parts=st.lists(st.lists(durations, max_size=50), max_size=6))
def test_merging_parts_equals_one_histogram_of_everything(parts):
    whole = make_histogram([value for part in parts for value in part])

    assert histogram.merge(make_histogram(part) for part in parts) == whole


@given(a=many, b=many, c=many)
def test_merging_is_associative(a, b, c):
    one, two, three = (make_histogram(part) for part in (a, b, c))

    left = histogram.merge([histogram.merge([one, two]), three])
    right = histogram.merge([one, histogram.merge([two, three])])

    assert left == right


@given(a=durations, b=durations)
def test_a_longer_duration_never_stands_in_a_lower_bucket(a, b):
    low, high = sorted((a, b))

    assert histogram.bucket_of(low) <= histogram.bucket_of(high)


def test_adding_a_value_raises_one_count():
    first = histogram.add(buckets=[], counts=[], ms=100)
    second = histogram.add(buckets=first[0], counts=first[1], ms=100)

    assert second == ([histogram.bucket_of(100)], [2])


@pytest.mark.parametrize("ms", [0.0, -3.0, 0.0002])
def test_nothing_and_less_than_a_microsecond_stand_in_the_lowest_bucket(ms):
    bucket = histogram.bucket_of(ms)

    assert bucket == histogram.bucket_of(0.001)
    assert histogram.value_of(bucket) < 0.0011


@pytest.mark.parametrize("ms", [0.0, math.inf, 1e300])
def test_every_bucket_fits_a_small_integer(ms):
    assert -32768 <= histogram.bucket_of(ms) <= 32767


def test_not_a_number_is_refused():
    with pytest.raises(ValueError, match="NaN"):
        histogram.bucket_of(math.nan)


def test_an_empty_histogram_has_no_quantile():
    assert histogram.quantile(buckets=[], counts=[], q=0.5) is None


@pytest.mark.parametrize("q", [-0.1, 1.1, math.nan])
def test_a_quantile_out_of_range_is_refused(q):
    with pytest.raises(ValueError, match="between 0 and 1"):
        histogram.quantile(buckets=[1], counts=[1], q=q)


@pytest.mark.django_db
def test_postgresql_finds_the_same_buckets():
    values = [0.0, 0.0005, 0.001, 0.5, 1.0, 1.05, 9.99, 250.0, 86_400_000.0, 1e13]
    values += [1.07**n for n in range(-80, 300)]

    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {histogram.SQL_BUCKET.format('ms')} FROM unnest(%s::float8[]) ms",
            [values],
        )
        found = [bucket for (bucket,) in cursor.fetchall()]

    assert found == [histogram.bucket_of(value) for value in values]

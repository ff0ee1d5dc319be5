"""Keys that a development copy makes for itself."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from t4g_portal import local_keys


def test_keys_are_made_once_and_kept_private(tmp_path: Path):
    key = local_keys.secret_key(data_dir=tmp_path, is_production=False)

    assert local_keys.secret_key(data_dir=tmp_path, is_production=False) == key
    assert len(key) >= 50
    (path,) = (tmp_path / "keys").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_data_key_has_a_name_and_32_bytes(tmp_path: Path):
    keys = local_keys.data_keys(data_dir=tmp_path, is_production=False)

    name, _, key = keys.partition(":")
    assert name == "k1"
    assert len(base64.urlsafe_b64decode(key)) == 32


def test_racing_starts_agree_on_one_key(tmp_path: Path):
    with ThreadPoolExecutor(8) as pool:
        keys = pool.map(
            lambda _: local_keys.secret_key(data_dir=tmp_path, is_production=False),
            range(32),
        )

    assert len(set(keys)) == 1


def test_emptied_key_file_is_not_taken_for_a_key(tmp_path: Path):
    local_keys.secret_key(data_dir=tmp_path, is_production=False)
    (tmp_path / "keys" / "secret_key.txt").write_text("")

    with pytest.raises(ImproperlyConfigured, match="is empty"):
        local_keys.secret_key(data_dir=tmp_path, is_production=False)


@pytest.mark.parametrize(
    ("make", "variable"),
    [
        (local_keys.secret_key, "SECRET_KEY"),
        (local_keys.data_keys, "PORTAL_DATA_KEYS"),
    ],
)
def test_production_makes_no_key(tmp_path: Path, make, variable: str):
    with pytest.raises(ImproperlyConfigured, match=f"{variable} is not set"):
        make(data_dir=tmp_path, is_production=True)
    assert list(tmp_path.iterdir()) == []

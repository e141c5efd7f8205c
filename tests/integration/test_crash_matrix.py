"""A bounded share of the crash matrix; `make test-crash` is the whole."""
import crash_matrix


def test_nothing_that_was_acknowledged_is_lost():
    matrix = crash_matrix.run(kills=12, seed=20261130)
    assert sum(matrix.kills.values()) >= 12

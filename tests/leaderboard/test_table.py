import time

from iafsweep.leaderboard import leaderboard_table
from iafsweep.records import Figure, LeaderboardRow, Retrained


def sampled(value, samples, **said):
    return Figure(value=value, samples=samples, settings=f"{samples} samples", **said)


def test_figures_of_one_column_measured_otherwise_say_how():
    def scored(trial, samples, settings):
        return LeaderboardRow(
            trial=trial,
            status="completed",
            validation_negative_elbo=100.0,
            nll_importance_sampling=sampled(95.0, samples, images=10),
            nll_hais=Figure(value=94.0, images=10, settings=settings),
        )

    alike = leaderboard_table([scored("t0001", 7, "prior 3x2x1"), scored("t0002", 7, "prior 3x2x1")])
    assert "95.00" in alike.texts[0]
    mixed = leaderboard_table([scored("t0001", 7, "prior 3x2x1"), scored("t0002", 9, "base 3x2x1")])
    assert "95.00 (7 samples)" in mixed.texts[0]
    assert "94.00 (base 3x2x1)" in mixed.texts[1]


def test_the_bound_on_test_images_has_its_error_and_rows_without_it_are_read():
    without, with_error = (
        LeaderboardRow(
            trial="t0001", status="completed", test_negative_elbo=Figure(value=115.41, images=1000, error=error)
        )
        for error in (None, 1.03)
    )
    assert "115.41" in leaderboard_table([without]).texts[0]
    table = leaderboard_table([with_error])
    assert dict(zip(table.header, table.texts[0], strict=True))["test -ELBO (1,000 images)"] == "115.41 ± 1.03"
    assert any("The validation bound has no ±" in note for note in table.notes)


HAIS = "HAIS: Hamiltonian annealed importance sampling, {} (start, temperatures x leapfrog steps x chains)."


def retrained(trial, samples, settings, own=None):
    return LeaderboardRow(
        trial=trial,
        status="completed",
        nll_importance_sampling=None if own is None else sampled(96.0, own),
        retrained=Retrained(
            seeds=5,
            nll_importance_sampling=sampled(95.0, samples, seeds=5),
            nll_hais=Figure(value=94.0, seeds=5, settings=settings),
        ),
    )


def test_retrained_figures_say_how_they_were_made_where_no_other_does():
    """Of a sweep that was itself not scored, or scored otherwise."""
    alone = leaderboard_table([retrained("t0001", 7, "prior 3x2x1"), retrained("t0002", 7, "prior 3x2x1")])
    assert "IS: importance sampling, 7 samples per image." in alone.notes
    assert HAIS.format("prior 3x2x1") in alone.notes
    assert "95.00" in alone.texts[0]
    alike = leaderboard_table([retrained("t0001", 7, "prior 3x2x1", own=7)])
    assert "IS: importance sampling, 7 samples per image." in alike.notes
    other = leaderboard_table([retrained("t0001", 7, "prior 3x2x1", own=1000)])
    assert "IS: importance sampling, 1,000 samples per image; retrained: 7." in other.notes
    mixed = leaderboard_table([retrained("t0001", 7, "prior 3x2x1"), retrained("t0002", 9, "base 3x2x1")])
    assert "IS: importance sampling, 7 or 9 samples per image." in mixed.notes
    assert HAIS.format("base 3x2x1; or prior 3x2x1") in mixed.notes
    assert {"95.00 (7 samples)", "94.00 (prior 3x2x1)"} <= set(mixed.texts[0])
    many = leaderboard_table([retrained("t0001", 7, "prior 3x2x1"), retrained("t0002", 16_000, "prior 3x2x1")])
    assert "95.00 (16,000 samples)" in many.texts[1]


def test_the_table_of_many_trials_with_doubts_takes_a_moment():
    rows = [
        LeaderboardRow(
            trial=f"t{number:04d}",
            status="completed",
            validation_negative_elbo=90 + number / 1000,
            train_negative_elbo=20.0,
            settling=1.0 if number % 2 else 50.0,
            seconds_per_epoch=5 - number / 1000,
        )
        for number in range(4000)
    ]
    started = time.process_time()
    notes = leaderboard_table(rows).notes
    assert time.process_time() - started < 5  # 0.5 where nobody else works; what grows with the square took minutes
    assert sum("and 1,992 others" in note for note in notes) == 2

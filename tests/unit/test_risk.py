import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.risk import LEAST_KNOWN, WEIGHTS, Factor, RiskInputs, RiskScore, risk_score

ALL_BAD = RiskInputs(
    denial_rate=1.0,
    modifier_missing=True,
    denials_in_a_row=3,
    diagnosis_mismatch=True,
    authorization_missing=True,
)
ALL_GOOD = RiskInputs(
    denial_rate=0.0,
    modifier_missing=False,
    denials_in_a_row=0,
    diagnosis_mismatch=False,
    authorization_missing=False,
)


def contributions(score: RiskScore) -> dict[str, float]:
    return {factor.name: round(factor.contribution, 2) for factor in score.factors}


def test_the_weights_are_of_a_hundred() -> None:
    assert sum(WEIGHTS.values()) == 100


def test_the_score_goes_from_0_to_100() -> None:
    assert risk_score(ALL_GOOD).score == 0
    assert risk_score(ALL_BAD).score == 100


def test_with_everything_known_each_factor_adds_its_weight_times_its_value() -> None:
    score = risk_score(
        RiskInputs(
            denial_rate=0.25,
            modifier_missing=True,
            denials_in_a_row=1,
            diagnosis_mismatch=False,
            authorization_missing=True,
        )
    )
    assert score.known_weight == 100
    assert contributions(score) == {
        "denial_rate": 10.0,
        "modifier_missing": 20.0,
        "denial_streak": 6.67,
        "diagnosis_mismatch": 0.0,
        "authorization_missing": 10.0,
    }
    assert score.score == 47


def test_an_unknown_factor_counts_neither_for_nor_against() -> None:
    score = risk_score(RiskInputs(denial_rate=0.5, modifier_missing=True, denials_in_a_row=0))
    assert score.known_weight == 80
    assert score.score == round((0.5 * 40 + 20) / 80 * 100)
    assert score.factors[3] == Factor("diagnosis_mismatch", 10, 0.0, 0.0, known=False)


def test_a_claim_without_a_baseline_can_still_be_held_for_what_is_wrong_with_it() -> None:
    inputs = RiskInputs(modifier_missing=True, denials_in_a_row=2, diagnosis_mismatch=True)
    assert risk_score(inputs).score == round((20 + 20 * 2 / 3 + 10) / 50 * 100) == 87


def test_one_small_finding_alone_does_not_hold_a_claim() -> None:
    assert risk_score(RiskInputs(diagnosis_mismatch=True)).score == 20
    assert risk_score(RiskInputs(authorization_missing=True)).score == 20
    assert risk_score(RiskInputs(modifier_missing=True)).score == 40


def test_nothing_known_is_no_risk_and_says_that_nothing_was_known() -> None:
    score = risk_score(RiskInputs())
    assert (score.score, score.known_weight) == (0, 0)
    assert not any(factor.known for factor in score.factors)


def test_a_streak_counts_whole_from_the_third_denial() -> None:
    values = [risk_score(RiskInputs(denials_in_a_row=count)).factors[2].value for count in (0, 1, 2, 3, 50)]
    assert values == [0.0, 1 / 3, 2 / 3, 1.0, 1.0]


@pytest.mark.parametrize("rate", [-0.01, 1.01, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="rate"):
        RiskInputs(denial_rate=rate)


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(ValueError, match="count"):
        RiskInputs(denials_in_a_row=-1)


MAYBE = st.none() | st.booleans()
INPUTS = st.builds(
    RiskInputs,
    denial_rate=st.none() | st.floats(0, 1),
    modifier_missing=MAYBE,
    denials_in_a_row=st.none() | st.integers(0, 50),
    diagnosis_mismatch=MAYBE,
    authorization_missing=MAYBE,
)


@given(INPUTS)
def test_the_score_is_the_sum_of_its_factors_within_0_and_100(inputs: RiskInputs) -> None:
    score = risk_score(inputs)
    assert 0 <= score.score <= 100
    assert score.score == round(sum(factor.contribution for factor in score.factors))
    assert score.known_weight == sum(factor.weight for factor in score.factors if factor.known)
    assert [factor.name for factor in score.factors] == list(WEIGHTS)
    for factor in score.factors:
        assert 0 <= factor.value <= 1
        assert 0 <= factor.contribution <= factor.weight * 100 / max(score.known_weight, LEAST_KNOWN) + 1e-9


@given(INPUTS, st.floats(0, 1), st.floats(0, 1))
def test_a_payer_that_denies_more_is_never_less_of_a_risk(
    inputs: RiskInputs, one: float, other: float
) -> None:
    def scored(rate: float) -> int:
        return risk_score(
            RiskInputs(
                rate,
                inputs.modifier_missing,
                inputs.denials_in_a_row,
                inputs.diagnosis_mismatch,
                inputs.authorization_missing,
            )
        ).score

    assert scored(min(one, other)) <= scored(max(one, other))

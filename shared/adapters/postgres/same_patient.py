"""Whether two rows are of one patient. A member id does not say it: a family's dependents may share the insured's."""


def same_patient(one: str, other: str) -> str:
    """Return the condition that the rows of two aliases, by their columns `patient`, are of one patient.

    The member id is known and the same. Birth date and name agree where both rows know them. Where both birth dates are
    known, a name may lack words of the other (a middle name); else it may not, since a father's lacks his son's "Jr".
    """
    of_one, of_other = _words(one), _words(other)
    return rf"""(
    {one}.patient ->> 'member_id' <> '' AND {one}.patient ->> 'member_id' = {other}.patient ->> 'member_id'
    AND CASE {one}.patient ->> 'born_on' = {other}.patient ->> 'born_on'
        WHEN false THEN false
        WHEN true THEN {of_one} <@ {of_other} OR {of_other} <@ {of_one}
        ELSE {of_one} <@ {of_other} AND {of_other} <@ {of_one} OR '{{}}' IN ({of_one}, {of_other})
    END
)"""


def _words(alias: str) -> str:
    """Return a name's words, without case, order and punctuation: payers write "EXAMPLE, ROBIN" for Robin Example."""
    name = rf"lower(coalesce({alias}.patient ->> 'name', ''))"
    return rf"array_remove(regexp_split_to_array({name}, '\W+'), '')"

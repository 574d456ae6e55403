"""Which tables a customer's patients are in, and what a purge leaves of each. docs/security.md says it in words.

Every table that has rows of a customer is in one of these. Sums and baselines are numbers, but of its patients' claims,
and are of no use without them. What is kept is the audit trail: ids, codes and amounts. The inbox is part of it: by its
ids a delivery that the broker brings once more after a purge is known, and not stored anew.
"""

from collections.abc import Mapping
from typing import Final, Literal

Fate = Literal[
    "removed",  # its rows go
    "emptied",  # its rows stay, what payers sent goes
    "kept",  # ids, codes, amounts, and what the customer and its engineers configured
]

REMOVED: Final = (
    "claim_payments", "adjustments", "remittances", "claim_statuses", "submission_acknowledgements", "claims",
    "claim_names",
    "authorization_states", "authorization_requests", "authorizations", "fetch_tasks",
    "claim_daily_stats", "claim_daily_reasons", "claim_lags", "payment_daily_lines",
    "payment_service_lines",
    "baseline_builds", "risk_baselines", "payer_baselines",
    "outbox",
)  # fmt: skip
EMPTIED: Final = ("dead_letter_replays", "dead_letters")
KEPT: Final = (
    "executions", "actions", "action_attempts", "alerts", "notifications", "appeals", "findings", "inbox",
    "automation_rules", "rule_changes", "rule_switches", "customer_windows", "rule_spending", "fee_schedules",
    "authorization_lead_times", "network_signals", "job_runs", "job_tasks", "newest_shares",
    "portal_breakers", "portal_seats", "portal_code_windows", "customer_purges",
)  # fmt: skip

FATES: Final[Mapping[str, Fate]] = {
    **dict.fromkeys(REMOVED, "removed"),
    **dict.fromkeys(EMPTIED, "emptied"),
    **dict.fromkeys(KEPT, "kept"),
}

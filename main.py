"""The deployed functions under their deployed names."""

from functions.schedules.build_risk_baselines import build_risk_baselines
from functions.schedules.check_expiring_authorizations import check_expiring_authorizations
from functions.schedules.detect_behavioral_changes import detect_behavioral_changes
from functions.schedules.measure_backlog import measure_backlog
from functions.schedules.release_actions import release_actions
from functions.subscribers.apply_rules import apply_rules
from functions.subscribers.execute_action import execute_action
from functions.subscribers.notify import notify
from functions.subscribers.process_webhook import process_webhook
from functions.subscribers.record_dead_letter import record_dead_letter
from functions.subscribers.run_job_task import run_job_task
from functions.webhooks.receive_webhook import receive_webhook

__all__ = [
    "apply_rules",
    "build_risk_baselines",
    "check_expiring_authorizations",
    "detect_behavioral_changes",
    "execute_action",
    "measure_backlog",
    "notify",
    "process_webhook",
    "receive_webhook",
    "record_dead_letter",
    "release_actions",
    "run_job_task",
]

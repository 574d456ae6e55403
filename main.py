"""The deployed functions under their deployed names."""

from functions.subscribers.apply_rules import apply_rules
from functions.subscribers.notify import notify
from functions.subscribers.process_webhook import process_webhook
from functions.subscribers.record_dead_letter import record_dead_letter
from functions.webhooks.receive_webhook import receive_webhook

__all__ = ["apply_rules", "notify", "process_webhook", "receive_webhook", "record_dead_letter"]

"""What a local pipeline starts with: customers, connections and the starter rules."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from uuid import NAMESPACE_URL, UUID, uuid5

from cli.connections import new_secret
from shared.ports.connections import Connection, Scheme
from shared.ports.notifier import Channel

if TYPE_CHECKING:
    from cli.workspace import Workspace
    from local.sinks import Sinks
    from shared.ports.operators import Customer, RuleChange

SAMPLES_CUSTOMER: Final = "Sample files"
SAMPLES_PROVIDER: Final = "samples"
RATE_PER_MIN: Final = 60_000  # a month is played in seconds
BURST: Final = 1_000


def add_samples(workspace: "Workspace", sinks: "Sinks") -> Connection:
    """Return the connection for files sent by hand, made with its customer if need be."""
    customer = add_customer(workspace, SAMPLES_CUSTOMER, sinks)
    known = [c for c in workspace.app.registry.list() if c.provider == SAMPLES_PROVIDER]
    return known[0] if known else add_connection(workspace, customer, SAMPLES_PROVIDER, "standard-webhooks")


def add_customer(workspace: "Workspace", name: str, sinks: "Sinks") -> "Customer":
    """Return the customer; a new one has the starter rules and all three channels.

    Its id follows from its name, so that it is the same in every demo.
    """
    customer = workspace.desk.ensure_customer(name, new_id=_identity("customer", name))
    if not workspace.desk.rules(customer.id, retired=True):
        add_starter_rules(workspace, customer)
    if not customer.channels:
        add_channels(workspace, customer, sinks)
    return customer


def add_channels(workspace: "Workspace", customer: "Customer", sinks: "Sinks") -> None:
    """Tell the customer by mail, chat and webhook, where they are received on this machine."""
    slug = customer.name.split()[0].lower()
    secret_name = f"hook-{slug}"
    workspace.secrets.add_version(secret_name, new_secret())
    workspace.desk.set_channels(
        customer.id,
        [
            Channel("mail", "email", f"billing@{slug}.example"),
            Channel("chat", "slack", sinks.chat_url()),
            Channel("endpoint", "webhook", sinks.hook_url(secret_name), secret_name),
        ],
    )


def add_starter_rules(workspace: "Workspace", customer: "Customer") -> "Sequence[RuleChange]":
    """Put the starter rules in force."""
    from shared.rules.loader import read_pack

    documents = [draft.document for draft in read_pack()]
    return workspace.desk.apply_rules(customer.id, documents, applied_by="upstream")


def add_connection(workspace: "Workspace", customer: "Customer", provider: str, scheme: Scheme) -> Connection:
    """Return a new connection with a secret of its own."""
    connection_id = _identity("connection", customer.name, provider)
    connection = Connection(
        id=connection_id,
        customer_id=customer.id,
        provider=provider,
        scheme=scheme,
        secret_name=f"connection-{connection_id}",
        rate_per_min=RATE_PER_MIN,
        burst=BURST,
    )
    workspace.secrets.add_version(connection.secret_name, new_secret())
    workspace.app.registry.put(connection)
    return connection


def _identity(*names: str) -> UUID:
    return uuid5(NAMESPACE_URL, "/".join(("urn:upstream:local", *names)))

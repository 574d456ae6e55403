"""What a local pipeline starts with: customers, connections and the starter rules."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from uuid import NAMESPACE_URL, UUID, uuid5

from cli.connections import new_secret
from shared.ports.connections import Connection, Scheme

if TYPE_CHECKING:
    from cli.workspace import Workspace
    from shared.ports.operators import Customer, RuleChange

SAMPLES_CUSTOMER: Final = "Sample files"
SAMPLES_PROVIDER: Final = "samples"
RATE_PER_MIN: Final = 60_000  # a month is played in seconds
BURST: Final = 1_000


def add_samples(workspace: "Workspace") -> Connection:
    """Return the connection for files sent by hand, made with its customer and the starter rules if need be."""
    customer = add_customer(workspace, SAMPLES_CUSTOMER)
    known = [c for c in workspace.app.registry.list() if c.provider == SAMPLES_PROVIDER]
    return known[0] if known else add_connection(workspace, customer, SAMPLES_PROVIDER, "standard-webhooks")


def add_customer(workspace: "Workspace", name: str) -> "Customer":
    """Return the customer, with the starter rules in force. Its id follows from its name: each demo has the same."""
    customer = workspace.desk.ensure_customer(name, new_id=_identity("customer", name))
    add_starter_rules(workspace, customer)
    return customer


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

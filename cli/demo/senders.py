"""Who sends in the demo: customers with rules, contracts and channels, and a signed connection for each sender."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from cli.connections import new_secret, path_of
from cli.seed import SAMPLES_CUSTOMER, SAMPLES_PROVIDER, add_connection, add_customer, add_samples
from cli.workspace import Workspace
from local.sample_month import SampleMonth
from local.sinks import Sinks
from shared.ports.connections import Connection, Scheme
from shared.ports.notifier import Channel
from shared.ports.operators import ContractedFee, Customer

CONTRACTS_BEGIN = timedelta(days=730)


@dataclass(frozen=True, slots=True)
class Sender:
    """One end of a connection. path: where it posts to."""

    path: str
    scheme: Scheme
    secret: str


Senders = Mapping[tuple[str, str], Sender]  # by customer and provider


def set_up(workspace: Workspace, month: SampleMonth, sinks: Sinks) -> Senders:
    """Store everything that the month needs, and return who may send.

    Raises:
        TransientError: the database is away.
    """
    customers = {name: add_customer(workspace, name) for name in _names(month)}
    samples = add_samples(workspace)
    for customer in customers.values():
        _add_channels(workspace, customer, sinks)
        workspace.desk.load_fees(customer.id, _fees(month, customer.name))
    senders = {
        (c.practice, c.provider): _sender(
            workspace, add_connection(workspace, customers[c.practice], c.provider, c.scheme)
        )
        for c in month.connections
    }
    return {**senders, (SAMPLES_CUSTOMER, SAMPLES_PROVIDER): _sender(workspace, samples)}


def _names(month: SampleMonth) -> list[str]:
    return list(dict.fromkeys([*(c.practice for c in month.connections), SAMPLES_CUSTOMER]))


def _fees(month: SampleMonth, practice: str) -> list[ContractedFee]:
    since = month.first_day - CONTRACTS_BEGIN
    return [
        ContractedFee(fee.payer_key, fee.procedure, since, fee.contracted_cents)
        for fee in month.fees
        if fee.practice == practice
    ]


def _add_channels(workspace: Workspace, customer: Customer, sinks: Sinks) -> None:
    """Tell the customer in all three ways."""
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


def _sender(workspace: Workspace, connection: Connection) -> Sender:
    secret = workspace.app.secret_store.versions(connection.secret_name)[0]
    return Sender(path_of(connection), connection.scheme, secret)

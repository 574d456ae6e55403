"""Who sends in the demo: customers with rules, contracts and channels, and a signed connection for each sender."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from cli.connections import path_of
from cli.seed import SAMPLES_CUSTOMER, SAMPLES_PROVIDER, add_connection, add_customer, add_samples
from cli.workspace import Workspace
from local.sample_month import SampleMonth
from local.sinks import Sinks
from shared.ports.connections import Connection, Scheme
from shared.ports.operators import ContractedFee

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
    practices = dict.fromkeys(connection.practice for connection in month.connections)
    customers = {name: add_customer(workspace, name, sinks) for name in practices}
    for customer in customers.values():
        workspace.desk.load_fees(customer.id, _fees(month, customer.name))
    senders = {
        (c.practice, c.provider): _sender(
            workspace, add_connection(workspace, customers[c.practice], c.provider, c.scheme)
        )
        for c in month.connections
    }
    samples = add_samples(workspace, sinks)
    return {**senders, (SAMPLES_CUSTOMER, SAMPLES_PROVIDER): _sender(workspace, samples)}


def _fees(month: SampleMonth, practice: str) -> list[ContractedFee]:
    since = month.first_day - CONTRACTS_BEGIN
    return [
        ContractedFee(fee.payer_key, fee.procedure, since, fee.contracted_cents)
        for fee in month.fees
        if fee.practice == practice
    ]


def _sender(workspace: Workspace, connection: Connection) -> Sender:
    secret = workspace.app.secret_store.versions(connection.secret_name)[0]
    return Sender(path_of(connection), connection.scheme, secret)

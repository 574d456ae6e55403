"""A month of claims for three invented practices, to play through the pipeline and check what comes out.

`world` says who there is, `claims` what they bill, `decisions` and `advices` what payers make of it; `x12_835`,
`fhir_claim` and `canonical` write it down; `manifest` counts it. `sample_month` puts it together.
"""

from local.sample_month.decisions import UNDERPAYER
from local.sample_month.deliveries import SampleDelivery
from local.sample_month.manifest import Manifest, Totals
from local.sample_month.month import CLAIMS, Fee, SampleMonth, sample_month
from local.sample_month.world import THERAPY, SampleConnection

__all__ = [
    "CLAIMS",
    "THERAPY",
    "UNDERPAYER",
    "Fee",
    "Manifest",
    "SampleConnection",
    "SampleDelivery",
    "SampleMonth",
    "Totals",
    "sample_month",
]

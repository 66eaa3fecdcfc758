"""The proof that a family is read rightly, on a tiny loud twin (``compread check``).

Reading order: ``twin_sizes`` and ``twin`` (a small random model of a family's own code), ``splits``
(what a head is, seen in the attention itself), ``proofs`` and ``answer_proofs`` (the identities),
``certify`` (the verdict on one family), ``sweep`` (that for all families).
"""

from compread.check.certify import Certificate, certify
from compread.check.sweep import causal_types, certify_all

__all__ = [
    "Certificate",
    "causal_types",
    "certify",
    "certify_all",
]

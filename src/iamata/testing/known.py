"""What an import finds already there, for tests that read files without a vault."""

from typing import Final

from iamata.fhir.preparing import Known

EVERY_PATIENT: Final = Known(find_identifier=lambda *_: (), is_patient_known=lambda _: True)
"""Every patient was brought before, and nothing with an identifier."""

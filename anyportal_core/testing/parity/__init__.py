"""Agreement with published implementations: golden cases run against this code.

``python -m anyportal_core.testing.parity DIR`` runs every case of a folder. A case is ``NAME.json`` (configuration and
meaning) beside ``NAME.safetensors`` (``weights.*``, ``in.*``, ``out.*``), or a json file alone where numbers suffice.
What runs a case is registered by name in the ``CASES`` of a module ``cases_<family>.py`` of this package.
"""

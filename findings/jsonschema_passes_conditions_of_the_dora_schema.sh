#!/usr/bin/env bash
# The JSON schema of the DORA incident report names draft 2020-12 and states its conditions under "dependencies". Does a
# validator for that draft apply them?
#
# Version: jsonschema 4.26.0 from PyPI. CPython 3.11 or newer. Source of the form: the schema of the EBA's validation
#   rules for incident reports, version 1.2.1; here a fragment of the same form, in words of our own.
# One would guess: a report that breaks a condition ("if the report is final, the end is stated") is refused.
# What happens: draft 2020-12 has no keyword "dependencies" (it became dependentRequired and dependentSchemas in 2019-09),
#   and an unknown keyword is ignored without a word. The report passes. A validator for draft 7 refuses it. The schema also
#   names its draft by http and with a fragment, which is not the draft's identifier: the library falls back to its default
#   with a DeprecationWarning.
# The product: notifications/duties names the empty fields of its DORA drafts itself and does not rely on the schema;
#   docs/legal-duties.md says what a validator does not see, and tests/unit/test_dora_report.py checks each field.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check jsonschema==4.26.0
results=$("$folder/venv/bin/python" - <<'PYTHON'
import warnings

from jsonschema import Draft7Validator, Draft202012Validator, validators

schema = {
    "$schema": "http://json-schema.org/draft/2020-12/schema#",
    "type": "object",
    "dependencies": {"final": {"required": ["ended_at"]}},
}
report = {"final": True}
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    validators.validator_for(schema)
print("warnings:", [each.category.__name__ for each in caught])
for kind in (Draft202012Validator, Draft7Validator):
    print(kind.__name__, [error.message for error in kind(schema).iter_errors(report)])
PYTHON
)
echo "$results"
[ "$results" = "warnings: ['DeprecationWarning']
Draft202012Validator []
Draft7Validator [\"'ended_at' is a required property\"]" ] || { echo "this has changed"; exit 1; }

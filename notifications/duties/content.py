"""The facts that can fill an item of a report. ``wording.report_items`` puts them into words."""

#: Every value that ``source`` of an item may have.
SOURCES = frozenset({
    "summary", "nature", "malicious", "severity_and_impact", "cause", "measures_taken", "recommendations", "times",
    "nature_of_breach", "data_subjects", "records", "likely_consequences", "contact_point", "effect", "not_known_yet",
    "services_and_regions",
})  # fmt: skip

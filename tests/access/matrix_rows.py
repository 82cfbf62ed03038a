"""The table: which role gets through which route. Written by hand; the code is measured against it."""

from scenario import facts

ROLES = ("analyst", "approver", "administrator", "member", "manager", "auditor", "auditor_of_own", "service")

#: Routes that strangers may use.
OPEN = {"GET /healthz", "GET /readyz"}

#                                                       an ap ad me ma au ao se
_V = "/api/v1"
ROWS = {
    f"POST {_V}/incidents":                              "++ -- -- -- -- -- -- ++",
    f"POST {_V}/incidents/validate":                     "++ -- -- -- -- -- -- ++",
    f"POST {_V}/incidents/dry-run":                      "++ ++ -- -- -- ++ -- ++",
    f"POST {_V}/incidents/{{incident_id}}/dry-run":      "++ ++ -- -- -- ++ -- ++",
    f"GET {_V}/incidents":                               "++ ++ -- -- -- ++ -- ++",
    f"GET {_V}/incidents/{{incident_id}}":               "++ ++ -- -- -- ++ -- ++",
    f"GET {_V}/incidents/{{incident_id}}/facts":         "++ ++ -- -- -- ++ -- ++",
    f"PATCH {_V}/incidents/{{incident_id}}/facts":       "++ -- -- -- -- -- -- ++",
    f"PUT {_V}/incidents/{{incident_id}}/affected-customers/{{customer_id}}": "++ -- -- -- -- -- -- ++",
    f"GET {_V}/incidents/{{incident_id}}/notices":       "++ ++ -- -- -- ++ -- ++",
    f"POST {_V}/incidents/{{incident_id}}/release":      "-- ++ -- -- -- -- -- --",
    f"POST {_V}/incidents/{{incident_id}}/release-override": "++ ++ -- -- -- -- -- --",
    f"POST {_V}/incidents/{{incident_id}}/close":        "++ -- -- -- -- -- -- ++",
    f"POST {_V}/incidents/{{incident_id}}/reopen":       "++ -- -- -- -- -- -- ++",
    f"GET {_V}/incidents/{{incident_id}}/classification": "++ ++ -- -- -- ++ -- ++",
    f"GET {_V}/incidents/{{incident_id}}/assessments":   "++ ++ -- -- -- ++ -- ++",
    f"GET {_V}/incidents/{{incident_id}}/assessments/{{customer_id}}": "++ ++ -- -- -- ++ -- ++",
    f"GET {_V}/notices":                                 "++ ++ -- ++ ++ ++ ++ ++",
    f"GET {_V}/notices/{{notice_id}}":                   "++ ++ -- +0 +0 ++ +0 ++",
    f"GET {_V}/notices/{{notice_id}}/preview":           "++ ++ -- -- -- ++ -- ++",
    f"POST {_V}/notices/{{notice_id}}/release":          "-- ++ -- -- -- -- -- --",
    f"POST {_V}/notices/{{notice_id}}/release-override": "++ ++ -- -- -- -- -- --",
    f"POST {_V}/notices/{{notice_id}}/override-review":  "-- ++ -- -- -- -- -- --",
    f"GET {_V}/notices/{{notice_id}}/document":          "++ ++ -- +0 +0 ++ +0 ++",
    f"GET {_V}/notices/{{notice_id}}/signature":         "++ ++ -- +0 +0 ++ +0 ++",
    f"GET {_V}/notices/{{notice_id}}/timestamp":         "++ ++ -- +0 +0 ++ +0 ++",
    f"GET {_V}/notices/{{notice_id}}/proof":             "++ ++ -- +0 +0 ++ +0 ++",
    # There is no long list of resources in this world.
    f"GET {_V}/notices/{{notice_id}}/resources.csv":     "00 00 -- 00 00 00 00 00",
    f"GET {_V}/notices/{{notice_id}}/deliveries":        "++ ++ -- +0 +0 ++ +0 ++",
    f"GET {_V}/notices/{{notice_id}}/deliveries/{{delivery_id}}/message": "++ ++ -- +0 +0 ++ +0 ++",
    f"POST {_V}/customers":                              "-- -- ++ -- -- -- -- --",
    f"GET {_V}/customers":                               "++ ++ ++ ++ ++ ++ ++ --",
    f"GET {_V}/customers/{{customer_id}}":               "++ ++ ++ +0 +0 ++ +0 --",
    f"PUT {_V}/customers/{{customer_id}}":               "-- -- ++ -- -- -- -- --",
    f"POST {_V}/customers/{{customer_id}}/agreements":   "-- -- ++ -- -- -- -- --",
    f"GET {_V}/customers/{{customer_id}}/agreements":    "++ ++ ++ +0 +0 ++ +0 --",
    f"GET {_V}/customers/{{customer_id}}/inbox":         "++ ++ -- +0 +0 ++ +0 ++",
    f"POST {_V}/customers/{{customer_id}}/contacts":     "-- -- ++ -- +0 -- -- --",
    f"GET {_V}/customers/{{customer_id}}/contacts":      "++ ++ ++ +0 +0 ++ +0 --",
    f"GET {_V}/customers/{{customer_id}}/contacts/{{contact_id}}": "++ ++ ++ +0 +0 ++ +0 --",
    f"PUT {_V}/customers/{{customer_id}}/contacts/{{contact_id}}": "-- -- ++ -- +0 -- -- --",
    f"POST {_V}/customers/{{customer_id}}/profiles":     "-- -- ++ -- +0 -- -- --",
    f"GET {_V}/customers/{{customer_id}}/profiles":      "++ ++ ++ +0 +0 ++ +0 --",
    f"POST {_V}/customers/{{customer_id}}/profiles/dry-run": "++ ++ ++ +0 +0 ++ +0 --",
    f"GET {_V}/agreements":                              "++ ++ ++ ++ ++ ++ ++ ++",
    f"GET {_V}/agreements/{{agreement_id}}":             "++ ++ ++ ++ ++ ++ ++ ++",
    f"GET {_V}/attention":                               "++ ++ ++ -- -- -- -- ++",
    # There is no alert in this world.
    f"POST {_V}/attention/alerts/{{alert_id}}/seen":    "00 00 00 -- -- -- -- 00",
    f"GET {_V}/audit/entries":                           "++ ++ -- -- -- ++ -- --",
    f"GET {_V}/audit/entries/{{index}}":                 "++ ++ -- -- -- ++ -- --",
    f"GET {_V}/audit/entries/{{index}}/proof":           "++ ++ -- -- -- ++ -- --",
    f"GET {_V}/audit/checkpoint":                        "++ ++ ++ ++ ++ ++ ++ ++",
    f"GET {_V}/audit/verifier-key":                      "++ ++ ++ ++ ++ ++ ++ ++",
    f"GET {_V}/audit/consistency":                       "++ ++ ++ ++ ++ ++ ++ ++",
    f"GET {_V}/keys":                                    "-- -- ++ -- -- ++ -- --",
    f"POST {_V}/keys/signing/rotate":                    "-- -- ++ -- -- -- -- --",
    f"POST {_V}/keys/log/rotate":                        "-- -- ++ -- -- -- -- --",
    f"GET {_V}/settings":                                "-- -- ++ -- -- ++ -- --",
}  # fmt: skip

_CONTACT = {"name": "N", "email": "n@own.example", "language": "en", "order": 9, "active": False}
_BOUND = {"agreement_id": "secnumcloud_iaas_3_0", "effective_at": "2025-02-01T00:00:00Z"}

#: Bodies that are well formed; a route that is not named takes none, or ``{}``.
BODIES = {
    f"POST {_V}/incidents": lambda _names: facts(),
    f"POST {_V}/incidents/validate": lambda _names: facts(),
    f"POST {_V}/incidents/dry-run": lambda _names: facts(),
    f"PUT {_V}/incidents/{{incident_id}}/affected-customers/{{customer_id}}": lambda names: {
        "customer_id": names["customer_id"],
        "affected": "yes",
    },
    f"POST {_V}/incidents/{{incident_id}}/release-override": {"reason": "R"},
    f"POST {_V}/notices/{{notice_id}}/release-override": {"reason": "R"},
    f"POST {_V}/customers": {"name": "N", "agreement": _BOUND},
    f"PUT {_V}/customers/{{customer_id}}": {"name": "N"},
    f"POST {_V}/customers/{{customer_id}}/agreements": _BOUND,
    f"POST {_V}/customers/{{customer_id}}/contacts": _CONTACT,
    f"PUT {_V}/customers/{{customer_id}}/contacts/{{contact_id}}": _CONTACT,
    f"POST {_V}/customers/{{customer_id}}/profiles": {"choices": None},
    f"POST {_V}/customers/{{customer_id}}/profiles/dry-run": {"choices": None},
}

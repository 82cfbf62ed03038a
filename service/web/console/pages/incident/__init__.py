"""The pages of one incident, for those at the provider who work on it.

Each module has one page with its forms; ``frame`` has what they share. The forms call the use cases of the API.
"""

from service.web.console.pages.incident import (
    closing,
    customer_sheets,
    customers,
    deliveries,
    duties,
    facts_change,
    intervention,
    notices,
    one_customer,
    one_notice,
    overview,
    print_view,
    timeline,
    versions,
)

#: In the order in which paths are tried: fixed names before identifiers.
routers = tuple(
    part.router
    for part in (
        overview,
        timeline,
        versions,
        facts_change,
        intervention,
        customers,
        customer_sheets,
        one_customer,
        notices,
        one_notice,
        deliveries,
        duties,
        closing,
        print_view,
    )
)

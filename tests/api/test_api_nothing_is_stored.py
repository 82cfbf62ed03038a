"""Bad input on a service that has nothing yet, which it leaves so."""

import json

import pytest
from test_api_bad_input import is_problem, state

from support import scenario
from support.scenario import affected, facts


@pytest.mark.parametrize("count", [-1, 1.5, "many", 10**400])
async def test_counts_are_whole_and_not_below_zero(api, count):
    one = await scenario.customer(api)
    entry = affected(one, personal_data={"breach": "confirmed", "data_subjects_approx": count})
    response = await api.post("/incidents", content=json.dumps(facts(affected_customers=[entry])))
    assert response.status_code in {400, 422}
    assert (await state(api))[0] == 0


async def test_a_customer_needs_an_agreement_that_exists_and_a_time_zone_that_does(api):
    body = {"name": "x", "agreement": {"agreement_id": "none", "effective_at": "2025-01-01T00:00:00Z"}}
    is_problem(await api.post("/customers", json=body), 422, "agreement_id")
    body = {"name": "x", "time_zone": "Mars/Olympus", "agreement": body["agreement"]}
    is_problem(await api.post("/customers", json=body), 422, "time_zone")
    assert await state(api) == (0, 0)

"""The README's commands are real: each marked block is sent as it stands."""

import json
import re
import shlex
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"<!-- test: (\w+) -->\n```sh\n(.*?)```", re.DOTALL)


async def curl(api, command, names):
    """Send what a curl command line would send."""
    for name, value in names.items():
        command = command.replace(f"${name}", value)
    words = shlex.split(command)
    assert words[0] == "curl"
    method, headers, data, url = None, {}, None, None
    rest = iter(words[1:])
    for word in rest:
        if word == "-s":
            continue
        if word == "-X":
            method = next(rest)
        elif word == "-H":
            name, _, value = next(rest).partition(": ")
            headers[name] = value
        elif word == "-d":
            data = next(rest)
        else:
            url = word
    return await api.request(method or ("POST" if data else "GET"), url, headers=headers, content=data)


async def test_the_readme_takes_an_incident_from_declaration_to_release(running, api):
    blocks = dict(BLOCK.findall(README.read_text(encoding="utf-8")))
    names = {"API": f"{running.url}/api/v1", "AUTH": f"Authorization: Bearer {running.token}"}
    answers = {}
    for step in ("account", "customer", "contact", "incident", "assess", "notices", "preview", "release"):
        answer = await curl(api, blocks[step], names)
        assert answer.is_success, (step, answer.text)
        answers[step] = json.loads(answer.content)
        if step == "customer":
            names["CUSTOMER"] = answers[step]["id"]
        if step == "incident":
            names["INCIDENT"] = answers[step]["id"]
        if step == "notices":
            names["NOTICE"] = answers[step]["items"][0]["id"]
    assert answers["assess"]["items"][0]["verdict"] == "notify"
    assert "Valmont" in answers["preview"]["text"]
    # The incident of the README is old, so that the provider is reminded of its own reports, sometimes before.
    provider, found = ("soc@demo-cloud.example",), await running.sink.wait_for(1)
    while all(message.recipients == provider for message in found):
        found = await running.sink.wait_for(len(found) + 1)
    assert {message.recipients for message in found} - {provider} == {("rssi@ch-valmont.example",)}


def test_the_readme_names_commands_that_exist():
    from service.cli.main import cli

    text = README.read_text(encoding="utf-8")
    used = set(re.findall(r"^(?:\.venv/bin/)?greffier (\w+)", text, re.MULTILINE))
    assert used
    assert used <= set(cli.commands)
    makefile = (README.parent / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", text, re.MULTILINE):
        assert f"\n{target}:" in makefile

"""From the release of one notice to its first mail accepted, on an idle system: 99th percentile.

Reference: what the path cannot do without, measured in the same run: one signature over the document, one period of
the sequencer (a setting), and one exchange with the sink over a kept connection by bare aiosmtplib. Releases come one
at a time, each once the one before is wholly done, at moments that do not keep step with the sequencer.
"""

import argparse
import asyncio
import io
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

import aiosmtplib
import uvloop
from dispatch import installation, smtp_sink
from table import result_line

from service.bootstrap.serve import settle_memory
from service.bootstrap.server import ServerParts
from service.system.logging import configure_logging

_SENDER = "soc@provider.example"


async def _exchange_seconds(port: int, mail: bytes, count: int) -> float:
    smtp = aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False, use_tls=False)
    await smtp.connect()
    taken = []
    for _ in range(count):
        start = time.perf_counter()
        await smtp.sendmail(_SENDER, ["c@customer.example"], mail)
        taken.append(time.perf_counter() - start)
    await smtp.quit()
    return statistics.median(taken)


def _sign_seconds(parts: ServerParts, document: bytes, count: int) -> float:
    taken = []
    for _ in range(count):
        start = time.perf_counter()
        parts.context.sealing.signer.sign_detached(document)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


async def _measure(releases: int) -> None:
    with smtp_sink() as port, tempfile.TemporaryDirectory() as folder:
        async with installation(Path(folder), port, customers=1, contacts=1) as running:
            await running.dispatch()
            mail = await running.a_mail()
            settle_memory()
            rhythm = random.Random(1)
            taken = []
            for _ in range(releases):
                await asyncio.sleep(rhythm.uniform(0.05, 0.45))
                await running.dispatch()
                taken.append(running.first_mail_seconds)
            sign = _sign_seconds(running.parts, mail, 200)
            exchange = await _exchange_seconds(port, mail, 200)
            period = running.parts.context.settings.log.batch_seconds
    reference, p99 = sign + period + exchange, statistics.quantiles(taken, n=100)[98]
    print(f"{releases} releases: median {1000 * statistics.median(taken):.0f} ms, p99 {1000 * p99:.0f} ms")
    print(f"  sign {1000 * sign:.2f} ms, sequencer period {1000 * period:.0f} ms, exchange {1000 * exchange:.2f} ms")
    print(result_line("first_mail", p99 / reference, at_most=3))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--releases", type=int, default=200)
    arguments = parser.parse_args()
    configure_logging(io.StringIO())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_measure(arguments.releases))


if __name__ == "__main__":
    sys.exit(main())

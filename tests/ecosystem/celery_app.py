"""The application of the Celery tests."""

from __future__ import annotations

import celery

from tests.ecosystem.jobs import URL, double

app = celery.Celery("jobs", broker=URL, backend=URL)
app.conf.update(
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
    result_expires=60,
    task_acks_late=True,
    visibility_timeout=30,
)


@app.task(name="double")
def doubled(number: int) -> int:
    """Return twice a number."""
    return double(number)


@app.task(name="total")
def total(numbers: list[int]) -> int:
    """Return a sum."""
    return sum(numbers)


@app.task(name="fails", bind=True, max_retries=2, default_retry_delay=0.1)
def fails(self: celery.Task) -> int:
    """Fail twice, then return how often."""
    if self.request.retries < 2:
        raise self.retry(exc=ValueError("on purpose"))
    return int(self.request.retries)

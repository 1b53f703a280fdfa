"""redis-py's Lock, Celery and rq: their scripts, their workers."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
import redis
import redis.exceptions

from tests.ecosystem import jobs
from tests.ecosystem.conftest import WORKER_S
from tests.processes import ServerProcess


def url(server: ServerProcess, db: int) -> str:
    """The address of a database."""
    return f"redis://127.0.0.1:{server.port}/{db}"


@contextmanager
def worker(server: ServerProcess, db: int, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Run `python -m ...` with the server's address; end it."""
    env = {**os.environ, "JOBS_URL": url(server, db)}
    process = subprocess.Popen(
        [sys.executable, "-m", *words],
        env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def test_a_lock_of_redis_py_excludes_others(server: ServerProcess) -> None:
    """Its acquire, extend, reacquire and release are scripts that compare a token."""
    with redis.Redis(port=server.port) as client:
        client.set("counter", 0)

        def count() -> None:
            with redis.Redis(port=server.port) as own:
                for _ in range(20):
                    with own.lock("lock", timeout=10, sleep=0.001):
                        own.set("counter", int(own.get("counter") or 0) + 1)

        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WORKER_S)
        assert client.get("counter") == b"80"
        lock = client.lock("lock", timeout=10)
        other = client.lock("lock", timeout=10, blocking=False)
        assert lock.acquire()
        assert not other.acquire()
        assert lock.extend(100)
        assert client.ttl("lock") > 10
        assert lock.extend(20, replace_ttl=True)
        assert lock.reacquire()
        assert lock.owned()
        client.set("lock", "of somebody else")
        with pytest.raises(redis.exceptions.LockNotOwnedError):
            lock.release()


def test_tasks_of_celery_are_run(server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """Delays, retries, groups, chords and chains, by the transport of kombu."""
    celery = pytest.importorskip("celery", reason="celery is not installed")
    monkeypatch.setattr(jobs, "URL", url(server, 1))
    from tests.ecosystem import celery_app

    app = celery_app.app
    app.conf.update(broker_url=url(server, 1), result_backend=url(server, 1))
    words = ("celery", "-A", "tests.ecosystem.celery_app", "worker")
    options = ("--pool", "solo", "--loglevel", "warning", "--without-gossip", "--without-mingle")
    with worker(server, 1, *words, *options):
        doubled = celery_app.doubled
        assert doubled.delay(21).get(timeout=WORKER_S) == 42
        assert celery_app.fails.delay().get(timeout=WORKER_S) == 2
        group = celery.group(doubled.s(number) for number in range(10))
        assert group.apply_async().get(timeout=WORKER_S) == [2 * n for n in range(10)]
        chord = celery.chord([doubled.s(number) for number in range(5)], celery_app.total.s())
        assert chord.apply_async().get(timeout=WORKER_S) == 20
        chain = doubled.s(1) | doubled.s() | doubled.s()
        assert chain.apply_async(countdown=0.2).get(timeout=WORKER_S) == 8
        assert app.control.ping(timeout=5)
    app.close()


def test_jobs_of_rq_are_run(server: ServerProcess) -> None:
    """A burst worker: a plain job, one that depends on another, one that fails, one for later."""
    rq = pytest.importorskip("rq", reason="rq is not installed")
    with redis.Redis(port=server.port, db=2) as client:
        queue = rq.Queue("default", connection=client)
        first = queue.enqueue(jobs.double, 4)
        second = queue.enqueue(jobs.double, 5, depends_on=first)
        failed = queue.enqueue(jobs.fail)
        later = queue.enqueue_in(timedelta(days=1), jobs.double, 6)
        options = ("--burst", "--with-scheduler", "--url", url(server, 2))
        words = ("rq.cli", "worker", "--worker-class", "rq.SimpleWorker", *options)
        with worker(server, 2, *words) as process:
            process.communicate(timeout=WORKER_S)
        assert (first.return_value(), second.return_value()) == (8, 10)
        assert failed.get_status(refresh=True) == "failed"
        assert "on purpose" in failed.latest_result().exc_string
        assert queue.scheduled_job_registry.get_job_ids() == [later.id]

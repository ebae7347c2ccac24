"""Who does the jobs of a run: threads, processes or a Dask cluster, all of them `concurrent.futures.Executor`s."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import Any, Literal, Protocol, TypeVar
from weakref import WeakValueDictionary

from evaluator.extras import install
from evaluator.findings import EvaluatorError
from evaluator.metrics.lpips_net import limit_threads

Given = TypeVar("Given")
Result = TypeVar("Result")
Kind = Literal["threads", "processes", "dask"]
KINDS: tuple[Kind, ...] = ("threads", "processes", "dask")
_CONNECT_S = 60.0
"""How long a scheduler, or a first worker, is waited for."""


class Backend(Protocol):
    """Who does the jobs."""

    def open(self) -> None:
        """Get ready; also after the workers were lost.

        Raises:
            EvaluatorError: it cannot.
        """
        ...

    @property
    def parallel(self) -> int:
        """Jobs that are done at a time."""
        ...

    def submit(self, function: Callable[[Given], Result], job: Given, *, model: bool) -> Future[Result]:
        """Ask for a job.

        Args:
            function: what does it.
            job: what it is given.
            model: whether a model is run in it.
        """
        ...

    def lost(self, error: BaseException) -> bool:
        """Tell whether an error says that workers are gone, and nothing of the job."""
        ...

    def moved(self) -> Sequence[Future[Any]]:
        """Return the jobs whose worker was lost or left, and that the next free one is given; each of them once."""
        ...

    def gone(self) -> Exception | None:
        """Return an error if there have been no workers for a while: asked where nothing is finished for long."""
        ...

    def close(self) -> None:
        """Nothing more is asked; what was not begun is dropped."""
        ...


class GivenExecutor:
    """An executor of somebody else, who shuts it down; what the executors of this machine have in common."""

    def __init__(self, executor: Executor | None, parallel: int) -> None:
        self._pool = executor
        self.parallel = parallel

    def open(self) -> None:
        """See `Backend`."""

    def submit(self, function: Callable[[Given], Result], job: Given, *, model: bool) -> Future[Result]:
        """See `Backend`."""
        assert self._pool is not None  # noqa: S101 - opened first
        return self._pool.submit(function, job)

    def lost(self, error: BaseException) -> bool:
        """See `Backend`: there is no way to get others."""
        return False

    def moved(self) -> Sequence[Future[Any]]:
        """See `Backend`: all are lost together."""
        return ()

    def gone(self) -> Exception | None:
        """See `Backend`: they are in this machine, or somebody else sees to them."""
        return None

    def close(self) -> None:
        """See `Backend`."""


class _Own(GivenExecutor):
    """An executor that is made here, and shut down."""

    def __init__(self, workers: int) -> None:
        super().__init__(None, workers)

    def close(self) -> None:
        """See `Backend`."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None


class Threads(_Own):
    """Threads of this process: the metrics let go of Python's lock, outputs are decoded in processes anyhow."""

    def open(self) -> None:
        """See `Backend`."""
        import cv2

        self._before = cv2.getNumThreads()
        cv2.setNumThreads(1)  # the workers are the parallelism
        limit_threads(1)
        self._pool = ThreadPoolExecutor(self.parallel, thread_name_prefix="score")

    def close(self) -> None:
        """See `Backend`."""
        import cv2

        if self._pool is not None:
            super().close()
            cv2.setNumThreads(self._before)
            limit_threads(None)


class Processes(_Own):
    """Processes on this machine, started anew where one was killed."""

    def open(self) -> None:
        """See `Backend`."""
        self.close()
        # Not forked: threads and compiled code of this process would be copied in mid-work.
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(
            self.parallel, mp_context=context, initializer=_follow_parent, initargs=(os.getpid(),)
        )

    def lost(self, error: BaseException) -> bool:
        """See `Backend`."""
        return isinstance(error, BrokenProcessPool)


class Dask:
    """A Dask cluster: one that runs already, or one of this machine's processes."""

    def __init__(self, workers: int, scheduler: str = "", resources: Mapping[str, float] | None = None) -> None:
        """Prepare.

        Args:
            workers: processes, where no scheduler is named.
            scheduler: its address, `tcp://HOST:PORT`, or a scheduler file; empty: a cluster on this machine.
            resources: what a worker must offer to run models (`GPU=1`); scoring asks for nothing.
        """
        self._workers, self._scheduler, self._resources = workers, scheduler, dict(resources or {})
        self._client: Any = None
        self._cluster: Any = None
        self._executors: dict[bool, Any] = {}
        self._jobs: WeakValueDictionary[str, Future[Any]] = WeakValueDictionary()
        self._moved: deque[str] = deque()  # keys of jobs; filled by the client's thread

    def open(self) -> None:
        """See `Backend`."""
        self.close()
        try:
            import distributed
        except ImportError:
            raise EvaluatorError(f"--executor dask needs: {install('dask')}.") from None
        library: Any = distributed  # half of it has no types
        where = self._scheduler or "this machine"
        try:
            if not self._scheduler:
                self._cluster = library.LocalCluster(
                    n_workers=self._workers, threads_per_worker=1, dashboard_address=None, resources=self._resources
                )
            named = {"scheduler_file": self._scheduler} if self._scheduler.endswith(".json") else {}
            address = {} if named else {"address": self._cluster or self._scheduler}
            self._client = _within(2 * _CONNECT_S, lambda: library.Client(**named, **address, timeout=_CONNECT_S))
            self._client.subscribe_topic("all", self._hear)
            self._client.wait_for_workers(1, timeout=_CONNECT_S)
        except Exception as error:  # of an address, a file, TLS or the network: Dask has no kind of its own for each
            self.close()
            raise EvaluatorError(
                f"No Dask workers can be had from {where} within {_CONNECT_S:g} s: {error or type(error).__name__}. "
                "See that the scheduler runs and has workers; what was finished is kept."
            ) from None
        self._executors = {
            False: self._client.get_executor(pure=False),
            True: self._client.get_executor(pure=False, **({"resources": self._resources} if self._resources else {})),
        }

    @property
    def parallel(self) -> int:
        """See `Backend`: workers may come and go."""
        with suppress(OSError, ValueError):
            return max(1, int(sum(self._client.nthreads().values())))
        return 1

    def submit(self, function: Callable[[Given], Result], job: Given, *, model: bool) -> Future[Result]:
        """See `Backend`."""
        key = f"evaluator-{uuid.uuid4().hex}"
        future: Future[Result] = self._executors[model].submit(function, job, key=key)
        self._jobs[key] = future
        return future

    def _hear(self, event: tuple[float, object]) -> None:
        """Note which jobs a worker had that the scheduler has given up."""
        _, told = event
        if isinstance(told, Mapping) and told.get("action") == "remove-worker":
            self._moved.extend([*told.get("processing-tasks", ()), *told.get("lost-computed-tasks", ())])

    def moved(self) -> Sequence[Future[Any]]:
        """See `Backend`."""
        keys = [self._moved.popleft() for _ in range(len(self._moved))]
        jobs = (self._jobs.get(key) for key in keys)
        return [job for job in jobs if job is not None and not job.done()]

    def lost(self, error: BaseException) -> bool:
        """See `Backend`: Dask gives lost jobs to other workers itself, and cancels them where the scheduler is gone."""
        from distributed import KilledWorker

        known = isinstance(error, CancelledError | KilledWorker | TimeoutError)
        return known or type(error).__module__.startswith("distributed.")

    def gone(self) -> Exception | None:
        """See `Backend`: the scheduler keeps jobs for workers that may never come."""
        try:
            self._client.wait_for_workers(1, timeout=_CONNECT_S / 3)
        except (OSError, TimeoutError) as error:
            return TimeoutError(f"the cluster has no workers ({type(error).__name__})")
        return None

    def close(self) -> None:
        """See `Backend`."""
        self._executors = {}
        if self._client is not None:
            with suppress(Exception):  # else the scheduler tells of its end to a client that is gone
                self._client.unsubscribe_topic("all")
        for held in (self._client, self._cluster):
            if held is not None:
                with suppress(OSError, TimeoutError, RuntimeError):
                    held.close(timeout=5)
        self._client = self._cluster = None


def _follow_parent(parent: int) -> None:
    """End when the process that runs us ends, however that is, and leave Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        from evaluator.runners.sandbox.confine import prctl

        prctl(1, signal.SIGKILL)  # when the parent dies
        if os.getppid() != parent:  # it died before
            os._exit(1)


def _within(seconds: float, make: Callable[[], Any]) -> Any:  # noqa: ANN401 - a class without types
    """Return what is made; a server that takes a connection and says nothing would be waited for without end.

    Raises:
        TimeoutError: it took longer. All that making it raises is raised.
    """
    made: Future[Any] = Future()

    def fill() -> None:
        try:
            made.set_result(make())
        except BaseException as error:
            made.set_exception(error)

    threading.Thread(target=fill, daemon=True).start()
    return made.result(seconds)


def backend(
    kind: Kind, workers: int, *, scheduler: str = "", resources: Mapping[str, float] | None = None
) -> Threads | Processes | Dask:
    """Return a backend by its name; see the classes for the arguments."""
    if kind == "dask":
        return Dask(workers, scheduler, resources)
    return Threads(workers) if kind == "threads" else Processes(workers)


def pause(attempt: int) -> None:
    """Wait before workers are asked for again, longer each time."""
    time.sleep(min(0.5 * 2**attempt, 10.0))

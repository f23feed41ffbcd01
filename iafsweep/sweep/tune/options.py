"""Resources and limits of a launch, and the check that they suffice; Ray is imported only when it starts."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.cluster.device import TakeDevice, take_device
from iafsweep.sweep.cluster.footprint import check_room
from iafsweep.sweep.cluster.resources import Node, plan_training, this_machine
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.ledger import read_ledger
from iafsweep.sweep.tune.trial_run import OpenTrainer, open_trainer

STALLED_SECONDS = 300.0
"""Seconds without a running trial while some wait: by then Tune has lost one (its process died during a reset)."""


@dataclass(frozen=True)
class LaunchOptions:
    """Where and how long a sweep runs; the space defines what it searches.

    Attributes:
        address: a running Ray cluster to join; None: start Ray on this machine.
        temporary: folder for Ray's sockets and logs; None: Ray's own.
        allow_no_authentication: start although the environment turns Ray's token authentication off.
        dashboard: start Ray's dashboard, for this machine's own browsers alone.
        wait: the cluster adds nodes when trials wait for them, so nothing is refused for lack of nodes.
        hours: hours the command may take; None: no limit.
        node: what this machine may use.
        open_trainer: opens the trainer of a run folder.
        take_device: finds the device of a trial.
        stalled_seconds: seconds without a running trial while some wait, after which Tune restarts from the ledger.
    """

    address: str | None = None
    temporary: str | None = None
    allow_no_authentication: bool = False
    dashboard: bool = False
    wait: bool = False
    hours: float | None = None
    node: Node = field(default_factory=this_machine)
    open_trainer: OpenTrainer = open_trainer
    take_device: TakeDevice = take_device
    stalled_seconds: float = STALLED_SECONDS

    @property
    def starting(self) -> str:
        """Message to show while :meth:`ray` runs, which takes seconds."""
        return "Starting Ray ..." if self.address is None else f"Joining the Ray cluster {self.address} ..."

    def ray(self) -> AbstractContextManager[list[Node]]:
        """Start Ray or join its cluster, as :attr:`address` says; the context yields the nodes."""
        from iafsweep.sweep.cluster.ray_session import running_ray

        return running_ray(
            self.node,
            address=self.address,
            temporary=self.temporary,
            allow_no_authentication=self.allow_no_authentication,
            dashboard=self.dashboard,
        )


def check_resources(space: SearchSpace, folder: SweepFolder, options: LaunchOptions, reopened: int = 0) -> None:
    """Refuse a sweep for which this machine lacks resources or disk space, before anything is written.

    ``folder`` may not exist yet; ``reopened`` is the number of ended trials that will be trained again.

    Raises:
        SweepError: a trial asks for more than there is, GPU-hours are limited without GPUs, or the run folders cannot
            fit on the disk.
    """
    sweep, at_a_time = space.sweep, 1
    if options.address is None:
        at_a_time = plan_training([options.node], sweep, sweep.trials, may_grow=options.wait).at_a_time
    done = len(read_ledger(folder.ledger).finished) if folder.ledger.exists() else 0
    check_room(space, folder.path, max(sweep.trials - done, 0) + reopened, at_a_time)

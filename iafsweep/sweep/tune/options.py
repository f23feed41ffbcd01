"""On what a sweep runs."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from iafsweep.sweep.cluster.device import TakeDevice, take_device
from iafsweep.sweep.cluster.ray_session import running_ray
from iafsweep.sweep.cluster.resources import Node, this_machine
from iafsweep.sweep.tune.stopper import STALLED_SECONDS
from iafsweep.sweep.tune.trial_run import OpenTrainer, open_trainer


@dataclass(frozen=True)
class LaunchOptions:
    """On what a sweep runs; what it searches is the space's.

    Attributes:
        address: a running Ray cluster to join; None: start Ray on this machine.
        temporary: folder for Ray's sockets and logs; None: Ray's own.
        allow_no_authentication: start although the environment turns Ray's token authentication off.
        dashboard: start Ray's dashboard, for this machine's own browsers alone.
        wait: the cluster adds nodes when trials wait for them, so nothing is refused for lack of them.
        hours: hours the command may take; None: no limit.
        node: what this machine may use.
        open_trainer: opens the trainer of a run folder.
        take_device: finds the device of a trial.
        stalled_seconds: so long without a running trial while some wait, Tune is started anew from the ledger.
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

    def ray(self) -> AbstractContextManager[list[Node]]:
        """Start Ray or join it, as asked; yields its nodes."""
        return running_ray(
            self.node,
            address=self.address,
            temporary=self.temporary,
            allow_no_authentication=self.allow_no_authentication,
            dashboard=self.dashboard,
        )

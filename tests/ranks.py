"""Processes for the ranks of a training, forked from one that has imported what each of them needs."""

import os
from multiprocessing import get_context

RANKS = get_context("forkserver")
RANKS.set_forkserver_preload(["disentangle_pl.fit"])


def join(rank: int, port: int) -> None:
    """Tell Lightning in a process of RANKS, whose environment is of the first fork, which rank it is."""
    os.environ |= {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1", "LOCAL_RANK": str(rank), "NODE_RANK": "0"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}

"""Bring a stack up as pods, put it back into its steady state between drills, take it down."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from blackstart.model.durations import Duration, human, seconds
from blackstart.model.errors import ProvisionError, SteadyStateError
from blackstart.model.stack import Instance, Stack
from blackstart.platforms.waiting import wait_until
from blackstart.stack import disks, edges
from blackstart.stack.running import PROXY_API_PORT, RunningStack
from blackstart.stack.steady import Progress, steady

if TYPE_CHECKING:
    from blackstart.platforms.docker import DockerPlatform

__all__ = ["down", "reconfigure", "reset", "steady", "supply", "up"]

#: Pods are started by so many threads.
_THREADS = 8
_SIDECAR_MEMORY = "128m"
_SYSCTLS = {
    # Toxiproxy dials without a timeout: a black hole must not outlast the heal by minutes.
    "net.ipv4.tcp_syn_retries": "1",
    "net.ipv4.ip_unprivileged_port_start": "0",
    # Refusals, one a second by default: a bite must not take for cut off who was only asked too often.
    "net.ipv4.icmp_ratelimit": "0",
}


def up(
    stack: Stack,
    run_id: str,
    platform: DockerPlatform,
    tags: Mapping[str, str],
    progress: Progress,
) -> RunningStack:
    """Start every pod of `stack`; `tags` gives each image's tag by name (`images.ensure_images`).

    Returns once all containers run; `steady` waits for them to work. If anything fails, or on Ctrl-C, what
    was started is removed. Raises ProvisionError, PlatformError.
    """
    # Imported on use, here and below: a stack's declaration imports this module, and a plan loads no Docker.
    from blackstart.platforms.launch import network

    if left := platform.list(run_id):
        raise ProvisionError(f"run {run_id} has containers already: {', '.join(c.name for c in left)}")
    began = time.monotonic()
    try:
        network(platform.client, _network(run_id), _labels(stack, run_id))
        bare = RunningStack(stack, run_id, platform, {})
        disks.create(bare, tags[stack.sidecar.name], _labels(stack, run_id))
        env = environments(stack, run_id)
        ports = _in_parallel(
            {i.name: partial(_pod, stack, i, run_id, platform, tags, env[i.name]) for i in stack.instances}
        )
    except BaseException:
        progress("start failed: removing what was started")
        down(run_id, platform)
        raise
    progress(f"{2 * len(stack.instances)} containers started in {human(time.monotonic() - began)}")
    return RunningStack(stack, run_id, platform, ports)


def down(run_id: str, platform: DockerPlatform) -> list[str]:
    """Remove every container, network and volume of the run, by label alone; returns their names."""
    return platform.remove_run(run_id)


def reset(running: RunningStack, limit: Duration, progress: Progress | None = None) -> float:
    """Undo whatever a drill left: every container running, every edge as new, the stack's own reset, steady.

    Returns seconds. Raises SteadyStateError, PlatformError, ToxiproxyError.
    """
    began = time.monotonic()
    names = [i.name for i in running.stack.instances]
    if any(i.disks for i in running.stack.instances):
        running.platform.start(running.keeper)
    status = {c.name: c.status for c in running.platform.list(running.run_id)}
    _in_parallel({n: partial(_revive, running, n, status) for n in names})
    _in_parallel({n: partial(edges.restore, running, n) for n in names})
    if running.stack.reset is not None:
        running.stack.reset(running)
    left = max(0.0, seconds(limit) - (time.monotonic() - began))
    # A process killed a moment ago takes its container along a moment later.
    steady(running, left, progress, revive=partial(_revive_now, running))
    return time.monotonic() - began


def environments(stack: Stack, run_id: str) -> dict[str, dict[str, str]]:
    """By instance, the variables of its service in this run: those declared, and those the run gives."""
    given = stack.given(run_id) if stack.given is not None else {}
    return {i.name: {**i.env, **given.get(i.name, {})} for i in stack.instances}


def _pod(
    stack: Stack,
    instance: Instance,
    run_id: str,
    platform: DockerPlatform,
    tags: Mapping[str, str],
    env: Mapping[str, str],
) -> dict[int, int]:
    """Start the sidecar, make its edges, start the service in its network; returns the host ports."""
    from blackstart.platforms.launch import launch

    bare = RunningStack(stack, run_id, platform, {})
    sidecar = bare.sidecar(instance.name)
    labels = _instance_labels(stack, run_id, instance)
    api = platform.client.api
    alias = api.create_endpoint_config(aliases=[f"{instance.name}.net"])
    ports = launch(
        platform.client,
        tags[stack.sidecar.name],
        sidecar,
        labels=labels | {"blackstart.part": "sidecar"},
        publish=(PROXY_API_PORT, *(instance.ports[p] for p in instance.publish)),
        hostname=instance.name,
        network=_network(run_id),
        networking_config={_network(run_id): alias},
        extra_hosts={e.upstream: e.listen for e in stack.edges if e.source == instance.name},
        sysctls=_SYSCTLS,
        cap_add=["NET_ADMIN"],
        mem_limit=_SIDECAR_MEMORY,
    )
    edges.populate(RunningStack(stack, run_id, platform, {instance.name: ports}), instance.name)
    _service(bare, instance, tags[instance.image.name], env)
    return ports


def _service(running: RunningStack, instance: Instance, image: str, env: Mapping[str, str]) -> None:
    """Start the pod's service in the network of its sidecar."""
    from blackstart.platforms.launch import launch

    launch(
        running.platform.client,
        image,
        running.container(instance.name),
        labels=_instance_labels(running.stack, running.run_id, instance) | {"blackstart.part": "service"},
        command=instance.command,
        env=env,
        network_mode=f"container:{running.sidecar(instance.name)}",
        mem_limit=instance.memory,
        mounts=disks.mounts(running, instance),
    )


def reconfigure(running: RunningStack, env: Mapping[str, Mapping[str, str]]) -> None:
    """Start the services of the named instances anew, with these variables on top of those declared.

    An empty mapping puts the declared ones back. What a service keeps inside its container is gone: for
    services without state. Returns once they are ready; raises PlatformError, SteadyStateError.
    """

    declared = environments(running.stack, running.run_id)

    def renew(name: str) -> None:
        instance = running.stack.instance(name)
        image = str(running.platform.inspect(running.container(name))["Config"]["Image"])
        running.platform.remove(running.container(name))
        _service(running, instance, image, {**declared[name], **env[name]})

    def ready(name: str) -> str | None:
        condition = running.stack.instance(name).ready
        return None if condition is None else condition.check(running, name)

    def renew_and_wait(name: str) -> None:
        renew(name)
        wait_until(f"{name} to be ready", partial(ready, name), limit="30s", error=SteadyStateError)

    _in_parallel({name: partial(renew_and_wait, name) for name in env})


def supply(
    running: RunningStack,
    names: Collection[str],
    tags: Mapping[str, str],
    env: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> list[str]:
    """Start the services of the named instances that are gone, as declared, each in the place it had.

    That is what replaces lost machines: their disks are empty, or what they were; their sidecars must be
    there. `tags` is as for `up`; `env` gives variables by instance, on top of those declared. Services that
    are there stay as they are. Returns the names of those that were started, which need not be ready yet.
    Raises ConfigError for a name or an instance of `env` that there is not, PlatformError.
    """
    there = {c.name for c in running.platform.list(running.run_id)}
    wanted = [running.stack.instance(name) for name in dict.fromkeys((*names, *env))]
    gone = [i for i in wanted if i.name in names and running.container(i.name) not in there]
    declared = environments(running.stack, running.run_id)
    _in_parallel(
        {
            i.name: partial(
                _service, running, i, tags[i.image.name], {**declared[i.name], **env.get(i.name, {})}
            )
            for i in gone
        }
    )
    return [i.name for i in gone]


def _revive(running: RunningStack, instance: str, status: Mapping[str, str]) -> None:
    """Have both containers of a pod running. A sidecar that was down takes its service along."""
    platform = running.platform
    sidecar, service = running.sidecar(instance), running.container(instance)
    for name in (sidecar, service):
        if name not in status:
            raise ProvisionError(f"{name} is gone: take run {running.run_id} down and start again")
        if status[name] == "paused":
            platform.unpause(name)
    if status[sidecar] not in ("running", "paused"):
        platform.start(sidecar)
        edges.populate(running, instance)
        # The service still holds the network namespace of the sidecar's former life.
        platform.restart(service)
    elif status[service] not in ("running", "paused"):
        platform.start(service)


def _revive_now(running: RunningStack, instance: str) -> None:
    _revive(running, instance, {c.name: c.status for c in running.platform.list(running.run_id)})


def _network(run_id: str) -> str:
    return f"blackstart-{run_id}"


def _labels(stack: Stack, run_id: str) -> dict[str, str]:
    return {
        "blackstart.run": run_id,
        "blackstart.stack": stack.name,
        "blackstart.service": "",
        "blackstart.zone": "",
    }


def _instance_labels(stack: Stack, run_id: str, instance: Instance) -> dict[str, str]:
    return _labels(stack, run_id) | {
        "blackstart.service": instance.service,
        "blackstart.zone": instance.zone,
        "blackstart.instance": instance.name,
    }


def _in_parallel(work: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
    """Run all; the first failure, or Ctrl-C, cancels what has not begun and is raised once the rest ended."""
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="pods")
    try:
        jobs: dict[str, Future[Any]] = {name: pool.submit(job) for name, job in work.items()}
        done, _ = wait(jobs.values(), return_when=FIRST_EXCEPTION)
        for job in done:
            job.result()
        return {name: job.result() for name, job in jobs.items()}
    finally:
        pool.shutdown(wait=True, cancel_futures=True)

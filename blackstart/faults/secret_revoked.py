"""Secret revoked: a role's password is no longer good, and its sessions are gone."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Unpack

from blackstart.faults._containers import containers
from blackstart.faults._postgres import PSQL, PostgresFault, ask, literal, quoted
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Options, Platform, Site, Undo
from blackstart.model.errors import BiteError, ConfigError, InjectionError, PlatformError
from blackstart.model.modes import Mode


@register
@dataclass(frozen=True)
class SecretRevoked(PostgresFault):
    """Have the password of `role` expire on the primary `target`, and end its sessions.

    Clients hear "password authentication failed", as with a wrong one; who is let in without a password is
    let in still. What must be remembered to undo it is a date and no secret. Since the primary may have moved
    meanwhile, it is undone on whichever instance of the service takes writes then.
    """

    kind: ClassVar[str] = "secret_revoked"
    mode: ClassVar[Mode] = Mode.ERRORS
    expires_in_place: ClassVar[bool] = True
    persistent: ClassVar[bool] = True
    grace: ClassVar[float] = 30.0

    role: str

    def plan(self, site: Site) -> Undo:
        """Records until when the password is good; InjectionError for a role that has none or is none."""
        names = containers(site, self.target)
        if len(names) != 1:
            raise ConfigError(f"{self.target!r} is {len(names)} instances: name the primary")
        self.primary(site, names[0])
        row = self.ask(
            site,
            names[0],
            "SELECT rolpassword IS NOT NULL AND rolcanlogin AND coalesce(rolvaliduntil > now(), true), "
            f"coalesce(rolvaliduntil::text, 'infinity') FROM pg_authid WHERE rolname = {literal(self.role)}",
        )
        good, _, until = row.partition("|")
        if good != "t":
            listed = "SELECT string_agg(rolname, ', ') FROM pg_authid WHERE rolcanlogin AND rolpassword <> ''"
            known = self.ask(site, names[0], listed) or "none"
            raise InjectionError(f"{self.role!r} cannot log in with a password even now; who can: {known}")
        service = site.resolve(self.target)[0].service
        members = tuple(site.container(i.name) for i in site.stack.of(service))
        restoring = _restoring(self.role, until)
        command = [*self.client, "-AtqX", "-c", restoring]
        data = {"psql": self.client, "role": self.role, "until": until, "members": list(members)}
        manual = shlex.join(["docker", "exec", names[0], *command])
        return Undo(self.kind, site.run_id, names, data, manual, dict.fromkeys(members, command))

    def inject(self, site: Site, undo: Undo) -> None:
        """See Fault.inject."""
        self.ask(
            site,
            undo.targets[0],
            f"ALTER ROLE {quoted(self.role)} VALID UNTIL 'epoch'",
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = {literal(self.role)}",
        )

    def bite(self, site: Site, undo: Undo) -> str:
        """The password is expired, and the role has no session, whoever tried meanwhile."""
        expired, sessions = self.ask(
            site,
            undo.targets[0],
            "SELECT rolvaliduntil < now(), (SELECT count(*) FROM pg_stat_activity WHERE usename = rolname) "
            f"FROM pg_authid WHERE rolname = {literal(self.role)}",
        ).split("|")
        if expired != "t" or sessions != "0":
            raise BiteError(f"{self.role}: expired: {expired}; sessions: {sessions}")
        return f"{undo.targets[0]}: the password of {self.role} is expired, and it has no session"

    @classmethod
    def undo(cls, undo: Undo, platform: Platform) -> None:
        """Make the password good as long as before; PlatformError if no instance takes writes."""
        primary = _primary(platform, undo.data["members"], undo.data["psql"])
        ask(platform, primary, undo.data["psql"], _restoring(undo.data["role"], undo.data["until"]))

    @classmethod
    def undone(cls, undo: Undo, platform: Platform) -> str | None:
        """See Fault.undone."""
        role, psql = undo.data["role"], undo.data["psql"]
        primary = _primary(platform, undo.data["members"], psql)
        good = ask(
            platform,
            primary,
            psql,
            "SELECT coalesce(rolvaliduntil, 'infinity') > now() FROM pg_authid "
            f"WHERE rolname = {literal(role)}",
        )
        return None if good == "t" else f"{primary}: the password of {role} is expired"


def _restoring(role: str, until: str) -> str:
    return f"ALTER ROLE {quoted(role)} VALID UNTIL {literal(until)}"


def _primary(platform: Platform, members: Sequence[str], psql: Sequence[str]) -> str:
    """The container whose Postgres takes writes now; PlatformError with what each said if none does."""
    seen = []
    for name in members:
        try:
            if ask(platform, name, psql, "SELECT pg_is_in_recovery()") == "f":
                return name
            seen.append(f"{name} is a standby")
        except PlatformError as error:
            seen.append(str(error))
    raise PlatformError(f"no primary: {'; '.join(seen)}")


@constructor
def secret_revoked(target: str, role: str, psql: str = PSQL, **options: Unpack[Options]) -> SecretRevoked:
    """Revoke the password of a Postgres role: `secret_revoked("postgres.primary", role="app")`."""
    return SecretRevoked(target, role, psql=psql, **options)

"""What the faults share that hold so many connections that a server takes no more."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from blackstart.faults._held import HeldFault
from blackstart.faults._inside import shell
from blackstart.faults.base import Platform, Site, Undo
from blackstart.model.errors import BiteError, InjectionError

# Opens connections, says hello on each and keeps those that are welcomed; once one is refused it tries again
# ten times a second, lest a client that leaves makes room for another. With "probe" it tells how one fared:
# of two, where the first is refused, since the probe and the holder can refuse each other the last place
# (Postgres counts who is about to be refused), and the holder takes it when it tries next.
# Perl, since it is in every Debian image and speaks to Unix sockets.
_HOLD = r"""
use strict; use Socket;
my ($how, $place, $hello, $welcome) = @ARGV[1 .. 4];
sub meet {
  my $path = $place =~ m{^/};
  my ($host, $port) = $place =~ /(.*):(\d+)$/;
  socket(my $s, $path ? PF_UNIX : PF_INET, SOCK_STREAM, 0) or return (undef, "$!");
  setsockopt($s, SOL_SOCKET, SO_RCVTIMEO, pack("l!l!", 2, 0));
  my $at = $path ? pack_sockaddr_un($place) : pack_sockaddr_in($port, inet_aton($host));
  connect($s, $at) or return (undef, "$!");
  syswrite($s, pack("H*", $hello));
  my $said = "";
  while ($said !~ /$welcome/s) {
    sysread($s, $said, 4096, length $said) or return (undef, $said || "$!" || "closed");
  }
  return ($s, "welcome");
}
if ($how eq "probe") {
  my ($s, $said) = meet();
  if (!$s) { select(undef, undef, undef, 0.3); ($s, $said) = meet() }
  $said =~ s/[^ -~]+/ /g; print "$said\n"; exit;
}
$SIG{PIPE} = "IGNORE";
my @held;
while (1) {
  my ($s, $said) = meet();
  if ($s) { push @held, $s } else { select(undef, undef, undef, 0.1) }
}
"""


@dataclass(frozen=True)
class ConnectionsFault(HeldFault):
    """Idle connections from inside the container of each target, as many as its server takes."""

    bite_limit: ClassVar[float] = 20.0

    @abstractmethod
    def greeting(self) -> tuple[str, bytes, str]:
        """Where the server listens (a path, or host:port), our first words, the welcome (regex)."""

    @property
    @abstractmethod
    def full(self) -> str:
        """What the server says when it takes no more."""

    def details(self, site: Site, names: tuple[str, ...]) -> dict[str, Any]:
        """InjectionError with the server's words if it welcomes nobody now."""
        place, hello, welcome = self.greeting()
        data = {"greeting": [place, hello.hex(), welcome]}
        for name in names:
            if (said := _probe(site.platform, name, data)) != "welcome":
                raise InjectionError(f"{name}: no connection to {place} even now: {said}")
        return data

    def command(self, name: str, data: Mapping[str, Any]) -> list[str]:
        """See HeldFault.command."""
        return ["perl", "-e", _HOLD, data["tag"], "hold", *data["greeting"]]

    def bite(self, site: Site, undo: Undo) -> str:
        """One more connection is refused, in the server's own words."""
        for name in undo.targets:
            if self.full not in (said := _probe(site.platform, name, undo.data)):
                raise BiteError(f"{name}: one more connection gets: {said}")
        return f"{', '.join(undo.targets)}: one more connection gets {self.full!r}"

    @classmethod
    def undone(cls, undo: Undo, platform: Platform) -> str | None:
        """The holder is gone, and the server welcomes us."""
        if wrong := super().undone(undo, platform):
            return wrong
        for name in undo.targets:
            if (said := _probe(platform, name, undo.data)) != "welcome":
                return f"{name}: a connection gets: {said}"
        return None


def _probe(platform: Platform, name: str, data: Mapping[str, Any]) -> str:
    """What becomes of one more connection: the server's words, or "welcome"."""
    return shell(platform, name, 'exec "$@"', "perl", "-e", _HOLD, "holder", "probe", *data["greeting"])

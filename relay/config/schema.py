"""The shape of relay.toml as frozen values. Every setting carries its name, default, check and prose here and nowhere else.

Rules of this file: no reading of files or environment (that is load.py), no numbers that follow from other numbers
(that is ladder.py), no nginx or aiohttp words. How a kind of value is read and written back is kinds.py. Secrets travel as
SecretStr, so that a repr never shows one.
"""

from collections.abc import Iterable
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from relay.config import units
from relay.config.kinds import (
    BaseUrl,
    Bytes,
    Count,
    Day,
    Domain,
    File,
    Flag,
    KeyHash,
    Listen,
    Model,
    ModelNames,
    Name,
    Origin,
    PublicListen,
    Rate,
    Reference,
    Seconds,
    Subnet,
)


class Part(BaseModel):
    """What every table of the file has in common: frozen, and an unknown setting is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Server(Part):
    """The relay process: where it listens and how long it waits."""

    listen: Listen = Field(
        "unix:run/relay.sock",
        description="Public listener of the relay, behind the edge: `unix:PATH` (a relative path is taken from the folder of this file) "
        "or `HOST:PORT`.",
    )
    admin: Listen = Field(
        "127.0.0.1:8101",
        description="Admin listener: /metrics, /healthz, /readyz. Never reachable through the edge.",
    )
    drain: Seconds = Field(300.0, ge=0, le=86400, description="How long open streams may go on after a stop was asked for.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info",
        description="Least important log line that is written to standard error.",
    )
    connect_timeout: Seconds = Field(5.0, gt=0, le=60, description="Upstream: DNS, TCP and TLS together.")
    first_byte_timeout: Seconds = Field(120.0, gt=0, le=3600, description="Upstream: from the request sent to the answer's head.")
    idle_timeout: Seconds = Field(120.0, gt=0, le=3600, description="Upstream: longest silence between two pieces of an answer.")
    total_timeout: Seconds = Field(
        1800.0,
        gt=0,
        le=86400,
        description="One exchange from first to last byte, blocked writes to the client included.",
    )
    body_timeout: Seconds = Field(30.0, gt=0, le=600, description="How long a caller may take to send a request body.")
    ping_interval: Seconds = Field(
        15.0,
        gt=0,
        le=300,
        description="A comment line goes to the client of a stream after each such silence of the upstream.",
    )
    commit_after: Seconds = Field(
        10.0,
        gt=0,
        le=300,
        description="A stream's status line is held back this long for a silent upstream (so that a failure keeps its true status); "
        "then 200 and pings are sent.",
    )
    answer_limit: Bytes = Field(16 << 20, ge=1024, le=1 << 30, description="Largest answer of the upstream that is not a stream.")
    tries: Count = Field(3, ge=1, le=10, description="Most channels tried for one request.")


class Tls(Part):
    """How the edge gets its certificate."""

    mode: Literal["off", "files"] = Field(
        "off",
        description="`off` serves plain HTTP (behind another proxy, or for a try), `files` takes the two files below.",
    )
    certificate: File | None = Field(
        None,
        description="Certificate chain (PEM), for mode `files`. Absent: with mode `off`.",
        examples=["/etc/letsencrypt/live/llm.example.com/fullchain.pem"],
    )
    key: File | None = Field(
        None,
        description="Private key (PEM), for mode `files`. Absent: with mode `off`.",
        examples=["/etc/letsencrypt/live/llm.example.com/privkey.pem"],
    )

    @model_validator(mode="after")
    def _files_are_named(self) -> Self:
        if self.mode == "files" and not (self.certificate and self.key):
            msg = 'mode "files" needs both `certificate` and `key`'
            raise ValueError(msg)
        if self.mode == "off" and (self.certificate or self.key):
            msg = '`certificate` and `key` have no effect with mode "off"; write mode = "files"'
            raise ValueError(msg)
        return self


class RateLimit(Part):
    """Limits that the edge holds per client address."""

    per_ip: Rate = Field(units.Rate(10, "s"), description="Requests per client address.")
    burst: Count = Field(40, ge=0, le=10000, description="Requests above the rate that are let through at once.")
    connections: Count = Field(32, ge=1, le=100000, description="Requests in flight per client address (an open stream is one).")


class Edge(Part):
    """The nginx in front."""

    domain: Domain = Field(
        "localhost",
        description="The one public host name. Requests for any other name are closed without an answer.",
        examples=["llm.example.com"],
    )
    listen: PublicListen | None = Field(
        None,
        description="Public address and port. Absent: all addresses, port 443 (80 with mode `off`).",
        examples=["127.0.0.1:8080"],
    )
    tls: Tls = Field(default_factory=Tls, description="Certificate of the public name.")
    allow_get_models: Flag = Field(False, description="Also admit exactly `GET /v1/models`, for model pickers.")
    cors_origins: tuple[Origin, ...] = Field(
        (),
        max_length=64,
        description="Web origins that may call from a browser. Empty: none, and OPTIONS is refused.",
        examples=[["https://chat.example.com"]],
    )
    upgrade_426: Flag = Field(
        False,
        description="Answer 426 instead of 403 to websocket upgrades, so that clients which try one first fall back at once.",
    )
    http10: Flag = Field(False, description="Admit HTTP/1.0 requests: only for a stock outer proxy that speaks it.")
    body_limit: Bytes = Field(20 << 20, ge=1024, le=1 << 30, description="Largest request body, at the edge and at the relay.")
    read_timeout: Seconds = Field(600.0, gt=0, le=86400, description="Longest silence of the relay that the edge bears.")
    rate_limit: RateLimit = Field(default_factory=RateLimit, description="Limits per client address.")
    real_ip_from: tuple[Subnet, ...] = Field(
        (),
        max_length=256,
        description="Networks of an outer proxy whose X-Forwarded-For is believed. Empty: the peer's address is the client's.",
        examples=[["10.0.0.0/8"]],
    )
    workers: Count = Field(1, ge=1, le=64, description="nginx worker processes.")


class Channel(Part):
    """One configured upstream account."""

    name: Name = Field(description="Unique name; a metric label.", examples=["main"])
    type: Literal["openai"] = Field("openai", description="Wire dialect of the upstream.")
    base_url: BaseUrl = Field(description="Where the dialect's paths begin.", examples=["https://api.openai.com/v1"])
    keys: tuple[Reference, ...] = Field(
        (),
        max_length=1000,
        description="Credentials as references: `env:NAME`, `file:PATH` or `cred:NAME` (systemd). Empty: no Authorization header is sent.",
        examples=[["env:UPSTREAM_KEY"]],
    )
    models: ModelNames = Field(
        description="Public model name to the upstream's name. A list means: the same name on both sides.",
        examples=[["gpt-5-mini"]],
    )
    priority: Count = Field(0, ge=-1000, le=1000, description="Channels of a higher priority are tried first.")
    ca_file: File | None = Field(
        None,
        description="PEM file of certificate authorities to believe. Absent: the system's.",
        examples=["/etc/ssl/private-ca.pem"],
    )
    first_byte_timeout: Seconds | None = Field(
        None,
        gt=0,
        le=3600,
        description="The same as in [server], for this channel. Absent: what is there.",
        examples=["3m"],
    )
    idle_timeout: Seconds | None = Field(
        None,
        gt=0,
        le=3600,
        description="The same as in [server], for this channel. Absent: what is there.",
        examples=["5m"],
    )


class Key(Part):
    """One caller's key. Only its hash is kept."""

    name: Name = Field(description="Unique name; never a metric label.", examples=["alice"])
    hash: KeyHash = Field(
        description="`sha256:` and 64 hex digits, from `relay key create NAME`.",
        examples=["sha256:" + "0" * 64],
    )
    models: tuple[Model, ...] | None = Field(
        None,
        description="Public models this key may use. Absent: all.",
        examples=[["gpt-5-mini"]],
    )
    allow_ips: tuple[Subnet, ...] | None = Field(
        None,
        description="Networks this key may be used from. Absent: all.",
        examples=[["192.168.0.0/16"]],
    )
    expires: Day | None = Field(
        None, description="Last day (UTC) on which the key is valid. Absent: it does not end.", examples=["2027-12-31"]
    )
    enabled: Flag = Field(True, description="false refuses the key without forgetting it.")


class Settings(Part):
    """The whole file."""

    server: Server = Field(default_factory=Server, description="The relay process: where it listens and how long it waits.")
    edge: Edge = Field(default_factory=Edge, description="The nginx in front.")
    channel: tuple[Channel, ...] = Field((), max_length=10000, description="Upstream accounts.")
    key: tuple[Key, ...] = Field((), max_length=100000, description="Callers' keys. Only hashes are kept.")

    @model_validator(mode="after")
    def _nothing_is_there_twice(self) -> Self:
        """Hold this for Settings made by other means too; load.py says it sooner, of both places."""
        for what, values in (
            ("[[channel]] name", [channel.name for channel in self.channel]),
            ("[[key]] name", [key.name for key in self.key]),
            ("[[key]] hash", [key.hash for key in self.key]),
        ):
            if _has_repeated(values):
                msg = f"a {what} is there twice"
                raise ValueError(msg)
        return self


def _has_repeated(values: Iterable[str]) -> bool:
    listed = list(values)
    return len(set(listed)) != len(listed)
